"""From modules to steps: the same function, and what has no step is named."""

import numpy as np
import pytest
import torch
from subjects import INPUTS, by_layers, every_policy, observations_of, student
from torch import nn

from rldistill.core import GaussianHead, SquashedGaussianHead
from rldistill.errors import NotFiniteError, SettingError
from rldistill.exporters.interpret import run_steps
from rldistill.exporters.lower import lower, without_std
from rldistill.exporters.steps import Dense, end_shape

POLICIES = every_policy()


@pytest.mark.parametrize("name", POLICIES)
def test_steps_are_the_module(name: str) -> None:
    policy = POLICIES[name]
    rows = observations_of(policy, 100)
    steps = lower(policy)
    with torch.no_grad():
        wanted = policy.raw(torch.from_numpy(rows)).numpy()
    got = run_steps(steps, rows.astype(np.float32))
    assert got == pytest.approx(wanted, rel=2e-4, abs=2e-4)
    assert end_shape(steps, policy.info.observation_shape) == wanted.shape[1:]


@pytest.mark.parametrize("name", POLICIES)
def test_acting_by_mode_needs_the_means_alone(name: str) -> None:
    """Whatever gives log standard deviations is left out, and the means stay what they are."""
    policy, head = POLICIES[name], POLICIES[name].info.head
    if not isinstance(head, (GaussianHead, SquashedGaussianHead)):
        pytest.skip("it has no standard deviations")
    steps = lower(policy)
    rows = observations_of(policy, 50).astype(np.float32)
    means = run_steps(without_std(steps, head), rows)
    assert means == pytest.approx(run_steps(steps, rows)[:, : len(head.low)], abs=1e-6)


def test_the_mean_over_quantiles_costs_nothing() -> None:
    """QR-DQN's last layer and its mean are one layer with a row per action."""
    last = lower(POLICIES["qrdqn"])[-1]
    assert isinstance(last, Dense)
    assert last.weight.shape == (4, 12)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.SELU(), "SELU cannot be exported; nearest is nn.ELU"),
        (nn.Hardswish(), "Hardswish cannot be exported; nearest is nn.SiLU"),
        (nn.BatchNorm1d(INPUTS), "BatchNorm1d cannot be exported. Supported are nn.Sequential"),
        (nn.PReLU(INPUTS), "PReLU cannot be exported"),
        (nn.LSTM(INPUTS, INPUTS), "LSTM is recurrent.*nearest is a policy without state"),
        (nn.GRUCell(INPUTS, INPUTS), "GRUCell is recurrent"),
        (nn.Conv2d(1, 1, 3, dilation=2), "nearest is an nn.Conv2d without groups and dilation"),
    ],
)
def test_an_unsupported_layer_is_named_with_the_nearest(layer: nn.Module, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        lower(by_layers([layer, nn.Linear(INPUTS, 4)], "logits"))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(number: float) -> None:
    policy = student("mlp:8", "logits")
    next(policy.module.parameters()).data[0] = number
    with pytest.raises(NotFiniteError, match=r"weight .* holds NaN or infinity"):
        lower(policy)
