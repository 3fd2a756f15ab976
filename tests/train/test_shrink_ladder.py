"""The ladder: it begins at a tenth of the teacher and falls."""

import numpy as np
import pytest
from gymnasium import spaces

from rldistill.core import CategoricalHead, PolicyInfo
from rldistill.errors import RldistillError, SettingError
from rldistill.students.build import make_student
from rldistill.train import shrink_ladder
from rldistill.train.shrink_ladder import check_ladder, default_ladder
from rldistill.train.shrink_settings import Budget

NUMBERS = spaces.Box(-np.inf, np.inf, (8,), np.float32)
PIXELS = spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = spaces.Discrete(4)


def teacher(parameters, space):
    return PolicyInfo(
        name="t",
        framework="test",
        observation_shape=space.shape,
        head=CategoricalHead(4),
        acting_parameters=parameters,
        parameters=parameters,
        fingerprint="",
        source="",
    )


@pytest.mark.parametrize(("space", "count"), [(NUMBERS, 4996), (PIXELS, 1_700_000)])
def test_networks_fall_from_a_tenth_of_the_teacher(space, count):
    ladder = default_ladder(space, teacher(count, space), Budget.PARAMS)
    networks = [spec for spec in ladder if not spec.startswith("tree")]
    sizes = [
        make_student(spec, space, ACTIONS, CategoricalHead(4)).info.acting_parameters
        for spec in networks
        if spec != "mlp:linear"
    ]
    assert sizes[0] <= count / 10
    assert sizes == sorted(set(sizes), reverse=True)
    assert len(sizes) >= 4


def test_numbers_have_linear_and_trees_where_they_can_be_grown(monkeypatch):
    ladder = default_ladder(NUMBERS, teacher(4996, NUMBERS), Budget.PARAMS)
    assert {"mlp:16,16", "mlp:linear", "tree:8"} <= set(ladder)
    monkeypatch.setattr(shrink_ladder, "find_spec", lambda name: None)
    ladder = default_ladder(NUMBERS, teacher(4996, NUMBERS), Budget.PARAMS)
    assert not any(spec.startswith("tree") for spec in ladder)


def test_latency_has_networks_of_one_layer():
    ladder = default_ladder(NUMBERS, teacher(4996, NUMBERS), Budget.LATENCY)
    assert "mlp:16" in ladder


@pytest.mark.parametrize("ladder", [("mlp:8", "mlp:8,tanh"), ("mpl:8",), ("nature:7%",)])
def test_a_ladder_that_cannot_be_climbed_is_refused(ladder):
    with pytest.raises(RldistillError):
        check_ladder(ladder, NUMBERS, ACTIONS, teacher(4996, NUMBERS))


def test_the_same_student_by_two_names_is_refused():
    with pytest.raises(SettingError, match="names a student twice"):
        check_ladder(("linear", "mlp:linear"), NUMBERS, ACTIONS, teacher(4996, NUMBERS))
