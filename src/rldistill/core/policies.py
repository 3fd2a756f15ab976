"""Policies: what maps observations to action distributions, and what is known of it."""

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor, nn

from rldistill.core.distributions import Distribution
from rldistill.core.heads import DeterministicHead, GaussianHead, Head, SquashedGaussianHead
from rldistill.core.recurrent import (
    Recurrent,
    State,
    Unrolled,
    memoryless,
    require_state,
    restarted,
    state_shapes_of,
    zero_state,
)
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
        state_shapes: of what a recurrent policy remembers, one shape per tensor, without the batch;
            () for a policy without memory.
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
    state_shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def is_recurrent(self) -> bool:
        """Whether what it does depends on what it saw before."""
        return bool(self.state_shapes)


class Policy(Protocol):
    """Maps a batch of observations to an action distribution and, where it has one, a value.

    Whoever lets a policy act carries its state: initial_state(B), then step() by step(), or
    unroll() over T steps. A policy without memory has the state (), and raw() and value() of single
    observations besides, which a recurrent one refuses.
    """

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

    def initial_state(self, batch: int) -> State:
        """What it remembers at the start of an episode: zeros [batch, ...]."""
        ...

    def step(self, observations: Tensor, state: State) -> tuple[Tensor, State]:
        """Raw outputs [B, outputs] for observations [B, ...], and the state after them."""
        ...

    def unroll(self, observations: Tensor, state: State, starts: Tensor) -> Unrolled:
        """Raw outputs [T, B, outputs] for observations [T, B, ...], and the state after them.

        Where starts [T, B] the state is reset before the observation is read.
        """
        ...

    def to(self, device: torch.device) -> "Policy":
        """The same policy on another device."""
        ...


@final
@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A policy made of plain torch modules: every loader of weights and every student gives one.

    The module maps observations to raw outputs, input normaliser included. The critic, if any, maps
    observations to values [...]. Of a recurrent policy both are Recurrent modules.
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
        return self.info.head(self.raw(observations))

    def raw(self, observations: Tensor) -> Tensor:
        if isinstance(self.module, Recurrent):
            raise TaskError(needs_state(self.info, "outputs"))
        return self.module(observations)

    def value(self, observations: Tensor) -> Tensor:
        if isinstance(self.critic, Recurrent):
            raise TaskError(needs_state(self.info, "value"))
        return self._critic()(observations)

    def initial_state(self, batch: int) -> State:
        return zero_state(self.info.state_shapes, batch, self.device)

    def step(self, observations: Tensor, state: State) -> tuple[Tensor, State]:
        if isinstance(self.module, Recurrent):
            return self.module.step(observations, state)
        return self.module(observations), state

    def unroll(self, observations: Tensor, state: State, starts: Tensor) -> Unrolled:
        if isinstance(self.module, Recurrent):
            return self.module(observations, state, starts)
        return memoryless(self.module, observations), state

    def initial_value_state(self, batch: int) -> State:
        """What its critic remembers at the start of an episode."""
        return zero_state(state_shapes_of(self.critic), batch, self.device)

    def unroll_values(self, observations: Tensor, state: State, starts: Tensor) -> Unrolled:
        """Values [T, B] for observations [T, B, ...], and the state of the critic after them.

        Raises:
            TaskError: there is no critic.
        """
        critic = self._critic()
        if isinstance(critic, Recurrent):
            values, state = critic(observations, state, starts)
            return values.squeeze(-1), state
        return memoryless(critic, observations), state

    def _critic(self) -> nn.Module:
        if self.critic is None:
            raise TaskError(f"{self.info.name} ({self.info.source}) has no value function")
        return self.critic

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
            state: what the last call gave, [B, ...] each (B is 1 for one observation); None: that
                of the start of an episode. A policy without memory returns it unchanged.
            episode_start: bool [B]: where the state is reset first; of no effect without one.
            deterministic: take the mode; otherwise sample.

        Returns:
            (action, state): action is int64 [] or [B], or float32 [D] or [B, D], clipped to bounds.

        Raises:
            ShapeError: observation or state has another shape, or does not hold numbers.
            NotFiniteError: observation, state or the policy's output holds NaN or infinity.
        """
        batch, single = self._batch(observation)
        with torch.no_grad():
            own = self._state(state, episode_start, len(batch))
            raw, own = self.step(torch.as_tensor(batch, device=self.device), own)
            out = self.info.head(raw)
            action = (out.mode() if deterministic else out.sample()).cpu().numpy()
        head = self.info.head
        if isinstance(head, (GaussianHead, SquashedGaussianHead, DeterministicHead)):
            if not np.isfinite(action).all():
                raise NotFiniteError("predict: the policy gave an action that is NaN or infinite")
            action = action.clip(np.array(head.low, np.float32), np.array(head.high, np.float32))
        after = tuple(x.cpu().numpy() for x in own) if self.info.is_recurrent else state
        return (np.asarray(action[0]) if single else action), after

    def _state(self, state: object, episode_start: object, batch: int) -> State:
        """The state that predict goes on from."""
        if not self.info.is_recurrent:
            return ()
        own = self.initial_state(batch)
        if state is not None:
            own = require_state(state, own)
        if episode_start is None:
            return own
        starts = np.atleast_1d(np.asarray(episode_start)).astype(bool)
        if starts.shape != (batch,):
            raise ShapeError(
                f"predict: episode_start has shape {starts.shape}, for {batch} observations it "
                f"must be ({batch},)"
            )
        return restarted(own, torch.as_tensor(starts, device=self.device))

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


def require_memoryless(info: PolicyInfo, what: str) -> None:
    """Refuse a recurrent policy where single states are all there is.

    Raises:
        TaskError: it is one; `what` is what cannot be done with it.
    """
    if info.is_recurrent:
        raise TaskError(
            f"{what} looks at single states, and {info.name} ({info.source or 'given here'}) is "
            "recurrent: what it does depends on what it saw before. Distil it into a policy "
            "without memory first, such as --student mlp:64,64 or tree:32"
        )


def needs_state(info: PolicyInfo, what: str) -> str:
    """Why single states do not tell what a recurrent policy does."""
    return (
        f"{info.name} is recurrent: its {what} in a state depend on what it saw before, so they "
        "can be had for whole episodes alone (step, unroll). Where single states are needed, "
        "distil it into a policy without memory first, such as --student mlp:64,64 or tree:32"
    )
