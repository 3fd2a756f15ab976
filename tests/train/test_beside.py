"""A teacher of our own and its student in one process."""

from dataclasses import replace
from pathlib import Path

import pytest
from several_tasks import NETWORK
from several_tasks import TRAINING as SETTINGS
from small_runs import QUICK, quick_settings

from rldistill.errors import SettingError
from rldistill.runs import RunFolder
from rldistill.train.beside import beside
from rldistill.train.distill import distilling
from rldistill.train.follow import FollowSettings, prepare_following
from rldistill.train.prepare_training import TrainRequest, prepare_training
from rldistill.train.request import Request


def test_student_and_teacher_learn_together(tmp_path: Path) -> None:
    """The teacher's versions get better, and the student comes after them."""
    settings = quick_settings(method=QUICK, steps=512 * 12)
    training = prepare_training(
        TrainRequest(tasks=["Follow-v0"], network=NETWORK, out=tmp_path / "t", settings=SETTINGS)
    )
    moving = beside(training, settings, versions=6)
    request = Request(
        teacher=None, task="Follow-v0", student="mlp:8", out=tmp_path / "s", resume=False,
        settings=settings,
    )  # fmt: skip
    job = prepare_following(moving, request, FollowSettings(episodes=32))
    for _ in distilling(job):
        pass
    looks = RunFolder.open(tmp_path / "s").read_following()
    assert 5 <= len(looks) <= 7
    assert looks[-1]["teacher_return"] > looks[0]["teacher_return"] + 1.0
    assert looks[-1]["student_return"] > 6.0
    assert training.env_steps == pytest.approx(SETTINGS.steps, rel=0.2)


def test_versions_do_not_move_when_the_teacher_learns_on(tmp_path: Path) -> None:
    training = prepare_training(
        TrainRequest(tasks=["Follow-v0"], network=NETWORK, out=tmp_path / "t", settings=SETTINGS)
    )
    moving = beside(training, quick_settings(), versions=8)
    first = moving.poll()
    assert first is not None
    before = {name: x.clone() for name, x in first.policy.module.state_dict().items()}
    second = None
    while second is None:
        second = moving.poll()
    after = first.policy.module.state_dict()
    assert all((after[name] == x).all() for name, x in before.items())
    assert first.policy.info.fingerprint != second.policy.info.fingerprint
    moving.progress.close()


@pytest.mark.parametrize(("rounds", "versions", "given"), [(3, 20, 3), (12, 6, 6), (38, 20, 19)])
def test_the_teacher_learns_to_its_end_while_the_student_does(
    tmp_path: Path, rounds: int, versions: int, given: int
) -> None:
    """However few rounds the student has, its looks see all of the teacher's training."""
    training = prepare_training(
        TrainRequest(tasks=["Follow-v0"], network=NETWORK, out=tmp_path / "t", settings=SETTINGS)
    )
    settings = quick_settings(method=replace(QUICK, round_steps=100), steps=100 * rounds)
    moving = beside(training, settings, versions)
    due = sum(look % moving.every == 0 for look in range(rounds))
    assert due == given
    assert moving.stretch * (given - 1) < SETTINGS.steps <= moving.stretch * given
    moving.progress.close()


def test_one_version_is_no_moving_teacher(tmp_path: Path) -> None:
    few = replace(SETTINGS, steps=500)
    training = prepare_training(
        TrainRequest(tasks=["Follow-v0"], network=NETWORK, out=tmp_path / "t", settings=few)
    )
    with pytest.raises(SettingError, match="versions must be at least 2"):
        beside(training, quick_settings(), versions=1)
