"""rldistill shrink: what it prints, writes and refuses."""

from pathlib import Path

import pytest
from commands import TASK, Command

FEW = ("--ladder", "mlp:4", "mlp:linear", "--steps", 4096, "--stages", 1, "--workers", 1)
QUICK = (*TASK, *FEW, "--prune", "none", "--no-int8", "--out", "sweep")


def test_it_says_what_is_smallest_and_draws_the_frontier(rldistill: Command, teacher: Path) -> None:
    result = rldistill("shrink", teacher, *QUICK, "--check", "--floor", 0.9)
    assert (result.code, result.err) == (0, "")
    assert "smallest  mlp:linear: 6 parameters" in result.out
    assert "fraction [95 %]" in result.out
    assert Path("sweep/frontier.svg").read_text().startswith("<?xml")
    again = rldistill("shrink", teacher, *QUICK, "--resume", "--json", "--floor", 0.9)
    assert again.code == 0
    last = again.records[-1]
    assert last["winner"]["name"] == "mlp:linear"
    assert last["run"].endswith("sweep")
    assert last["done"] is True


def test_nothing_that_holds_is_a_failed_check(rldistill: Command, teacher: Path) -> None:
    few = (*QUICK, "--ladder", "tree:1", "--check")
    result = rldistill("shrink", teacher, *few)
    assert result.code == 3
    assert "none of the ladder is shown to hold" in result.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--budget", "param"), "Did you mean params"),
        (("--floor", "2"), "floor must lie in (0, 1]"),
        (("--prune", "half"), "--prune must be numbers"),
        (("--workers", "0"), "workers must be at least 1"),
        (("--workers", "2", "--ray"), "--workers has no effect with --ray"),
        (("--ladder", "mpl:8"), "Did you mean mlp"),
        (("--resume", "--force"), "without --force"),
        (("--resume",), "holds no sweep to resume"),
        (("--steps", "10"), "too few"),
        (("--task", "Track-v0"), "action"),
    ],
)
def test_what_is_wrong_is_told(
    rldistill: Command, teacher: Path, flags: tuple[str, ...], message: str
) -> None:
    result = rldistill("shrink", teacher, *TASK, "--out", "sweep", *flags)
    assert result.code in (1, 2)
    assert message in result.err
    assert "Traceback" not in result.err
