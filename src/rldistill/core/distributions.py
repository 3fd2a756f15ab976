"""What a policy says about actions: four kinds of distribution, and how one becomes an action."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.errors import SettingError, did_you_mean
from rldistill.maths import categorical, gaussian, squashed


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

    def log_prob(self, actions: Tensor) -> Tensor:
        """log p(a) of actions int64 [...]: [...] in nats."""
        return categorical.log_prob(self.logits, actions)

    def entropy(self) -> Tensor:
        """[...] in nats."""
        return categorical.entropy(self.logits)


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

    def log_prob(self, actions: Tensor) -> Tensor:
        """log p(a) of actions [..., D]: [...] in nats per environment unit."""
        return gaussian.log_prob(self.mean, self.log_std, actions)

    def entropy(self) -> Tensor:
        """[...] in nats per environment unit."""
        return gaussian.entropy(self.mean, self.log_std)


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

    def log_prob(self, actions: Tensor) -> Tensor:
        """log p(a) of actions [..., D] in environment units: [...] in nats per half range."""
        half = (self.high - self.low) / 2
        return squashed.log_prob(self.mean, self.log_std, (actions - self.low) / half - 1.0)

    def entropy(self) -> Tensor:
        """[...] in nats per half range."""
        return squashed.entropy(self.mean, self.log_std)


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


ACTING = ("mode", "sample")


@dataclass(frozen=True, slots=True)
class Acting:
    """How a policy turns its distribution into an action.

    Attributes:
        mode: its likeliest action; False samples.
        epsilon: share of steps with a uniformly random one of its actions instead, in [0, 1];
            categorical policies alone.

    Raises:
        SettingError: epsilon is out of range.
    """

    mode: bool = True
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= 1.0:
            raise SettingError(f"epsilon must lie in [0, 1], got {self.epsilon:g}")

    @classmethod
    def parse(cls, text: str, what: str = "act") -> "Acting":
        """From the words "mode" or "sample", or with an epsilon behind a colon.

        >>> Acting.parse("sample").mode, Acting.parse("mode:0.05").epsilon
        (False, 0.05)
        """
        word, colon, share = text.partition(":")
        if word not in ACTING:
            raise SettingError(
                f"{what} must be one of {', '.join(ACTING)}, or with a share of random actions "
                f"as in mode:0.05; got {text!r}.{did_you_mean(word, ACTING)}"
            )
        try:
            epsilon = float(share) if colon else 0.0
        except ValueError as error:
            raise SettingError(f"{what}: mode:EPSILON needs a number; got {text!r}") from error
        return cls(word == "mode", epsilon)

    @classmethod
    def require(cls, value: object, what: str) -> None:
        """Refuse what is no Acting, such as the bare word.

        Raises:
            SettingError: it is not one.

        >>> Acting.require(Acting(mode=False), "student_act")
        """
        if not isinstance(value, cls):
            raise SettingError(f"{what} must be Acting(mode=True) or (mode=False); got {value!r}")

    def __str__(self) -> str:
        word = "mode" if self.mode else "sample"
        return f"{word}:{self.epsilon:g}" if self.epsilon else word

    def choose(self, distribution: Distribution, generator: torch.Generator | None) -> Tensor:
        """Actions [B], or [B, D]."""
        actions = distribution.mode() if self.mode else distribution.sample(generator)
        if self.epsilon == 0.0:
            return actions
        if not isinstance(distribution, Categorical):
            raise SettingError("epsilon is about action indices; this policy's are continuous")
        # Random among the actions that are not masked.
        allowed = (distribution.logits > -torch.inf).double()
        drawn = Categorical(allowed.log()).sample(generator)
        chance = torch.rand(actions.shape, generator=generator, device=actions.device)
        return torch.where(chance < self.epsilon, drawn, actions)
