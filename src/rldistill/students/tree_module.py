"""A decision tree as a torch module, from observations [B, ...] to raw outputs [B, outputs]."""

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import SettingError, ShapeError, TaskError
from rldistill.students.tree import ARRAYS, LEAF, TreeArrays, constant_tree, tree_from_arrays
from rldistill.students.tree_specs import LARGEST_TREE, TreeSpec
from rldistill.students.tree_walk import compiled_walk_pays, walk

# Rows whose leaves' coefficients are gathered at a time: outputs x O numbers for each.
LINEAR_ROWS = 4096


@final
class TreeModule(nn.Module):
    """Acts as a TreeArrays does, on any device; its state_dict is the arrays, under their names.

    Attributes:
        spec: how it is grown.
        inputs: numbers in an observation.
        tree: the arrays.
    """

    feature: Tensor
    threshold: Tensor
    values: Tensor
    coefficients: Tensor | None
    below: Tensor

    def __init__(self, spec: TreeSpec, inputs: int, tree: TreeArrays) -> None:
        super().__init__()
        self.spec = spec
        self.inputs = inputs
        self.grow(tree)

    def grow(self, tree: TreeArrays) -> None:
        """Become another tree, on the same device.

        Raises:
            ShapeError: it compares numbers that observations do not have.
        """
        if tree.least_inputs > self.inputs:
            raise ShapeError(
                f"the tree needs {tree.least_inputs} inputs, observations have {self.inputs}"
            )
        old = self._buffers.get("values")
        device = torch.device("cpu") if old is None else old.device
        for name in ARRAYS:
            array = getattr(tree, name)
            tensor = None if array is None else torch.from_numpy(array.copy()).to(device)
            self.register_buffer(name, tensor)
        below = torch.from_numpy(np.stack([tree.left, tree.right], 1)).to(device)
        self.register_buffer("below", below, persistent=False)
        self.tree = tree
        self.depth = tree.depth

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Become the tree of these arrays.

        Raises:
            ShapeError, NotFiniteError: they are not those of one tree.
        """
        del strict, assign
        self.grow(tree_from_arrays({k: v.cpu().numpy() for k, v in state_dict.items()}))

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.flatten(1).float()
        if x.shape[1] != self.inputs:
            raise ShapeError(f"a tree on {self.inputs} numbers was given {list(x.shape)}")
        leaves = self.leaf_of(x)
        values = self.values.index_select(0, leaves)
        if self.coefficients is None:
            return values
        parts = [
            torch.einsum("boi,bi->bo", self.coefficients[leaf], part)
            for leaf, part in zip(leaves.split(LINEAR_ROWS), x.split(LINEAR_ROWS), strict=True)
        ]
        return values + torch.cat(parts)

    @torch.no_grad()
    def leaf_of(self, x: Tensor) -> Tensor:
        """The leaf that each observation reaches, float32 [B, O] to int [B]."""
        if x.device.type == "cpu" and compiled_walk_pays(len(x), self.depth):
            arrays = (x.contiguous(), self.feature, self.threshold, self.below)
            return torch.from_numpy(walk(*(array.numpy() for array in arrays)))
        nodes = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for _ in range(self.depth):
            feature = self.feature[nodes].long()
            value = x.gather(1, feature.clamp(min=0)[:, None])[:, 0]
            goes_right = (~(value <= self.threshold[nodes])).long()
            nodes = torch.where(feature == LEAF, nodes, self.below[nodes, goes_right].long())
        return nodes


def build(spec: TreeSpec, observation_space: spaces.Box, head: Head) -> TreeModule:
    """A tree of a single leaf that says 0 everywhere.

    Raises:
        TaskError: the observations are pixels.
    """
    shape = observation_space.shape
    require_readable(spec, shape)
    return TreeModule(spec, math.prod(shape), _unfitted(spec, math.prod(shape), head.num_outputs))


def require_readable(spec: object, shape: tuple[int, ...]) -> None:
    """Refuse images: where one pixel is compared, nothing can be read.

    Raises:
        TaskError: observations with rows and columns.
    """
    if len(shape) > 1:
        raise TaskError(
            f"{spec} compares single numbers of an observation, and pixels of shape {shape} have "
            "none that mean anything: give the student another view of the task (the RAM of an "
            "Atari game, objects, a flat board), or choose a network, such as mlp:32,32"
        )


def fresh(network: TreeModule) -> TreeModule:
    """The unfitted tree of another's spec."""
    tree = _unfitted(network.spec, network.inputs, network.tree.num_outputs)
    return TreeModule(network.spec, network.inputs, tree)


def fit_inputs(network: TreeModule, observations: Tensor) -> None:
    """Comparisons need no scale: nothing to do."""
    del network, observations


def scale_outputs(network: TreeModule, factor: float) -> None:
    """Multiply the raw outputs by a number, in place."""
    tree, by = network.tree, np.float32(factor)
    linear = None if tree.coefficients is None else tree.coefficients * by
    network.grow(replace(tree, values=tree.values * by, coefficients=linear))


def count(network: TreeModule) -> int:
    """Numbers to act with: feature and threshold of inner nodes, what the leaves say."""
    tree = network.tree
    per_leaf = tree.num_outputs * (1 if tree.coefficients is None else 1 + network.inputs)
    return 2 * (tree.num_nodes - tree.num_leaves) + tree.num_leaves * per_leaf


def fold(network: TreeModule) -> TreeModule:
    """A copy on the CPU."""
    return copy.deepcopy(network).cpu()


def details(network: TreeModule) -> dict[str, Any]:
    """What student.json says beside the spec: how large the tree became."""
    tree = network.tree
    return {
        "nodes": tree.num_nodes,
        "leaves": tree.num_leaves,
        "depth": tree.depth,
        "inputs": network.inputs,
        "linear": tree.coefficients is not None,
    }


def empty(
    spec: TreeSpec, observation_shape: tuple[int, ...], head: Head, record: Mapping[str, Any]
) -> TreeModule:
    """The tree of a student.json, its arrays on the meta device.

    Raises:
        SettingError: the record does not say how many nodes there are, or more than can be.
        TaskError: the shape is that of pixels.
    """
    require_readable(spec, observation_shape)
    nodes, linear = record.get("nodes"), record.get("linear")
    if type(nodes) is not int or not 1 <= nodes <= 2 * LARGEST_TREE or type(linear) is not bool:
        raise SettingError("nodes or linear is missing or is not what it should be")
    inputs, outputs = math.prod(observation_shape), head.num_outputs
    if record.get("inputs") != inputs:
        raise SettingError(f"inputs must be the {inputs} of observation_shape")
    network = TreeModule(spec, inputs, constant_tree(np.zeros(1, np.float32)))
    sizes = {"values": (nodes, outputs), "coefficients": (nodes, outputs, inputs)}
    tree = network.tree
    for name in ARRAYS:
        tensor = None
        if name != "coefficients" or linear:
            like = torch.from_numpy(tree.values if name == "coefficients" else getattr(tree, name))
            tensor = torch.empty(sizes.get(name, (nodes,)), dtype=like.dtype, device="meta")
        network.register_buffer(name, tensor)
    return network


def _unfitted(spec: TreeSpec, inputs: int, outputs: int) -> TreeArrays:
    tree = constant_tree(np.zeros(outputs, np.float32))
    if not spec.growth.linear:
        return tree
    return replace(tree, coefficients=np.zeros((1, outputs, inputs), np.float32))
