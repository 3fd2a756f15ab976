import base64
import json
import os
import pickle as python_pickle

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rldistill.teachers.spaces import SpaceRecord, record_of_json, record_of_space

save_util = pytest.importorskip("stable_baselines3.common.save_util")


def stored(space: spaces.Space) -> dict:
    """The entry that stable-baselines3 writes for a space."""
    return json.loads(save_util.data_to_json({"space": space}))["space"]


BOXES = [
    spaces.Box(-2.0, 2.0, (1,), np.float32),
    spaces.Box(np.float32([-0.4, -1.5, 0.0]), np.float32([0.4, 7.25, 1e-3]), dtype=np.float32),
    spaces.Box(-np.inf, np.inf, (17,), np.float64),
    spaces.Box(-1.0, 1.0, (2, 3), np.float32),
]


@pytest.mark.parametrize("space", BOXES, ids=str)
def test_a_box_is_read_from_its_printed_bounds(space):
    entry = stored(space) | {":serialized:": ""}
    assert record_of_json(entry) == record_of_space(space)


@pytest.mark.parametrize("space", BOXES, ids=str)
def test_a_box_without_printed_bounds_is_read_from_its_pickled_arrays(space):
    entry = stored(space) | {"low": None, "high": "[-1. ... 1.]"}
    assert record_of_json(entry) == record_of_space(space)


def test_a_large_box_is_whole_although_numpy_prints_dots():
    space = spaces.Box(-1.0, np.arange(2_000, dtype=np.float32), dtype=np.float32)
    entry = stored(space)
    assert "..." in entry["high"]
    assert record_of_json(entry) == record_of_space(space)


@pytest.mark.parametrize("n", [2, "2"])
def test_a_discrete_space_is_read_old_and_new(n):
    """gym wrote its size as a number, gymnasium as text."""
    entry = {":type:": "<class 'gym.spaces.discrete.Discrete'>", "n": n}
    assert record_of_json(entry) == SpaceRecord("Discrete", count=2)
    assert record_of_json(stored(spaces.Discrete(2))).count == 2


def test_other_spaces_keep_their_kind():
    assert record_of_json(stored(spaces.MultiDiscrete([2, 3]))).kind == "MultiDiscrete"
    assert record_of_json(stored(spaces.Dict(a=spaces.Discrete(2)))).kind == "Dict"
    assert record_of_space(spaces.MultiBinary(3)).kind == "MultiBinary"


def test_pixels_are_recognised():
    assert record_of_json(stored(spaces.Box(0, 255, (3, 8, 8), np.uint8))).is_image
    assert not record_of_json(stored(spaces.Box(0, 255, (8,), np.uint8))).is_image


def test_a_payload_in_place_of_a_space_never_runs(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'run'}",)

    entry = stored(BOXES[0]) | {"low": "", "high": ""}
    entry[":serialized:"] = base64.b64encode(python_pickle.dumps(Payload())).decode()
    found = record_of_json(entry)
    assert (found.low, found.high) == (None, None)
    assert not (tmp_path / "run").exists()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    json_values, st.sampled_from(["low", "high", "_shape", "n", "dtype", ":type:", ":serialized:"])
)
def test_nonsense_is_unknown_rather_than_an_error(value, key):
    record_of_json(stored(BOXES[0]) | {key: value})
    record_of_json(value)
