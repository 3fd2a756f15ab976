"""Conditions in words become intervals of float32."""

import numpy as np
import pytest

from rldistill.errors import SettingError
from rldistill.explain.boxes import LARGEST, Box
from rldistill.explain.conditions import box_of, read_conditions

NAMES = {"speed": 0, "knee angle + 1": 1, "target - tip": 2}


def find(text: str) -> int:
    return NAMES[text] if text in NAMES else int(text)


@pytest.mark.parametrize(
    ("text", "index", "low", "high"),
    [
        ("speed <= 0.5", 0, -LARGEST, 0.5),
        ("speed >= 0.5", 0, 0.5, LARGEST),
        ("speed < 0.5", 0, -LARGEST, np.nextafter(np.float32(0.5), np.float32(0))),
        ("0.5 < speed", 0, np.nextafter(np.float32(0.5), np.float32(1)), LARGEST),
        ("0.5 >= speed", 0, -LARGEST, 0.5),
        ("knee angle + 1 = 0.1", 1, np.float32(0.1), np.float32(0.1)),
        ("2 == 0.5", 2, 0.5, 0.5),
        ("target - tip>-1e-3", 2, np.nextafter(np.float32(-0.001), np.float32(0)), LARGEST),
        ("1 < 2", 1, -LARGEST, np.nextafter(np.float32(2), np.float32(0))),
    ],
)  # fmt: skip
def test_one_condition(text: str, index: int, low: float, high: float) -> None:
    (one,) = read_conditions(text, find)
    assert (one.index, one.low, one.high) == (index, np.float32(low), np.float32(high))


def test_several_are_joined() -> None:
    conditions = read_conditions("0 < speed <= 1 and target - tip > 2; 1 < 3", find)
    box = box_of(conditions, Box.everything(3))
    assert box.low.tolist()[::2] == [np.nextafter(np.float32(0), np.float32(1)),
                                     np.nextafter(np.float32(2), np.float32(3))]  # fmt: skip
    assert box.high[0] == 1
    assert box.high[1] < 3
    tight = box_of(read_conditions("speed <= 0.5", find), box)
    assert (tight.high[0], box.high[0]) == (0.5, 1.0)


@pytest.mark.parametrize("text", ["0 < speed > 1", "0 = speed = 1", "1 > speed < 2"])
def test_signs_that_point_apart_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="both signs must point the same way"):
        read_conditions(text, find)


@pytest.mark.parametrize("text", ["speed", "speed <", "< 1", "1 < speed < 2 < 3", "", "a" * 2000])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="condition"):
        read_conditions(text, find)
