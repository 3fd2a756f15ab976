"""Where versions of a teacher come from; a file that is still being written is never taken."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import follower, follower_folder

from rldistill.core import NetworkPolicy
from rldistill.errors import MisfitError, SettingError, TeacherFileError
from rldistill.train.moving import (
    GIVE_UP_SECONDS,
    SETTLE_SECONDS,
    CheckpointFolder,
    PushedTeacher,
    TrainedBeside,
)
from rldistill.train.progress import Progress


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Reader:
    """Reads a file as the name of a policy; one that does not end in a full stop is damaged."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> NetworkPolicy:
        text = path.read_text()
        if not text.endswith("."):
            raise TeacherFileError("cut off")
        self.read.append(text)
        return follower(name=text)


def drop(folder: Path, name: str, text: str, clock: Clock) -> None:
    (folder / name).write_text(text)
    os.utime(folder / name, (clock.seconds, clock.seconds))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> CheckpointFolder:
    return CheckpointFolder(tmp_path, Reader(), now=clock)


def test_a_file_is_taken_once_it_has_stood_still(folder: CheckpointFolder, clock: Clock) -> None:
    drop(folder.folder, "a.zip", "first.", clock)
    assert folder.poll() is None
    clock.seconds += SETTLE_SECONDS
    snapshot = folder.poll()
    assert snapshot is not None
    assert snapshot.policy.info.name == "first."
    assert folder.poll() is None


def test_a_file_that_grows_is_waited_for(folder: CheckpointFolder, clock: Clock) -> None:
    for text in ("h", "ha", "hal", "half"):
        drop(folder.folder, "a.zip", text, clock)
        assert folder.poll() is None
        clock.seconds += SETTLE_SECONDS / 2
    assert folder.load.read == []  # type: ignore[attr-defined]


def test_a_half_written_file_is_tried_again_and_never_taken(
    folder: CheckpointFolder, clock: Clock
) -> None:
    """It stood still, but its reader says that it is cut off: the writer was only slow."""
    drop(folder.folder, "a.zip", "half", clock)
    clock.seconds += 2 * SETTLE_SECONDS
    assert folder.poll() is None
    assert folder.messages == []
    drop(folder.folder, "a.zip", "half and the rest.", clock)
    clock.seconds += SETTLE_SECONDS
    folder.poll()
    clock.seconds += SETTLE_SECONDS
    assert folder.load.read == ["half and the rest."]  # type: ignore[attr-defined]


def test_a_file_that_stays_damaged_is_named_once(folder: CheckpointFolder, clock: Clock) -> None:
    drop(folder.folder, "a.zip", "half", clock)
    for _ in range(4):
        clock.seconds += GIVE_UP_SECONDS
        assert folder.poll() is None
    (message,) = folder.messages
    assert "a.zip cannot be read, passed over: cut off" in message


def test_a_file_replaced_while_it_was_read_is_not_taken(tmp_path: Path, clock: Clock) -> None:
    reader = Reader()

    def slow(path: Path) -> NetworkPolicy:
        policy = reader(path)
        if len(reader.read) == 1:
            drop(tmp_path, "a.zip", "second, longer.", clock)
        return policy

    folder = CheckpointFolder(tmp_path, slow, now=clock)
    drop(tmp_path, "a.zip", "first.", clock)
    clock.seconds += SETTLE_SECONDS
    assert folder.poll() is None
    clock.seconds += SETTLE_SECONDS
    folder.poll()
    clock.seconds += SETTLE_SECONDS
    assert reader.read[-1] == "second, longer."


def test_the_newest_is_given_and_those_before_it_are_passed_over(
    folder: CheckpointFolder, clock: Clock
) -> None:
    for name in ("b.zip", "a.zip", "c.txt", ".hidden.zip"):
        drop(folder.folder, name, f"{name}.", clock)
        clock.seconds += 1
    clock.seconds += SETTLE_SECONDS
    snapshot = folder.poll()
    assert snapshot is not None
    assert snapshot.policy.info.name == "a.zip."
    assert folder.poll() is None
    drop(folder.folder, "b.zip", "b again.", clock)
    clock.seconds += SETTLE_SECONDS
    folder.poll()
    clock.seconds += SETTLE_SECONDS
    assert folder.load.read[-1] == "b again."  # type: ignore[attr-defined]


def test_run_folders_inside_it_and_one_itself_are_versions(tmp_path: Path) -> None:
    from rldistill.runs import RunFolder
    from rldistill.teachers.load import load_teacher

    def load(path: Path) -> NetworkPolicy:
        return load_teacher(path, announce=None)

    def later() -> float:
        return 4e9

    follower_folder(tmp_path / "many" / "step-1")
    snapshot = CheckpointFolder(tmp_path / "many", load, now=later).poll()
    assert snapshot is not None
    assert snapshot.version.startswith("step-1@")
    run = RunFolder.create(tmp_path / "run")
    own = CheckpointFolder(run.root, load, now=later)
    assert own.poll() is None
    follower_folder(run.root)
    snapshot = own.poll()
    assert snapshot is not None
    assert snapshot.version.startswith("run@")


def test_a_checkpoint_of_another_task_is_an_error(tmp_path: Path, clock: Clock) -> None:
    """Waiting would not help."""

    def misfit(path: Path) -> NetworkPolicy:
        raise MisfitError(str(path), "chooses among 2 actions", "takes one of 3 actions")

    drop(tmp_path, "a.zip", "first.", clock)
    clock.seconds += SETTLE_SECONDS
    with pytest.raises(MisfitError):
        CheckpointFolder(tmp_path, misfit, now=clock).poll()


def test_a_folder_is_required(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is none"):
        CheckpointFolder(tmp_path / "absent", Reader())


def test_what_is_handed_over_is_given_once_and_the_latest_wins() -> None:
    pushed = PushedTeacher("PPO")
    assert pushed.poll() is None
    pushed.give(follower(name="one"), "1")
    pushed.give(follower(name="two"), "2")
    snapshot = pushed.poll()
    assert snapshot is not None
    assert snapshot.version == "2"
    assert pushed.poll() is None


def test_a_teacher_beside_is_trained_a_stretch_before_each_version() -> None:
    def steps() -> Iterator[Progress]:
        for done in range(100, 600, 100):
            yield Progress(
                phase="learning", round_index=0, env_steps=done, total_steps=500, updates=0,
                loss=None, agreement=None, steps_per_second=None, train_seconds=0.0,
            )  # fmt: skip

    beside = TrainedBeside("ours", steps(), follower, stretch=200)  # type: ignore[arg-type]
    versions = [beside.poll() for _ in range(4)]
    assert [one and one.version for one in versions] == [
        "200 steps", "400 steps", "500 steps", None
    ]  # fmt: skip


def test_between_two_versions_the_student_has_its_looks() -> None:
    """Every third look trains; the others give nothing."""
    done = iter(range(100, 10_000, 100))

    def steps() -> Iterator[Progress]:
        for count in done:
            yield Progress(
                phase="learning", round_index=0, env_steps=count, total_steps=500, updates=0,
                loss=None, agreement=None, steps_per_second=None, train_seconds=0.0,
            )  # fmt: skip

    beside = TrainedBeside("ours", steps(), follower, stretch=100, every=3)  # type: ignore[arg-type]
    given = [beside.poll() is not None for _ in range(7)]
    assert given == [True, False, False, True, False, False, True]
