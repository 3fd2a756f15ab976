import math

import numpy as np
import pytest
import torch
from fake_policies import HEADS
from gymnasium import spaces

from rldistill.core import (
    CategoricalHead,
    GaussianHead,
    QValueHead,
)
from rldistill.errors import SettingError, TaskError
from rldistill.students.build import make_student

SEES = spaces.Box(-1, 1, (8,))


@pytest.mark.parametrize("like", HEADS.values(), ids=HEADS)
def test_a_student_acts_in_the_space_of_its_teacher(like):
    if isinstance(like, CategoricalHead | QValueHead):
        space = spaces.Discrete(like.num_actions)
    else:
        space = spaces.Box(np.float32(like.low), np.float32(like.high))
    student = make_student("mlp:16,16", SEES, space, like)
    assert student.info.head == (CategoricalHead(3) if isinstance(space, spaces.Discrete) else like)
    assert student.info.name == "mlp:16,16"
    assert student.info.observation_shape == (8,)
    counted = sum(p.numel() for p in student.module.parameters())
    assert student.info.parameters == student.info.acting_parameters == counted
    actions, _ = student.predict(np.zeros((5, 8), np.float32))
    assert all(space.contains(action) for action in actions)


def test_parameters_by_hand():
    """8 -> 16 -> 16 -> 4: 144 + 272 + 68; a Gaussian of 2 actions: 144 + 272 + 34 + 2."""
    assert make_student("mlp:16,16", SEES, spaces.Discrete(4)).info.parameters == 484
    assert make_student("mlp:16,16", SEES, spaces.Box(-1, 1, (2,))).info.parameters == 452


def test_the_same_seed_builds_the_same_student():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return make_student("mlp:8", SEES, spaces.Discrete(2)).module.layers[0].weight

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_an_mlp_sees_observations_of_any_shape_as_one_row():
    space = spaces.Box(0, 255, (3, 4, 2), np.uint8)
    student = make_student("mlp:8", space, spaces.Discrete(2))
    assert student.info.observation_shape == (3, 4, 2)
    assert student.module.layers[0].in_features == 24
    pixels = space.sample()
    rows = torch.from_numpy(pixels.reshape(1, 24)).float()
    assert torch.equal(student.raw(torch.from_numpy(pixels[None])), student.module(rows))


@pytest.mark.parametrize("space", [spaces.Discrete(5), spaces.Box(0, 1, ())])
def test_observations_must_be_a_box(space):
    with pytest.raises(TaskError, match="observations that are a Box with at least one axis"):
        make_student("mlp:8", space, spaces.Discrete(2))


def test_bad_specs_and_spaces_are_refused():
    with pytest.raises(SettingError, match="a hidden width"):
        make_student("mlp:0", SEES, spaces.Discrete(2))
    with pytest.raises(TaskError, match="must be Discrete or a flat Box"):
        make_student("mlp:8", SEES, spaces.MultiDiscrete([2, 2]))
    with pytest.raises(TaskError, match="the task has 2 discrete actions"):
        make_student("mlp:8", SEES, spaces.Discrete(2), QValueHead(3))


def test_infinite_action_bounds_are_served():
    like = GaussianHead((-math.inf,), (math.inf,))
    student = make_student("mlp:8", SEES, spaces.Box(-np.inf, np.inf, (1,)), like)
    assert student.info.head == like
