"""rldistill follow: a student of a teacher that moves."""

import os
from pathlib import Path

import pytest
from commands import TASK, Command
from small_runs import follower_folder

FEW = (*TASK, "--student", "mlp:8", "--steps", 2048, "--episodes", 8, "--num-envs", 16)


@pytest.fixture
def drops(tmp_path: Path) -> Path:
    """A folder with one checkpoint of an hour ago."""
    folder = tmp_path / "drops"
    os.utime(follower_folder(folder / "step-1") / "student.json", (1e9, 1e9))
    return folder


def test_it_follows_a_folder_and_says_how_steady_it_was(rldistill: Command, drops: Path) -> None:
    result = rldistill("follow", drops, *FEW, "--out", "run", "--plot", "figure.svg")
    assert (result.code, result.err) == (0, "")
    assert f"follows  the best version so far of {drops}" in result.out
    assert "stability  too few versions came to tell" in result.out
    assert Path("figure.svg").read_text().startswith("<?xml")


def test_for_machines(rldistill: Command, drops: Path) -> None:
    records = rldistill("follow", drops, *FEW, "--latest", "--out", "run", "--json").records
    assert records[-2]["verdict"] in ("holds", "unsure", "fails")
    assert records[-1] == {}


def test_it_trains_a_teacher_beside(rldistill: Command) -> None:
    few = ("--train-steps", 20_000, "--versions", 4)
    records = rldistill("follow", *FEW, *few, "--out", "run", "--json").records
    assert set(records[-1]) == {"teacher_variance", "student_variance", "looks"}
    assert Path("run-teacher/student.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give either the FOLDER of a teacher's checkpoints, or --train-steps N"),
        (("absent",), "a folder in which checkpoints appear is required; absent is none"),
        (("absent", "--train-steps", "5"), "give either the FOLDER"),
        ((".", "--versions", "5"), "--versions has no effect without --train-steps"),
        ((".", "--wait", "0"), "no checkpoint that can be read came to"),
        ((".", "--method", "qdagger"), "cannot follow another version"),
    ],
)
def test_what_is_wrong_is_told(rldistill: Command, flags: tuple[object, ...], message: str) -> None:
    result = rldistill("follow", *flags, *FEW)
    assert result.code in (1, 2)
    assert message in result.err
    assert "Traceback" not in result.err
