"""Runs of rows with credit, from the first line to the last; and what is refused before one."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from deep_rows import DEEP, deep, normal_tracker, with_value
from small_runs import FOLLOW, Follow, follower, quick_job, quick_settings, tracker

from rldistill import distill
from rldistill.core import CategoricalHead, NetworkPolicy, QValueHead
from rldistill.errors import NotFiniteError, SettingError
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import Control
from rldistill.methods.schedules import Constant, Linear
from rldistill.train.distill import distilling
from rldistill.train.episodes import RecentReturns
from rldistill.train.job import Job

LONG = 1_000_000


def deep_job(out: Path, name: str = "n-distill+R", **changes: Any) -> Job:
    given: dict[str, Any] = {"method": deep(name), "teacher": with_value(follower())}
    return quick_job(out, **(given | changes))


def run(job: Job) -> list[Any]:
    return list(distilling(job))


def stop_after(job: Job, rounds: int) -> None:
    progress = distilling(job)
    for record in progress:
        if record.phase == "learning" and record.round_index == rounds:
            break
    progress.close()


@pytest.mark.parametrize("name", DEEP)
def test_every_row_runs_and_takes_finite_steps(tmp_path: Path, name: str) -> None:
    job = deep_job(tmp_path / "run", name)
    records = run(job)
    assert job.learner.is_finite
    assert job.learner.updates >= 3 * 4  # rounds of 512, four passes, minibatches of 128
    assert records[-1].phase == "done"
    assert job.keeper.summary is not None


@pytest.mark.parametrize("name", ["rsl-rl", "kickstarting", "exp-entropy-regularised"])
def test_continuous_rows_run(tmp_path: Path, name: str) -> None:
    job = deep_job(tmp_path / "run", name, teacher=normal_tracker(), task="Track-v0")
    run(job)
    assert job.learner.is_finite


@pytest.mark.parametrize("name", ["n-distill+R", "value-gated", "kickstarting-performance"])
def test_a_run_that_was_stopped_is_resumed(tmp_path: Path, name: str) -> None:
    """Weights, critic, moments, counters and the unit of rewards come back; rounds are new."""
    first = deep_job(tmp_path / "run", name, steps=LONG, save_seconds=0.0)
    stop_after(first, 2)
    again = deep_job(tmp_path / "run", name, steps=LONG, resume=True)
    with again.keeper:
        again.keeper.start(again)
    assert again.state.round_index == 2
    assert len(again.memory) == 0
    assert same(first.learner.state_dict(), again.learner.state_dict())
    last = deep_job(tmp_path / "run", name, steps=first.state.env_steps + 1024, resume=True)
    run(last)
    assert last.state.env_steps >= first.state.env_steps + 1024
    assert last.learner.updates > first.learner.updates


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b or isinstance(a, list | tuple)


def test_ctrl_c_while_learning_leaves_a_run_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # A shell that starts a program in the background makes it ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    job = deep_job(tmp_path / "run", steps=LONG)
    learn = type(job.learner).learn
    calls = []

    def interrupted(*args: Any) -> float:
        calls.append(args)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return learn(*args)

    monkeypatch.setattr(type(job.learner), "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(job)
    monkeypatch.undo()
    again = deep_job(tmp_path / "run", steps=2048, resume=True)
    run(again)
    assert again.state.env_steps >= 2048


@pytest.mark.parametrize("name", ["on-policy-distill", "baseline", "dagger", "n-distill"])
def test_a_round_in_which_all_environments_start_over_is_skipped(tmp_path: Path, name: str) -> None:
    """Eight steps end every episode at once, and the round after has phantom steps alone."""
    row = replace(get_method(name), round_steps=128)
    job = deep_job(tmp_path / "run", method=row, steps=128 + 16)
    rounds = [r for r in run(job) if r.phase == "learning" and r.round_index]
    assert [r.env_steps for r in rounds[:3]] == [128, 128, 144]
    assert rounds[1].loss == rounds[0].loss
    assert rounds[1].updates == rounds[0].updates
    assert job.learner.is_finite


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    jobs = [deep_job(tmp_path / f"run{i}") for i in (1, 2)]
    for job in jobs:
        run(job)
    one, two = (job.learner.tested.module.state_dict() for job in jobs)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_teacher_stays_as_it_was(tmp_path: Path) -> None:
    teacher = with_value(follower())
    before = {name: x.clone() for name, x in teacher.module.state_dict().items()}
    run(deep_job(tmp_path / "run", "value-gated+R", teacher=teacher))
    assert all(torch.equal(x, before[name]) for name, x in teacher.module.state_dict().items())


def test_the_weight_of_the_loss_follows_its_schedule(tmp_path: Path) -> None:
    method = replace(deep("kickstarting"), loss_weight=Linear(1.0, 0.0, 2))
    job = deep_job(tmp_path / "run", method=method, steps=2048)
    seen = [
        job.learner.loss_weight for r in distilling(job) if r.phase == "learning" and r.round_index
    ]
    assert seen[:4] == [1.0, 0.5, 0.0, 0.0]


def test_the_weight_by_performance_is_what_the_student_lacks(tmp_path: Path) -> None:
    """Before an episode has ended it is 1; then 1 - (S - R) / (T - R) of the training episodes."""
    job = deep_job(tmp_path / "run", "kickstarting-performance", steps=4096)
    for record in distilling(job):
        if record.phase == "learning" and record.round_index:
            fraction = job.training_fraction
            assert fraction is not None
            assert job.learner.loss_weight == pytest.approx(max(1 - fraction, 0.0))
    job.recent = RecentReturns()
    assert job.training_fraction is None


def test_a_teacher_no_better_than_random_is_not_weaned_from(tmp_path: Path) -> None:
    """There is no fraction of nothing."""
    teacher = with_value(follower(threshold=9.0))
    job = deep_job(tmp_path / "run", "kickstarting-performance", teacher=teacher)
    run(job)
    if job.training_fraction is None:
        assert job.learner.loss_weight == 1.0


def message_of(records: list[Any]) -> str:
    return "\n".join(record.message for record in records)


@pytest.mark.parametrize(
    ("name", "said"),
    [("entropy-regularised", True), ("exp-entropy-regularised", True), ("kl-regularised", True),
     ("n-distill", False), ("baseline", False)],
)  # fmt: skip
def test_probabilities_too_small_for_their_logarithm_are_said(
    tmp_path: Path, name: str, said: bool
) -> None:
    """A teacher as sharp as this has many; how many is said once, where log pi counts."""
    sharp = with_value(follower(sharpness=1000.0))
    records = run(deep_job(tmp_path / "run", name, teacher=sharp))
    found = [r for r in records if "probabilities in the first round are below 1e-08" in r.message]
    assert len(found) == said
    if said:
        assert found[0].round_index == 1
        first = next(word for word in found[0].message.split() if word[0].isdigit())
        assert 300 < int(first) < 560  # nearly one of two actions in each of 512 states
    soft = run(deep_job(tmp_path / "soft", name, teacher=with_value(follower(sharpness=1.0))))
    assert "are below" not in message_of(soft)


@pytest.mark.parametrize("name", ["entropy-regularised+R", "exp-entropy-regularised"])
def test_a_teacher_that_masks_actions_is_learnt_from(tmp_path: Path, name: str) -> None:
    """By logits of -1e9; log 0 counts as log 1e-8, all stays finite, and it is said."""

    class Never(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            best = (x.sum(-1) > 0).long()
            return torch.where(torch.nn.functional.one_hot(best, 2).bool(), 0.0, -1e9)

    teacher = NetworkPolicy(Never(), replace(follower().info, head=CategoricalHead(2)))
    job = deep_job(tmp_path / "run", name, teacher=teacher)
    records = run(job)
    assert job.learner.is_finite
    assert "are below 1e-08; their logarithms count as log 1e-08" in message_of(records)


class NoNumbers(Follow):
    """The reward is no number from some step on."""

    def __init__(self, reward: float) -> None:
        super().__init__()
        self.wrong = reward

    def reward(self, action: Any) -> float:
        return self.wrong if self.total > 40 else super().reward(action)


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf")])
def test_rewards_that_are_no_numbers_end_the_run(tmp_path: Path, reward: float) -> None:
    """With words, and with what was learnt before kept finite."""
    job = deep_job(tmp_path / "run", "baseline", task=lambda: NoNumbers(reward), steps=LONG)
    with pytest.raises(Exception, match=r"reward|return|finite|NaN") as caught:
        run(job)
    assert isinstance(caught.value, NotFiniteError) or "reward" in str(caught.value)
    assert job.learner.is_finite


def test_weights_that_diverge_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a row whose shown number stays finite, too."""
    job = deep_job(tmp_path / "run", "baseline", steps=LONG)
    learn = type(job.learner).learn

    def broken(self: Any, *args: Any) -> float:
        with torch.no_grad():
            next(iter(self.student.module.parameters())).fill_(float("nan"))
        return learn(self, *args)

    monkeypatch.setattr(type(job.learner), "learn", broken)
    with pytest.raises(NotFiniteError, match="the loss became nan"):
        run(job)
    assert not (tmp_path / "run" / "student.json").exists()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown row": (
        {"method": "n-distil"}, r"unknown method 'n-distil'.*Did you mean n-distill"),
    "an unknown +R": ({"method": "baseline+R"}, r"unknown method 'baseline\+R'.*baseline"),
    "no value": ({"method": "td-teacher-v", "teacher": follower()},
                 r"td-teacher-v needs the teacher's value in units of raw reward; by hand has no"),
    "values in other units": (
        {"method": "value-gated", "teacher": with_value(follower(), "normalised")},
        "has values in normalised units"),
    "continuous rows for discrete actions": (
        {"method": "rsl-rl"}, "rsl-rl is defined for continuous actions; this teacher's are disc"),
    "a deterministic teacher": (
        {"method": "n-distill", "teacher": tracker(), "task": "Track-v0"},
        r"n-distill: a row with credit or a gate needs the probabilities"),
    "js for continuous actions": (
        {"method": "gkd", "teacher": tracker(), "task": "Track-v0"}, "'js' has no closed form"),
    "a loss nobody knows": (
        {"method": lambda: replace(deep("n-distill"), loss="cross_entropi")},
        r"unknown loss 'cross_entropi'.*Did you mean cross_entropy"),
    "a negative weight of the loss": (
        {"method": lambda: replace(deep("n-distill"), loss_weight=Constant(-1.0))}, "at least 0"),
    "a negative weight of the reward": (
        {"method": lambda: replace(deep("baseline"),
                                   credit=replace(deep("baseline").credit, reward=-1.0))},
        "finite and at least 0, got reward -1"),
    "a schedule that never starts": (
        {"method": lambda: replace(deep("kickstarting"), loss_weight=Linear(0.0, 0.0, 5))},
        "somewhere above"),
    "a teacher that acts": (
        {"method": lambda: replace(deep("baseline"), control=Control(teacher_share=Constant(0.5)))},
        "must act by sampling, alone"),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_run_is_refused_before_a_step(
    tmp_path: Path, asked: dict[str, Any], message: str
) -> None:
    """Through distill(): no run folder is left."""
    given: dict[str, Any] = {"teacher": follower(), "task": FOLLOW} | asked
    method = given.pop("method")

    def ask() -> None:
        settings = quick_settings(method=method() if callable(method) else method)
        distill(**given, student="mlp:4", out=tmp_path / "run", settings=settings)

    with pytest.raises(SettingError, match=message):
        ask()
    assert not (tmp_path / "run").exists()


def test_a_q_network_teaches_a_row_with_log_probabilities(tmp_path: Path) -> None:
    """Its temperature is known once the first states are seen, before anything is learnt."""
    policy = follower()
    teacher = NetworkPolicy(policy.module, replace(policy.info, head=QValueHead(2)))
    job = deep_job(tmp_path / "run", "entropy-regularised", teacher=teacher)
    run(job)
    assert job.state.action_gap is not None
    assert job.learner.alignment.teacher_temperature == pytest.approx(0.1 * job.state.action_gap)
