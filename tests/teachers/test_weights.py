import itertools

import pytest
import torch
from torch import nn

from rldistill.errors import NotFiniteError, TeacherFileError
from rldistill.teachers.weights import ACTIVATIONS, Weights, activation_named, widths


def stack_of(*sizes: int, prefix: str = "net") -> dict[str, torch.Tensor]:
    """Tensors of linear layers at even positions, as in an nn.Sequential with activations."""
    tensors = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        tensors[f"{prefix}.{2 * i}.weight"] = torch.randn(outputs, inputs)
        tensors[f"{prefix}.{2 * i}.bias"] = torch.randn(outputs)
    return tensors


def test_a_stack_computes_what_the_sequential_computes():
    original = nn.Sequential(nn.Linear(3, 5), nn.ELU(), nn.Linear(5, 2), nn.ELU())
    tensors = {f"net.{name}": tensor for name, tensor in original.state_dict().items()}
    layers = Weights(tensors, "x").stack("net", nn.ELU)
    x = torch.randn(7, 3)
    assert torch.equal(nn.Sequential(*layers)(x), original(x))
    assert widths(layers) == (3, 5, 2)


def test_the_learned_slope_of_prelu_is_read():
    original = nn.Sequential(nn.Linear(3, 5), nn.PReLU(init=0.7), nn.Linear(5, 2))
    tensors = {f"net.{name}": tensor for name, tensor in original.state_dict().items()}
    layers = Weights(tensors, "x").network("net", nn.PReLU)
    x = torch.randn(7, 3)
    assert torch.equal(nn.Sequential(*layers)(x), original(x))


def test_loading_draws_no_random_numbers():
    """The same seed must give the same student whatever teacher was loaded before."""
    weights = Weights(stack_of(4, 8, 2), "x")
    before = torch.get_rng_state()
    weights.stack("net", nn.Tanh)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_copied_frozen_and_float32():
    tensors = {"net.0.weight": torch.ones(2, 3, dtype=torch.float64)}
    layer = Weights(tensors, "x").linear("net.0")
    tensors["net.0.weight"].zero_()
    assert layer.weight.dtype == torch.float32
    assert not layer.weight.requires_grad
    assert layer.weight.sum() == 6
    assert layer.bias is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_a_weight_that_is_not_finite_is_named(bad):
    tensors = {"net.0.weight": torch.tensor([[1.0, bad]], dtype=torch.float64)}
    with pytest.raises(NotFiniteError, match=r"weight net\.0\.weight holds NaN or infinity"):
        Weights(tensors, "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net.0.bias": torch.ones(4)}, r"net\.0\.bias has shape \(4,\).*requires \(5,\)"),
        ({"net.2.weight": torch.ones(2, 6)}, r"net\.2 takes 6 inputs, the layer before it gives 5"),
        ({"net.0.weight": torch.ones(5)}, r"net\.0\.weight of shape \(5,\)"),
        ({"net.0.weight": torch.ones(0, 3)}, r"shape \(0, 3\)"),
        ({"net.1.weight": torch.ones(5)}, r"net\.1\.weight.*no normalisation layers"),
        ({"net.0.extra": torch.ones(5)}, r"net\.0\.extra"),
        ({"net.6.weight": torch.ones(2, 2)}, r"net\.6\.weight"),
    ],
)
def test_inconsistent_tensors_are_named(change, message):
    with pytest.raises(TeacherFileError, match=message):
        Weights(stack_of(3, 5, 2) | change, "x").stack("net", nn.Tanh)


def test_a_missing_tensor_is_named():
    tensors = stack_of(3, 5, 2)
    del tensors["net.0.weight"]
    with pytest.raises(TeacherFileError, match=r"net\.0\.weight is missing"):
        Weights(tensors, "x").network("net", nn.Tanh)
    with pytest.raises(TeacherFileError, match=r"other\.0\.weight is missing"):
        Weights(stack_of(3, 2), "x").network("other", nn.Tanh)


def test_a_tensor_that_nobody_took_is_an_error():
    weights = Weights(stack_of(3, 5) | {"mystery": torch.ones(1), "old.x": torch.ones(1)}, "x")
    weights.stack("net", nn.Tanh)
    weights.drop("old.")
    with pytest.raises(TeacherFileError, match=r"1 tensors without a known place \(mystery\)"):
        weights.finish()


def test_whole_numbers_are_no_weights():
    with pytest.raises(TeacherFileError, match=r"torch\.int64, not a float"):
        Weights({"a": torch.ones(1, dtype=torch.int64)}, "x")
    with pytest.raises(TeacherFileError, match="holds no weights"):
        Weights({}, "x")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_found_by_its_repr_and_is_elementwise(name):
    cls = activation_named(str(getattr(nn, name)), "x")
    assert cls is getattr(nn, name)
    x = torch.randn(4, 5)
    with torch.no_grad():
        whole = cls()(x)
        # One number and many take different instructions, which round differently.
        torch.testing.assert_close(whole[2, 3], cls()(x[2, 3]), rtol=1e-6, atol=1e-7)
        assert torch.equal(whole, cls()(x))
