"""rldistill video: an MP4 from two policies, or one line on what is wrong."""

import json
from pathlib import Path

import pytest
from commands import Command
from drawn_env import register_drawn
from small_runs import follower_folder

register_drawn()
TASK = ("--task", "Drawn-v0")


def test_a_student_beside_its_teacher(rldistill: Command, teacher: Path, tmp_path: Path) -> None:
    student = follower_folder(tmp_path / "student", threshold=2.0)
    done = rldistill("video", student, "--against", teacher, *TASK, "--out", "both.mp4")
    assert done.code == 0, done.err
    assert "Teacher (left) and student (right) on Drawn-v0 from the start of seed 0" in done.out
    assert Path("both.mp4").read_bytes()[4:8] == b"ftyp"
    again = rldistill("video", student, "--against", teacher, *TASK, "--out", "both.mp4")
    assert again.code == 1
    assert "--force" in again.err
    again = rldistill(
        "video", student, "--against", teacher, *TASK, "--out", "both.mp4", "--force", "--json"
    )
    told = json.loads(again.out)
    assert told["num_bytes"] == Path("both.mp4").stat().st_size
    assert told["teacher_steps"] == 12


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--out", "both.gif"), "MP4"),
        (("--out", "absent/both.mp4"), "no folder"),
        (("--out", "b.mp4", "--backend", "envpool"), "envpool cannot draw"),
        (("--out", "b.mp4", "--seconds", "0"), "seconds must lie in 1..600"),
    ],
)
def test_wrong_flags_are_one_line(
    rldistill: Command, teacher: Path, flags: tuple[str, ...], message: str
) -> None:
    done = rldistill("video", teacher, "--against", teacher, *TASK, *flags)
    assert done.code == 1
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_task_that_cannot_draw_says_so(rldistill: Command, teacher: Path) -> None:
    done = rldistill(
        "video", teacher, "--against", teacher, "--task", "Unseen-v0", "--out", "b.mp4"
    )
    assert done.code == 1
    assert "cannot draw itself" in done.err
