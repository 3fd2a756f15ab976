"""Policies: what maps observations to action distributions, and what is known of it."""

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor, nn

from rldistill.core.distributions import Distribution
from rldistill.core.heads import DeterministicHead, GaussianHead, Head, SquashedGaussianHead
from rldistill.errors import NotFiniteError, ShapeError, TaskError


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

    def __repr__(self) -> str:
        """One line: what its loader found, else name and size."""
        info = self.info
        plain = f"{info.name}: {info.acting_parameters:,} acting parameters"
        return f"<NetworkPolicy {info.notes[0] if info.notes else plain}>"

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
        self,
        observation: np.ndarray[Any, Any],
        state: tuple[np.ndarray[Any, Any], ...] | None = None,
        episode_start: np.ndarray[Any, Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray[Any, Any], tuple[np.ndarray[Any, Any], ...] | None]:
        """Act on one observation or a batch, with the signature of stable-baselines3's predict.

        One default differs: this one acts by mode.

        Args:
            observation: [...] or [B, ...], the shape of info.observation_shape.
            state: recurrent state; a policy without one returns it unchanged.
            episode_start: where the recurrent state would be reset; of no effect here.
            deterministic: take the mode; otherwise sample.

        Returns:
            (action, state): action is int64 [] or [B], or float32 [D] or [B, D], clipped to bounds.

        Raises:
            ShapeError: the observation has another shape, or does not hold numbers.
            NotFiniteError: the observation or the policy's output holds NaN or infinity.
        """
        del episode_start
        batch, single = self._batch(observation)
        with torch.no_grad():
            out = self(torch.as_tensor(batch, device=self.device))
            action = (out.mode() if deterministic else out.sample()).cpu().numpy()
        head = self.info.head
        if isinstance(head, (GaussianHead, SquashedGaussianHead, DeterministicHead)):
            if not np.isfinite(action).all():
                raise NotFiniteError("predict: the policy gave an action that is NaN or infinite")
            action = action.clip(np.array(head.low, np.float32), np.array(head.high, np.float32))
        return (np.asarray(action[0]) if single else action), state

    @property
    def device(self) -> torch.device:
        """Where its first parameter lives; the CPU where it has none."""
        first = next(self.module.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def _batch(self, observation: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], bool]:
        """The observations as a batch of float32 or uint8, and whether there was a single one."""
        given, expected = np.asarray(observation), self.info.observation_shape
        single = given.shape == expected
        if given.dtype.kind not in "fiub":
            raise ShapeError(f"predict: an observation must hold numbers; got {given.dtype}")
        if not single and (given.ndim == 0 or given.shape[1:] != expected):
            raise ShapeError(
                f"predict: observation has shape {given.shape}, this policy expects "
                f"{expected}, or a batch of them"
            )
        with np.errstate(over="ignore"):  # too large for float32 is refused below
            batch = given if given.dtype == np.uint8 else given.astype(np.float32)
        if batch.dtype != np.uint8 and not np.isfinite(batch).all():
            raise NotFiniteError("predict: the observation holds NaN or infinity")
        return (batch[None] if single else batch), single
