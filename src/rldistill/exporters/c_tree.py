"""A decision tree as C99: nested ifs on float thresholds that are written exactly."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rldistill.core import CategoricalHead, Head, QValueHead
from rldistill.errors import SettingError
from rldistill.students.tree import LEAF, TreeArrays

# A C99 compiler need not take more than 127 levels of blocks; deeper trees are walked in tables.
MOST_NESTED = 100
NUMBERS_PER_LINE = 6


def tree_to_c(tree: TreeArrays, inputs: int, head: Head, name: str) -> str:
    """C99 functions that decide as a tree does, one observation at a time.

    `static inline int NAME_leaf(const float *x)` gives the leaf, numbered from the left, and
    `static inline void NAME_raw(const float *x, float *out)` the raw outputs, in the order of the
    head. For discrete actions `static inline int NAME_act(const float *x)` gives the action, 0 to
    A - 1. Nothing is allocated and nothing is included. Constant leaves decide as in Python to the
    bit, for every float; sums of linear leaves are rounded in another order.

    Args:
        tree: what decides.
        inputs: O, numbers in an observation.
        head: what the raw outputs mean.
        name: prefix of the functions, a C identifier.

    Raises:
        SettingError: the name is no identifier of C, or the tree needs more inputs.

    >>> from rldistill.students.tree import constant_tree
    >>> tree = constant_tree(np.array([0.0, 1.0], np.float32))
    >>> print(tree_to_c(tree, 3, CategoricalHead(2), "pole").splitlines()[0])
    /* 1 leaf, depth 0; x has 3 floats, 2 raw outputs */
    """
    if not (name.isascii() and name.isidentifier()):
        raise SettingError(f"a C function's name must be letters, digits and _; got {name!r:.40}")
    if tree.least_inputs > inputs:
        raise SettingError(f"the tree needs {tree.least_inputs} inputs, observations have {inputs}")
    leaves = leaves_from_the_left(tree)
    plural = "leaf" if len(leaves) == 1 else "leaves"
    parts = [
        f"/* {len(leaves)} {plural}, depth {tree.depth}; x has {inputs} floats, "
        f"{tree.num_outputs} raw outputs */",
        *(
            _nested(tree, leaves, name)
            if tree.depth <= MOST_NESTED
            else _walked(tree, leaves, name)
        ),
        *_raw(tree, leaves, name),
    ]
    if isinstance(head, (CategoricalHead, QValueHead)):
        parts += _act(tree, leaves, name)
    return "\n".join(parts) + "\n"


def leaves_from_the_left(tree: TreeArrays) -> list[int]:
    """The nodes that are leaves, as they stand in a drawing."""
    found: list[int] = []
    stack = [0]
    while stack:
        node = stack.pop()
        if tree.feature[node] == LEAF:
            found.append(node)
        else:
            stack += [int(tree.right[node]), int(tree.left[node])]
    return found


def c_float(number: float | np.floating[Any]) -> str:
    """A float32 as a C constant that is read back as exactly this float.

    Nine significant digits tell every float from its neighbours.

    >>> c_float(np.float32(0.1)), c_float(np.float32(2.0)), c_float(np.float32(1e30))
    ('0.100000001f', '2.0f', '1.00000002e+30f')
    """
    text = f"{float(np.float32(number)):.9g}"
    return (text if any(c in text for c in ".e") else f"{text}.0") + "f"


def _nested(tree: TreeArrays, leaves: list[int], name: str) -> Iterator[str]:
    """The leaf by nested ifs."""
    numbers = {leaf: i for i, leaf in enumerate(leaves)}

    def block(node: int, indent: str) -> Iterator[str]:
        if node in numbers:
            yield f"{indent}return {numbers[node]};"
            return
        yield f"{indent}if (x[{tree.feature[node]}] <= {c_float(tree.threshold[node])}) {{"
        yield from block(int(tree.left[node]), indent + "    ")
        yield f"{indent}}} else {{"
        yield from block(int(tree.right[node]), indent + "    ")
        yield f"{indent}}}"

    yield f"static inline int {name}_leaf(const float *x)"
    yield "{"
    if len(leaves) == 1:
        yield "    (void)x;"
    yield from block(0, "    ")
    yield "}\n"


def _walked(tree: TreeArrays, leaves: list[int], name: str) -> Iterator[str]:
    """The leaf by a walk in tables; child c < 0 stands for leaf -1 - c."""
    inner = np.flatnonzero(tree.feature != LEAF)
    place = {int(node): i for i, node in enumerate(inner)}
    place |= {leaf: -1 - i for i, leaf in enumerate(leaves)}
    children = [place[int(x[node])] for node in inner for x in (tree.left, tree.right)]
    n = len(inner)
    yield from _table("int", f"{name}_feature[{n}]", [str(tree.feature[i]) for i in inner])
    yield from _table(
        "float", f"{name}_threshold[{n}]", [c_float(tree.threshold[i]) for i in inner]
    )
    yield from _table("int", f"{name}_child[{2 * n}]", [str(child) for child in children])
    yield f"static inline int {name}_leaf(const float *x)"
    yield "{"
    yield "    int node = 0;"
    yield "    while (node >= 0) {"
    yield f"        const int left = x[{name}_feature[node]] <= {name}_threshold[node];"
    yield f"        node = {name}_child[2 * node + (left ? 0 : 1)];"
    yield "    }"
    yield "    return -1 - node;"
    yield "}\n"


def _raw(tree: TreeArrays, leaves: list[int], name: str) -> Iterator[str]:
    """The raw outputs of the leaf."""
    outputs, count = tree.num_outputs, len(leaves)
    values = [c_float(v) for v in tree.values[leaves].ravel()]
    yield from _table("float", f"{name}_values[{count * outputs}]", values)
    linear = tree.coefficients
    if linear is not None:
        slopes = [c_float(v) for v in linear[leaves].ravel()]
        yield from _table("float", f"{name}_slopes[{len(slopes)}]", slopes)
    yield f"static inline void {name}_raw(const float *x, float *out)"
    yield "{"
    yield f"    const int leaf = {name}_leaf(x);"
    yield f"    for (int k = 0; k < {outputs}; k++) {{"
    yield f"        float sum = {name}_values[leaf * {outputs} + k];"
    if linear is not None:
        inputs = linear.shape[2]
        yield f"        for (int i = 0; i < {inputs}; i++) {{"
        yield f"            sum += {name}_slopes[(leaf * {outputs} + k) * {inputs} + i] * x[i];"
        yield "        }"
    yield "        out[k] = sum;"
    yield "    }"
    yield "}\n"


def _act(tree: TreeArrays, leaves: list[int], name: str) -> Iterator[str]:
    """The action: that of the leaf, or the largest output where leaves are linear."""
    if tree.coefficients is None:
        best = [str(action) for action in tree.values[leaves].argmax(1)]
        yield from _table("int", f"{name}_action[{len(best)}]", best)
        yield f"static inline int {name}_act(const float *x)"
        yield "{"
        yield f"    return {name}_action[{name}_leaf(x)];"
        yield "}"
        return
    yield f"static inline int {name}_act(const float *x)"
    yield "{"
    yield f"    float out[{tree.num_outputs}];"
    yield "    int best = 0;"
    yield f"    {name}_raw(x, out);"
    yield f"    for (int k = 1; k < {tree.num_outputs}; k++) {{"
    yield "        if (out[k] > out[best]) {"
    yield "            best = k;"
    yield "        }"
    yield "    }"
    yield "    return best;"
    yield "}"


def _table(kind: str, name: str, numbers: list[str]) -> Iterator[str]:
    yield f"static const {kind} {name} = {{"
    for start in range(0, len(numbers), NUMBERS_PER_LINE):
        yield f"    {', '.join(numbers[start : start + NUMBERS_PER_LINE])},"
    yield "};\n"
