"""V_pi from a teacher's roll-outs: right where it is known, in raw reward, said to people."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from small_runs import OBSERVATIONS, follower, quick_job

from rldistill.core import Acting, NetworkPolicy, Trajectory
from rldistill.envs.spec import TaskSpec
from rldistill.errors import EnvironmentFailure, RunFolderError, SettingError
from rldistill.methods.catalogue import get_method
from rldistill.train.distill import distilling
from rldistill.train.fit_critic import (
    CriticFit,
    FitSettings,
    fit_critic,
)
from rldistill.train.held_out import explained_variance, settled, split

GAMMA = 0.8
SHAPED = get_method("teacher-v-reward")
SHAPED = replace(
    SHAPED, round_steps=512, learning=replace(SHAPED.learning, batch_size=128, reuse=1.0)
)


class Blink(gymnasium.Env[Any, Any]):
    """Two states in turns; the first pays 3. It never ends, and is cut after seven steps.

    With gamma: V(0) = 3 / (1 - gamma^2), V(1) = gamma V(0). What an action does: nothing, but
    action 1 pays 100 (the teacher takes 0).
    """

    observation_space = OBSERVATIONS
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, ends: bool = False) -> None:
        self.ends = ends

    def _observe(self) -> Any:
        return np.array([1.0 - self.state, self.state], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.state = 0, int(self.np_random.integers(2))
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        reward = 3.0 * (self.state == 0) + 100.0 * int(action)
        self.state, self.t = 1 - self.state, self.t + 1
        over = self.t >= 7
        return self._observe(), reward, over and self.ends, over and not self.ends, {}


BLINK = TaskSpec(factory=Blink, id="Blink-v0")
STATES = torch.eye(2)


def zeros_teacher(**info: Any) -> NetworkPolicy:
    """Takes action 0."""
    teacher = follower(threshold=9.0)
    return replace(teacher, info=replace(teacher.info, **info))


def fitted(teacher: NetworkPolicy, task: TaskSpec = BLINK, **settings: Any) -> Any:
    return fit_critic(teacher, task, FitSettings(**({"steps": 4000} | settings)))


def test_values_are_those_of_the_endless_task() -> None:
    """A cut episode goes on in the critic: without that V(0) would be about 5, not 8.3."""
    policy, explained = fitted(zeros_teacher(gamma=GAMMA))
    best = 3.0 / (1.0 - GAMMA**2)
    assert policy.value(STATES).tolist() == pytest.approx([best, GAMMA * best], rel=0.02)
    assert explained is not None
    assert explained > 0.95
    assert policy.info.value_units == "raw"
    assert policy.info.gamma == GAMMA


def test_what_follows_a_real_end_is_worth_nothing() -> None:
    """The same states, but the seventh step ends it: values lie well below."""
    ending = TaskSpec(factory=lambda: Blink(ends=True), id="Blink-v1")
    policy, _ = fitted(zeros_teacher(gamma=GAMMA), ending)
    lengths = range(1, 8)
    from_first = [sum(3.0 * GAMMA**k for k in range(0, n, 2)) for n in lengths]
    assert float(policy.value(STATES)[0]) == pytest.approx(np.mean(from_first), rel=0.05)


def test_the_unit_is_raw_reward_whatever_the_teacher_counted_in() -> None:
    """A critic behind a reward normaliser is replaced: ten times the reward is ten times V."""
    halved = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    teacher = replace(zeros_teacher(gamma=GAMMA, value_units="normalised"), critic=halved)
    small, _ = fitted(teacher)
    large, _ = fitted(teacher, TaskSpec(factory=lambda: Times(10.0), id="Blink-v2"))
    ratio = large.value(STATES) / small.value(STATES)
    assert ratio.tolist() == pytest.approx([10.0, 10.0], rel=0.02)


class Times(gymnasium.RewardWrapper):
    def __init__(self, factor: float) -> None:
        super().__init__(Blink())
        self.factor = factor

    def reward(self, reward: Any) -> float:
        return self.factor * reward


def test_the_teacher_acts_as_it_is_asked_to() -> None:
    """A coin-flipping teacher earns 50 more per step when it samples than by mode."""
    coin = replace(follower(sharpness=0.0), info=replace(follower().info, gamma=0.0))
    by_mode, sampled = (fitted(coin, teacher_act=Acting(mode))[0] for mode in (True, False))
    gap = sampled.value(STATES) - by_mode.value(STATES)
    assert gap.tolist() == pytest.approx([50.0, 50.0], abs=6.0)


@pytest.mark.parametrize("num_envs", [1, 2, 16])
def test_it_is_deterministic_and_works_with_any_number_of_environments(num_envs: int) -> None:
    first, again, other = (
        fitted(zeros_teacher(), steps=600, num_envs=num_envs, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first.value(STATES), again.value(STATES))
    assert not torch.equal(first.value(STATES), other.value(STATES))


def test_fitting_leaves_global_randomness_and_the_teacher_alone() -> None:
    teacher = zeros_teacher()
    before = torch.get_rng_state(), {k: v.clone() for k, v in teacher.module.state_dict().items()}
    fitted(teacher, steps=200)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(v, before[1][k]) for k, v in teacher.module.state_dict().items())
    assert teacher.info.value_units == "none"


def test_the_held_out_environments_are_not_learnt_from() -> None:
    """split() parts environments, or the end of a single one, and keeps what follows each part."""
    grid = torch.arange(20).view(5, 4)
    whole = Trajectory(grid, grid, grid, grid, grid, grid, grid, torch.tensor([20, 21, 22, 23]))
    kept, held = split(whole)
    assert kept.observations[0].tolist() == [0, 1, 2]
    assert held.observations[:, 0].tolist() == [3, 7, 11, 15, 19]
    assert held.last_observations.tolist() == [23]
    single = Trajectory(*(x[..., :1] for x in (grid,) * 7), torch.tensor([20]))
    kept, held = split(single)
    assert kept.observations.flatten().tolist() == [0, 4, 8, 12]
    assert kept.last_observations.tolist() == [16]
    assert held.observations.flatten().tolist() == [16]
    assert held.last_observations.tolist() == [20]


def test_explained_variance_by_hand() -> None:
    found, every = torch.tensor([0.0, 2.0, 4.0, 99.0]), torch.tensor([True, True, True, False])
    assert explained_variance(found, torch.full((4,), 2.0), every) == 0.0
    assert explained_variance(found, -found, every) == pytest.approx(1.0 - (16.0 + 64.0) / 8.0)
    assert explained_variance(found, found + 1.0, every) == pytest.approx(1.0 - 3.0 / 8.0)
    assert explained_variance(torch.full((4,), 7.0), found, every) is None
    assert explained_variance(found, found, torch.zeros(4, dtype=torch.bool)) is None


def test_only_episodes_that_ended_are_scored() -> None:
    """Of two episodes in one environment the second is cut by the end of the data."""
    no, yes = [False], [True]
    whole = Trajectory(
        observations=torch.zeros(5, 1, 1), actions=torch.zeros(5, 1), rewards=torch.zeros(5, 1),
        terminated=torch.tensor([no, yes, no, no, no]), truncated=torch.zeros(5, 1).bool(),
        valid=torch.tensor([yes, yes, no, yes, yes]), teacher_raw=torch.zeros(5, 1, 1),
        last_observations=torch.zeros(1, 1),
    )  # fmt: skip
    assert settled(whole).squeeze(1).tolist() == [True, True, False, False, False]
    cut = replace(whole, terminated=torch.zeros(5, 1).bool(), valid=torch.ones(5, 1).bool())
    assert settled(cut).all(), "none ended: all that there is"


def test_a_critic_that_explains_little_is_warned_of() -> None:
    """Coin-flip rewards of 100 are noise that no value can foresee."""
    coin = replace(follower(sharpness=0.0), info=replace(follower().info, gamma=GAMMA))
    fit = CriticFit(coin, BLINK, FitSettings(steps=800, teacher_act=Acting(False)))
    assert fit.steps == 0
    fit.fit()
    assert "warning  the fitted critic explains little" in fit.message
    good = CriticFit(zeros_teacher(gamma=GAMMA), BLINK, FitSettings(steps=4000))
    good.fit()
    assert good.message.startswith(f"critic   fitted on {good.steps:,} steps: explains ")
    assert "warning" not in good.message


def test_rewards_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(EnvironmentFailure, match="NaN or infinite"):
        fitted(zeros_teacher(), TaskSpec(factory=lambda: Times(float("inf")), id="Blink-v3"))


def shaped_job(out: Path, resume: bool = False, **changes: Any) -> Any:
    return quick_job(out, resume, **({"method": SHAPED, "fit_critic": 800} | changes))


def test_a_run_fits_shows_and_counts_it(tmp_path: Path) -> None:
    job = shaped_job(tmp_path / "run")
    assert job.critic is not None
    assert job.critic.steps == 0, "nothing is played before the loop begins"
    messages = [progress.message for progress in distilling(job)]
    assert sum("critic   fitted on" in message for message in messages) == 1
    verdict = json.loads((tmp_path / "run" / "verdict.json").read_text())
    # 800 steps of 16 environments; every ninth one starts the next episode and is not counted.
    assert verdict["critic_steps"] == job.critic.steps
    assert 700 < job.critic.steps <= 800
    assert verdict["env_steps"] < 1600
    assert "fit_critic = 800" in (tmp_path / "run" / "recipe.toml").read_text()


def test_a_resumed_run_has_the_same_critic_and_does_not_play_again(tmp_path: Path) -> None:
    job = shaped_job(tmp_path / "run")
    loop = distilling(job)
    while job.state.round_index < 2:
        next(loop)
    loop.close()
    again = shaped_job(tmp_path / "run", resume=True)
    with again.keeper:
        again.keeper.start(again)
    points = torch.rand(5, 2)
    assert torch.equal(again.critic.teacher.value(points), job.critic.teacher.value(points))
    assert (again.critic.steps, again.critic.explained) == (job.critic.steps, job.critic.explained)
    other = shaped_job(tmp_path / "run", resume=True, fit_critic=900)
    with (
        other.keeper,
        pytest.raises(RunFolderError, match="fit_critic: the run has 800, you asked for 900"),
    ):
        other.keeper.start(other)


@pytest.mark.parametrize("name", ["on-policy-distill", "n-distill+R", "kickstarting"])
def test_a_row_that_needs_no_value_refuses_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no effect.*does not use"):
        shaped_job(tmp_path / "run", method=name)
    assert not (tmp_path / "run").exists()


def test_a_teacher_with_a_usable_value_refuses_it(tmp_path: Path) -> None:
    teacher = follower()
    critic = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    raw = replace(teacher, critic=critic, info=replace(teacher.info, value_units="raw"))
    with pytest.raises(SettingError, match=r"no effect.*already"):
        shaped_job(tmp_path / "run", teacher=raw)
    unknown = replace(raw, info=replace(raw.info, value_units="normalised"))
    assert shaped_job(tmp_path / "other", teacher=unknown).critic is not None


def test_without_it_such_a_row_says_what_helps(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--fit-critic STEPS"):
        shaped_job(tmp_path / "run", fit_critic=None)


def test_steps_and_settings_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="at least 100"):
        shaped_job(tmp_path / "run", fit_critic=10)
    with pytest.raises(SettingError, match="gamma"):
        FitSettings(gamma=1.5)
    with pytest.raises(SettingError, match="at least 1"):
        FitSettings(num_envs=0)


def test_the_gamma_of_the_row_is_the_gamma_of_the_value(tmp_path: Path) -> None:
    """Shaping telescopes only where both are one."""
    own = replace(SHAPED, actor_critic=replace(SHAPED.actor_critic, gamma=0.5))
    assert shaped_job(tmp_path / "run", method=own).critic.teacher.info.gamma == 0.5
    assert shaped_job(tmp_path / "other").critic.teacher.info.gamma == 0.99
