"""read_run: the folder of a stranger, value by value."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import made_run

from rldistill.errors import RunFolderError
from rldistill.reports.record import LONGEST_TEXT, plain_file, plain_text, plain_value, read_run
from rldistill.runs import RunFolder


def test_a_finished_run(tmp_path: Path) -> None:
    run = read_run(RunFolder.open(made_run(tmp_path / "run")))
    assert (run.state, run.word, run.task, run.seed) == ("finished", "holds", "Made-v0", 0)
    assert (run.method, run.architecture, run.problems) == ("dagger", "mlp:8", ())
    assert run.number("fraction") == 0.98
    assert len(run.curve) == 4
    assert run.recipe["steps"] == 4096


def test_an_empty_run_says_what_is_missing(tmp_path: Path) -> None:
    run = read_run(RunFolder.create(tmp_path / "run"))
    assert (run.state, run.word, run.task, run.architecture) == ("not finished", None, None, "-")
    assert run.problems == ("the run was cut off before it saved a student",)


def test_the_curve_can_be_left_out(tmp_path: Path) -> None:
    assert read_run(RunFolder.open(made_run(tmp_path / "run")), with_curve=False).curve == ()


@given(st.text())
def test_plain_text_has_nothing_that_cannot_be_shown(text: str) -> None:
    """It can be encoded and stand in XML, on one line, and is not endless."""
    found = plain_text(text)
    found.encode("utf-8")
    assert len(found) <= LONGEST_TEXT
    assert len(found.splitlines()) <= 1
    assert not any(ord(letter) < 32 for letter in found)


def test_marks_that_turn_text_round_are_dropped() -> None:
    assert plain_text("runs/\u202egpj.exe") == "runs/gpj.exe"
    assert plain_text("\ud800x") == "x"


def test_values_are_bounded() -> None:
    """Depth, length and size."""
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"a": deep}
    assert len(str(plain_value(deep))) < 400
    assert len(plain_value(list(range(10_000)))) == 200
    assert plain_value(10**400) is None
    assert plain_value(float("nan")) is None


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(RunFolderError, match="is a link"):
        plain_file(tmp_path / "link")
    with pytest.raises(RunFolderError, match="not a plain file"):
        plain_file(tmp_path)
    assert plain_file(tmp_path / "missing") == tmp_path / "missing"
