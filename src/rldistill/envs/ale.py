"""The Arcade Learning Environment: games, ROMs, emulators. The only file that imports ale_py."""

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path
from typing import Any

from rldistill.envs.atari_settings import AtariSettings, AtariTask
from rldistill.errors import TaskError, did_you_mean, require

SCREEN = 84  # height and width of what a policy sees
FIRE = "FIRE"

# Their ROMs are games for two; ale-py registers none of them.
_FOR_TWO = ("combat", "joust", "maze_craze", "warlords")


def is_installed() -> bool:
    """Whether ale-py can be imported, without importing it."""
    return importlib.util.find_spec("ale_py") is not None


def games() -> dict[str, str]:
    """Every game, by the name that ids have, and the name of its ROM.

    Raises:
        MissingExtraError: ale-py is not installed.
    """
    known = require("ale_py.roms", extra="atari").get_all_rom_ids()
    return {rom.title().replace("_", ""): rom for rom in sorted(known) if rom not in _FOR_TWO}


def find_rom(task: AtariTask) -> Path:
    """Where the ROM of a task's game lies.

    Raises:
        TaskError: there is no such game, or its ROM is missing or another one.
        MissingExtraError: ale-py is not installed.
    """
    known = games()
    if task.game not in known:
        raise TaskError(
            f"{task.id}: ale-py has no game {task.game!r}.{did_you_mean(task.game, known)} "
            'Games are written as in "ALE/MsPacman-v5"'
        )
    roms = require("ale_py.roms", extra="atari")
    try:
        # It prints a line where ALE_ROMS_DIR is set.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Path(roms.get_rom_path(known[task.game]))
    except OSError as error:
        raise TaskError(
            f"{task.id}: the ROM {known[task.game]}.bin is missing, or not the one that ale-py "
            f"expects ({error}); ale-py brings all ROMs: install it again, or correct the folder "
            "that the variable ALE_ROMS_DIR names"
        ) from error


def open_vector(task: AtariTask, num_envs: int, max_frames: int, num_threads: int) -> Any:
    """ale-py's AtariVectorEnv: lives and the cutting of rewards are left to us.

    Its episodic_life would start the whole game anew after each life (ale-py 0.12.1), and its
    reward_clipping is on unless told otherwise.
    """
    find_rom(task)
    settings = task.settings
    assert isinstance(settings.frameskip, int), "single emulators serve random frame skips"
    return require("ale_py.vector_env", extra="atari").AtariVectorEnv(
        games()[task.game],
        num_envs,
        num_threads=num_threads,
        max_num_frames_per_episode=max_frames,
        repeat_action_probability=settings.repeat_action_probability,
        full_action_space=settings.full_action_space,
        img_height=SCREEN,
        img_width=SCREEN,
        stack_num=settings.stack_num,
        frameskip=settings.frameskip,
        maxpool=settings.maxpool,
        noop_max=settings.noop_max,
        episodic_life=False,
        reward_clipping=False,
        use_fire_reset=settings.use_fire_reset,
    )


def open_emulator(task: AtariTask, seed: int) -> Any:
    """One ALEInterface with the task's ROM, seeded; sticky actions are its own."""
    ale_py = require("ale_py", extra="atari")
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    emulator = ale_py.ALEInterface()
    sticky = float(task.settings.repeat_action_probability)
    emulator.setFloat("repeat_action_probability", sticky)
    emulator.setInt("max_num_frames_per_episode", 0)  # none: the task counts frames itself
    seed_emulator(emulator, task, seed)
    return emulator


def seed_emulator(emulator: Any, task: AtariTask, seed: int) -> None:
    """Start an emulator's randomness anew; it needs its ROM again for that."""
    emulator.setInt("random_seed", seed)
    emulator.loadROM(find_rom(task))


def action_set(emulator: Any, settings: AtariSettings) -> list[Any]:
    """The emulator's actions in the order of a policy's."""
    if settings.full_action_space:
        return list(emulator.getLegalActionSet())
    return list(emulator.getMinimalActionSet())
