"""Soft decision trees: trained by gradients with soft decisions, used with hard ones."""

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import SettingError
from rldistill.students.mlp import InputNormaliser
from rldistill.students.outputs import new_log_std, output_sizes, raw_outputs
from rldistill.students.tree_module import require_readable

DEEPEST = 12
# How sharp decisions are while training, and the share of the hard ones in the outputs. With these,
# depth 4 holds 0.92 to 0.99 of a PPO teacher of LunarLander once hardened (three seeds). Chosen
# after single runs of others: soft decisions alone held 0.74 with an inverse temperature of 1, and
# 0.95 with 5; half hard ones 1.00 with 3 and 0.98 with 6.
INVERSE_TEMPERATURE = 4.0
HARD_SHARE = 0.5
_DEPTH = re.compile(r"-?[0-9]{1,9}")


@final
@dataclass(frozen=True, slots=True)
class SoftTreeSpec:
    """A complete tree of 2^depth leaves whose decisions are linear in the observation.

    Attributes:
        depth: decisions on each path.

    Raises:
        SettingError: a depth out of range.
    """

    depth: int

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= DEEPEST:
            raise SettingError(f"a soft tree's depth must be 1 to {DEEPEST}, got {self.depth}")

    def __str__(self) -> str:
        return f"soft-tree:{self.depth}"


def parse_soft_tree(name: str, rest: str) -> SoftTreeSpec:
    """Read soft-tree:DEPTH, without its "soft-tree:".

    Raises:
        SettingError: no number, or one out of range.

    >>> str(parse_soft_tree("soft-tree", "4"))
    'soft-tree:4'
    """
    if not _DEPTH.fullmatch(rest):
        raise SettingError(f"give the depth, for example {name}:4; got {rest!r:.40}")
    return SoftTreeSpec(int(rest))


@final
class SoftTree(nn.Module):
    """At each inner node an observation goes left with probability sigmoid(4 (w x + b)).

    In evaluation mode, which is how students act, are tested and are saved, each decision is taken
    for its more probable side (w x + b >= 0 goes left), and one leaf answers: hardened. In training
    mode the raw outputs are half those of this leaf, half those of all leaves weighed by the
    probabilities of their paths; the gradient is that of the weights alone (straight through), so
    that what is trained is not far from what is used.

    Source: Frosst and Hinton 2017 (arXiv:1711.09784), with an inverse temperature of 4. Unlike
    there, the loss of the row is taken of the outputs and not per leaf, half of them are hard, and
    no penalty keeps the tree balanced: inputs are normalised and decisions begin at their mean.
    """

    def __init__(self, spec: SoftTreeSpec, num_inputs: int, head: Head) -> None:
        super().__init__()
        self.spec = spec
        self.head = head
        self.num_inputs = num_inputs
        self.normaliser: InputNormaliser | None = InputNormaliser(num_inputs)
        self.decisions = nn.Linear(num_inputs, 2**spec.depth - 1)
        self.leaves = nn.Parameter(torch.empty(2**spec.depth, output_sizes(head)[0]))
        self.log_std = new_log_std(head)
        nn.init.normal_(self.decisions.weight, std=1.0 / math.sqrt(num_inputs))
        nn.init.zeros_(self.decisions.bias)
        nn.init.normal_(self.leaves, std=0.01)

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.flatten(1).float()
        scores = self.decisions(x if self.normaliser is None else self.normaliser(x))
        out = self._mixed(scores) @ self.leaves if self.training else self.leaves[leaf_of(scores)]
        return raw_outputs(out, self.head, self.log_std)

    def _mixed(self, scores: Tensor) -> Tensor:
        """Weights of the leaves while training [B, 2^depth]."""
        soft = self.paths(scores)
        hard = nn.functional.one_hot(leaf_of(scores), soft.shape[1])
        return soft + HARD_SHARE * (hard - soft.detach())

    def paths(self, scores: Tensor) -> Tensor:
        """Probability of each leaf [B, 2^depth], from the left, of scores [B, 2^depth - 1]."""
        left = (INVERSE_TEMPERATURE * scores).sigmoid()
        reached = torch.ones_like(left[:, :1])
        for level in range(self.spec.depth):
            here = left[:, 2**level - 1 : 2 ** (level + 1) - 1]
            reached = torch.stack([reached * here, reached * (1.0 - here)], -1).flatten(1)
        return reached


def leaf_of(scores: Tensor) -> Tensor:
    """The leaf [B] at the end of the more probable decisions; nodes are numbered level by level.

    >>> leaf_of(torch.tensor([[1.0, -1.0, 1.0]])).tolist()
    [1]
    """
    inner = scores.shape[1]
    node = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    for _ in range((inner + 1).bit_length() - 1):
        goes_right = scores.gather(1, node[:, None])[:, 0] < 0.0
        node = 2 * node + 1 + goes_right.long()
    return node - inner


def build(spec: SoftTreeSpec, observation_space: spaces.Box, head: Head) -> SoftTree:
    """An untrained soft tree for flat observations.

    Raises:
        TaskError: the observations are pixels.
    """
    require_readable(spec, observation_space.shape)
    return SoftTree(spec, math.prod(observation_space.shape), head)


def fresh(network: SoftTree) -> SoftTree:
    """An untrained soft tree with the spec, inputs and head of another."""
    return SoftTree(network.spec, network.num_inputs, network.head)


def fit_inputs(network: SoftTree, observations: Tensor) -> None:
    """Fit the normaliser; a finished student has none: its weights see raw observations."""
    if network.normaliser is not None:
        network.normaliser.fit(observations)


def scale_outputs(network: SoftTree, factor: float) -> None:
    """Multiply the raw outputs by a number, in place."""
    network.leaves.data.mul_(factor)


def count(network: SoftTree) -> int:
    """Weights of decisions and leaves; the normaliser is folded into them when it is saved."""
    return sum(parameter.numel() for parameter in network.parameters())


def fold(network: SoftTree) -> SoftTree:
    """A copy on the CPU that sees raw observations: W' = W / std, b' = b - W mean / std."""
    own = copy.deepcopy(network).cpu().requires_grad_(False)
    if own.normaliser is not None:
        weight = own.decisions.weight.double() * own.normaliser.inverse_std.double()
        shift = (weight * own.normaliser.mean.double()).sum(-1)
        own.decisions.bias.copy_(own.decisions.bias.double() - shift)
        own.decisions.weight.copy_(weight)
        own.normaliser = None
    return own


def details(network: SoftTree) -> dict[str, Any]:
    """Nothing beside the spec."""
    del network
    return {}


def empty(
    spec: SoftTreeSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> SoftTree:
    """The soft tree of a student.json, on the meta device.

    Raises:
        TaskError: the shape is that of pixels.
    """
    del record
    require_readable(spec, observation_shape)
    with torch.device("meta"):
        network = SoftTree(spec, math.prod(observation_shape), head)
    network.normaliser = None
    return network
