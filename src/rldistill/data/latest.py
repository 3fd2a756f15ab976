"""The latest round: the memory of methods that learn from whole trajectories, once."""

from typing import Any, final

from rldistill.core import Trajectory
from rldistill.errors import SettingError


@final
class LatestRound:
    """Holds one trajectory; the next one replaces it. It is never saved, but collected again."""

    # Of what a checkpoint takes.
    nbytes = 0

    def __init__(self) -> None:
        self._trajectory: Trajectory | None = None

    def __len__(self) -> int:
        return 0 if self._trajectory is None else self._trajectory.num_steps

    @property
    def trajectory(self) -> Trajectory:
        """The latest.

        Raises:
            SettingError: there is none yet.
        """
        if self._trajectory is None:
            raise SettingError("no trajectory was collected yet")
        return self._trajectory

    def put(self, trajectory: Trajectory) -> None:
        """Replace it."""
        self._trajectory = trajectory

    def clear(self) -> None:
        """Forget it."""
        self._trajectory = None

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Start empty."""
        del state
        self.clear()
