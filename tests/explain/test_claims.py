"""Claims know which actions break them."""

import numpy as np
import pytest

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.envs.naming import TaskNames
from rldistill.explain.claims import read_claim

DISCRETE = TaskNames((), ("left", "stay", "right"))
CONTINUOUS = TaskNames((), ("torque", "gas"))
HEAD = GaussianHead((-1.0, -1.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("never", "always", "words", "broken"),
    [
        (("left",), (), "never left", [True, False, False]),
        (("left", "2"), (), "never left or right", [True, False, True]),
        ((), ("left",), "always left", [False, True, True]),
        ((), ("left", "stay"), "always left or stay", [False, False, True]),
    ],
)
def test_discrete(
    never: tuple[str, ...], always: tuple[str, ...], words: str, broken: list[bool]
) -> None:
    claim = read_claim(never, always, DISCRETE, CategoricalHead(3))
    assert claim is not None
    assert claim.words == words
    assert claim.broken_by(np.arange(3)).tolist() == broken


@pytest.mark.parametrize(
    ("never", "always", "broken"),
    [
        (("torque > 0.5",), (), [False, True, False]),
        (("0 < torque < 0.6",), (), [False, False, False]),
        (("0 <= torque < 0.6",), (), [True, False, True]),
        (("torque > 0.5", "gas < 0"), (), [False, True, True]),
        ((), ("torque <= 0.5",), [False, True, False]),
        ((), ("-0.5 <= gas < 0.5",), [False, True, True]),
        ((), ("torque >= 0", "gas >= 0"), [False, False, True]),
    ],
)
def test_continuous(never: tuple[str, ...], always: tuple[str, ...], broken: list[bool]) -> None:
    claim = read_claim(never, always, CONTINUOUS, HEAD)
    assert claim is not None
    actions = np.float32([[0.0, 0.0], [1.0, 0.5], [0.0, -1.0]])
    assert claim.broken_by(actions).tolist() == broken


def test_no_words_no_claim() -> None:
    assert read_claim((), (), DISCRETE, CategoricalHead(3)) is None
