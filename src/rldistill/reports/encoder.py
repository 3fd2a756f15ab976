"""Frames as an MP4 that every browser plays; the only file that imports imageio's ffmpeg."""

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
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
        # A pipe that breaks is an encoder that gave up: for want of room, most likely.
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
    writer: Any = module.write_frames(
        str(partial),
        (width, height),
        fps=per_second,
        codec="libx264",
        pix_fmt_out="yuv420p",
        macro_block_size=2,
        ffmpeg_log_level="error",
        # A quality that reads well, and a rate above which it may not go: a second of noise must
        # not take the place of all the others.
        output_params=[
            "-crf", "24", "-preset", "veryfast", "-maxrate", "900k", "-bufsize", "900k",
            "-movflags", "+faststart", "-threads", "2",
        ],
    )  # fmt: skip
    count = 0
    try:
        writer.send(None)
        frame: Array | None = first
        while frame is not None:
            if frame.shape != first.shape:
                raise SettingError(f"frames must have one size; got {frame.shape}, {first.shape}")
            writer.send(np.ascontiguousarray(frame))
            count += 1
            frame = next(frames, None)
        writer.close()
    except (RuntimeError, BrokenPipeError, StopIteration) as error:
        raise EncoderError(f"the video encoder failed: {error}") from error
    finally:
        writer.close()
    if not partial.exists() or partial.stat().st_size == 0:
        raise EncoderError("the video encoder wrote nothing: is there room on the disk?")
    return count
