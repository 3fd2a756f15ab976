"""A decision tree as a torch module, from observations [B, O] to raw outputs [B, outputs]."""

from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from rldistill.errors import ShapeError
from rldistill.students.tree import ARRAYS, LEAF, TreeArrays
from rldistill.students.tree_walk import compiled_walk_pays, walk

# Rows whose leaves' coefficients are gathered at a time: outputs x O numbers for each.
LINEAR_ROWS = 4096


@final
class TreeModule(nn.Module):
    """Acts as a TreeArrays does, on any device; its state_dict is the arrays, under their names.

    Attributes:
        tree: the arrays.
    """

    feature: Tensor
    threshold: Tensor
    values: Tensor
    coefficients: Tensor | None
    below: Tensor

    def __init__(self, tree: TreeArrays) -> None:
        super().__init__()
        self.grow(tree)

    def grow(self, tree: TreeArrays) -> None:
        """Become another tree, on the same device."""
        device = self.values.device if "values" in self._buffers else torch.device("cpu")
        for name in ARRAYS:
            array = getattr(tree, name)
            tensor = None if array is None else torch.from_numpy(array.copy()).to(device)
            self.register_buffer(name, tensor)
        below = torch.from_numpy(np.stack([tree.left, tree.right], 1)).to(device)
        self.register_buffer("below", below, persistent=False)
        self.tree = tree
        self.depth = tree.depth

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.flatten(1).float()
        if x.shape[1] < self.tree.least_inputs:
            raise ShapeError(
                f"a tree on {self.tree.least_inputs} numbers was given {list(x.shape)}"
            )
        leaves = self.leaf_of(x)
        if self.coefficients is None:
            return self.values[leaves]
        parts = [
            torch.einsum("boi,bi->bo", self.coefficients[leaf], part)
            for leaf, part in zip(leaves.split(LINEAR_ROWS), x.split(LINEAR_ROWS), strict=True)
        ]
        return self.values[leaves] + torch.cat(parts)

    @torch.no_grad()
    def leaf_of(self, x: Tensor) -> Tensor:
        """The leaf that each observation reaches, float32 [B, O] to int [B]."""
        if x.device.type == "cpu" and compiled_walk_pays(len(x), self.depth):
            arrays = (x.contiguous(), self.feature, self.threshold, self.below)
            return torch.from_numpy(walk(*(array.numpy() for array in arrays)))
        nodes = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for _ in range(self.depth):
            feature = self.feature[nodes].long()
            inner = feature != LEAF
            value = x.gather(1, feature.clamp(min=0)[:, None])[:, 0]
            below = self.below[nodes, (~(value <= self.threshold[nodes])).long()].long()
            nodes = torch.where(inner, below, nodes)
        return nodes
