"""Small cards and weights for the tests of the loader."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

MLP = """
format = 1
algorithm = "PPO"
[actions]
head = "categorical"
[network]
trunk = [{ linear = "a" }, "tanh"]
actor = [{ linear = "b" }]
critic = [{ linear = "v" }]
[value]
gamma = 0.9
"""


def draw(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Normal float32 arrays; a dot in a name is written as two underscores."""
    rng = np.random.default_rng(0)
    return {
        name.replace("__", "."): rng.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def mlp_weights() -> dict[str, np.ndarray]:
    """3 -> 5 -> 2 and a critic."""
    return draw(a__weight=(5, 3), a__bias=(5,), b__weight=(2, 5), b__bias=(2,),
                v__weight=(1, 5), v__bias=(1,))  # fmt: skip


def save(folder: Path, card: str | None, weights: Mapping[str, np.ndarray]) -> Path:
    """teacher.npz with teacher.toml beside it."""
    np.savez(folder / "teacher.npz", **weights)
    if card is not None:
        (folder / "teacher.toml").write_text(card)
    return folder / "teacher.npz"


def tensors(weights: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in weights.items()}
