"""The map is hottest on the pixels that the policy uses."""

import numpy as np
import pytest
import torch
from torch import Tensor

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
)
from rldistill.errors import TaskError
from rldistill.explain.saliency import picture_axes, saliency

USED = slice(20, 24), slice(8, 12)  # rows and columns of the only pixels that count


class Looks(torch.nn.Module):
    """Two outputs by the brightness of one patch, of the last frame."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = picture_axes(shape)

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.float() / 255.0
        if x.ndim == 4:
            x = x[:, -1] if self.axes == (1, 2) else x[..., -1]
        bright = x[:, USED[0], USED[1]].mean((1, 2))
        return torch.stack([bright * 4, torch.zeros_like(bright)], -1)


def looker(shape: tuple[int, ...], head: Head) -> NetworkPolicy:
    info = PolicyInfo(name="looker", framework="tests", observation_shape=shape, head=head,
                      acting_parameters=0, parameters=0)  # fmt: skip
    return NetworkPolicy(Looks(shape), info)


@pytest.mark.parametrize("shape", [(32, 40), (4, 32, 40), (32, 40, 3)])
@pytest.mark.parametrize(
    "head",
    [CategoricalHead(2), QValueHead(2), GaussianHead((-1.0,), (1.0,)),
     DeterministicHead((-1.0, -1.0), (1.0, 1.0))],
    ids=["logits", "q", "gaussian", "deterministic"],
)  # fmt: skip
def test_the_pixels_used_are_the_hottest(shape: tuple[int, ...], head: Head) -> None:
    observations = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8)
    found = saliency(looker(shape, head), observations, patch=4)
    assert found.heat.shape == found.mean_heat.shape == found.frame.shape == (32, 40)
    inside = np.zeros((32, 40), bool)
    inside[USED] = True
    for heat in (found.heat, found.mean_heat):
        assert inside[np.unravel_index(heat.argmax(), heat.shape)]
        near = np.zeros((32, 40), bool)
        near[16:28, 4:16] = True  # patches that touch it
        assert (heat[~near] == 0).all()
        assert (heat >= 0).all()


def test_the_heat_is_the_kl_of_hiding_everything() -> None:
    """One patch over the whole picture: KL(pi(seen) || pi(mean picture)), computed by hand."""
    observations = np.stack([np.full((32, 40), value, np.uint8) for value in (0, 200)])
    found = saliency(looker((32, 40), CategoricalHead(2)), observations, patch=40)

    def log_pi(brightness: float) -> np.ndarray:
        logits = np.array([4 * brightness / 255, 0.0])
        return logits - np.log(np.exp(logits).sum())

    def kl(p: np.ndarray, q: np.ndarray) -> float:
        return float((np.exp(p) * (p - q)).sum())

    expected = [kl(log_pi(value), log_pi(100)) for value in (0, 200)]
    assert found.heat.max() == pytest.approx(max(expected), rel=1e-5)
    assert found.mean_heat.max() == pytest.approx(np.mean(expected), rel=1e-5)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(TaskError, match="a saliency map needs pictures"):
        picture_axes((4,))
