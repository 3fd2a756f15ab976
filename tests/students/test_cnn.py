import math

import numpy as np
import pytest
import torch
from fake_policies import HEADS
from gymnasium import spaces
from torch import nn

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.errors import TaskError
from rldistill.students.build import make_student
from rldistill.students.cnn import Cnn
from rldistill.students.families import parse_spec
from rldistill.students.pixels import PixelLayout

ATARI = spaces.Box(0, 255, (4, 84, 84), np.uint8)


@pytest.mark.parametrize(
    ("spec", "parameters"),
    [
        ("nature:100%", 1_693_362),
        ("nature:25%", 427_874),
        ("nature:7%", 113_346),
        ("nature:4%", 61_954),
    ],
)
def test_the_nets_of_the_paper_have_its_parameters(spec, parameters):
    """Rusu et al. 2016, appendix A, at 18 actions."""
    assert make_student(spec, ATARI, spaces.Discrete(18)).info.parameters == parameters


def test_other_nets_by_hand():
    """MinAtar's with C channels: 16 (9 C + 1) + 128 (1024 + 1) + 3 (128 + 1). IMPALA's: sections of
    5 convolutions on 42, 21 and 11 squared pixels."""
    grid = spaces.Box(0, 1, (10, 10, 7), np.bool_)
    assert make_student("minatar", grid, spaces.Discrete(3)).info.parameters == 132_611
    sections = (16 * 37 + 4 * 16 * 145) + (32 * 145 + 4 * 32 * 289) + 5 * 32 * 289
    full = 256 * (11 * 11 * 32 + 1) + 18 * 257
    assert make_student("impala:small", ATARI, spaces.Discrete(18)).info.parameters == (
        sections + full
    )


@torch.no_grad()
def test_the_layers_are_those_of_the_spec():
    """The same weights in plain torch modules give the same outputs on bytes / 255."""
    network = make_student("cnn:6x8s4,5x4s2p1,fc9", ATARI, spaces.Discrete(4)).module
    plain = nn.Sequential(
        nn.Conv2d(4, 6, 8, 4), nn.ReLU(), nn.Conv2d(6, 5, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(500, 9), nn.ReLU(), nn.Linear(9, 4),
    )  # fmt: skip
    plain.load_state_dict(network.layers.state_dict())
    frames = torch.randint(0, 256, (7, *ATARI.shape), dtype=torch.uint8)
    torch.testing.assert_close(network(frames), plain(frames.float() / 255))
    torch.testing.assert_close(network(frames.float()), network(frames))


@torch.no_grad()
def test_channels_may_stand_first_or_last():
    """The same picture either way, the same outputs."""
    spec, head = parse_spec("cnn:6x3s2,fc9"), CategoricalHead(2)
    first = Cnn(spec, PixelLayout((3, 12, 11), 255.0), head)
    last = Cnn(spec, PixelLayout((12, 11, 3), 255.0), head)
    last.load_state_dict(first.state_dict())
    pixels = torch.randint(0, 256, (5, 3, 12, 11), dtype=torch.uint8)
    torch.testing.assert_close(last(pixels.permute(0, 2, 3, 1)), first(pixels))
    assert PixelLayout((10, 10, 10)).size == (10, 10, 10)
    assert not PixelLayout((10, 10, 10)).channels_first  # MinAtar's Seaquest


@pytest.mark.parametrize("spec", ["cnn:4x3,fc8", "impala:3,fc8"])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_outputs_are_those_of_every_head(spec, head):
    space = spaces.Box(0, 255, (3, 12, 12), np.uint8)
    if hasattr(head, "num_actions"):
        acts = spaces.Discrete(head.num_actions)
    else:
        acts = spaces.Box(np.float32(head.low), np.float32(head.high))
    policy = make_student(spec + ",init=orthogonal", space, acts, head)
    raw = policy.raw(torch.zeros(2, 3, 12, 12, dtype=torch.uint8))
    assert raw.shape == (2, policy.info.head.num_outputs)
    assert (policy.module.log_std is not None) == isinstance(head, GaussianHead)
    actions, _ = policy.predict(space.sample())
    assert acts.contains(actions) or np.isfinite(actions).all()


@pytest.mark.parametrize(
    ("space", "scale"),
    [
        (spaces.Box(0, 255, (4, 84, 84), np.uint8), 255.0),
        (spaces.Box(0, 1, (10, 10, 4), np.uint8), 1.0),
        (spaces.Box(0, 10, (7, 7, 3), np.int64), 10.0),
        (spaces.Box(0, 1, (10, 10, 4), np.bool_), 1.0),
        (spaces.Box(0, 255, (4, 84, 84), np.float32), 1.0),
        (spaces.Box(-math.inf, math.inf, (4, 84, 84), np.float32), 1.0),
    ],
)
def test_integers_are_divided_by_the_highest_there_can_be(space, scale):
    assert PixelLayout.of(space).scale == scale


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ("nature:7%", (8,), "needs pixels.*the observations have shape \\(8,\\)"),
        ("impala:small", (2, 4, 84, 84), "needs pixels"),
        ("nature:7%", (10, 10, 4), "nature:7% does not fit .*its convolution 16x4s2 gets 1 x 1"),
        ("cnn:8x3,8x9", (10, 10, 4), "convolution 8x9 gets 8 x 8 pixels"),
    ],
)
def test_specs_that_do_not_fit_the_observations_are_refused(spec, shape, message):
    with pytest.raises(TaskError, match=message):
        make_student(spec, spaces.Box(0, 255, shape, np.uint8), spaces.Discrete(2))


def test_it_learns():
    """Which half of the frame is bright: from chance to near certainty in 60 steps, three seeds."""
    for seed in range(3):
        torch.manual_seed(seed)
        net = make_student("cnn:8x3s2,fc16", spaces.Box(0, 255, (1, 8, 8), np.uint8),
                           spaces.Discrete(2)).module  # fmt: skip
        frames = torch.randint(0, 120, (256, 1, 8, 8), dtype=torch.uint8)
        side = torch.arange(256) % 2
        frames[side == 0, :, :, :4] += 60
        frames[side == 1, :, :, 4:] += 60
        optimiser = torch.optim.Adam(net.parameters(), 3e-3)
        losses = []
        for _ in range(60):
            loss = nn.functional.cross_entropy(net(frames), side)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert abs(losses[0] - math.log(2)) < 0.1
        assert losses[-1] < 0.1
