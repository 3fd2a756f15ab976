"""The student's critic, and the unit in which it and its rewards are counted."""

from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.maths.returns import Outcomes
from rldistill.students.mlp import InputNormaliser

# Below this, in units of reward, the deviation of returns is taken for rounding.
SMALLEST_SCALE = 1e-4


@final
class Critic(nn.Module):
    """Values of a state, one per column: an MLP beside the student, forgotten after the run."""

    def __init__(self, num_inputs: int, hidden: tuple[int, ...], num_columns: int) -> None:
        super().__init__()
        self.normaliser = InputNormaliser(num_inputs)
        layers: list[nn.Module] = []
        width = num_inputs
        for size in hidden:
            layers += [nn.Linear(width, size), nn.Tanh()]
            width = size
        last = nn.Linear(width, num_columns)
        # It begins by saying nothing, so that early advantages are plain returns.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, observations: Tensor) -> Tensor:
        """Observations [N, O] to values [N, columns]."""
        return self.layers(self.normaliser(observations.flatten(1).float()))


@final
class ReturnScale:
    """The running deviation of the discounted return from the start of each episode.

    Source: the reward normaliser of Engstrom et al. 2020 (arXiv:2005.12729) and
    stable-baselines3's VecNormalize: G_t = gamma G_{t-1} + r_t, with the deviation over all t.
    """

    def __init__(self) -> None:
        self._running: Tensor | None = None
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0

    @property
    def value(self) -> float:
        """The deviation; 1 before anything was seen, or where all was equal."""
        variance = self._squares / self._count if self._count else 1.0
        return variance**0.5 if variance > SMALLEST_SCALE**2 else 1.0

    def update(self, outcomes: Outcomes, gamma: float) -> None:
        """Take a round of rewards [T, B] into account; a round of phantom steps changes nothing."""
        length, num_envs = outcomes.rewards.shape
        running = self._running
        if running is None or len(running) != num_envs:
            running = torch.zeros(num_envs, dtype=torch.float64, device=outcomes.rewards.device)
        ended = outcomes.terminated | outcomes.truncated
        seen: list[Tensor] = []
        for t in range(length):
            running = torch.where(
                outcomes.valid[t], gamma * running + outcomes.rewards[t].double(), 0.0
            )
            seen.append(running)
            running = torch.where(ended[t], 0.0, running)
        self._running = running
        values = torch.stack(seen)[outcomes.valid]
        if len(values) == 0:
            return
        self._merge(len(values), float(values.mean()), float(values.var(correction=0)))

    def _merge(self, count: int, mean: float, variance: float) -> None:
        """Join two sets of numbers (Chan et al. 1979)."""
        total = self._count + count
        gap = mean - self._mean
        self._squares += variance * count + gap**2 * self._count * count / total
        self._mean += gap * count / total
        self._count = total

    def state_dict(self) -> dict[str, Any]:
        """The counters; the episodes under way start anew."""
        return {"count": self._count, "mean": self._mean, "squares": self._squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._running = None
        self._count = int(state["count"])
        self._mean, self._squares = float(state["mean"]), float(state["squares"])
