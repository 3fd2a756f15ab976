import math

import pytest
import torch
from fake_policies import HEADS
from torch import nn

from rldistill.core import CategoricalHead, DeterministicHead
from rldistill.errors import NotFiniteError, ShapeError
from rldistill.students.families import parse_spec
from rldistill.students.mlp import InputNormaliser, Mlp, num_parameters
from rldistill.students.outputs import LOG_STD_RANGE, output_sizes
from rldistill.students.specs import MlpSpec

SPECS = ["mlp:16,16", "mlp:linear", "mlp:8,relu,layernorm", "mlp:8,init=torch"]


def trained(spec: str, head=HEADS["categorical"], num_inputs: int = 4) -> Mlp:
    """A network whose outputs are not all near 0, as after training."""
    torch.manual_seed(0)
    net = Mlp(parse_spec(spec), num_inputs, head)
    with torch.no_grad():
        for layer in net.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features))
                nn.init.normal_(layer.bias, std=0.3)
    return net


def states(mean: float, std: float, count: int = 500, num_inputs: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return mean + std * torch.randn(count, num_inputs, generator=generator)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@torch.no_grad()
def test_folding_the_normaliser_gives_equal_outputs(spec, head):
    net = trained(spec, head)
    x = states(2.0, 3.0)
    net.normaliser.fit(x)
    folded = net.folded()
    assert folded.normaliser is None
    torch.testing.assert_close(folded(x), net(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mean", [0.0, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("std", [1e-4, 1.0, 1e4])
@torch.no_grad()
def test_large_means_and_tiny_deviations_fold_exactly_or_not_at_all(mean, std):
    """Where W' x and b' would cancel in float32 the normaliser stays a layer."""
    net = trained("mlp:16,16")
    x = states(mean, std)
    net.normaliser.fit(x)
    folded = net.folded()
    torch.testing.assert_close(folded(x), net(x), atol=1e-5, rtol=0)
    assert (folded.normaliser is None) == (mean <= 10 * std)


@torch.no_grad()
def test_a_clip_is_kept_as_a_layer():
    net = trained("mlp:16,clip=2")
    x = states(5.0, 0.5)
    net.normaliser.fit(x)
    folded, far = net.folded(), x * 100
    assert folded.normaliser is not None
    assert folded.normaliser.clip == 2.0
    assert torch.equal(folded(far), net(far))
    assert net.normaliser(far).abs().max() == 2.0


def test_folding_leaves_the_network_and_the_random_numbers_alone():
    net = trained("mlp:8")
    net.normaliser.fit(states(1.0, 2.0))
    before = {name: x.clone() for name, x in net.state_dict().items()}
    random = torch.get_rng_state()
    folded = net.folded()
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())
    assert all(p.requires_grad for p in net.parameters())
    assert net.normaliser is not None
    shared = {x.data_ptr() for x in net.parameters()} & {x.data_ptr() for x in folded.parameters()}
    assert not shared


def test_folding_twice_changes_nothing():
    net = trained("mlp:8")
    net.normaliser.fit(states(1.0, 2.0))
    once = net.folded()
    twice = once.folded()
    assert all(
        torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True)
    )


def test_the_normaliser_makes_mean_0_and_deviation_1():
    normaliser = InputNormaliser(4)
    x = states(1000.0, 0.01) * torch.tensor([1.0, -1.0, 1e3, 1e-3])
    normaliser.fit(x)
    out = normaliser(x).double()
    assert out.mean(0).abs().max() < 0.05  # the resolution of float32 at 1000 +- 0.01
    assert (out.std(0, correction=0) - 1).abs().max() < 0.01


def test_a_constant_feature_is_only_centred():
    normaliser = InputNormaliser(2)
    x = torch.stack([torch.full((100,), 7.3), torch.randn(100)], -1)
    normaliser.fit(x)
    assert normaliser.inverse_std[0] == 1.0
    assert normaliser(x)[:, 0].abs().max() < 1e-6


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_normaliser_refuses_what_is_not_finite(value):
    x = states(0.0, 1.0)
    x[7, 2] = value
    normaliser = InputNormaliser(4)
    with pytest.raises(NotFiniteError, match="cannot normalise inputs"):
        normaliser.fit(x)
    assert normaliser.mean.tolist() == [0.0] * 4


def test_a_normaliser_refuses_no_states():
    with pytest.raises(ShapeError, match="there are no observations"):
        InputNormaliser(4).fit(torch.zeros(0, 4))


@pytest.mark.parametrize("spec", [*SPECS, "mlp:16,clip=3"])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_gradients_are_finite_and_reach_every_parameter(spec, head):
    """Infinite action bounds too: a NaN hides behind a where()."""
    net = trained(spec, head)
    net(states(0.0, 1.0)).square().sum().backward()
    for name, parameter in net.named_parameters():
        if name == "log_std":
            parameter.grad += 1  # its start, 0, is the minimum of the square
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_log_std_of_a_gaussian_student_is_the_same_in_every_state():
    net = trained("mlp:8", HEADS["gaussian"])
    out = net(states(0.0, 1.0))
    assert torch.equal(out[:, 2:], torch.zeros(500, 2))
    assert out[:, :2].std(0).min() > 0.01


def test_the_log_std_of_a_squashed_student_stays_in_its_range():
    net = trained("mlp:linear", HEADS["squashed-gaussian"])
    log_std = net(states(0.0, 1e6))[:, 2:]
    assert (log_std.min(), log_std.max()) == LOG_STD_RANGE


def test_a_deterministic_student_keeps_to_the_bounds_that_are_finite():
    """The first action lies in [-1, 3]; the second is free."""
    net = trained("mlp:linear", HEADS["deterministic"])
    out = net(states(0.0, 1e6))
    assert (out[:, 0].min(), out[:, 0].max()) == (-1.0, 3.0)
    assert out[:, 1].abs().max() > 1e5


def test_a_half_infinite_bound_is_free():
    net = trained("mlp:linear", DeterministicHead((-1.0,), (math.inf,)))
    assert net(states(0.0, 1e6)).abs().max() > 1e5


def test_observations_of_several_axes_and_bytes_are_taken():
    net = Mlp(MlpSpec((8,)), 4, CategoricalHead(3))
    assert net(torch.ones(5, 2, 2, dtype=torch.uint8)).shape == (5, 3)


def test_parameters_by_hand():
    """4 -> 5 -> 3: 25 + 18; LayerNorm 10; a Gaussian's log std 2; a clip's statistics 8."""
    for spec, head, expected in (
        ("mlp:5", HEADS["categorical"], 43),
        ("mlp:5,layernorm", HEADS["categorical"], 53),
        ("mlp:5", HEADS["gaussian"], 25 + 12 + 2),
        ("mlp:5,clip=1", HEADS["categorical"], 51),
        ("mlp:linear", HEADS["squashed-gaussian"], 20),
    ):
        assert num_parameters(Mlp(parse_spec(spec), 4, head)) == expected


def test_the_statistics_of_a_normaliser_count_once_it_stays():
    net = trained("mlp:5")
    net.normaliser.fit(states(1e6, 1.0))
    assert num_parameters(net.folded()) == num_parameters(net) + 8


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_output_sizes_are_those_of_the_network(head):
    width, beside = output_sizes(head)
    net = Mlp(MlpSpec(()), 4, head)
    assert num_parameters(net) == 5 * width + beside


def test_an_untrained_policy_is_nearly_uniform():
    """The last layer starts at gain 0.01."""
    torch.manual_seed(0)
    net = Mlp(MlpSpec(), 4, CategoricalHead(3))
    assert net(states(0.0, 1.0)).abs().max() < 0.1
