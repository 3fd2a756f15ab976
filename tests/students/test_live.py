"""Modules of the user's own: what is required of one, and what each mistake is told."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from live_modules import Awkward, Plain, same_weights
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.students.live import NOTES, live_student, states_to_try, wanted_outputs

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
TWO = CategoricalHead(2)


class Function(nn.Module):
    """Applies a function to the outputs of a layer."""

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.function = function

    def forward(self, observations):
        return self.function(self.layer(observations))


def test_a_module_becomes_a_policy_of_its_copy():
    """The original keeps its weights, its modes and its memory."""
    module = Plain().train()
    policy = live_student(module, BOX, TWO)
    assert (policy.info.name, policy.info.framework) == ("Plain", "live object")
    assert policy.info.head == TWO
    assert policy.info.observation_shape == (2,)
    assert policy.info.parameters == 2 * 8 + 8 + 8 * 2 + 2
    assert policy.info.notes == NOTES
    assert same_weights(policy.module, module)
    with torch.no_grad():
        next(policy.module.parameters()).add_(1.0)
    assert not same_weights(policy.module, module)


def test_trying_it_out_leaves_no_trace():
    """Modes of every part, and the statistics of batch normalisation, stay as they were."""
    module = Awkward().train()
    module.norm.eval()
    before = copy.deepcopy(module.state_dict())
    policy = live_student(module, BOX, TWO)
    for network in (module, policy.module):
        assert network.training
        assert not network.norm.training
        assert network.dropout.training
        assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items())


def test_its_size_counts_shared_weights_once_and_float_buffers():
    parameters = (2 * 8 + 8) + (64 + 8) + (64 + 8) + (8 + 8) + (8 * 2 + 2) + 2 + 2
    assert live_student(Awkward(), BOX, TWO).info.parameters == parameters + (8 + 8) + 2


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (TWO, "[B, 2]: one logit per action"),
        (GaussianHead((-1.0,), (1.0,)), "[B, 2]: 1 means, then 1 log standard deviations, in the"),
        (SquashedGaussianHead((-1.0,), (1.0,)), "of the action before tanh"),
        (DeterministicHead((-1.0, 0.0), (1.0, 1.0)), "[B, 2]: the action itself, in the task's"),
    ],
)
def test_the_wanted_outputs_are_named(head, words):
    assert words in wanted_outputs(head)
    with pytest.raises(ShapeError) as caught:
        live_student(Plain(num_outputs=5), BOX, head)
    assert words in str(caught.value)
    assert "for B = 1 it gave torch.float32 of shape (1, 5)" in str(caught.value)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (Function(lambda y: y.squeeze(0)), ShapeError, r"it gave torch.float32 of shape \(2,\)"),
        (Function(lambda y: y[:1]), ShapeError, r"for B = 8 it gave .* of shape \(1, 2\)"),
        (Function(lambda y: (y, y)), ShapeError, "it gave a tuple"),
        (Function(lambda y: y.long()), ShapeError, "torch.int64"),
        (Function(lambda y: y / 0.0), NotFiniteError, "NaN or infinite"),
        (Function(lambda y: y.detach()), SettingError, r"no gradient reaches .* detach\(\)"),
        (Plain(num_inputs=3), SettingError, r"raised on torch.float32 .* \(1, 2\).*\[B, 2\]"),
        (Plain().requires_grad_(False), SettingError, "no trainable parameters: its 4 param"),
        (nn.Tanh(), SettingError, "no trainable parameters: its 0 param"),
        (nn.LazyLinear(2), SettingError, "call it once on a batch"),
    ],
)
def test_what_cannot_learn_is_refused(module, error, message):
    with pytest.raises(error, match=message):
        live_student(module, BOX, TWO)


def test_what_cannot_be_copied_or_saved_is_refused():
    held = Plain()
    held.graph = (next(held.parameters()) * 2.0,)
    with pytest.raises(SettingError, match="cannot be copied, and a copy is what learns"):
        live_student(held, BOX, TWO)

    class Extra(Plain):
        def get_extra_state(self):
            return {"opened": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(SettingError, match="cannot be saved as plain data"):
        live_student(Extra(), BOX, TWO)


def test_the_states_it_is_tried_on_lie_in_the_space():
    """Of its type, and near 0 where the bounds are as far as CartPole's."""
    far = spaces.Box(np.float32([-3e38, 2.0]), np.float32([3e38, 3.0]))
    seen = states_to_try(far, 50)
    assert seen.dtype == torch.float32
    assert seen[:, 0].abs().max() < 10.0
    assert seen[:, 1].min() >= 2.0
    assert seen[0].tolist() == [0.0, 2.0]
    assert states_to_try(spaces.Box(0, 255, (3, 2), np.uint8), 4).dtype == torch.uint8
