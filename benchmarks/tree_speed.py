"""How fast a tree decides, in batches here and one by one in C, and how long it takes to grow.

    python benchmarks/tree_speed.py

Prints a Markdown table. The trees are grown on 100,000 made states of 8 numbers and 4 actions; C is
compiled by gcc -O2 and called for one observation after the other, each read from memory.
"""

import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from rldistill.core import QValueHead
from rldistill.exporters.c_tree import tree_to_c
from rldistill.students.cart import fit_cart
from rldistill.students.tree import TreeArrays
from rldistill.students.tree_module import TreeModule
from rldistill.students.tree_specs import parse_tree
from rldistill.students.tree_targets import targets_of

ROWS, INPUTS, ACTIONS = 100_000, 8, 4
BATCH = 32_768
REPEATS = 200
HEAD = QValueHead(ACTIONS)


def states() -> tuple[np.ndarray, np.ndarray]:
    """Observations and Q-values."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((ROWS, INPUTS)).astype(np.float32)
    hidden = np.tanh(x @ generator.standard_normal((INPUTS, 16)))
    return x, (hidden @ generator.standard_normal((16, ACTIONS))).astype(np.float32)


def in_batches(tree: TreeArrays, x: np.ndarray) -> float:
    """Decisions a second of the torch module, the best of some repeats."""
    module, batch = TreeModule(parse_tree("tree", "2"), INPUTS, tree), torch.from_numpy(x[:BATCH])
    best = np.inf
    for _ in range(REPEATS):
        started = time.perf_counter()
        with torch.no_grad():
            module(batch).argmax(-1)
        best = min(best, time.perf_counter() - started)
    return BATCH / best


def one_by_one(tree: TreeArrays, x: np.ndarray) -> float | None:
    """Decisions a second of the C code; None without gcc."""
    if shutil.which("gcc") is None:
        return None
    source = tree_to_c(tree, INPUTS, HEAD, "tree") + (
        "int run(const float *x, int n);\nint run(const float *x, int n)\n{\n    int sum = 0;\n"
        f"    for (int i = 0; i < n; i++) sum += tree_act(x + i * {INPUTS});\n    return sum;\n}}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.c"
        path.write_text(source)
        library = path.with_suffix(".so")
        command = ["gcc", "-std=c99", "-O2", "-shared", "-fPIC", str(path), "-o", str(library)]
        subprocess.run(command, check=True)
        run = ctypes.CDLL(str(library)).run
        pointer, best = x.ctypes.data_as(ctypes.c_void_p), np.inf
        for _ in range(REPEATS):
            started = time.perf_counter()
            run(pointer, len(x))
            best = min(best, time.perf_counter() - started)
    return len(x) / best


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    x, q = states()
    targets = targets_of(HEAD, q, weighted=True)
    print("| leaves | depth | grown in, s | decisions/s in batches | decisions/s in C |")
    print("|---|---|---|---|---|")
    for leaves in (8, 64, 256, 1024):
        started = time.perf_counter()
        tree = fit_cart(x, targets, leaves)
        seconds = time.perf_counter() - started
        c = one_by_one(tree, x)
        in_c = "no gcc" if c is None else f"{c / 1e6:.0f} M"
        print(
            f"| {leaves} | {tree.depth} | {seconds:.2f} | "
            f"{in_batches(tree, x) / 1e6:.0f} M | {in_c} |"
        )


if __name__ == "__main__":
    main()
