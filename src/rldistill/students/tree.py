"""A binary decision tree as plain arrays: what tree students, explanations and exporters share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.errors import NotFiniteError, ShapeError

# What stands in `feature` at a leaf.
LEAF = -1
# The names of the arrays; `coefficients` may be missing.
ARRAYS = (
    "feature", "threshold", "left", "right", "values", "coefficients", "samples", "impurity",
)  # fmt: skip

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True)
class TreeArrays:
    """N nodes, the root first, children after their parents.

    At an inner node an observation goes left where x[feature] <= threshold, compared in float32.
    Inner nodes have values too: what a leaf in their place would say.

    Attributes:
        feature: int32 [N], which number of the flat observation is compared; -1 at a leaf.
        threshold: float32 [N]; 0 at a leaf.
        left: int32 [N], the child where x[feature] <= threshold; -1 at a leaf.
        right: int32 [N], the other child; -1 at a leaf.
        values: float32 [N, outputs], raw outputs of the head: log-probabilities over actions, or
            means and actions.
        coefficients: float32 [N, outputs, O] where leaves hold linear models, whose raw outputs are
            values + coefficients @ x; None where they are constant.
        samples: int64 [N], rows of training data that reached the node.
        impurity: float32 [N], what the rows of the node disagree by, as the fit measures it.

    Raises:
        ShapeError: arrays of wrong types or shapes, or nodes that do not form one tree.
        NotFiniteError: a number is NaN or infinite.

    >>> from numpy import array, float32, int32, int64, zeros
    >>> stump = TreeArrays(
    ...     feature=array([0, -1, -1], int32), threshold=array([0.5, 0, 0], float32),
    ...     left=array([1, -1, -1], int32), right=array([2, -1, -1], int32),
    ...     values=array([[0, 0], [1, 0], [0, 1]], float32), coefficients=None,
    ...     samples=array([2, 1, 1], int64), impurity=zeros(3, float32))
    >>> stump.num_leaves, stump.depth, stump.leaf_of(array([[0.5], [0.6]], float32)).tolist()
    (2, 1, [1, 2])
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    values: Array
    coefficients: Array | None
    samples: Array
    impurity: Array

    def __post_init__(self) -> None:
        self._require_shapes()
        self._require_tree()
        numbers = [self.threshold, self.values, self.impurity]
        if not all(np.isfinite(array).all() for array in [*numbers, *self._linear()]):
            raise NotFiniteError("a tree's thresholds and values must be finite; one is not")

    @property
    def num_nodes(self) -> int:
        """N, leaves and inner nodes."""
        return len(self.feature)

    @property
    def num_leaves(self) -> int:
        """Nodes without children."""
        return int((self.feature == LEAF).sum())

    @property
    def num_outputs(self) -> int:
        """Raw outputs of each node."""
        return self.values.shape[1]

    @property
    def least_inputs(self) -> int:
        """How many numbers an observation must have at least."""
        if self.coefficients is not None:
            return self.coefficients.shape[2]
        return int(self.feature.max(initial=LEAF)) + 1

    @property
    def depth(self) -> int:
        """Comparisons on the longest path; 0 for a single leaf."""
        return int(self.depths().max())

    def depths(self) -> Array:
        """int32 [N], comparisons before each node; 0 at the root."""
        depths = np.zeros(self.num_nodes, np.int32)
        for node in np.flatnonzero(self.feature != LEAF):
            depths[self.left[node]] = depths[self.right[node]] = depths[node] + 1
        return depths

    def leaf_of(self, observations: Array) -> Array:
        """The leaf that each observation [B, O] reaches: int32 [B].

        Raises:
            ShapeError: observations that are not flat or have too few numbers.
        """
        if observations.ndim != 2 or observations.shape[1] < self.least_inputs:
            raise ShapeError(
                f"a tree on {self.least_inputs} numbers was given {observations.shape}"
            )
        x = observations.astype(np.float32, copy=False)
        rows, nodes = np.arange(len(x)), np.zeros(len(x), np.int32)
        for _ in range(self.depth):
            feature = self.feature[nodes]
            goes_left = x[rows, feature] <= self.threshold[nodes]
            inner = feature != LEAF
            below = np.where(goes_left, self.left[nodes], self.right[nodes])
            nodes = np.where(inner, below, nodes)
        return nodes

    def raw(self, observations: Array) -> Array:
        """Raw outputs float32 [B, outputs] for observations [B, O].

        Raises:
            ShapeError: observations that are not flat or have too few numbers.
        """
        leaves = self.leaf_of(observations)
        if self.coefficients is None:
            return self.values[leaves]
        x = observations.astype(np.float32, copy=False)
        return self.values[leaves] + np.einsum("boi,bi->bo", self.coefficients[leaves], x)

    def _linear(self) -> list[Array]:
        return [] if self.coefficients is None else [self.coefficients]

    def _require_shapes(self) -> None:
        n = len(self.feature)
        outputs = self.values.shape[1] if self.values.ndim == 2 else -1
        expected: dict[str, tuple[Array, type[Any], tuple[int, ...]]] = {
            "feature": (self.feature, np.int32, (n,)),
            "threshold": (self.threshold, np.float32, (n,)),
            "left": (self.left, np.int32, (n,)),
            "right": (self.right, np.int32, (n,)),
            "values": (self.values, np.float32, (n, outputs)),
            "samples": (self.samples, np.int64, (n,)),
            "impurity": (self.impurity, np.float32, (n,)),
        }
        if self.coefficients is not None:
            width = self.coefficients.shape[-1] if self.coefficients.ndim == 3 else -1
            expected["coefficients"] = (self.coefficients, np.float32, (n, outputs, width))
        for name, (array, kind, shape) in expected.items():
            if array.dtype != kind or array.shape != shape or 0 in array.shape:
                raise ShapeError(
                    f"a tree's {name} must be {np.dtype(kind)} {list(shape)}, at least one; got "
                    f"{array.dtype} {list(array.shape)}"
                )

    def _require_tree(self) -> None:
        """Every node but the root is the child of exactly one node before it."""
        n, inner = self.num_nodes, self.feature != LEAF
        nodes = np.flatnonzero(inner)
        children = np.concatenate([self.left[nodes], self.right[nodes]])
        if self.feature.min() < LEAF or not (
            len(children) == n - 1
            and np.array_equal(np.sort(children), np.arange(1, n))
            and bool((children > np.concatenate([nodes, nodes])).all())
        ):
            raise ShapeError(
                "a tree's nodes must form one tree: the root first, each other node the child of "
                "exactly one node before it, features of inner nodes from 0"
            )


def tree_from_arrays(arrays: Mapping[str, Array]) -> TreeArrays:
    """A tree from named arrays, such as a file has, checked.

    Raises:
        ShapeError: arrays are missing or unknown, or do not form one tree.
        NotFiniteError: a number is NaN or infinite.

    >>> tree = constant_tree(np.zeros(2, np.float32))
    >>> tree_from_arrays({n: getattr(tree, n) for n in ARRAYS if n != "coefficients"}).num_nodes
    1
    """
    needed = set(ARRAYS) - {"coefficients"}
    if not needed <= set(arrays) <= set(ARRAYS):
        raise ShapeError(f"a tree has the arrays {', '.join(ARRAYS)}; got {', '.join(arrays)}")
    return TreeArrays(**{name: arrays.get(name) for name in ARRAYS})  # pyright: ignore[reportArgumentType]


def constant_tree(values: Array, samples: int = 0) -> TreeArrays:
    """A tree of a single leaf that says values [outputs] everywhere.

    >>> constant_tree(np.zeros(4, np.float32)).num_leaves
    1
    """
    return TreeArrays(
        feature=np.full(1, LEAF, np.int32),
        threshold=np.zeros(1, np.float32),
        left=np.full(1, LEAF, np.int32),
        right=np.full(1, LEAF, np.int32),
        values=values.astype(np.float32)[None],
        coefficients=None,
        samples=np.full(1, samples, np.int64),
        impurity=np.zeros(1, np.float32),
    )
