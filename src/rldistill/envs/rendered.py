"""One gymnasium environment of a task that draws itself: what a video is filmed of."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, final

import gymnasium
import numpy as np

from rldistill.envs.actions import action_writer
from rldistill.envs.atari import is_atari, scored, single_game
from rldistill.envs.atari_single import AtariGame
from rldistill.envs.construction import MODE, build_env, quietly
from rldistill.envs.minatar import build_minatar, is_minatar
from rldistill.envs.naming import task_names
from rldistill.envs.observations import ObservationReader
from rldistill.envs.off_screen import quiet_pygame
from rldistill.envs.seats import Seats
from rldistill.envs.seeing import PIXELS, RAM
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.envs.wrappers import import_user_module
from rldistill.errors import EnvironmentFailure, RldistillError, TaskError

Array = np.ndarray[Any, Any]


@final
class RenderedEnv:
    """One environment that is seen as policies see it, and drawn; a context manager.

    Attributes:
        info: the task as gymnasium steps it.
        teacher_observations: a batch of one, what the teacher sees now: what the student sees,
            where their views are equal.
        names: of what it shows and takes.
        frames_per_second: at which the task's makers show it; 30 where they do not say.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], limit: int, task: TaskSpec) -> None:
        self._env = env
        self.num_envs, self.observation_space = 1, env.observation_space
        self.teacher_observations = np.zeros(0)
        self._read = ObservationReader(env.observation_space)
        self._write = action_writer(env.action_space)
        self.info = TaskInfo(
            id=task.id or type(env.unwrapped).__name__,
            backend="gymnasium",
            observation_space=self._read.space,
            action_space=self._write.space,
            observation_parts=self._read.parts,
            equal_starts=True,
            max_episode_steps=limit,
        )
        self._seats = Seats(task, self.info, self, self._shows()) if task.views else None
        if self._seats is not None:
            self.info = self._seats.info
        self.names = task_names(task, self.info)
        told: Any = env.metadata.get("render_fps")
        fits = isinstance(told, int | float) and 1 <= told <= 1000
        self.frames_per_second = float(told) if fits else 30.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._env.close()

    def reset(self, seed: int) -> Array:
        """Start the episode of this seed: the first observation as a batch of one."""
        with self._named("reset"):
            raw, _ = self._env.reset(seed=seed)
            return self._look(raw, None, seed)

    def step(self, actions: Array) -> tuple[Array, float, bool]:
        """Act, with a batch of one: the observation, the reward, whether the episode ended."""
        with self._named("step"):
            raw, reward, ended, cut, _ = self._env.step(self._write(actions)[0])
            return self._look(raw, actions, None), float(reward), bool(ended or cut)

    def draw(self) -> Array:
        """The state as it is now: [height, width, 3] uint8.

        Raises:
            TaskError: the task draws something else.
        """
        with self._named("render"), quiet_pygame():
            frame: Any = self._env.render()
        picture = np.asarray(frame)
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise TaskError(
                f"{self.info.id} must draw pictures [height, width, 3]; it drew {picture.shape}"
            )
        if picture.dtype.kind == "f" and picture.max() <= 1.0:  # MinAtar's colours are shares
            picture = 255.0 * picture
        return picture.clip(0, 255).astype(np.uint8)

    def _shows(self) -> dict[str, Callable[[], Array]]:
        """What views can look at besides observations."""
        game = self._env.unwrapped
        if isinstance(game, AtariGame):
            return {RAM: lambda: game.memory()[None]}
        return {PIXELS: lambda: self.draw()[None]}

    def _look(self, raw: Any, actions: Array | None, seed: int | None) -> Array:
        """What the student sees; what the teacher sees is kept beside."""
        batch = self._batch(raw)
        if self._seats is None:
            self.teacher_observations = observations = np.array(self._read(batch))
            return observations
        starts = np.array([actions is None])
        observations, theirs = self._seats.look(batch, actions, starts, seed)
        self.teacher_observations = theirs
        return observations

    def _batch(self, raw: Any) -> Any:
        space: Any = self._env.observation_space
        return gymnasium.vector.utils.concatenate(
            space, [raw], gymnasium.vector.utils.create_empty_array(space, 1)
        )

    @contextmanager
    def _named(self, when: str) -> Generator[None]:
        try:
            yield
        except RldistillError:
            raise
        except Exception as error:
            raise EnvironmentFailure(
                f"{self.info.id} raised in {when}: {type(error).__name__}: {error}.{_advice(error)}"
            ) from error


def open_rendered(task: TaskSpec) -> RenderedEnv:
    """The task on gymnasium, drawing itself; envpool, which steps faster, cannot draw.

    Raises:
        TaskError: the task cannot draw itself, or gymnasium does not have it.
        RldistillError: as make.
    """
    if task.vector_env is not None:
        raise TaskError(
            "a live vector environment cannot be filmed: give an id, or a function that makes one "
            "environment with render_mode='rgb_array'"
        )
    for module in task.imports:
        import_user_module(module)
    if (own := _of_its_own(task)) is not None:
        return own
    asked = task
    if task.factory is None:
        kwargs = {**task.env_kwargs, "render_mode": MODE}
        asked = replace(task, env_kwargs=kwargs, backend="gymnasium")
    try:
        with quietly(asked, []), quiet_pygame():
            env, limit, _ = build_env(asked)
    except TaskError as error:
        if "render" not in str(error):
            raise
        raise TaskError(f"{task.id} cannot draw itself: {error}") from error
    if env.render_mode != MODE:
        env.close()
        raise TaskError(
            f"{task.id or 'the task'} cannot draw itself: its render_mode is {env.render_mode!r} "
            f"and must be {MODE!r}"
        )
    _follow_body(env, task)
    return RenderedEnv(env, limit, task)


def _of_its_own(task: TaskSpec) -> RenderedEnv | None:
    """Atari and MinAtar as they are played, which gymnasium does not have; None for others."""
    if task.is_live or task.wrapper is not None:
        return None
    if is_minatar(task.id) and task.backend in ("auto", "minatar"):
        game, limit, _ = build_minatar(task)
        return RenderedEnv(game, limit, task)
    if is_atari(task.id) and task.backend in ("auto", "ale"):
        screen, limit, _ = single_game(scored(task))
        return RenderedEnv(screen, limit, task)
    return None


def _follow_body(env: gymnasium.Env[Any, Any], task: TaskSpec) -> None:
    """Let MuJoCo's camera go with the body: gymnasium's own stands still while a cheetah leaves."""
    module: Any = sys.modules.get("gymnasium.envs.mujoco.mujoco_env")
    body: Any = env.unwrapped
    if module is None or not isinstance(body, module.MujocoEnv):
        return
    if {"camera_id", "camera_name", "default_camera_config"}.isdisjoint(task.env_kwargs):
        mujoco: Any = sys.modules["mujoco"]
        camera = mujoco.mj_name2id(body.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
        body.mujoco_renderer.camera_id = camera  # -1, the free camera, where there is none


def _advice(error: Exception) -> str:
    """What to do where OpenGL is what is missing."""
    words = f"{type(error).__name__} {error} {error.__cause__ or ''}".lower()
    if any(part in words for part in ("egl", "opengl", "glfw", "osmesa", "display", "glgeterror")):
        return (
            " Without a display MuJoCo draws by EGL (on Debian: apt install libegl1), or on the "
            "CPU with MUJOCO_GL=osmesa (apt install libosmesa6)"
        )
    return ""
