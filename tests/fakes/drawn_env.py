"""An environment that draws what it knows: a bar as long as its step, in a shade of its seed."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIZE = (30, 50)


class Drawn(gymnasium.Env):
    """Twelve steps; action 1 moves a dot to the right and is worth 1, action 0 stands."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, picture: str = "rgb") -> None:
        self.render_mode, self.picture = render_mode, picture
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(2)

    def observe(self) -> Any:
        return np.array([self.place, self.shade / 255], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.t = 0, 0
        self.shade = int(self.np_random.integers(50, 200))
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        self.place += int(action)
        self.t += 1
        return self.observe(), float(action), self.t >= 12, False, {}

    def render(self) -> Any:
        if self.picture == "grey":
            return np.zeros(SIZE, np.uint8)
        if self.picture == "raise":
            raise RuntimeError("the EGL display is not there")
        frame = np.full((*SIZE, 3), self.shade, np.uint8)
        frame[:, : 4 * self.place] = 255
        return frame / 255.0 if self.picture == "shares" else frame


class Unseen(Drawn):
    """Does not draw."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(None)


def register_drawn() -> None:
    for task_id, entry in (("Drawn-v0", Drawn), ("Unseen-v0", Unseen)):
        if task_id not in gymnasium.registry:
            gymnasium.register(task_id, entry_point=entry)
