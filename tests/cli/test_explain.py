"""rldistill explain: rules for people, records for machines, proofs with exit codes."""

from pathlib import Path

import pytest
from commands import TASK, Command

FEW = ("--episodes", 32, "--num-envs", 16)
DISTILL = (*TASK, "--student", "tree:4", "--num-envs", 16, "--steps", 2048, "--out", "mine")


@pytest.fixture
def tree(rldistill: Command, teacher: Path) -> str:
    """A tree student of Follow-v0."""
    result = rldistill("distill", teacher, *DISTILL)
    assert result.code == 0, result.err
    return "mine"


def test_a_tree_for_people_and_in_files(rldistill: Command, teacher: Path, tree: str) -> None:
    result = rldistill("explain", tree, *TASK, *FEW, "--against", teacher, "--out", "out")
    assert (result.code, result.err) == (0, "")
    assert "The rules are the policy itself: a tree of " in result.out
    assert "-> action 1" in result.out
    assert "return lost when a feature is shuffled" in result.out
    assert (Path("out") / "tree.svg").read_text().startswith("<svg ")
    assert "wrote      out/rules.txt" in result.out
    again = rldistill("explain", tree, *TASK, *FEW, "--out", "out")
    assert again.code == 1
    assert "out already holds explain.json" in again.err
    assert rldistill("explain", tree, *TASK, *FEW, "--out", "out", "--force").code == 0


def test_the_record_of_a_network(rldistill: Command, teacher: Path) -> None:
    names = Path("names.toml")
    names.write_text('features = ["left eye [cm]", "right eye"]\nactions = ["no", "yes"]\n')
    result = rldistill("explain", teacher, *TASK, *FEW, "--json", "--names", names, "--leaves", 4)
    assert (result.code, result.err) == (0, "")
    record = result.records[-1]
    assert record["is_tree"] is False
    assert 0.5 < record["surrogate"]["fidelity"]["value"] < 1
    assert record["features"] == ["left eye [cm]", "right eye"]
    assert all(leaf["action"] in ("no", "yes") for leaf in record["leaves"])
    assert any("eye" in leaf["rule"] for leaf in record["leaves"])
    assert {one["name"] for one in record["importance"]} == {"left eye", "right eye"}
    assert record["files"] == []


def test_proofs_have_exit_codes(rldistill: Command, tree: str) -> None:
    """Far to the right of everything: always 1. Everywhere: not never 1."""
    box = ("--box", "feature 0 > 0.99", "--box", "1 > 0.99")
    yes = rldistill("explain", tree, *TASK, "--verify", *box, "--always", "action 1")
    assert (yes.code, yes.err) == (0, "")
    assert "answer     yes" in yes.out
    no = rldistill("explain", tree, *TASK, "--verify", "--never", "1", "--json", "--in-space")
    assert no.code == 3
    record = no.records[-1]
    assert (record["answer"], record["counterexample"]["action_name"]) == ("no", "action 1")
    assert record["counterexample"]["outside_space"] is False
    told = rldistill("explain", tree, *TASK, "--verify", *box)
    assert (told.code, "answer" in told.out, "reached    1 of " in told.out) == (0, False, True)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--box", "0 < 1"), "--box has no effect without --verify", 2),
        (("--in-space",), "--in-space has no effect without --verify", 2),
        (("--verify", "--episodes", "8"), "--episodes has no effect with --verify", 2),
        (("--verify", "--seed", "0"), "--seed has no effect with --verify", 2),
        (("--force",), "--force has no effect without --out", 2),
        (("--verify",), "only trees can be verified, and mlp:linear", 1),
        (("--names", "none.toml"), "cannot read none.toml", 1),
        (("--leaves", "1"), "leaves must be at least 2, got 1", 1),
        (("--leaves", "few"), "--leaves must be a whole number; got 'few'", 2),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    rldistill: Command, teacher: Path, arguments: tuple[str, ...], message: str, code: int
) -> None:
    result = rldistill("explain", teacher, *TASK, *arguments)
    assert message in result.err
    assert result.code == code
    assert result.err.count("\n") == 1


def test_bad_boxes_and_names_of_a_tree(rldistill: Command, tree: str) -> None:
    for arguments, message in (
        (("--box", "feature 0 < 0 and feature 0 > 1"), "the box has no inside"),
        (("--box", "featre 0 < 0"), "no feature 'featre 0' (by name, or by index from 0). Did you"),
        (("--never", "action 7"), "no action 'action 7'"),
        (("--box", "feature 0 < inf"), "bounds must be finite"),
        (("--box", "0 > 5", "--in-space"), "within its declared bounds [-1, 1]"),
    ):
        result = rldistill("explain", tree, *TASK, "--verify", *arguments)
        assert result.code == 1
        assert message in result.err
