"""advise(): every leaf of the decision tree against a table written by hand from the paper."""

import itertools
import json
import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from rldistill import Answers, advise
from rldistill.errors import SettingError
from rldistill.evaluation.advise import moot, reachable, walk
from rldistill.evaluation.decision_tree import CAVEATS, QUESTIONS, TREE, Leaf
from rldistill.methods.catalogue import get_method

ROOT = Path(__file__).parents[2]
NAMES = tuple(field.name for field in fields(Answers))
CODE = {"y": True, "n": False, "-": None}
# Fig. 1 of the paper, leaf by leaf: the answers in the order of Answers ("-": not asked), then the
# preferred row and the others.
FIGURE = {
    "n----": "teacher-distill",
    "ynn--": "exp-entropy-regularised on-policy-distill n-distill",
    "ynyy-": "exp-entropy-regularised+R on-policy-distill+R n-distill+R",
    "ynyny": "teacher-v-reward",
    "ynynn": "exp-entropy-regularised+R on-policy-distill+R n-distill+R",
    "yyn--": "exp-entropy-regularised n-distill",
    "yyyy-": "exp-entropy-regularised+R n-distill+R",
    "yyyny": "teacher-v-reward",
    "yyynn": "exp-entropy-regularised+R n-distill+R",
}


def answers(code: str) -> Answers:
    """From five letters."""
    return Answers(**dict(zip(NAMES, map(CODE.get, code), strict=True)))


CODES = ["".join(letters) for letters in itertools.product("yn-", repeat=5)]


@pytest.mark.parametrize("code", FIGURE)
def test_every_leaf_is_that_of_the_figure(code: str) -> None:
    """The preferred row first; the path asks exactly the questions of the leaf."""
    advice = advise(answers(code))
    rows = FIGURE[code].split()
    assert (advice.row, list(advice.feasible)) == (rows[0], rows)
    assert {step.question: step.answer for step in advice.path} == answers(code).given()


def test_all_other_answers_are_refused() -> None:
    """Of all 3^5 combinations nine lead to a leaf; the others lack an answer or have one too many.

    The refusal names a question, and says which answer made it moot where there is one too many.
    """
    refused = [code for code in CODES if code not in FIGURE]
    assert len(refused) == 3**5 - 9
    for code in refused:
        unasked = moot(answers(code))
        why = f"({'|'.join(unasked)}) has no effect" if unasked else "must be answered"
        with pytest.raises(SettingError, match=why):
            advise(answers(code))


def test_an_answer_is_moot_where_no_leaf_of_the_figure_asks_for_it() -> None:
    """Against the figure: a code is open as long as some leaf agrees with all its answers."""
    for code in CODES:
        leaves = [
            leaf for leaf in FIGURE
            if all(b == "-" or a in ("-", b) for a, b in zip(leaf, code, strict=True))
        ]  # fmt: skip
        asked = {NAMES[i] for leaf in leaves for i in range(5) if leaf[i] != "-"}
        assert set(reachable(answers(code))) == asked, code
        assert set(moot(answers(code))) == set(answers(code).given()) - asked, code


@pytest.mark.parametrize(
    ("code", "name", "by"),
    [("n-y--", "improve", "off_teacher_states"), ("--ny-", "strong_teacher", "improve"),
     ("y-nny", "teacher_has_value", "improve"), ("ynyyy", "teacher_has_value", "strong_teacher")],
)  # fmt: skip
def test_the_answer_that_made_another_moot_is_named(code: str, name: str, by: str) -> None:
    assert moot(answers(code))[name] == by
    with pytest.raises(SettingError, match=f"{name} has no effect: with {by} (yes|no)"):
        advise(answers(code))


def test_answers_must_be_true_or_false() -> None:
    """A "no" in words would count as true."""
    with pytest.raises(SettingError, match="improve must be True, False or None, got 'no'"):
        Answers(improve="no")  # type: ignore[arg-type]


def test_the_reason_is_the_path_in_words_with_its_evidence() -> None:
    advice = advise(answers("ynyny"))
    for step in advice.path:
        question = QUESTIONS[step.question]
        edge = question.edge(step.answer)
        assert edge.reason in advice.reason
        assert edge.evidence in advice.reason
        assert f"{question.words} {'yes' if step.answer else 'no'}" in advice.reason


def test_every_edge_has_a_reason_and_evidence_of_the_paper() -> None:
    assert list(QUESTIONS) == list(NAMES)
    for question in QUESTIONS.values():
        assert question.words.endswith("?")
        for edge in (question.yes, question.no):
            assert len(edge.reason) > 40
            assert re.search(r"Fig\. \d|Figs\. \d|Theorem|Proposition|Table 1", edge.evidence)


def test_caveats_go_with_the_rows() -> None:
    """Tabular evidence always; the guarantee, the unmarked leaf and each row where they apply."""
    for code in FIGURE:
        advice = advise(answers(code))
        text = "\n".join(advice.caveats)
        assert "tabular" in text
        assert ("stationary point" in text) == (code[1] == "y")
        assert ("marks no row as preferred" in text) == code.endswith("nn")
        assert ("entropy bonus" in text) == ("exp-entropy" in advice.row)
        assert ("cycle for ever" in text) == ("on-policy" in " ".join(advice.feasible))
        for row in advice.feasible:
            assert all(f"{row}: {words}" in text for words in CAVEATS[row.removesuffix("+R")])


@pytest.mark.parametrize("row", sorted({row for rows in FIGURE.values() for row in rows.split()}))
def test_advised_rows_are_in_the_method_table(row: str) -> None:
    assert get_method(row).name == row


def test_the_record_is_json() -> None:
    record = advise(answers("yyynn")).to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {"row", "feasible", "reason", "path", "caveats"} == set(record)


def test_walking_stops_at_the_first_open_question() -> None:
    path, end = walk(answers("yn-y-"))
    assert [step.question for step in path] == ["off_teacher_states", "guarantees"]
    assert end is QUESTIONS["improve"]
    assert isinstance(walk(answers("n----"))[1], Leaf)
    assert walk(Answers())[1] is QUESTIONS[TREE.question]


def test_the_page_has_every_edge() -> None:
    """docs/advise.md says what the code says."""
    page = (ROOT / "docs" / "advise.md").read_text()
    for question in QUESTIONS.values():
        for answer, edge in (("no", question.no), ("yes", question.yes)):
            row = f"| {question.words} `{question.flag}` | {answer} | {edge.reason} | "
            assert f"{row}{edge.evidence} |\n" in page


def test_the_drawing_is_that_of_the_tree() -> None:
    """Otherwise: python examples/draw_decision_tree.py"""
    script = runpy.run_path(str(ROOT / "examples" / "draw_decision_tree.py"))
    drawing = (ROOT / "docs" / "decision_tree.svg").read_text()
    assert drawing == script["svg"]()
    boxes = re.findall(r'<text class="row( first)?"[^>]*>([^<]*)</text>', drawing)
    shown = sorted(row.removesuffix(" *") for _, row in boxes)
    assert shown == sorted(row for rows in FIGURE.values() for row in rows.split())
    assert sum(row.endswith(" *") for _, row in boxes) == 7
