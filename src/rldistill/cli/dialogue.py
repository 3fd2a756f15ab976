"""The dialogue of `rldistill advise`: flags, measurements or a person answer its questions."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from rldistill.cli.measuring import MEASURABLE
from rldistill.errors import SettingError
from rldistill.evaluation.advise import Answers, moot, moot_words, walk, yes_or_no
from rldistill.evaluation.decision_tree import QUESTIONS, Question

if TYPE_CHECKING:
    from rich.console import Console

    from rldistill.evaluation.situation import Measured

Measure = Callable[[str], "Measured"]


@final
@dataclass(frozen=True, slots=True)
class Answered:
    """One question of the path.

    Attributes:
        question: which.
        answer: what was decided.
        by: who decided; a person may have overridden what was measured.
        measured: the numbers, where it was measured.
    """

    question: Question
    answer: bool
    by: Literal["flag", "measured", "terminal"]
    measured: "Measured | None" = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "question": self.question.name,
            "words": self.question.words,
            "answer": self.answer,
            "by": self.by,
            "measured": None if self.measured is None else self.measured.to_json(),
        }


@final
@dataclass(frozen=True, slots=True)
class Dialogue:
    """Who answers what the flags leave open.

    Attributes:
        flags: the answers given as flags.
        measure: measures one of MEASURABLE; None: nothing to measure with.
        offered: a person is asked before each measurement.
        console: where a person is asked; None: nobody is there.
    """

    flags: Answers
    measure: Measure | None = None
    offered: bool = False
    console: "Console | None" = None

    def answered(self) -> Iterator[Answered]:
        """One record per question of the path, in order.

        Raises:
            SettingError: nobody can answer, or a flag turned out to have no effect.
        """
        answers = Answers()
        while isinstance(question := walk(answers)[1], Question):
            one = self._answer(question)
            answers = answers.with_answer(question.name, one.answer)
            self._require_effect(answers, one)
            yield one

    def _answer(self, question: Question) -> Answered:
        given = self.flags.given().get(question.name)
        if given is not None:
            return Answered(question, given, "flag")
        measured = self._measured(question)
        if measured is not None:
            say(self.console, f"measured: {measured.because}")
        suggestion = None if measured is None else measured.suggests
        if self.console is not None:
            answer = ask(self.console, question.words, suggestion)
            return Answered(question, answer, "terminal", measured)
        if suggestion is None:
            cannot = "" if measured is None else f"\nThe numbers cannot tell: {measured.because}."
            raise SettingError(
                f"{question.words} Answer with {question.flag} yes|no.{cannot}\n"
                f"{asked_without_terminal()}"
            )
        return Answered(question, suggestion, "measured", measured)

    def _measured(self, question: Question) -> "Measured | None":
        if self.measure is None or question.name not in MEASURABLE:
            return None
        if self.offered and self.console is not None:
            offer = f"{question.words} Measure {MEASURABLE[question.name]} first?"
            if not ask(self.console, offer, True):
                return None
        return self.measure(question.name)

    def _require_effect(self, answers: Answers, last: Answered) -> None:
        """A flag that an answer of a person makes moot is an error; a measurement is nobody's."""
        if last.by != "measured":
            require_effect(Answers(**{**self.flags.given(), **answers.given()}))


def require_effect(answers: Answers) -> None:
    """Refuse flags for questions that can never be asked.

    Raises:
        SettingError: there is one; it says which answer made it moot.
    """
    for name, settled_by in moot(answers).items():
        settling = QUESTIONS[settled_by]
        words = moot_words(answers, settled_by).replace(settled_by, settling.flag)
        raise SettingError(f"{QUESTIONS[name].flag} {words}")


def terminal() -> "Console | None":
    """Where to ask, if a person is there: stdin is a terminal. Questions go to stderr."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def ask(console: "Console", words: str, default: bool | None) -> bool:
    """Ask a person; Enter takes the default, where there is one.

    Raises:
        SettingError: the input ended.
    """
    from rich.prompt import Confirm
    from rich.text import Text

    try:
        if default is None:
            return Confirm.ask(Text(words), console=console)
        return Confirm.ask(Text(words), console=console, default=default)
    except EOFError:
        raise SettingError(f"the input ended at: {words} {asked_without_terminal()}") from None


def say(console: "Console | None", words: str) -> None:
    """Tell a person, before asking."""
    if console is not None:
        from rich.text import Text

        console.print(Text(words))


def asked_without_terminal() -> str:
    """The flags that answer."""
    flags = ", ".join(f"{question.flag} yes|no" for question in QUESTIONS.values())
    return f"The answers as flags, in the order of the tree: {flags}"


def answer_words(one: Answered) -> str:
    """One line for people."""
    how = {"flag": "as given", "measured": "measured", "terminal": "as answered"}[one.by]
    over = one.measured is not None and one.measured.suggests not in (None, one.answer)
    return f"{yes_or_no(one.answer)}, {how}{', against what was measured' if over else ''}"
