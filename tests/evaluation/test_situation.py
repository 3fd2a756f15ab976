"""What advise() asks, measured: the numbers by hand on a task of eight steps."""

import json
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from small_runs import FOLLOW, OBSERVATIONS, Follow, Track, follower, tracker

from rldistill.core import NetworkPolicy
from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.evaluation.situation import (
    Measured,
    Trial,
    measure_drift,
    measure_strength,
    measure_value,
    registered_best,
)
from rldistill.students.build import make_student

TRIAL = Trial(rounds=16, num_envs=8)


class Drift(gymnasium.Env[Any, Any]):
    """Ten steps. A wrong step leads away for the rest of the episode; the second number says so.

    Home: sees [u, 0], u uniform in [-1, 1]; action 1 is right where u > 0. Away: sees [u, 1], and
    the teacher there does the opposite, which is right.
    """

    observation_space = OBSERVATIONS
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.away = 0, 0.0
        return self.observe(), {}

    def observe(self) -> Any:
        self.u = self.np_random.uniform(-1, 1)
        return np.array([self.u, self.away], np.float32)

    def step(self, action: Any) -> Any:
        right = (self.u > 0) == bool(action) if self.away == 0.0 else (self.u > 0) != bool(action)
        self.away = 1.0 if self.away or not right else 0.0
        self.t += 1
        return self.observe(), float(right), self.t >= 10, False, {}


class Rule(torch.nn.Module):
    """Prefers action 1 where a rule is positive."""

    def __init__(self, rule: Any) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.rule(x)
        return torch.stack((torch.zeros_like(score), 8.0 * score), -1)


def ruled(rule: Any) -> NetworkPolicy:
    return replace_module(follower(), Rule(rule))


def replace_module(policy: NetworkPolicy, module: torch.nn.Module) -> NetworkPolicy:
    return NetworkPolicy(module, policy.info)


def with_units(units: str) -> NetworkPolicy:
    policy = follower()
    return NetworkPolicy(policy.module, replace(policy.info, value_units=units))


@pytest.mark.parametrize(("units", "has"), [("raw", True), ("normalised", False), ("none", False)])
def test_a_value_counts_in_raw_reward_only(units: str, has: bool) -> None:
    found = measure_value(with_units(units))
    assert (found.question, found.suggests) == ("teacher_has_value", has)
    assert found.numbers == {"value_units": units}


def test_a_perfect_teacher_is_strong_and_a_poor_one_is_not() -> None:
    """The perfect return is 8, the random one 4 on average."""
    perfect = measure_strength(follower(), FOLLOW, best=8.0, trial=TRIAL)
    assert perfect.suggests is True
    assert perfect.numbers["teacher_return"] == 8.0
    assert perfect.numbers["random_return"] == pytest.approx(4.0, abs=0.5)
    assert perfect.numbers["share"] == 1.0
    assert perfect.numbers["episodes"] == 128
    poor = measure_strength(follower(0.5), FOLLOW, best=8.0, trial=TRIAL)
    assert poor.suggests is False
    # It is wrong where the sum is between 0 and 0.5: 7/32 of the states.
    assert poor.numbers["share"] == pytest.approx(1 - 2 * 7 / 32, abs=0.1)
    assert poor.numbers["share_low"] < poor.numbers["share"] < poor.numbers["share_high"] < 0.9


def test_near_the_line_the_numbers_cannot_tell() -> None:
    """A twentieth of the states wrong is a share of 0.9."""
    found = measure_strength(follower(0.1026), FOLLOW, best=8.0, trial=TRIAL)
    assert found.numbers["share_low"] < 0.9 < found.numbers["share_high"]
    assert found.suggests is None


def test_without_a_best_only_a_hopeless_teacher_is_judged() -> None:
    good = measure_strength(follower(), FOLLOW, trial=TRIAL)
    assert (good.suggests, good.numbers["best"], good.numbers["best_source"]) == (None, None, None)
    assert "cannot be said without the best return known" in good.because
    hopeless = measure_strength(follower(2.0), FOLLOW, trial=TRIAL)
    assert hopeless.suggests is False
    assert "not shown to be above random" in hopeless.because


def test_the_best_return_must_make_sense() -> None:
    with pytest.raises(SettingError, match="best must be above the random policy's return"):
        measure_strength(follower(), FOLLOW, best=1.0, trial=TRIAL)
    with pytest.raises(SettingError, match="best must be a finite return, got nan"):
        measure_strength(follower(), FOLLOW, best=float("nan"), trial=TRIAL)


def test_the_registry_knows_the_best_of_the_task_as_registered() -> None:
    assert registered_best("CartPole-v1") == 475.0
    assert registered_best("Follow-v0") is None
    assert registered_best("NoSuchTask-v0") is None
    for changed in ({"env_kwargs": {"a": 1}}, {"wrapper": "a:b"}, {"max_episode_steps": 7}):
        assert registered_best(TaskSpec(id="CartPole-v1", **changed)) is None
    assert registered_best(TaskSpec(id="CartPole-v1", factory=Follow)) is None


def test_a_student_that_leaves_its_teachers_states_drifts() -> None:
    """At home it is wrong in a twentieth of the states; away, where it lands, in all of them."""
    teacher = ruled(lambda x: x[:, 0] * (1 - 2 * x[:, 1]))
    student = ruled(lambda x: x[:, 0] - 0.1)
    found = measure_drift(teacher, student, TaskSpec(factory=Drift), trial=TRIAL)
    assert (found.question, found.suggests) == ("off_teacher_states", True)
    numbers: dict[str, Any] = found.numbers
    assert numbers["disagreement_teacher_states"] == pytest.approx(0.05, abs=0.02)
    # The first step is at home, later ones are away once a step at home was wrong.
    home = sum(0.95**t for t in range(10)) / 10
    expected = 0.05 * home + 0.95 * (1 - home)
    assert numbers["disagreement_student_states"] == pytest.approx(expected, abs=0.06)
    assert numbers["drift"] == pytest.approx(
        numbers["disagreement_student_states"] - numbers["disagreement_teacher_states"]
    )
    assert numbers["return_gap"] == pytest.approx(10 * expected, abs=0.6)
    assert numbers["kl_drift"] > 0
    assert 0.02 < numbers["drift_low"] < numbers["drift"] < numbers["drift_high"]


def test_states_that_do_not_depend_on_actions_cannot_drift() -> None:
    """However wrong the student is."""
    trial = Trial(rounds=32, num_envs=64)
    found = measure_drift(follower(), follower(0.5), FOLLOW, trial=trial)
    assert found.suggests is False
    numbers: dict[str, Any] = found.numbers
    assert numbers["disagreement_student_states"] == pytest.approx(7 / 32, abs=0.02)
    assert numbers["drift_low"] <= 0.0 <= numbers["drift_high"]
    assert (numbers["rounds"], numbers["episodes"]) == (32, 32 * 64)


def test_continuous_actions_have_a_drift_too() -> None:
    found = measure_drift(tracker(), tracker(), TaskSpec(factory=Track), trial=TRIAL)
    assert (found.suggests, found.numbers["drift"], found.numbers["kl_drift"]) == (False, 0.0, 0.0)


def test_where_families_differ_there_is_no_kl() -> None:
    student = make_student("mlp:4", OBSERVATIONS, spaces.Box(-1.0, 1.0, (1,)))
    found = measure_drift(tracker(), student, TaskSpec(factory=Track), trial=TRIAL)
    assert "kl_drift" not in found.numbers
    assert found.numbers["drift"] is not None


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = (measure_strength(follower(0.3), FOLLOW, best=8.0, trial=TRIAL) for _ in "ab")
    assert one == other
    seeded = measure_strength(follower(0.3), FOLLOW, best=8.0, trial=replace(TRIAL, seed=1))
    assert seeded != one


@pytest.mark.parametrize("wrong", [{"rounds": 1}, {"num_envs": 0}, {"seed": -1}])
def test_trials_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Trial(**wrong)


def test_the_record_has_no_nan() -> None:
    record = Measured("strong_teacher", None, "why", {"a": float("nan"), "b": 1.5}).to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == {
        "suggests": None, "because": "why", "a": None, "b": 1.5,
    }  # fmt: skip
