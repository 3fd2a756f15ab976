"""TensorBoard event files: read back by TensorBoard itself."""

import errno
from pathlib import Path
from typing import Any

import pytest

from rldistill.errors import RunFolderError
from rldistill.train.events import EventWriter


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_numbers_are_scalars_and_the_rest_is_left_out(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "events") as writer:
        writer.add({"loss": 0.5, "phase": "learning", "agreement": None, "done": False}, 10)
        writer.add({"loss": 0.25, "episodes": 64}, 20)
    assert read(tmp_path / "events") == {
        "rldistill/loss": [(10, 0.5), (20, 0.25)],
        "rldistill/episodes": [(20, 64.0)],
    }


def test_a_killed_writer_loses_nothing_that_was_added(tmp_path: Path) -> None:
    """Each record is flushed: whoever watches sees it at once."""
    writer = EventWriter(tmp_path / "events")
    writer.add({"loss": 0.5}, 10)
    assert read(tmp_path / "events") == {"rldistill/loss": [(10, 0.5)]}
    writer.__exit__(None, None, None)


def test_a_second_writer_adds_a_file(tmp_path: Path) -> None:
    for step in (1, 2):
        with EventWriter(tmp_path / "events") as writer:
            writer.add({"loss": float(step)}, step)
    assert len(list((tmp_path / "events").iterdir())) == 2
    assert not EventWriter(tmp_path / "none")._folder.exists()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EventWriter(tmp_path / "events") as writer:
        writer.add({"loss": 0.5}, 10)

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(writer._records, "write", full)
        with pytest.raises(RunFolderError, match="no space left"):
            writer.add({"loss": 0.5}, 20)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("")
    with EventWriter(tmp_path / "events") as writer, pytest.raises(RunFolderError, match="events"):
        writer.add({"loss": 0.5}, 10)
