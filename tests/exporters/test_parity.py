"""Parity is no decoration: an export that differs is caught, ties are told from differences."""

from typing import Any

import numpy as np
import pytest
from subjects import by_layers, student, subject
from torch import nn

from rldistill.errors import ExportError
from rldistill.exporters import onnx, session
from rldistill.exporters.parity import compare, edge_values
from rldistill.exporters.torch_files import reference

EDGES = edge_values((5,), None, "float32")


def test_another_action_in_one_state_is_caught() -> None:
    case = subject(student("mlp:8", "logits"))
    right = reference(case)

    def wrong(rows: Any, noise: Any) -> dict[str, Any]:
        actions = right(rows, noise)["action"].copy()
        if len(rows) > 200:
            actions[-1] = (actions[-1] + 1) % 4
        return {"action": actions}

    with pytest.raises(ExportError, match="in 1 of 309 states without a tie; nothing was written"):
        compare(case, wrong, EDGES, "drawn")


@pytest.mark.parametrize("off", [1e-3, np.nan])
def test_an_error_above_the_tolerance_is_caught(off: float) -> None:
    case = subject(student("mlp:8", "gaussian"))
    right = reference(case)
    with pytest.raises(ExportError, match=r"differs from the policy's by|is NaN or infinite"):
        compare(case, lambda x, n: {"action": right(x, n)["action"] + np.float32(off)}, EDGES, "")


def test_a_network_of_other_weights_is_caught() -> None:
    case, other = subject(student("mlp:8", "q")), subject(student("mlp:9", "q"))
    with pytest.raises(ExportError, match="without a tie"):
        compare(case, session.run(onnx.build(other), other), EDGES, "drawn")


def test_a_fixed_batch_is_caught() -> None:
    """A file that takes one row alone would be of use to few."""
    case = subject(student("mlp:8", "logits"))
    right = reference(case)

    def one(rows: Any, noise: Any) -> dict[str, Any]:
        if len(rows) != 1:
            raise ValueError("batch of 1")
        return dict(right(rows, noise))

    with pytest.raises(ValueError, match="batch of 1"):
        compare(case, one, EDGES, "drawn")


def test_ties_are_counted_and_may_be_decided_either_way() -> None:
    layer = nn.Linear(5, 4)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    case = subject(by_layers([layer], "logits"))
    parity = compare(case, lambda x, n: {"action": np.full(len(x), 3)}, EDGES, "drawn")
    assert parity.ties == parity.different_at_ties == 309
    assert parity.same_actions == 0.0


def test_edges_hold_bounds_zeros_large_numbers_and_denormals() -> None:
    from gymnasium import spaces

    space = spaces.Box(np.array([-1.0, -np.inf], np.float32), np.array([4.0, np.inf], np.float32))
    edges = edge_values((2,), space, "float32")
    assert len(edges) == 11
    assert np.isfinite(edges).all()
    for row in ([0, 0], [-1, -1e4], [4, 1e4], [1e4, 1e4]):
        assert (edges == np.array(row, np.float32)).all(1).any()
    assert ((np.abs(edges) > 0) & (np.abs(edges) < np.finfo(np.float32).tiny)).any()
    assert edge_values((3, 4, 4), None, "uint8").max() == 255
