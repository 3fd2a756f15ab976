"""The last hidden layer: found by a forward pass, and refused where there is none."""

import pytest
import torch
from fake_policies import HEADS, always, info_for, policy
from torch import nn

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.core.hidden import HiddenLayer
from rldistill.errors import SettingError
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec

HEAD = CategoricalHead(3)
STATES = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def student(hidden: tuple[int, ...], head: object = HEAD) -> NetworkPolicy:
    return NetworkPolicy(Mlp(MlpSpec(hidden), 4, head), info_for(head))


@pytest.mark.parametrize("name", HEADS)
def test_it_is_what_the_last_linear_layer_is_given(name):
    """Of a student of every family: the activations after the second hidden layer."""
    own = student((6, 7), HEADS[name])
    raw, hidden = HiddenLayer(own)(STATES)
    assert HiddenLayer(own).width == 7
    torch.testing.assert_close(hidden, own.module.layers[:-1](STATES))
    torch.testing.assert_close(raw, own.module(STATES))


def test_gradients_pass_through_it_and_no_hook_stays():
    own = student((6,))
    HiddenLayer(own)(STATES)[1].sum().backward()
    first, last = own.module.layers[0], own.module.layers[-1]
    assert first.weight.grad.abs().sum() > 0
    assert last.weight.grad is None
    assert not any(module._forward_pre_hooks for module in own.module.modules())


class Backwards(nn.Module):
    """Registers its layers in the reverse of the order in which it calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(8, 3), nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).relu())


def test_the_order_of_calls_counts_and_not_that_of_registration():
    own = policy(Backwards(), HEAD)
    _, hidden = HiddenLayer(own)(STATES)
    torch.testing.assert_close(hidden, own.module.first(STATES).relu())


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_linear_policy_has_none(head):
    with pytest.raises(SettingError, match="a hidden layer was required; fake has none"):
        HiddenLayer(student((), head))


def test_nor_has_a_plain_function():
    with pytest.raises(SettingError, match="such as on-policy-distill"):
        HiddenLayer(always([0.0, 1.0, 2.0], HEAD))
