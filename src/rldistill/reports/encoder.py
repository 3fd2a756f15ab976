"""Frames as an MP4 that every browser plays; the only file that imports imageio's ffmpeg.

The encoder is found by imageio-ffmpeg and fed here: imageio's own writer leaves its pipe open when
the encoder gives up, and does not say why.
"""

import contextlib
import itertools
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rldistill.errors import RldistillError, RunFolderError, SettingError, require
from rldistill.runs import storage_advice

Array = NDArray[Any]
EXTRA = "report"


class EncoderError(RldistillError):
    """The video encoder could not do its work."""


def require_encoder() -> Any:
    """imageio's ffmpeg, asked for before anything is played.

    Raises:
        MissingExtraError: it is not installed.
        EncoderError: it is, and has no ffmpeg for this machine.
    """
    module = require("imageio_ffmpeg", extra=EXTRA)
    try:
        module.get_ffmpeg_exe()
    except RuntimeError as error:
        raise EncoderError(
            f"imageio-ffmpeg has no ffmpeg for this machine: {error}; install one and name it in "
            "IMAGEIO_FFMPEG_EXE"
        ) from error
    return module


def write_video(path: Path, frames: Iterable[Array], per_second: float, most_bytes: int) -> int:
    """Encode frames [height, width, 3] uint8 of one even size as H.264; returns how many.

    The file is whole or not there: it is written beside its place, then renamed.

    Args:
        path: of the video.
        frames: at least one.
        per_second: frames shown in a second.
        most_bytes: of the file.

    Raises:
        SettingError: no frame, or frames of odd or different sizes.
        EncoderError: the encoder failed, or the file became too large.
        RunFolderError: the file cannot be written.
    """
    module = require_encoder()
    if not path.parent.is_dir():
        raise RunFolderError(f"there is no folder {path.parent}")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial.mp4")
    try:
        count = _encode(module, partial, iter(frames), per_second)
        size = partial.stat().st_size
        if size > most_bytes:
            raise EncoderError(
                f"the video has {size:,} bytes and may have {most_bytes:,}: film fewer seconds"
            )
        partial.replace(path)
    except OSError as error:
        raise RunFolderError(storage_advice(error, path)) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _encode(module: Any, partial: Path, frames: Iterator[Array], per_second: float) -> int:
    first = next(frames, None)
    if first is None:
        raise SettingError("a video needs at least one frame")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise SettingError(f"frames must have even sizes; got {width}x{height}")
    command = [
        module.get_ffmpeg_exe(), "-v", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{per_second:g}",
        "-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p",
        # A quality that reads well, and a rate above which it may not go: a second of noise must
        # not take the place of all the others.
        "-crf", "24", "-preset", "veryfast", "-maxrate", "900k", "-bufsize", "900k",
        "-movflags", "+faststart", "-threads", "2", str(partial),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as told:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told
            )
        except OSError as error:
            raise EncoderError(
                f"the video encoder {command[0]} cannot be started: {error.strerror or error}; "
                "IMAGEIO_FFMPEG_EXE names another"
            ) from error
        count = 0
        # A pipe that breaks is an encoder that has given up, and says why.
        with contextlib.suppress(BrokenPipeError), process:
            assert process.stdin is not None, "it is a pipe"
            for frame in itertools.chain((first,), frames):
                if frame.shape != first.shape:
                    process.kill()
                    raise SettingError(
                        f"frames must have one size; got {frame.shape} after {first.shape}"
                    )
                process.stdin.write(frame.tobytes())
                count += 1
        if process.returncode != 0:
            told.seek(0)
            why = told.read(2000).decode(errors="replace").strip()
            raise EncoderError(f"the video encoder failed: {why or process.returncode}")
    return count
