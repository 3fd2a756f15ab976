"""Drawing without a display."""

import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def off_screen() -> Generator[None]:
    """Draw without a display: MuJoCo by EGL, pygame by its dummy driver, unless the user chose.

    MuJoCo's EGL needs a library of the system: on Debian `apt install libegl1`. Where there is
    none, MUJOCO_GL=osmesa and `apt install libosmesa6` draw on the CPU.
    """
    chosen = {"SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    if sys.platform.startswith("linux"):
        chosen["MUJOCO_GL"] = "egl"
    displayed = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    mine = {} if displayed else {k: v for k, v in chosen.items() if k not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


@contextmanager
def quiet_pygame() -> Generator[None]:
    """No greeting of pygame, and none of its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
