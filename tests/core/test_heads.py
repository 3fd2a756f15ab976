import json
import math

import numpy as np
import pytest
import torch
from fake_policies import HEADS
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rldistill.core import (
    Categorical,
    CategoricalHead,
    DeterministicHead,
    Gaussian,
    GaussianHead,
    QValueHead,
    SquashedGaussian,
    SquashedGaussianHead,
    head_for,
    head_from_json,
    head_to_json,
)
from rldistill.errors import SettingError, TaskError

BOX = spaces.Box(np.float32([-1, 0]), np.float32([1, 4]))
UNBOUNDED = spaces.Box(-np.inf, np.inf, (2,))
bound = st.floats(allow_nan=False, allow_infinity=False, width=32)
bounds = st.lists(
    st.tuples(bound | st.just(-math.inf), bound | st.just(math.inf)).filter(lambda x: x[0] <= x[1]),
    min_size=1,
    max_size=5,
).map(lambda pairs: tuple(zip(*pairs, strict=True)))
heads = st.one_of(
    st.integers(1, 1000).map(CategoricalHead),
    st.integers(1, 1000).map(QValueHead),
    *(bounds.map(lambda x, kind=kind: kind(*x)) for kind in (GaussianHead, DeterministicHead)),
    bounds.map(lambda x: SquashedGaussianHead(*x)),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_reads_as_many_outputs_as_it_says(head):
    out = head(torch.zeros(5, head.num_outputs))
    assert len(out.mode()) == 5


def test_mean_comes_before_log_std():
    for head in (GaussianHead((0.0,), (1.0,)), SquashedGaussianHead((0.0,), (1.0,))):
        out = head(torch.tensor([[2.0, -3.0]]))
        assert isinstance(out, Gaussian | SquashedGaussian)
        assert (out.mean.item(), out.log_std.item()) == (2.0, -3.0)


def test_the_values_of_a_q_head_are_its_logits():
    out = QValueHead(2)(torch.tensor([[5.0, 7.0]]))
    assert isinstance(out, Categorical)
    assert out.logits.tolist() == [[5.0, 7.0]]


@given(heads)
def test_heads_round_trip_through_json_text(head):
    """Infinite bounds too, which JSON cannot hold."""
    text = json.dumps(head_to_json(head), allow_nan=False)
    assert head_from_json(json.loads(text)) == head


@given(
    json_values
    | st.fixed_dictionaries(
        {"kind": st.sampled_from(sorted(HEADS)) | json_values},
        optional={"num_actions": json_values, "low": json_values, "high": json_values},
    )
)
def test_a_hostile_head_is_a_setting_error_or_a_head(record):
    """No other exception, whatever the JSON."""
    try:
        head = head_from_json(record)
    except SettingError:
        return
    assert head_from_json(head_to_json(head)) == head


@pytest.mark.parametrize(
    "record",
    [
        None, [], {}, {"kind": ["categorical"]}, {"kind": "CategoricalHead", "num_actions": 2},
        {"kind": "categorical", "num_actions": 0}, {"kind": "categorical", "num_actions": True},
        {"kind": "categorical", "num_actions": 10**12}, {"kind": "gaussian", "low": [0]},
        {"kind": "gaussian", "low": [], "high": []}, {"kind": "gaussian", "low": [0], "high": []},
        {"kind": "gaussian", "low": [2], "high": [1]},
        {"kind": "gaussian", "low": ["0"], "high": [1]},
        {"kind": "gaussian", "low": [math.nan], "high": [1]},
        {"kind": "deterministic", "low": [0], "high": [10**400]},
    ],
)  # fmt: skip
def test_what_is_not_a_head_is_refused(record):
    with pytest.raises(SettingError, match="head"):
        head_from_json(record)


@pytest.mark.parametrize("like", [None, CategoricalHead(4), QValueHead(4)])
def test_a_student_of_discrete_actions_has_logits(like):
    assert head_for(spaces.Discrete(4), like) == CategoricalHead(4)


@pytest.mark.parametrize(
    "like",
    [
        CategoricalHead(3),
        GaussianHead((0.0, 0.0), (1.0, 1.0)),  # four raw outputs, like four actions
        DeterministicHead((0.0,) * 4, (1.0,) * 4),
    ],
)
def test_a_teacher_of_other_actions_than_four_is_refused(like):
    with pytest.raises(TaskError, match="the task has 4 discrete actions"):
        head_for(spaces.Discrete(4), like)


@pytest.mark.parametrize("kind", [GaussianHead, SquashedGaussianHead, DeterministicHead])
def test_a_student_on_a_box_is_of_its_teachers_family_with_the_tasks_bounds(kind):
    assert head_for(BOX, kind((-9.0, -9.0), (9.0, 9.0))) == kind((-1.0, 0.0), (1.0, 4.0))


def test_without_a_teacher_a_student_on_a_box_is_gaussian():
    assert head_for(UNBOUNDED) == GaussianHead((-math.inf,) * 2, (math.inf,) * 2)


@pytest.mark.parametrize(
    ("space", "like", "message"),
    [
        (BOX, QValueHead(2), "chooses among discrete actions"),
        (BOX, GaussianHead((0.0,), (1.0,)), "have size 1, the task's 2"),
        (UNBOUNDED, SquashedGaussianHead((0.0, 0.0), (1.0, 1.0)), "needs finite action bounds"),
        (spaces.MultiBinary(3), None, "must be Discrete or a flat Box"),
    ],
)
def test_a_space_that_is_not_the_teachers_is_refused(space, like, message):
    with pytest.raises(TaskError, match=message):
        head_for(space, like)
