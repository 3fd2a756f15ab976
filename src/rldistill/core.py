"""The nouns that every layer shares: policies, their action distributions, trajectories.

Shape legend, used in every docstring: T time, B environments, A actions of a discrete space,
D size of a continuous action, S tabular states, K tasks, O size of a flat observation.

A network policy is a plain module whose last axis holds the raw outputs of a Head: logits or
Q-values [..., A]; mean and log standard deviation [..., 2 D]; an action [..., D]. The Head turns
them into a distribution. Actions are always those of the environment: an index in 0..A-1
(int64), or a vector [..., D] in the environment's own units (float32).
"""

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.errors import NotFiniteError, SettingError, ShapeError, TaskError
from rldistill.maths import gaussian

# Standard deviation, as a share of half the action range, given to a policy that has none.
DETERMINISTIC_STD = 0.1


@final
@dataclass(frozen=True, slots=True)
class Categorical:
    """softmax(logits) over A actions. For a Q-network the logits are the Q-values themselves."""

    logits: Tensor  # [..., A]

    def mode(self) -> Tensor:
        """The most probable action: int64 [...]; the lowest index wins a tie."""
        return self.logits.argmax(-1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One action per state: int64 [...], by the Gumbel-max trick (no host synchronisation)."""
        uniform = torch.rand(
            self.logits.shape, generator=generator, device=self.logits.device, dtype=torch.float64
        )
        # rand() may return exactly 0, whose -log(-log) is -inf: harmless, it only loses the race.
        return (self.logits - (-uniform.log()).log()).argmax(-1)


@final
@dataclass(frozen=True, slots=True)
class Gaussian:
    """Independent normals over D action dimensions, unbounded; the environment clips."""

    mean: Tensor  # [..., D], environment units
    log_std: Tensor  # [..., D], log of environment units

    def mode(self) -> Tensor:
        """The mean: float [..., D]."""
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One action per state: float [..., D]."""
        return self.mean + self.log_std.exp() * _normal_like(self.mean, generator)


@final
@dataclass(frozen=True, slots=True)
class SquashedGaussian:
    """a = low + (tanh(u) + 1) / 2 * (high - low) with u normal: the policy of SAC and TQC."""

    mean: Tensor  # [..., D], of u
    log_std: Tensor  # [..., D], of u
    low: Tensor  # [D], environment units
    high: Tensor  # [D]

    def mode(self) -> Tensor:
        """The squashed mean, as SB3's deterministic action: float [..., D]."""
        return gaussian.squash(self.mean, self.low, self.high)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One action per state: float [..., D]."""
        u = self.mean + self.log_std.exp() * _normal_like(self.mean, generator)
        return gaussian.squash(u, self.low, self.high)


@final
@dataclass(frozen=True, slots=True)
class Deterministic:
    """One action per state and nothing else, as from TD3, DDPG or ARS."""

    action: Tensor  # [..., D], environment units

    def mode(self) -> Tensor:
        """The action: float [..., D]."""
        return self.action

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """The action: a deterministic policy has nothing to sample."""
        del generator
        return self.action


Distribution = Categorical | Gaussian | SquashedGaussian | Deterministic


def _normal_like(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


# --- heads: what the raw outputs of a network mean ------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class CategoricalHead:
    """Raw outputs are logits [..., A]: log-probabilities up to a constant."""

    num_actions: int

    @property
    def num_outputs(self) -> int:
        return self.num_actions

    def __call__(self, raw: Tensor) -> Categorical:
        return Categorical(raw)


@final
@dataclass(frozen=True, slots=True)
class QValueHead:
    """Raw outputs are Q-values [..., A], in units of reward; acting by mode is acting greedily."""

    num_actions: int

    @property
    def num_outputs(self) -> int:
        return self.num_actions

    def __call__(self, raw: Tensor) -> Categorical:
        return Categorical(raw)


@final
@dataclass(frozen=True, slots=True)
class GaussianHead:
    """Raw outputs are mean [..., D] then log standard deviation [..., D], environment units."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        return 2 * len(self.low)

    def __call__(self, raw: Tensor) -> Gaussian:
        mean, log_std = raw.chunk(2, -1)
        return Gaussian(mean, log_std)


@final
@dataclass(frozen=True, slots=True)
class SquashedGaussianHead:
    """Raw outputs are mean then log standard deviation [..., 2 D] of the action before tanh."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        return 2 * len(self.low)

    def __call__(self, raw: Tensor) -> SquashedGaussian:
        mean, log_std = raw.chunk(2, -1)
        return SquashedGaussian(mean, log_std, raw.new_tensor(self.low), raw.new_tensor(self.high))


@final
@dataclass(frozen=True, slots=True)
class DeterministicHead:
    """Raw outputs are the action itself [..., D], environment units."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        return len(self.low)

    def __call__(self, raw: Tensor) -> Deterministic:
        return Deterministic(raw)


Head = CategoricalHead | QValueHead | GaussianHead | SquashedGaussianHead | DeterministicHead


# --- policies -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInfo:
    """What is known of a policy besides its weights.

    Attributes:
        name: the algorithm or architecture, for example "PPO" or "mlp:32,32".
        framework: who wrote the file, for example "stable-baselines3 1.0".
        observation_shape: shape of one observation as the environment layer gives it.
        head: what the raw outputs mean.
        acting_parameters: numbers needed to choose an action (critics not counted).
        parameters: all numbers, critics included.
        gamma: the discount it was trained with, None if unknown.
        value_units: "raw" where the value counts raw reward, "normalised" where a reward
            normaliser stood between, "none" where there is no value.
        fingerprint: sha256 of the file (of the weights, for a live object).
        source: the file, URI or object it came from.
        notes: one line each for what the loader had to assume.
    """

    name: str
    framework: str
    observation_shape: tuple[int, ...]
    head: Head
    acting_parameters: int
    parameters: int
    gamma: float | None = None
    value_units: str = "none"
    fingerprint: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()


class Policy(Protocol):
    """Maps a batch of observations to an action distribution and, where it has one, a value."""

    @property
    def info(self) -> PolicyInfo: ...

    def __call__(self, observations: Tensor) -> Distribution:
        """Action distribution for observations [B, ...], float32 (or uint8 pixels)."""
        ...

    def raw(self, observations: Tensor) -> Tensor:
        """Raw outputs [B, info.head.num_outputs]: what is stored as a label."""
        ...

    def value(self, observations: Tensor) -> Tensor:
        """State value [B]; raises TaskError where info.value_units is "none"."""
        ...

    def to(self, device: torch.device) -> "Policy":
        """The same policy on another device."""
        ...


@final
@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A policy made of plain torch modules: every loader of weights and every student gives one.

    The module maps observations to raw outputs, input normaliser included. The critic, if any, maps
    observations to values [...].
    """

    module: nn.Module
    info: PolicyInfo
    critic: nn.Module | None = None

    def __call__(self, observations: Tensor) -> Distribution:
        return self.info.head(self.module(observations))

    def raw(self, observations: Tensor) -> Tensor:
        return self.module(observations)

    def value(self, observations: Tensor) -> Tensor:
        if self.critic is None:
            raise TaskError(f"{self.info.name} ({self.info.source}) has no value function")
        return self.critic(observations)

    def to(self, device: torch.device) -> "NetworkPolicy":
        critic = None if self.critic is None else self.critic.to(device)
        return NetworkPolicy(self.module.to(device), self.info, critic)

    def predict(
        self, observation: np.ndarray[Any, Any], state: None = None, deterministic: bool = True
    ) -> tuple[np.ndarray[Any, Any], None]:
        """Act on one observation or a batch, with the signature of stable-baselines3's predict.

        Args:
            observation: [...] or [B, ...], the shape of info.observation_shape.
            state: recurrent state; None, since this policy has none. Returned unchanged.
            deterministic: take the mode; otherwise sample.

        Returns:
            (action, state): action is int64 [] or [B], or float32 [D] or [B, D], clipped to bounds.

        Raises:
            ShapeError: the observation has another shape.
            NotFiniteError: the observation holds NaN or infinity.
        """
        batch = np.asarray(observation)
        single = batch.shape == self.info.observation_shape
        if not single and batch.shape[1:] != self.info.observation_shape:
            raise ShapeError(
                f"predict: observation has shape {batch.shape}, this policy expects "
                f"{self.info.observation_shape}, or a batch of them"
            )
        if not np.isfinite(batch).all():
            raise NotFiniteError("predict: the observation holds NaN or infinity")
        device = next(self.module.parameters()).device
        dtype = torch.uint8 if batch.dtype == np.uint8 else torch.float32
        with torch.no_grad():
            out = self(
                torch.as_tensor(batch[None] if single else batch, dtype=dtype, device=device)
            )
            action = (out.mode() if deterministic else out.sample()).cpu().numpy()
        head = self.info.head
        if isinstance(head, (GaussianHead, SquashedGaussianHead, DeterministicHead)):
            action = action.clip(np.float32(head.low), np.float32(head.high))
        return (action[0] if single else action), state


def head_for(action_space: spaces.Space[Any], like: Head | None = None) -> Head:
    """The head a student of a teacher with head `like` needs on this action space.

    A student of a Q-network or of logits has logits. On a box the student takes its teacher's
    family, so that the divergences between the two are defined; without a teacher: Gaussian.

    Raises:
        TaskError: the space is neither Discrete nor a bounded Box, or is not the teacher's.
    """
    if isinstance(action_space, spaces.Discrete):
        if like is not None and like.num_outputs != int(action_space.n):
            raise TaskError(
                f"the teacher has {like.num_outputs} actions, the task {action_space.n}"
            )
        return CategoricalHead(int(action_space.n))
    if not isinstance(action_space, spaces.Box):
        raise TaskError(f"actions must be Discrete or a flat Box; this task has {action_space}")
    low, high = (
        tuple(float(x) for x in bound.ravel()) for bound in (action_space.low, action_space.high)
    )
    kind = GaussianHead if like is None else type(like)
    if kind in (CategoricalHead, QValueHead):
        raise TaskError(f"the teacher chooses among discrete actions, the task has {action_space}")
    return kind(low, high)  # pyright: ignore[reportCallIssue]


# --- data -----------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a control policy did in B environments for T steps.

    valid is False for the phantom step by which an autoresetting environment starts over: its
    action was ignored and it must never be learnt from. observations[t] is what actions[t] was
    chosen on.
    """

    observations: Tensor  # [T, B, ...]
    actions: Tensor  # [T, B] or [T, B, D]
    rewards: Tensor  # [T, B] float32, raw
    terminated: Tensor  # [T, B] bool
    truncated: Tensor  # [T, B] bool
    valid: Tensor  # [T, B] bool
    teacher_raw: Tensor  # [T, B, outputs of the teacher's head]
    last_observations: Tensor  # [B, ...], after the last step

    @property
    def num_steps(self) -> int:
        """Environment steps, summed over environments, phantom steps not counted."""
        return int(self.valid.sum())


ACTING = ("mode", "sample")


@dataclass(frozen=True, slots=True)
class Acting:
    """How a policy turns its distribution into an action: by mode or by sampling."""

    mode: bool = True

    @classmethod
    def parse(cls, text: str, what: str = "act") -> "Acting":
        """From the words "mode" or "sample".

        >>> Acting.parse("sample").mode
        False
        """
        if text not in ACTING:
            raise SettingError(f"{what} must be one of {', '.join(ACTING)}; got {text!r}")
        return cls(text == "mode")

    def __str__(self) -> str:
        return "mode" if self.mode else "sample"

    def choose(self, distribution: Distribution, generator: torch.Generator | None) -> Tensor:
        return distribution.mode() if self.mode else distribution.sample(generator)
