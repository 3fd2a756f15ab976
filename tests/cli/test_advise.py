"""rldistill advise: flags, measurements and a person at a terminal."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import TASK, Command, Result
from small_runs import follower_folder

from rldistill.cli.advise import Flags
from rldistill.cli.terminal import parse
from rldistill.evaluation.decision_tree import QUESTIONS
from rldistill.train import distill as training

CLONE = ("--off-teacher-states", "yes", "--guarantees", "no", "--improve", "no")
BETTER = (*CLONE[:4], "--improve", "yes")
SOON = ("--steps", 1024)


class Terminal(io.StringIO):
    """A person who has typed already."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """stdin is no terminal, unless a person is there."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def person(monkeypatch: pytest.MonkeyPatch, *typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in typed)))


def last(result: Result) -> dict[str, Any]:
    """The last line of --json of a command that went well."""
    assert result.code == 0, result.err
    record = result.records[-1]
    assert {"row", "feasible", "reason", "answers", "measured"} <= set(record)
    return record


def test_flags_alone(rldistill: Command) -> None:
    """One line per question of the path, then the advice."""
    result = rldistill("advise", *CLONE, "--json")
    record = last(result)
    assert result.err == ""
    assert record["row"] == "exp-entropy-regularised"
    assert record["feasible"] == ["exp-entropy-regularised", "on-policy-distill", "n-distill"]
    assert record["answers"] == {"off_teacher_states": True, "guarantees": False, "improve": False}
    assert record["measured"] == {}
    lines = result.records[:-1]
    assert [line["question"] for line in lines] == list(record["answers"])
    assert {line["by"] for line in lines} == {"flag"}


def test_the_words_for_people(rldistill: Command) -> None:
    result = rldistill("advise", *BETTER, "--strong-teacher", "no", "--teacher-has-value", "yes")
    assert result.code == 0
    assert "row        teacher-v-reward\n" in result.out
    assert "Is the teacher strong at the task?  no, as given\n" in result.out
    assert "telescopes" in result.out
    assert "no other row fits" in result.out


def test_help_asks_the_questions_of_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Flags, "advise", ["--help"])
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for question in QUESTIONS.values():
        assert question.flag in out
        assert question.words in out


def test_without_a_terminal_the_flags_are_listed(rldistill: Command) -> None:
    result = rldistill("advise", "--off-teacher-states", "yes")
    assert result.code == 1
    assert "Do you need a guarantee that training converges? Answer with --guarantees" in result.err
    assert all(f"{question.flag} yes|no" in result.err for question in QUESTIONS.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--off-teacher-states", "no", "--improve", "yes"),
         "--improve has no effect: with --off-teacher-states no it is never asked"),
        (("--improve", "no", "--teacher-has-value", "yes"),
         "--teacher-has-value has no effect: with --improve no it is never asked"),
        (("--measure",), "--measure needs what to measure: --teacher FILE and --task ID"),
        (("--task", "T"), "--task has no effect without --teacher FILE"),
        (("--import", "small_runs"), "--import has no effect without --teacher FILE"),
        (("--teacher", "a.zip", "--measure"), "give --task ID"),
        (("--teacher", "a.zip", "--task", "T"), "--teacher has no effect without --measure"),
        (("--teacher", "a.zip", "--task", "T", "--measure", *CLONE), "--measure has no effect"),
        (("--teacher", "a.zip", "--task", "T", "--measure", *CLONE[:2], "--student", "s"),
         "--student has no effect: --off-teacher-states is not measured"),
        (("--teacher", "a.zip", "--task", "T", "--measure", *BETTER, "--steps", "9"),
         "--steps has no effect: --off-teacher-states is not measured"),
        (("--teacher", "a.zip", "--task", "T", "--measure", "--improve", "no", "--best", "9"),
         "--best has no effect: --strong-teacher is not measured"),
        (("--teacher", "a.zip", "--task", "T", "--measure", "--student", "s", "--steps", "9"),
         "--steps has no effect with --student"),
        (("--teacher", "a.zip", "--task", "T", "--measure", "--episodes", "9"),
         "--episodes must be at least 16, got 9"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_refused(
    rldistill: Command, arguments: tuple[str, ...], said: str
) -> None:
    """Before anything is asked, loaded or measured."""
    result = rldistill("advise", *arguments)
    assert (result.code, result.out) == (1, "")
    assert said in result.err


def test_strength_and_value_are_measured(rldistill: Command, teacher: Path) -> None:
    """A perfect teacher; then one that is wrong in a fifth of the states and has no value."""
    measured = ("--task", "Follow-v0", "--import", "small_runs", "--measure", "--best", 8)
    record = last(rldistill("advise", *BETTER, "--teacher", teacher, *measured, "--json"))
    assert record["row"] == "exp-entropy-regularised+R"
    found = record["measured"]["strong_teacher"]
    assert (found["suggests"], found["share"], found["teacher_return"]) == (True, 1.0, 8.0)
    poor = follower_folder(teacher.parent / "poor", threshold=0.5)
    record = last(rldistill("advise", *BETTER, "--teacher", poor, *measured, "--json"))
    assert record["answers"]["strong_teacher"] is False
    assert record["answers"]["teacher_has_value"] is False
    assert record["measured"]["teacher_has_value"]["value_units"] == "none"
    assert record["feasible"][1:] == ["on-policy-distill+R", "n-distill+R"]


def test_a_flag_overrides_a_measurement(rldistill: Command, teacher: Path) -> None:
    """What a flag answers is not measured."""
    result = rldistill("advise", *BETTER, "--strong-teacher", "no", "--teacher", teacher, *TASK,
                       "--measure", "--json")  # fmt: skip
    record = last(result)
    assert set(record["measured"]) == {"teacher_has_value"}
    assert record["answers"]["strong_teacher"] is False


def test_numbers_that_cannot_tell_ask_for_the_flag(rldistill: Command, teacher: Path) -> None:
    """A teacher better than random, and no best return known."""
    result = rldistill("advise", *BETTER, "--teacher", teacher, *TASK, "--measure")
    assert result.code == 1
    assert "Answer with --strong-teacher yes|no.\nThe numbers cannot tell: over 128" in result.err


def test_drift_of_a_student_that_is_trained_for_it(
    rldistill: Command, teacher: Path, tmp_path: Path
) -> None:
    """States of Follow-v0 do not depend on actions: no drift. The student is thrown away.

    What was given for later questions is a note and no error: nobody could know before.
    """
    result = rldistill("advise", "--teacher", teacher, *TASK, "--measure", *SOON,
                       "--episodes", 512, "--improve", "yes", "--json")  # fmt: skip
    record = last(result)
    assert record["row"] == "teacher-distill"
    assert record["measured"]["off_teacher_states"]["episodes"] == 512
    assert record["unused"] == ["improve"]
    assert "1,024 steps" in result.err
    assert {path.name for path in tmp_path.iterdir()} == {"teacher"}
    plain = rldistill("advise", "--teacher", teacher, *TASK, "--measure", *SOON,
                      "--episodes", 512, "--improve", "yes")  # fmt: skip
    assert "note       --improve was not needed, after what was measured" in plain.out
    assert "a drift of " in plain.out


def test_a_student_given_is_not_trained(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("trained")

    monkeypatch.setattr(training, "distill", refuse)
    result = rldistill("advise", "--teacher", teacher, *TASK, "--measure", "--student", teacher,
                       "--json")  # fmt: skip
    found = last(result)["measured"]["off_teacher_states"]
    assert (found["drift"], found["return_gap"], found["suggests"]) == (0.0, 0.0, False)


def test_a_person_is_asked_what_the_path_needs(
    rldistill: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions go to stderr, so that stdout holds the answer alone; what is no answer is asked
    again."""
    person(monkeypatch, "y", "perhaps", "n", "n")
    result = rldistill("advise", "--json")
    record = last(result)
    assert record["row"] == "exp-entropy-regularised"
    assert [line["by"] for line in result.records[:-1]] == ["terminal"] * 3
    assert "Do you need a guarantee that training converges? [y/n]" in result.err
    assert "Is the teacher strong" not in result.err


def test_flags_are_not_asked_again(rldistill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    person(monkeypatch, "n")
    result = rldistill("advise", *CLONE[:4])
    assert result.code == 0
    assert "guarantee" not in result.err
    assert "rather than one that is there fast?  no, as answered" in result.out
    assert "some answers can be measured: --teacher FILE --task ID" in result.err


def test_a_flag_that_an_answer_makes_moot_is_an_error(
    rldistill: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(monkeypatch, "n")
    result = rldistill("advise", "--improve", "no")
    assert result.code == 1
    assert "--improve has no effect: with --off-teacher-states no it is never asked" in result.err


def test_the_end_of_the_input_is_an_error(
    rldistill: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(monkeypatch, "y")
    result = rldistill("advise")
    assert result.code == 1
    assert "the input ended at: Do you need a guarantee" in result.err


def test_a_measurement_is_offered_and_may_be_overridden(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enter takes the offer, the answer goes against what was found; the value is not measured."""
    person(monkeypatch, "", "n", "n", "y")
    result = rldistill("advise", *BETTER, "--teacher", teacher, *TASK, "--best", 8, "--json")
    record = last(result)
    strong, value = result.records[-3:-1]
    assert (strong["by"], strong["answer"], strong["measured"]["suggests"]) == (
        "terminal", False, True,
    )  # fmt: skip
    assert (value["by"], value["answer"], value["measured"]) == ("terminal", True, None)
    assert record["row"] == "teacher-v-reward"
    assert "Measure the teacher's return first?" in result.err
    assert "measured: over 128 episodes" in result.err


def test_enter_takes_what_was_measured(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --measure nothing is offered: it is done."""
    person(monkeypatch, "")
    result = rldistill("advise", *BETTER, "--teacher", teacher, *TASK, "--best", 8, "--measure")
    assert result.code == 0
    assert "first?" not in result.err
    assert "Is the teacher strong at the task?  yes, as answered\n" in result.out
    person(monkeypatch, "n", "n")
    result = rldistill("advise", *BETTER, "--teacher", teacher, *TASK, "--best", 8, "--measure")
    assert "no, as answered, against what was measured\n" in result.out


def test_questions_are_asked_before_torch_is_imported() -> None:
    """It takes seconds; only measurements need it."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from rldistill.cli.main import main;"
         f"code = main(['advise', '--json', *{CLONE!r}]);"
         "sys.exit(77 if 'torch' in sys.modules else code)"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["row"] == "exp-entropy-regularised"
