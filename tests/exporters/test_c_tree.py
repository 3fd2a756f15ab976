"""A tree as C99 decides as in Python, to the bit, and compiles without a warning."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rldistill.core import CategoricalHead, DeterministicHead, Head
from rldistill.errors import SettingError
from rldistill.exporters import c_tree
from rldistill.exporters.c_tree import c_float, tree_to_c
from rldistill.students.cart import fit_cart
from rldistill.students.linear_tree import fit_linear_tree
from rldistill.students.rule_list import fit_rules
from rldistill.students.tree import TreeArrays, constant_tree
from rldistill.students.tree_targets import targets_of

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-shared", "-fPIC")
INPUTS, ACTIONS = 6, 4
HEAD = CategoricalHead(ACTIONS)
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def states(count: int = 3000) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, INPUTS)).astype(np.float32)


def raw(x: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(1).standard_normal((INPUTS, ACTIONS))
    return np.sin(2 * x @ weights).astype(np.float32)


def compiled(tree: TreeArrays, head: Head, folder: Path) -> Any:
    """The functions, called for a batch by a loop in C, as a user would include them."""
    source = tree_to_c(tree, INPUTS, head, "tree")
    source += "void raws(const float *x, float *out, int n)\n{\n    for (int i = 0; i < n; i++) "
    source += f"{{ tree_raw(x + i * {INPUTS}, out + i * {tree.num_outputs}); }}\n}}\n"
    source += "void raws(const float *x, float *out, int n);\n"
    if isinstance(head, CategoricalHead):
        source += "void acts(const float *x, int *out, int n)\n{\n    for (int i = 0; i < n; i++) "
        source += f"{{ out[i] = tree_act(x + i * {INPUTS}); }}\n}}\n"
    (folder / "tree.c").write_text(source)
    command = ["gcc", *FLAGS, str(folder / "tree.c"), "-o", str(folder / "tree.so")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "tree.so"))


def in_c(function: Any, x: np.ndarray, out: np.ndarray) -> np.ndarray:
    function(x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), len(x))
    return out


def with_thresholds(tree: TreeArrays, x: np.ndarray) -> np.ndarray:
    """Half of the observations have a number exactly at a threshold, or a float above."""
    x, generator = x.copy(), np.random.default_rng(2)
    inner = np.flatnonzero(tree.feature >= 0)
    if len(inner):
        for row in range(0, len(x), 2):
            node = generator.choice(inner)
            at = tree.threshold[node]
            x[row, tree.feature[node]] = at if row % 4 else np.nextafter(at, np.float32(np.inf))
    return x


@needs_gcc
@pytest.mark.parametrize(
    ("kind", "nested"),
    [("tree", True), ("rules", True), ("leaf", True), ("tree", False), ("rules", False)],
)
def test_decisions_are_equal(tmp_path, monkeypatch, kind, nested):
    monkeypatch.setattr(c_tree, "MOST_NESTED", 100 if nested else -1)
    targets = targets_of(HEAD, raw(states()), weighted=True)
    tree = {
        "tree": lambda: fit_cart(states(), targets, 150),
        "leaf": lambda: constant_tree(raw(states(1))[0]),
        "rules": lambda: fit_rules(states(), targets, 12),
    }[kind]()
    library, x = compiled(tree, HEAD, tmp_path), with_thresholds(tree, states())
    acts = in_c(library.acts, x, np.zeros(len(x), np.int32))
    assert (acts == tree.raw(x).argmax(1)).all()
    outputs = in_c(library.raws, x, np.zeros((len(x), ACTIONS), np.float32))
    assert (outputs == tree.raw(x)).all()


@needs_gcc
def test_a_chain_deeper_than_blocks_may_nest_is_walked_in_tables(tmp_path):
    """C99 promises 127 levels of blocks."""
    y = np.arange(3000, dtype=np.float32)[:, None] % 2
    x = np.sort(states()[:, :1], 0) * np.ones((1, INPUTS), np.float32)
    tree = fit_rules(x, targets_of(DeterministicHead((-1.0,), (1.0,)), y, True), 140)
    assert tree.depth > c_tree.MOST_NESTED
    assert "if (" not in tree_to_c(tree, INPUTS, DeterministicHead((-1.0,), (1.0,)), "tree")
    library = compiled(tree, DeterministicHead((-1.0,), (1.0,)), tmp_path)
    outputs = in_c(library.raws, x, np.zeros((len(x), 1), np.float32))
    assert (outputs == tree.raw(x)).all()


@needs_gcc
def test_linear_leaves_agree_up_to_rounding(tmp_path):
    tree = fit_linear_tree(states(), targets_of(HEAD, raw(states()), weighted=True), 5)
    library = compiled(tree, HEAD, tmp_path)
    outputs = in_c(library.raws, states(), np.zeros((3000, ACTIONS), np.float32))
    np.testing.assert_allclose(outputs, tree.raw(states()), rtol=1e-4, atol=1e-4)
    acts = in_c(library.acts, states(), np.zeros(3000, np.int32))
    assert (acts == outputs.argmax(1)).all()


def test_every_float_is_read_back_as_itself():
    bits = np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint32)
    floats = bits.view(np.float32)
    edges = np.array([0.0, -0.0, 1e-45, 3.4028235e38, 0.1, 1 / 3, 16777217], np.float32)
    for number in [*floats[np.isfinite(floats)], *edges]:
        text = c_float(number)
        assert np.float32(text.removesuffix("f")).tobytes() == np.float32(number).tobytes()
        assert "." in text or "e" in text


def test_what_cannot_be_written_is_refused():
    tree = constant_tree(np.zeros(4, np.float32))
    for name in ("", "9a", "a-b", "a;b", "ä"):
        with pytest.raises(SettingError, match="a C function's name"):
            tree_to_c(tree, INPUTS, HEAD, name)
    wide = fit_linear_tree(states(), targets_of(HEAD, raw(states()), weighted=True), 2)
    with pytest.raises(SettingError, match="needs 6 inputs"):
        tree_to_c(wide, 3, HEAD, "tree")
