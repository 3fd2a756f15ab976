from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array

from rldistill.envs.observations import ObservationReader
from rldistill.errors import EnvironmentFailure, TaskError

BOX = spaces.Box(-1, 1, (2, 3), np.float64)
SPACES = {
    "flat": spaces.Box(-1, 1, (4,), np.float32),
    "float64 table": BOX,
    "integers": spaces.Box(0, 9, (3,), np.int64),
    "one axis of uint8": spaces.Box(0, 255, (5,), np.uint8),
    "discrete": spaces.Discrete(4),
    "discrete from 3": spaces.Discrete(4, start=3),
    "multidiscrete": spaces.MultiDiscrete([2, 3]),
    "multidiscrete from (5, -1)": spaces.MultiDiscrete([2, 3], start=[5, -1]),
    "multidiscrete table": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "multibinary": spaces.MultiBinary(5),
    "dict": spaces.Dict({"b": BOX, "a": spaces.Discrete(3), "c": spaces.MultiBinary(2)}),
    "tuple": spaces.Tuple((spaces.Discrete(3, start=1), BOX)),
    "nested": spaces.Dict(
        {"z": spaces.Tuple((BOX, spaces.Discrete(2))), "a": spaces.Dict({"y": BOX, "x": BOX})}
    ),
    "dict with pixels": spaces.Dict({"p": spaces.Box(0, 255, (4, 4, 1), np.uint8), "n": BOX}),
}


def batch_of(space: spaces.Space[Any], size: int) -> tuple[list[Any], Any]:
    """Samples, and the same as gymnasium's vector environments batch them."""
    space.seed(0)
    samples = [space.sample() for _ in range(size)]
    return samples, concatenate(space, samples, create_empty_array(space, size))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_batch_is_what_gymnasium_flattens_one_by_one(space: spaces.Space[Any]) -> None:
    """Row i equals gymnasium.spaces.flatten of sample i, in float32."""
    samples, batch = batch_of(space, 7)
    reader = ObservationReader(space)
    got = reader(batch)
    expected = np.stack([spaces.flatten(space, sample) for sample in samples])
    assert got.dtype == np.float32
    assert got.shape[1:] == reader.space.shape
    np.testing.assert_allclose(got, expected.astype(np.float32))
    assert all(row in reader.space for row in got)


def test_the_parts_of_a_dict_say_where_each_entry_lies() -> None:
    """Keys sorted; nested names joined by dots; the slices cover the vector."""
    space = SPACES["nested"]
    samples, batch = batch_of(space, 1)
    reader = ObservationReader(space)
    assert [part.name for part in reader.parts] == ["a.x", "a.y", "z.0", "z.1"]
    x, y, z0, z1 = (reader(batch)[0, part.start : part.stop] for part in reader.parts)
    np.testing.assert_allclose(x, samples[0]["a"]["x"].ravel(), rtol=1e-6)
    np.testing.assert_allclose(y, samples[0]["a"]["y"].ravel(), rtol=1e-6)
    np.testing.assert_allclose(z0, samples[0]["z"][0].ravel(), rtol=1e-6)
    assert z1.argmax() == samples[0]["z"][1]
    assert ObservationReader(SPACES["flat"]).parts == ()


@pytest.mark.parametrize("shape", [(84, 84, 3), (4, 84, 84), (8, 8)])
def test_pixels_stay_uint8_in_their_shape(shape: tuple[int, ...]) -> None:
    """The very same array comes back: no float, no copy."""
    reader = ObservationReader(spaces.Box(0, 255, shape, np.uint8))
    batch = np.zeros((2, *shape), np.uint8)
    assert reader(batch) is batch
    assert (reader.space.dtype, reader.space.shape) == (np.uint8, shape)


def test_flat_float32_is_not_copied() -> None:
    """The hot path of most tasks."""
    batch = np.zeros((2, 4), np.float32)
    assert ObservationReader(SPACES["flat"])(batch) is batch


def test_bounds_that_cannot_be_meant_are_none() -> None:
    """numeric_limits<float>::min and ::max, overflowing float64 and crossed bounds mean nothing."""
    tiny, largest = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    low = np.array([tiny, -largest, -1e300, -2.0, 0.0])
    high = np.array([largest, largest, 1e300, 3.0, 1.0])
    space = ObservationReader(spaces.Box(low, high, dtype=np.float64)).space
    assert space.low.tolist() == [-np.inf, -np.inf, -np.inf, -2.0, 0.0]
    assert space.high.tolist() == [np.inf, np.inf, np.inf, 3.0, 1.0]


def test_a_space_without_a_size_is_refused_with_its_place() -> None:
    """Text inside a Dict is named by its key."""
    space = spaces.Dict({"position": BOX, "mission": spaces.Text(5)})
    with pytest.raises(TaskError, match="at 'mission'; give a wrapper"):
        ObservationReader(space)


def test_observations_of_another_size_than_declared_are_refused() -> None:
    """The environment's own mistake is named as such, for one box and for a Dict."""
    with pytest.raises(EnvironmentFailure, match=r"have shape \(5,\), .* declares \(4,\)"):
        ObservationReader(SPACES["flat"])(np.zeros((2, 5), np.float32))
    with pytest.raises(EnvironmentFailure, match=r"have shape \(7,\), .* declares \(6,\)"):
        ObservationReader(BOX)(np.zeros((2, 7)))
