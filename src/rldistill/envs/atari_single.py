"""One Atari game, emulated and preprocessed step by step: what AtariVectorEnv cannot do.

Frame by frame it equals AtariVectorEnv with the same seed (tests/envs/test_atari_single.py). It
serves random frame skips, and games that start from a state which was replayed. The only file that
imports cv2.
"""

from collections.abc import Iterable
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium import spaces

from rldistill.envs import ale
from rldistill.envs.atari_settings import MAX_FRAMES, AtariTask, max_frames
from rldistill.errors import EnvironmentFailure, require

Array = np.ndarray[Any, Any]
_NOOP = 0  # first in every action set


@final
class AtariGame(gymnasium.Env[Array, Any]):
    """A gymnasium.Env of one emulator; see AtariSettings for what it does.

    Args:
        task: game and settings.
        max_steps: steps after which an episode is cut; None: MAX_FRAMES emulated frames alone.
        watched: whether frames are made; without them observations stay black.
    """

    render_mode = "rgb_array"

    def __init__(self, task: AtariTask, max_steps: int | None, watched: bool = True) -> None:
        self._watched = watched
        self._task, self._settings = task, task.settings
        self._max_steps = max_steps or MAX_FRAMES
        self._max_frames = MAX_FRAMES if max_steps is None else max_frames(task.settings, max_steps)
        self._resize = require("cv2", extra="atari").resize
        self._area = require("cv2", extra="atari").INTER_AREA
        self._emulator = ale.open_emulator(task, 0)
        self._actions = ale.action_set(self._emulator, self._settings)
        names = [action.name for action in self._actions]
        self._fire = names.index(ale.FIRE) if ale.FIRE in names else None
        self._random = np.random.RandomState()
        self._frames = np.zeros((2, *self._emulator.getScreenDims()), np.uint8)
        shape = (self._settings.stack_num, ale.SCREEN, ale.SCREEN)
        self._stack = np.zeros(shape, np.uint8)
        self._steps = self._elapsed = self._lives = 0
        self._lost_life = False
        skip = float(np.mean(self._settings.frameskip))
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": max(1, round(60 / skip))}
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.action_space = spaces.Discrete(len(self._actions))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """The next game, or the next life where a lost one ends the episode."""
        if seed is None and self._lost_life and self._settings.episodic_life:
            self._act(_NOOP, seen=self._watched)
            return self._stack.copy(), {}
        if seed is not None:
            self._random = np.random.RandomState(seed)
            ale.seed_emulator(self._emulator, self._task, seed)
        emulator = self._emulator
        emulator.reset_game()
        num_noops = self._draw(self._settings.noop_max)
        if self._settings.use_fire_reset and self._fire is not None:
            emulator.act(self._actions[self._fire])
            num_noops -= 1
        for _ in range(num_noops):
            emulator.act(self._actions[_NOOP])
            if emulator.game_over():
                emulator.reset_game()
        self._stack[:] = 0
        self._frames[1] = 0
        if self._watched:
            emulator.getScreenGrayscale(self._frames[0])
            self._see()
        self._steps = self._elapsed = 0
        self._lives, self._lost_life = emulator.lives(), False
        return self._stack.copy(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        reward, over, cut = self._act(action, seen=self._watched)
        return self._stack.copy(), reward, over, cut, {}

    def replay(self, actions: Iterable[int]) -> Array:
        """Take these steps; frames that nobody sees are not made. What is seen then.

        Raises:
            EnvironmentFailure: the episode ends on the way.
        """
        every = list(actions)
        # Older frames are pushed out of the stack; the one before gives a final step its picture.
        first_seen = len(every) - self._settings.stack_num - 1
        for index, action in enumerate(every):
            seen = self._watched and index >= first_seen
            _, over, cut = self._act(action, seen=seen)
            if over or cut:
                raise EnvironmentFailure(
                    f"{self._task.id}: the episode ends in step {index + 1} of {len(every)} that "
                    "were to be replayed: they are of another task or another version of it"
                )
        return self._stack.copy()

    def render(self) -> Any:
        """The screen in colours, as players see it: height x width x 3, uint8."""
        return self._emulator.getScreenRGB()

    def memory(self) -> Array:
        """The 128 bytes of the machine's memory, uint8."""
        return self._emulator.getRAM()

    def close(self) -> None:
        """Nothing to close."""

    def _act(self, action: int, *, seen: bool) -> tuple[float, bool, bool]:
        """Hold one action for some frames: reward, whether it ended, whether it was cut."""
        clears = self._lost_life and (
            self._settings.fire_after_life or self._settings.episodic_life
        )
        if clears:
            after_life = self._fire if self._settings.fire_after_life else _NOOP
            action = _NOOP if after_life is None else after_life
        emulator, chosen = self._emulator, self._actions[action]
        reward, over = 0, False
        self._steps += 1
        for left in range(self._num_frames(), 0, -1):
            reward += emulator.act(chosen)
            over = emulator.game_over()
            self._elapsed += 1
            if over or self._elapsed >= self._max_frames:
                break
            if seen and left <= 2:
                emulator.getScreenGrayscale(self._frames[left - 1])
        if clears:
            self._stack[:] = 0
        if seen:
            self._see()
        cut = not over and (self._elapsed >= self._max_frames or self._steps >= self._max_steps)
        lives = emulator.lives()
        self._lost_life = 0 < lives < self._lives and not over and not cut
        self._lives = lives
        ended = over or (self._lost_life and self._settings.episodic_life)
        if self._settings.reward_clipping:
            reward = min(max(reward, -1), 1)
        return float(reward), ended, cut

    def _see(self) -> None:
        """Put what the last frames show on top of the stack."""
        if self._settings.maxpool:
            np.maximum(self._frames[0], self._frames[1], out=self._frames[0])
        self._stack[:-1] = self._stack[1:]
        size = (ale.SCREEN, ale.SCREEN)
        self._stack[-1] = self._resize(self._frames[0], size, interpolation=self._area)

    def _num_frames(self) -> int:
        skip = self._settings.frameskip
        return int(self._random.randint(*skip)) if isinstance(skip, tuple) else skip

    def _draw(self, below: int) -> int:
        """A whole number from 0 on, drawn as AtariVectorEnv (on GNU's C++ library) draws it."""
        if below <= 1:
            return 0
        threshold = -below % 2**32 % below
        while True:
            product = int(self._random.randint(0, 2**32, dtype=np.uint32)) * below
            if product % 2**32 >= threshold:
                return product >> 32
