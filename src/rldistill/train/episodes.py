"""Returns of the episodes that training itself plays, where a weight depends on them."""

from collections import deque
from typing import final

import numpy as np

from rldistill.core import Trajectory

# Episodes that the mean is over.
WINDOW = 100


@final
class RecentReturns:
    """Undiscounted returns of the latest whole training episodes.

    A resumed run starts anew: its environments do too.
    """

    def __init__(self) -> None:
        self._returns: deque[float] = deque(maxlen=WINDOW)
        self._running: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None

    def add(self, trajectory: Trajectory, anew: bool = False, counted: bool = True) -> None:
        """Take a round [T, B] into account.

        Args:
            trajectory: of the round.
            anew: it begins with a reset of all environments.
            counted: False where the teacher acted: all that came before is forgotten, and so are
                the episodes that go on from it.
        """
        rewards = trajectory.rewards.double().cpu().numpy()
        valid = trajectory.valid.cpu().numpy()
        ended = (trajectory.terminated | trajectory.truncated).cpu().numpy() & valid
        if self._running is None or anew:
            self._running = np.zeros(rewards.shape[1])
        running = self._running
        for t in range(len(rewards)):
            running += np.where(valid[t], rewards[t], 0.0)
            over = running[ended[t]]
            self._returns.extend(over[np.isfinite(over)])
            running[ended[t]] = 0.0
        if not counted:
            self._returns.clear()
            running.fill(np.nan)

    @property
    def mean(self) -> float | None:
        """Over the latest episodes; None before the first has ended."""
        return float(np.mean(self._returns)) if self._returns else None
