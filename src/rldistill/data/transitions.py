"""Transitions in memory: a ring of n-step steps, for Q-learning."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from rldistill.core import Trajectory
from rldistill.errors import NotFiniteError, SettingError, ShapeError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NStep:
    """N steps that begin in one state each: Q(s, a) is compared with R + discount max_a Q(s', a).

    Attributes:
        observations: [N, ...] s.
        actions: [N] int64.
        returns: [N] R, the discounted sum of up to n rewards, raw.
        next_observations: [N, ...] s', the state after them.
        discounts: [N] gamma^k after k rewards; 0 where the episode terminated.
        teacher_raw: [N, outputs] in s.
    """

    observations: Tensor
    actions: Tensor
    returns: Tensor
    next_observations: Tensor
    discounts: Tensor
    teacher_raw: Tensor

    def columns(self) -> dict[str, Tensor]:
        """Each tensor by its name."""
        return {name: getattr(self, name) for name in self.__slots__}


def n_step(trajectory: Trajectory, gamma: float, n: int) -> NStep:
    """The valid steps of a trajectory [T, B] with what follows them.

    Rewards are summed until n of them are in, the episode ends or the trajectory does. A terminated
    step is followed by nothing: discount 0. A truncated one and the last of the trajectory are
    followed by the state that they led to.

    Args:
        trajectory: discrete actions, with a phantom step after each end of an episode.
        gamma: discount per environment step, 0 to 1.
        n: at least 1.

    Source: Sutton and Barto 2018, equation 7.1; truncation after Pardo et al. 2018
    (arXiv:1712.00378), partial-episode bootstrapping.
    """
    length, num_envs = trajectory.rewards.shape
    every = torch.cat([trajectory.observations, trajectory.last_observations[None]])
    total = torch.zeros_like(trajectory.rewards)
    discount = torch.ones_like(total)
    goes_on = trajectory.valid
    after = torch.arange(length, device=total.device)[:, None].repeat(1, num_envs)
    ended = trajectory.terminated | trajectory.truncated
    for k in range(n):
        # Row t now looks at step t + k; beyond the trajectory there is none.
        goes_on = goes_on & (torch.arange(length, device=total.device) + k < length)[:, None]
        rewards, over, stops = (
            _ahead(x, k) for x in (trajectory.rewards, trajectory.terminated, ended)
        )
        total = torch.where(goes_on, total + discount * rewards, total)
        left = torch.where(over, 0.0, gamma * discount)
        discount = torch.where(goes_on, left, discount)
        after = torch.where(goes_on, after + 1, after)
        goes_on = goes_on & ~stops
    keep = trajectory.valid
    environment = torch.arange(num_envs, device=total.device).expand(length, -1)
    return NStep(
        observations=trajectory.observations[keep],
        actions=trajectory.actions[keep],
        returns=total[keep],
        next_observations=every[after[keep], environment[keep]],
        discounts=discount[keep],
        teacher_raw=trajectory.teacher_raw[keep],
    )


def _ahead(x: Tensor, k: int) -> Tensor:
    """Row t holds x[t + k]; the last k rows hold what must not be read."""
    return torch.cat([x[k:], x[: min(k, len(x))]])


@final
class Transitions:
    """A ring of n-step transitions, sampled uniformly with replacement; the oldest make room.

    Args:
        capacity: transitions kept; the memory is taken at once.
        observation_shape: of one observation.
        num_outputs: of the teacher.
        gamma: discount per environment step.
        n: rewards summed.
        device: where they live.

    Raises:
        SettingError: a setting is out of range, or the memory is not there.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        num_outputs: int,
        gamma: float,
        n: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if capacity < 1 or n < 1 or not 0.0 <= gamma <= 1.0:
            raise SettingError(
                "transitions: capacity and n must be at least 1 and gamma lie in [0, 1]; got "
                f"{capacity}, {n} and {gamma:g}"
            )
        shapes: dict[str, tuple[int, ...]] = {
            "observations": observation_shape,
            "actions": (),
            "returns": (),
            "next_observations": observation_shape,
            "discounts": (),
            "teacher_raw": (num_outputs,),
        }
        try:
            self._columns = {
                name: torch.empty(
                    (capacity, *shape),
                    dtype=torch.int64 if name == "actions" else torch.float32,
                    device=device,
                )
                for name, shape in shapes.items()
            }
        except RuntimeError as error:
            raise SettingError(
                f"transitions: no memory for {capacity} of observations {observation_shape} on "
                f"{device}: lower the row's memory"
            ) from error
        self.capacity, self.gamma, self.n = capacity, gamma, n
        self._latest: Trajectory | None = None
        self._position = 0  # where the next row goes
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the rows held, which is what a checkpoint takes."""
        row = sum(x.element_size() * x[0].numel() for x in self._columns.values())
        return self._size * row

    @property
    def latest(self) -> Trajectory:
        """The trajectory that was put in last; it is not saved.

        Raises:
            SettingError: there is none yet.
        """
        if self._latest is None:
            raise SettingError("no trajectory was collected yet")
        return self._latest

    def put(self, trajectory: Trajectory) -> int:
        """Store the valid steps of a trajectory; returns how many there were.

        Raises:
            NotFiniteError: a reward is NaN or infinite; nothing is stored.
        """
        if not bool(trajectory.rewards[trajectory.valid].isfinite().all()):
            raise NotFiniteError("the environment gave rewards that are NaN or infinite")
        rows = n_step(trajectory, self.gamma, self.n).columns()
        count = len(rows["actions"])
        kept = min(count, self.capacity)
        device = self._columns["actions"].device
        places = (self._position + torch.arange(kept, device=device)) % self.capacity
        for name, column in self._columns.items():
            column[places] = rows[name][count - kept :].to(column)
        self._position = (self._position + kept) % self.capacity
        self._size = min(self._size + kept, self.capacity)
        self._latest = trajectory
        return count

    def sample(self, batch_size: int, generator: torch.Generator) -> NStep:
        """Draw transitions.

        Raises:
            SettingError: there are none, or batch_size is below 1.
        """
        if self._size == 0 or batch_size < 1:
            raise SettingError(
                f"transitions: cannot draw {batch_size} from {self._size}; both must be at least 1"
            )
        size = (batch_size,)
        index = torch.randint(self._size, size, generator=generator, device=generator.device)
        index = index.to(self._columns["actions"].device)
        return NStep(**{name: x.index_select(0, index) for name, x in self._columns.items()})

    def clear(self) -> None:
        """Forget all of them."""
        self._position = self._size = 0

    def state_dict(self) -> dict[str, Any]:
        """A copy, on the CPU, of the rows held and the counters."""
        rows = {name: x[: self._size].to("cpu", copy=True) for name, x in self._columns.items()}
        return {"numbers": (self.capacity, self._position), "rows": rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what state_dict was taken from.

        Raises:
            ShapeError: it has another capacity or other columns; nothing is changed.
        """
        rows: dict[str, Tensor] = state["rows"]
        capacity, position = state["numbers"]
        size = max((len(x) for x in rows.values()), default=-1)
        own = {name: (size, *x.shape[1:]) for name, x in self._columns.items()}
        if (
            capacity != self.capacity
            or {name: tuple(x.shape) for name, x in rows.items()} != own
            or not (position == size < capacity or 0 <= position < size == capacity)
        ):
            raise ShapeError(
                f"transitions: the saved rows do not fit this memory of {self.capacity}; resume "
                "with the same task, teacher and method"
            )
        for name, column in self._columns.items():
            column[:size] = rows[name].to(column)
        self._position, self._size = position, size
