"""Learning V_pi of a teacher that has no usable value: from its own roll-outs, in raw reward."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from rldistill.core import Acting, NetworkPolicy, Trajectory
from rldistill.envs.backends import TaskSource, make, task_spec
from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.evaluation.scores import training_seed
from rldistill.maths import returns
from rldistill.maths.returns import Outcomes
from rldistill.methods.method import TEACHER, Method
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness
from rldistill.train.critic import Critic
from rldistill.train.experience import GAMMA
from rldistill.train.held_out import explained_variance, settled, split

# This round is played by no run: its seeds are the critic's own.
ROUND = 2**31 - 1
# Environments stepped together: few, so that each plays whole episodes.
FIT_ENVS = 16
HIDDEN = (64, 64)
# Targets are made anew from the critic so far, this often; each time it is fitted to them.
ITERATIONS = 12
EPOCHS = 3
BATCH_SIZE = 512
LEARNING_RATE = 1e-3
# Below this share of the variance a critic is as good as none, and it is said.
LITTLE = 0.5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How to fit.

    Attributes:
        steps: environment steps, summed over environments.
        num_envs: stepped together; a fifth of them (at least one) is held out.
        seed: of everything.
        teacher_act: V_pi is that of the teacher as it acts here.
        gamma: discount per environment step; None: the teacher's own, 0.99 where unknown.
    """

    steps: int = 50_000
    num_envs: int = FIT_ENVS
    seed: int = 0
    teacher_act: Acting = Acting()
    gamma: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.num_envs < 1:
            raise SettingError(
                f"steps and num_envs must be at least 1, got {self.steps} and {self.num_envs}"
            )
        if self.gamma is not None and not 0.0 <= self.gamma <= 1.0:
            raise SettingError(f"gamma must lie in [0, 1], got {self.gamma:g}")


@final
class FittedValue(nn.Module):
    """V(s) = centre + spread * network(s), in units of raw reward: [N, ...] to [N]."""

    centre: Tensor
    spread: Tensor

    def __init__(self, num_inputs: int) -> None:
        super().__init__()
        self.network = Critic(num_inputs, HIDDEN, 1)
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, observations: Tensor) -> Tensor:
        return self.centre + self.spread * self.network(observations)[:, 0]


@final
class CriticFit:
    """A teacher whose critic is learnt: made and checked at once, fitted when it is asked for.

    Attributes:
        teacher: the policy, with a critic in raw reward that says 0 until it is fitted.
        settings: how.
        steps: environment steps taken; 0 before.
        explained: 1 - mean (G - V)^2 / Var(G) over the states of held-out environments whose
            episode ended, where G is the return; None where returns hardly vary, or before.
    """

    def __init__(self, teacher: NetworkPolicy, task: TaskSpec, settings: FitSettings) -> None:
        require_effect(teacher)
        info = teacher.info
        own = info.gamma if settings.gamma is None else settings.gamma
        self.settings = settings
        self.steps = 0
        self.explained: float | None = None
        self._task = task
        self._gamma = GAMMA if own is None else own
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._value = FittedValue(int(np.prod(info.observation_shape))).to(teacher.device)
        info = replace(info, value_units="raw", gamma=self._gamma)
        self.teacher = NetworkPolicy(teacher.module, info, self._value)

    def fit(self) -> None:
        """Play and learn.

        Raises:
            EnvironmentFailure, NotFiniteError: from environment and teacher.
        """
        trajectory = self._play()
        kept, held = split(trajectory)
        self.steps = trajectory.num_steps
        self._value.requires_grad_(True)
        self._learn(kept)
        self._value.requires_grad_(False)
        self.explained = explained_variance(
            self._returns(held), self._values(held)[:-1], settled(held)
        )

    @property
    def message(self) -> str:
        """One line for people, a second one where the critic is of little use."""
        if self.explained is None:
            return f"critic   fitted on {self.steps:,} steps: returns hardly vary"
        share = 100 * self.explained
        line = (
            f"critic   fitted on {self.steps:,} steps: explains {share:.0f} % of the variance of "
            f"returns (held-out episodes, gamma {self._gamma:g})"
        )
        if self.explained >= LITTLE:
            return line
        return (
            f"{line}\nwarning  the fitted critic explains little: what it says of the teacher is "
            "mostly noise. Give --fit-critic more steps, or choose a row that needs no value"
        )

    def state_dict(self) -> dict[str, Any]:
        """Weights and what was measured."""
        return {
            "value": self._value.state_dict(),
            "steps": self.steps,
            "explained": self.explained,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of state_dict."""
        self._value.load_state_dict(state["value"])
        self._value.requires_grad_(False)
        self.steps, self.explained = int(state["steps"]), state["explained"]

    def _play(self) -> Trajectory:
        settings, device = self.settings, self.teacher.device
        seed = training_seed(settings.seed, ROUND)
        with make(self._task, settings.num_envs, seed) as env:
            controller = Controller(
                TEACHER,
                self.teacher,
                self.teacher,
                settings.teacher_act,
                env.info.action_space,
                Randomness.seeded(seed, device),
            )
            return Collector(env, controller, device).collect(settings.steps, 0)

    def _learn(self, trajectory: Trajectory) -> None:
        """Fitted iterations: targets from the critic so far, then a regression on them."""
        keep = trajectory.valid
        observations = trajectory.observations[keep]
        self._value.network.normaliser.fit(observations.flatten(1).float())
        targets = self._returns(trajectory)[keep]
        self._value.centre.copy_(targets.mean())
        self._value.spread.copy_(targets.std(correction=0).clamp(min=1e-6))
        generator = torch.Generator(targets.device).manual_seed(self.settings.seed)
        optimiser = torch.optim.Adam(self._value.parameters(), lr=LEARNING_RATE)
        for i in range(ITERATIONS):
            targets = self._returns(trajectory)[keep]
            # Falls to 0, so that the last steps average over minibatches.
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1.0 - i / ITERATIONS)
            for _ in range(EPOCHS):
                order = torch.randperm(
                    len(targets), generator=generator, device=targets.device
                ).split(BATCH_SIZE)
                for rows in order:
                    error = (self._value(observations[rows]) - targets[rows]) / self._value.spread
                    optimiser.zero_grad(set_to_none=True)
                    error.square().mean().backward()
                    optimiser.step()

    @torch.no_grad()
    def _values(self, trajectory: Trajectory) -> Tensor:
        """V [T + 1, B]."""
        every = torch.cat([trajectory.observations, trajectory.last_observations[None]])
        return self._value(every.flatten(0, 1)).view(every.shape[:2])

    def _returns(self, trajectory: Trajectory) -> Tensor:
        """G [T, B], which goes on with the critic where an episode was cut or the data stop."""
        outcomes = Outcomes(
            trajectory.rewards, trajectory.terminated, trajectory.truncated, trajectory.valid
        )
        return returns.return_to_go(outcomes, self._values(trajectory), self._gamma)


def fit_critic(
    teacher: NetworkPolicy, task: TaskSource, settings: FitSettings = FitSettings()
) -> tuple[NetworkPolicy, float | None]:
    """Learn V_pi of a teacher from its own roll-outs.

    V_pi(s) = E[sum_t gamma^t r_t | s_0 = s], by regression on whole returns. Where an episode is
    truncated or the data stop, the return goes on with the critic's own value, and so targets and
    critic are made in turns (fitted iterations).

    Args:
        teacher: without a value in raw reward.
        task: what it plays.
        settings: how long, with what.

    Returns:
        The same policy with a critic (value_units "raw", and the gamma it was fitted with), and
        the share of the variance of held-out returns that it explains: 1 is all; None where
        returns deviate by less than a hundredth of their size.

    Raises:
        SettingError: the teacher has a value in raw reward already.
        EnvironmentFailure, NotFiniteError: from environment and teacher.

    Source: fitted value iteration for a fixed policy; truncation after Pardo et al. 2018
    (arXiv:1712.00378).
    """
    fit = CriticFit(teacher, task_spec(task), settings)
    fit.fit()
    return fit.teacher, fit.explained


def critic_fit(
    row: Method, teacher: NetworkPolicy, task: TaskSpec, settings: FitSettings
) -> CriticFit:
    """The critic that a row is to be given, not fitted yet.

    Raises:
        SettingError: it would have no effect: the row uses no V_pi, or the teacher has one.
    """
    if not row.needs_teacher_value:
        raise SettingError(
            f"--fit-critic has no effect: {row.name} does not use the teacher's value; leave it out"
        )
    own = row.actor_critic.gamma
    return CriticFit(teacher, task, settings if own is None else replace(settings, gamma=own))


def require_effect(teacher: NetworkPolicy) -> None:
    """Refuse a teacher that has a value in units of raw reward.

    Raises:
        SettingError: it has.
    """
    if teacher.info.value_units == "raw":
        raise SettingError(
            f"--fit-critic has no effect: {teacher.info.name} has a value function in units of raw "
            "reward already; leave it out"
        )
