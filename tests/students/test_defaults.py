import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.students.cnn import Cnn
from rldistill.students.cnn_specs import CnnSpec
from rldistill.students.defaults import SMALLEST_WIDTH, default_spec, default_student
from rldistill.students.mlp import Mlp, num_parameters
from rldistill.students.pixels import PixelLayout
from rldistill.students.specs import MlpSpec

heads = st.one_of(
    st.integers(1, 40).map(CategoricalHead),
    st.integers(1, 40).map(QValueHead),
    *(
        st.integers(1, 20).map(lambda n, kind=kind: kind((-1.0,) * n, (1.0,) * n))
        for kind in (GaussianHead, SquashedGaussianHead, DeterministicHead)
    ),
)


@given(st.integers(1, 400), heads, st.integers(1, 10**7))
def test_the_default_student_is_the_largest_within_a_tenth_of_its_teacher(
    num_inputs, head, parameters
):
    """For every kind of head: one wider would not fit. (A CategoricalHead's for a Q-network.)"""
    spec = default_spec(num_inputs, head, parameters)
    width = spec.hidden[0]
    assert spec == MlpSpec((width, width))

    def count(width: int) -> int:
        with torch.device("meta"):
            return num_parameters(Mlp(MlpSpec((width, width)), num_inputs, head))

    assert 10 * count(width) <= parameters or width == SMALLEST_WIDTH
    assert 10 * count(width + 1) > parameters


@given(
    st.tuples(st.integers(1, 4), st.integers(5, 90), st.integers(5, 90)),
    heads,
    st.integers(1, 10**7),
)
def test_the_default_student_of_pixels_is_the_widest_within_a_tenth(shape, head, parameters):
    space = spaces.Box(0, 255, shape, np.uint8)
    spec = default_student(space, head, parameters)
    assert isinstance(spec, CnnSpec)
    (width,) = spec.hidden

    def count(width: int) -> int:
        with torch.device("meta"):
            wider = CnnSpec(spec.convolutions, (width,))
            network = Cnn(wider, PixelLayout.of(space), head)
        return sum(p.numel() for p in network.parameters())

    assert 10 * count(width) <= parameters or width == SMALLEST_WIDTH
    assert 10 * count(width + 1) > parameters


@pytest.mark.parametrize(
    ("shape", "parameters", "spec"),
    [
        ((8,), 0, "mlp:64,64"),
        ((4, 84, 84), 0, "nature:25%"),
        ((10, 10, 7), 0, "minatar"),
        # The ACKTR Atari teachers, and a PPO of 256 x 256 on MinAtar.
        ((4, 84, 84), 864_900, "cnn:16x8s4,16x4s2,16x3,fc96"),
        ((10, 10, 4), 169_475, "cnn:16x3,fc15"),
        # Too few pixels for a kernel, and no pixels at all.
        ((2, 2, 3), 4_000, "mlp:12,12"),
        ((5, 5), 10_000, "mlp:19,19"),
    ],
)
def test_what_is_seen_decides_the_kind(shape, parameters, spec):
    space = spaces.Box(0, 255, shape, np.uint8)
    assert str(default_student(space, CategoricalHead(4), parameters)) == spec
