import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rldistill.envs.actions import action_writer, all_finite
from rldistill.errors import NotFiniteError, ShapeError, TaskError


def test_indices_are_shifted_to_where_the_space_starts() -> None:
    """0..2 -> 3..5, and the space that policies see starts at 0."""
    write = action_writer(spaces.Discrete(3, start=3))
    assert write(np.array([0, 2, 1])).tolist() == [3, 5, 4]
    assert write.space == spaces.Discrete(3)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_any_integer_dtype_is_an_index(dtype: type) -> None:
    """What torch or a table gives: int64 comes out."""
    written = action_writer(spaces.Discrete(3))(np.array([0, 2], dtype))
    assert written.dtype == np.int64
    assert written.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("actions", "match"),
    [
        (np.array([0, 3]), r"lie in 0\.\.2; got 0\.\.3"),
        (np.array([-1, 0]), r"lie in 0\.\.2; got -1\.\.0"),
        (np.array([0.0, 1.0]), "float64"),
        (np.array([[0], [1]]), r"shape \(2, 1\)"),
    ],
)
def test_wrong_indices_are_named(actions: np.ndarray, match: str) -> None:
    """Too large, negative, not integers, not a vector."""
    with pytest.raises(ShapeError, match=match):
        action_writer(spaces.Discrete(3))(actions)


def test_vectors_take_the_shape_and_dtype_of_the_space() -> None:
    """[B, 6] float32 -> [B, 2, 3] float64, row by row."""
    write = action_writer(spaces.Box(-1, 1, (2, 3), np.float64))
    assert write.space == spaces.Box(-1, 1, (6,), np.float32)
    actions = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)
    written = write(actions)
    assert (written.shape, written.dtype) == ((2, 2, 3), np.float64)
    np.testing.assert_array_equal(written.reshape(2, 6), actions)


@given(hnp.arrays(np.float32, (3, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_what_is_written_lies_in_the_environments_own_bounds(actions: np.ndarray) -> None:
    """Also where a float64 bound has no exact float32: the environment may check."""
    space = spaces.Box(np.array([-0.1, 0.3]), np.array([0.1, 0.7]), dtype=np.float64)
    written = action_writer(space)(actions)
    assert all(row in space for row in written)
    inside = (actions > space.low) & (actions < space.high)
    np.testing.assert_array_equal(written[inside], actions[inside])


def test_infinite_bounds_do_not_clip() -> None:
    """Each side by itself."""
    space = spaces.Box(np.float32([-np.inf, -1]), np.float32([1, np.inf]))
    written = action_writer(space)(np.float32([[-1e9, -1e9], [1e9, 1e9]]))
    assert written.tolist() == [[-1e9, -1], [1, 1e9]]
    free = action_writer(spaces.Box(-np.inf, np.inf, (1,)))
    assert free(np.float32([[1e9]])).tolist() == [[1e9]]


@pytest.mark.parametrize("bound", [1.0, np.inf])
def test_vectors_have_the_environments_dtype_with_and_without_bounds(bound: float) -> None:
    write = action_writer(spaces.Box(-bound, bound, (1,), np.float64))
    assert write(np.float32([[0.5]])).dtype == np.float64


def test_the_given_array_is_left_alone() -> None:
    """Clipping makes a new array: the action that is stored is the one that was chosen."""
    actions = np.float32([[5.0]])
    action_writer(spaces.Box(-1, 1, (1,)))(actions)
    assert actions.tolist() == [[5.0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_a_number_is_the_policys_fault(bad: float) -> None:
    """Named before the environment sees it."""
    with pytest.raises(NotFiniteError, match="the policy's output"):
        action_writer(spaces.Box(-1, 1, (2,)))(np.float32([[0, bad]]))


def test_vectors_of_another_size_are_refused() -> None:
    """What came, what is required."""
    with pytest.raises(ShapeError, match=r"\[B, 2\].* got \(4, 3\)"):
        action_writer(spaces.Box(-1, 1, (2,)))(np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(3),
        spaces.Box(0, 255, (2,), np.uint8),
        spaces.Dict({"a": spaces.Discrete(2)}),
    ],
    ids=str,
)
def test_other_action_spaces_are_refused(space: spaces.Space) -> None:
    """With the space and a way out."""
    with pytest.raises(TaskError, match="give a wrapper"):
        action_writer(space)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(max_dims=2),
        elements={"allow_nan": True, "allow_infinity": True},
    )
)
def test_all_finite_agrees_with_looking_at_each_entry(values: np.ndarray) -> None:
    """Whatever the values: overflow of the fast sum must not count as infinite."""
    assert all_finite(values) == bool(np.isfinite(values).all())
