"""Frames of a video: two pictures side by side, each with what its policy did written on it."""

from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[Any]
SIDE_HEIGHT = 264  # pixels of one picture, without its words
WIDEST = 480
HEAD, FOOT = 24, 44  # pixels for words above and below
GAP = 4
PAPER, INK, FAINT = (24, 24, 27), (250, 250, 250), (170, 170, 178)
# The colours of the two in all figures, lighter, for they stand on a dark ground.
NAMES = {"teacher": (255, 155, 82), "student": (86, 180, 233)}


@final
@dataclass(frozen=True, slots=True)
class Shown:
    """One side of a frame.

    Attributes:
        name: "teacher" or "student".
        picture: [height, width, 3] uint8.
        returned: the sum of rewards so far.
        step: environment steps so far.
        action: the one just taken, in words; "" before the first.
        over: the episode has ended.
    """

    name: str
    picture: Array
    returned: float
    step: int
    action: str
    over: bool


def fitted_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture is shown: both even, neither too large nor too small.

    >>> fitted_size(400, 600), fitted_size(10, 10)
    ((264, 396), (264, 264))
    """
    scale = min(SIDE_HEIGHT / height, WIDEST / width)
    return 2 * max(8, round(height * scale / 2)), 2 * max(8, round(width * scale / 2))


def join_sides(left: Shown, right: Shown) -> Array:
    """One frame [height, width, 3] uint8 of even sizes."""
    sides = [_side(shown) for shown in (left, right)]
    height = max(side.height for side in sides)
    frame = Image.new("RGB", (sides[0].width + GAP + sides[1].width, height), PAPER)
    frame.paste(sides[0], (0, 0))
    frame.paste(sides[1], (sides[0].width + GAP, 0))
    return np.asarray(frame)


def _side(shown: Shown) -> Image.Image:
    height, width = fitted_size(*shown.picture.shape[:2])
    wide = max(width, 220)  # so that the words fit
    side = Image.new("RGB", (wide, HEAD + height + FOOT), PAPER)
    # Pixels of small pictures stay squares.
    small = shown.picture.shape[0] * 2 <= height
    how = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    picture = Image.fromarray(shown.picture).resize((width, height), how)
    side.paste(picture, ((wide - width) // 2, HEAD))
    draw = ImageDraw.Draw(side)
    draw.text((8, 3), shown.name, NAMES.get(shown.name, INK), _font(15))
    if shown.over:
        draw.text((wide - 8, 5), "episode over", FAINT, _font(13), anchor="ra")
    below = HEAD + height
    draw.text((8, below + 4), f"return {shown.returned:.5g}", INK, _font(14))
    draw.text((wide - 8, below + 5), f"step {shown.step}", FAINT, _font(13), anchor="ra")
    draw.text((8, below + 23), shown.action[:46], FAINT, _font(13))
    return side


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
