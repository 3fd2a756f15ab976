"""What is drawn: live on a terminal, lines elsewhere."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from rldistill.cli import display
from rldistill.evaluation.summary import Costs, Sides, summarise
from rldistill.evaluation.verdict import verdict
from rldistill.train.progress import Progress


def progress(**changes: Any) -> Progress:
    given: dict[str, Any] = {
        "phase": "learning", "round_index": 2, "env_steps": 8192, "total_steps": 100_000,
        "updates": 64, "loss": 0.25, "agreement": 0.875, "steps_per_second": 1000.0,
        "train_seconds": 8.0,
    }  # fmt: skip
    return Progress(**(given | changes))


LOOK = progress(phase="screening", student_return=210.0, return_low=190.0, return_high=230.0,
                fraction=0.81, episodes=64, decision="reject")  # fmt: skip
DONE = progress(phase="done", message="64 episodes show")


def records() -> Iterator[Progress]:
    yield progress(round_index=0, env_steps=0, loss=None, message="teacher  PPO [64]")
    yield progress()
    yield LOOK
    yield DONE


def test_a_round_beyond_the_last_step_leaves_no_time() -> None:
    assert display.time_left(progress(env_steps=100_500)) == "0 s"


def test_lines_hold_all_that_is_known() -> None:
    assert display.progress_line(progress()) == (
        "    8,192 steps  1,000/s  loss 0.25  agreement 87.5 %  at most 1 min 32 s left"
    )
    seen = progress(student_return=210.0, return_low=190.0, return_high=230.0, agreement=None)
    assert "return 210 [190, 230]" in display.progress_line(seen)
    assert display.look_line(LOOK) == (
        "    8,192 steps  screened: 64 episodes, return 210 [190, 230], fraction 0.810: "
        "not there yet"
    )


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display.show(records())
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "teacher  PPO [64]"
    assert out[1].startswith("    8,192 steps  1,000/s")
    assert out[2] == display.look_line(LOOK)
    assert len(out) == 3


def test_progress_lines_do_not_flood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in five seconds; looks and messages always."""
    clock = iter(100.0 + 0.5 * i for i in range(1000))
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    display.show_lines(iter([progress() for _ in range(40)] + [LOOK] * 5))
    lines = capsys.readouterr().out.splitlines()
    assert sum("screened" in line for line in lines) == 5
    assert 3 <= sum("loss" in line for line in lines) <= 6


def test_a_terminal_gets_a_table_and_keeps_the_looks() -> None:
    """Brackets in messages are text, not markup."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    display.show_live(console, records())
    text = stream.getvalue()
    assert "teacher  PPO [64]" in text
    assert "not there yet" in text
    for what in ("8,192 of at most 100,000", "1,000 steps/s", "87.5 %", "at most 1 min 32 s"):
        assert what in text


def test_a_dataset_has_rows_and_no_steps(capsys: pytest.CaptureFixture[str]) -> None:
    given = progress(env_steps=None, steps_per_second=None, rows=8000)
    assert "8,000 rows  1,000/s" in display.progress_line(given)
    display.Console(width=100).print(display.panel(given))
    shown = capsys.readouterr().out + display.look_line(given) + display.progress_line(given)
    assert "8,000 of at most 100,000" in shown
    assert "1,000 rows/s" in shown
    assert "steps" not in shown


def test_the_time_left_is_at_most_that() -> None:
    assert display.time_left(progress(env_steps=0)) == "?"
    assert display.time_left(progress(env_steps=98_000)) == "2 s"
    assert display.time_left(progress(total_steps=10**7)) == "2 h 46 min"


def summary(returns: list[float], run: str | None = "runs/[a]") -> dict[str, Any]:
    told = verdict(returns, [10.0] * 256, [0.0, 1.0] * 128)
    sides = Sides(student_act="mode", teacher_act="sample", student_parameters=1234,
                  teacher_parameters=67_586)  # fmt: skip
    costs = Costs(env_steps=16_384, train_seconds=1.25, total_seconds=3.5, run=run)
    return summarise(told, None, sides, costs)


def test_the_summary_is_a_table_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display.show_summary(summary([10.0] * 256))
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["mean", "return", "10", "10", "0.5"] in rows
    assert ["parameters", "1,234", "67,586", "-"] in rows
    assert ["acts", "by", "mode", "sample", "-"] in rows
    assert "IQM" not in out
    assert "fraction   1.000 [1, 1] of the teacher's, unpaired" in out
    assert "cost       16,384 environment steps, 1.2 s of training, 3.5 s in all" in out
    assert "verdict    holds: 256 episodes of each policy" in out
    assert "run        runs/[a]" in out


def test_long_lines_are_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """A path or a reason may be searched for, or copied."""
    display.show_summary(summary([10.0] * 256, run="/" + "deep/" * 60 + "run"))
    assert "deep/" * 60 + "run\n" in capsys.readouterr().out


def test_no_verdict_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    told = summary([1.0] * 256) | {"verdict": None, "fraction": None}
    display.show_summary(told)
    out = capsys.readouterr().out
    assert "verdict    no verdict: " in out
    assert "fraction" not in out.split("verdict")[0]


def test_agreement_is_by_action_and_in_nats() -> None:
    """What has no KL, or an infinite one, says so."""
    detail = {
        "student_states": {"top_action": 0.912, "kl": 0.0312, "states": 9},
        "teacher_states": {"top_action": 0.9, "kl": None, "states": 9},
    }
    assert display.agreement_lines(detail) == [
        "agreement  on the student's states 91.2 % same action, KL 0.0312 nats; on the teacher's "
        "states 90.0 % same action, no finite KL"
    ]
    assert display.agreement_lines(None) == []
