"""Students of a teacher that moves: which version is followed, and what is labelled anew."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import FOLLOW, QUICK, follower, follower_folder, quick_settings

from rldistill.core import NetworkPolicy
from rldistill.data.replay import Replay
from rldistill.errors import RunFolderError, SettingError, TeacherFileError
from rldistill.methods.catalogue import get_method
from rldistill.runs import RunFolder, lines
from rldistill.runs import files as run_files
from rldistill.teachers.load import load_teacher
from rldistill.train.distill import distilling
from rldistill.train.follow import (
    FollowingSource,
    FollowSettings,
    follow,
    prepare_following,
)
from rldistill.train.job import Job
from rldistill.train.moving import Snapshot
from rldistill.train.request import Request

# Of 8 rewards a follower with this threshold gets about 8, 7, 6 and 4.
PERFECT, GOOD, FAIR, BAD = 0.0, 0.4, 0.8, 3.0


class Given:
    """Versions in a given order, one per look; the first at once."""

    name = "a list"

    def __init__(self, thresholds: Sequence[float]) -> None:
        self.messages: list[str] = []
        self.left = [
            Snapshot(follower(threshold, name=f"v{i}"), f"v{i}")
            for i, threshold in enumerate(thresholds)
        ]

    def poll(self) -> Snapshot | None:
        return self.left.pop(0) if self.left else None


def job(
    out: Path, thresholds: Sequence[float], best: bool = True, method: Any = QUICK, **changes: Any
) -> Job:
    settings = quick_settings(**({"method": method, "steps": 512 * 5} | changes))
    request = Request(
        teacher=None, task=FOLLOW, student="mlp:8", out=out, resume=False, settings=settings
    )
    return prepare_following(
        Given(thresholds), request, FollowSettings(best=best, episodes=64, wait=0.0)
    )


def followed(running: Job) -> list[str]:
    """The version that is followed after each round."""
    assert isinstance(running.source, FollowingSource)
    return [
        running.source.current.version
        for record in distilling(running)
        if record.phase == "learning" and record.loss is not None and not record.message
    ]


def test_the_best_version_so_far_is_followed_until_beaten(tmp_path: Path) -> None:
    """A teacher that gets worse is not followed; one that gets better is."""
    running = job(tmp_path / "run", [FAIR, BAD, GOOD, FAIR, PERFECT])
    assert followed(running)[:5] == ["v0", "v0", "v2", "v2", "v4"]
    looks = RunFolder.open(tmp_path / "run").read_following()
    assert [look["version"] for look in looks] == ["v0", "v1", "v2", "v3", "v4"]
    assert [look["followed"] for look in looks] == [True, False, True, False, True]
    scores = [look["teacher_return"] for look in looks]
    assert scores[1] < scores[3] < scores[4]


def test_the_latest_version_is_followed_where_asked(tmp_path: Path) -> None:
    running = job(tmp_path / "run", [PERFECT, BAD, GOOD], best=False)
    assert followed(running)[:3] == ["v0", "v1", "v2"]


def test_what_is_stored_is_labelled_anew(tmp_path: Path) -> None:
    """After a change every label in the memory is what the new version says of its state."""
    running = job(tmp_path / "run", [FAIR, PERFECT])
    for record in distilling(running):
        if record.round_index == 2:
            break
    memory = running.memory
    assert isinstance(memory, Replay)
    seen, labels = memory.sample(500, torch.Generator().manual_seed(0))
    assert len(memory) > 900  # of both rounds
    torch.testing.assert_close(labels, follower(PERFECT, name="v1").raw(seen))
    assert running.teacher_info.fingerprint == "sha of v1"


def test_the_verdict_is_about_the_version_followed_last(tmp_path: Path) -> None:
    """The student of a perfect last version is measured against 8, not against the first."""
    running = job(tmp_path / "run", [BAD, PERFECT], steps=512 * 8)
    for _ in distilling(running):
        pass
    summary = running.keeper.summary
    assert summary is not None
    assert summary["teacher_return"] == 8.0
    assert summary["student_return"] > 7.0


def test_a_relative_temperature_is_measured_anew(tmp_path: Path) -> None:
    """The action gap belongs to the version: one with sharper outputs has a larger one."""
    from dataclasses import replace

    from rldistill.core import QValueHead

    def q_network(sharpness: float, name: str) -> NetworkPolicy:
        policy = follower(sharpness=sharpness, name=name)
        return NetworkPolicy(policy.module, replace(policy.info, head=QValueHead(2)))

    moving = Given([])
    moving.left = [Snapshot(q_network(1.0, "v0"), "v0"), Snapshot(q_network(10.0, "v1"), "v1")]
    request = Request(
        teacher=None,
        task=FOLLOW,
        student="mlp:8",
        out=tmp_path / "run",
        resume=False,
        settings=quick_settings(steps=512 * 3),
    )
    running = prepare_following(moving, request, FollowSettings(best=False, episodes=8, wait=0.0))
    gaps: dict[int, float | None] = {}
    for record in distilling(running):
        gaps[record.round_index] = running.state.action_gap
    assert gaps[1] is not None
    assert gaps[2] == pytest.approx(10 * gaps[1], rel=0.1)


def test_a_folder_is_followed_end_to_end(tmp_path: Path) -> None:
    follower_folder(tmp_path / "drops" / "step-1", GOOD)
    os.utime(tmp_path / "drops" / "step-1" / "student.json", (1e9, 1e9))
    run = follow(
        tmp_path / "drops",
        FOLLOW,
        "mlp:8",
        out=tmp_path / "run",
        settings=quick_settings(steps=512 * 4),
        following=FollowSettings(episodes=16, wait=5.0),
    )
    assert run.summary["fraction"] > 0.8
    assert load_teacher(tmp_path / "run", announce=None).info.name == "mlp:8"


def test_no_version_in_time_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "drops").mkdir()
    with pytest.raises(TeacherFileError, match="no checkpoint that can be read came to"):
        follow(
            tmp_path / "drops",
            FOLLOW,
            settings=quick_settings(),
            following=FollowSettings(wait=0.0),
        )


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved before stays whole: the student, and every line about a version."""
    running = job(tmp_path / "run", [FAIR, GOOD, PERFECT])
    progress = distilling(running)
    for record in progress:
        if record.round_index == 2:
            break
    before = (tmp_path / "run" / "student.safetensors").read_bytes()

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for module in (run_files, lines):
        monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(RunFolderError, match="no space left"):
        for _ in progress:
            pass
    monkeypatch.undo()
    assert (tmp_path / "run" / "student.safetensors").read_bytes() == before
    assert load_teacher(tmp_path / "run", announce=None).info.name == "mlp:8"
    looks = RunFolder.open(tmp_path / "run").read_following()
    assert [look["version"] for look in looks] == ["v0", "v1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": get_method("qdagger")}, "builds the teacher into its learner"),
        ({"method": get_method("n-distill")}, "builds the teacher into its learner"),
        ({"until": 0.9}, "until has no effect"),
        ({"steps": None}, "steps is required"),
    ],
)
def test_what_cannot_follow_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        job(tmp_path / "run", [GOOD], **changes)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingError, match="episodes must be at least 1"):
        FollowSettings(episodes=0)
    with pytest.raises(SettingError, match="wait must be at least 0"):
        FollowSettings(wait=-1.0)
