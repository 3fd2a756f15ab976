"""advise(): which row of the method table fits, by the decision tree of Czarnecki et al. 2019."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, final

from rldistill.errors import SettingError
from rldistill.evaluation.decision_tree import (
    CAVEATS,
    OBJECTIVE,
    QUESTIONS,
    TABULAR,
    TREE,
    UNMARKED,
    Branch,
    Leaf,
    Question,
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known of the situation; None is not answered.

    Attributes:
        off_teacher_states: the student will be evaluated outside the teacher's states.
        guarantees: a guarantee that training converges is needed.
        improve: being better than the teacher matters more than being fast.
        strong_teacher: the teacher is strong at the task.
        teacher_has_value: the teacher has a value function, in units of raw reward.
    """

    off_teacher_states: bool | None = None
    guarantees: bool | None = None
    improve: bool | None = None
    strong_teacher: bool | None = None
    teacher_has_value: bool | None = None

    def __post_init__(self) -> None:
        for name, answer in asdict(self).items():
            if answer is not None and not isinstance(answer, bool):
                raise SettingError(f"{name} must be True, False or None, got {answer!r}")

    def given(self) -> dict[str, bool]:
        """The questions that are answered, in the order of the tree."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: answer for name, answer in pairs if answer is not None}

    def with_answer(self, name: str, answer: bool) -> "Answers":
        """The same with one more answer, by the name of its question."""
        return replace(self, **{name: answer})


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One question of the path, its answer, and what that means."""

    question: str
    words: str
    answer: bool
    reason: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.words} {yes_or_no(self.answer)}: {self.reason}. [{self.evidence}]"


@final
@dataclass(frozen=True, slots=True)
class Advice:
    """What the tree says.

    Attributes:
        row: the preferred row of the method table.
        feasible: the rows that fit, the preferred one first.
        path: the questions asked, in order, with their answers, reasons and evidence.
        caveats: what the evidence does not cover, and what each feasible row asks of its user.
    """

    row: str
    feasible: tuple[str, ...]
    path: tuple[Step, ...]
    caveats: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The path in words."""
        return " ".join(map(str, self.path))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "row": self.row,
            "feasible": list(self.feasible),
            "reason": self.reason,
            "path": [asdict(step) for step in self.path],
            "caveats": list(self.caveats),
        }


def advise(answers: Answers) -> Advice:
    """Walk down the decision tree.

    Args:
        answers: to every question on the path, and to no other.

    Returns:
        The preferred row, the others that fit, the path there, and caveats.

    Raises:
        SettingError: a question on the path is not answered, or one beside it is.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), Fig. 1.

    >>> advise(Answers(off_teacher_states=False)).row
    'teacher-distill'
    >>> advise(Answers(off_teacher_states=True, guarantees=True, improve=False)).feasible
    ('exp-entropy-regularised', 'n-distill')
    """
    unasked = moot(answers)
    if unasked:
        raise SettingError(
            "; ".join(f"{name} {moot_words(answers, by)}" for name, by in unasked.items())
        )
    path, end = walk(answers)
    if isinstance(end, Question):
        raise SettingError(f"{end.name} must be answered, True or False: {end.words}")
    return Advice(end.rows[0], end.rows, path, tuple(_caveats(answers, end)))


def walk(answers: Answers) -> tuple[tuple[Step, ...], Question | Leaf]:
    """Follow the answers as far as they go.

    Returns:
        (path, end): the questions answered on the way, and the one that is not, or the leaf.
    """
    given, path, node = answers.given(), list[Step](), TREE
    while isinstance(node, Branch):
        question = QUESTIONS[node.question]
        answer = given.get(question.name)
        if answer is None:
            return tuple(path), question
        edge = question.edge(answer)
        path.append(Step(question.name, question.words, answer, edge.reason, edge.evidence))
        node = node.yes if answer else node.no
    return tuple(path), node


def reachable(answers: Answers) -> tuple[str, ...]:
    """The questions that may be asked, answered ones included, in the order of the tree.

    >>> reachable(Answers(improve=False))
    ('off_teacher_states', 'guarantees', 'improve')
    """
    names = set(_reachable(TREE, answers.given()))
    return tuple(name for name in QUESTIONS if name in names)


def moot(answers: Answers) -> dict[str, str]:
    """Answers to questions that can never be asked, each with the question that settled it.

    >>> moot(Answers(off_teacher_states=False, improve=True))
    {'improve': 'off_teacher_states'}
    """
    unasked = set(answers.given()) - set(reachable(answers))
    settled, before = dict[str, str](), Answers()
    for name, answer in answers.given().items():
        before = before.with_answer(name, answer)
        gone = unasked - set(reachable(before)) - set(settled)
        settled |= dict.fromkeys(sorted(gone), name)
    return settled


def _reachable(node: Branch | Leaf, given: dict[str, bool]) -> Iterator[str]:
    if isinstance(node, Leaf):
        return
    yield node.question
    for answer, below in ((False, node.no), (True, node.yes)):
        if given.get(node.question, answer) == answer:
            yield from _reachable(below, given)


def yes_or_no(answer: bool) -> str:
    """An answer in words."""
    return "yes" if answer else "no"


def moot_words(answers: Answers, settled_by: str) -> str:
    """Why an answer has no effect."""
    answer = yes_or_no(answers.given()[settled_by])
    return f"has no effect: with {settled_by} {answer} it is never asked; leave one of them out"


def _caveats(answers: Answers, leaf: Leaf) -> Iterator[str]:
    yield TABULAR
    if not leaf.marked:
        yield UNMARKED
    if answers.guarantees:
        yield OBJECTIVE
    for row in leaf.rows:
        for words in CAVEATS[row.removesuffix("+R")]:
            yield f"{row}: {words}"
