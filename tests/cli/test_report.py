"""rldistill report and compare, and the report that distill writes at its end."""

import webbrowser
from pathlib import Path
from typing import Any

import pytest
from commands import TASK, Command
from made_runs import made_run, seeds_of

from rldistill.cli import distill
from rldistill.reports import page, write


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds, and is tested elsewhere."""
    monkeypatch.setattr(page, "to_svg", lambda figure, prefix, label: "<svg></svg>")


def test_a_page_on_one_run(rldistill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in the run folder; --open shows it."""
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    run = made_run(Path("runs/one")).absolute()
    result = rldistill("report", "runs/one", "--no-video", "--open")
    assert (result.code, result.out, result.err) == (0, f"{run}/report.html\n", "")
    assert shown == [(run / "report.html").as_uri()]
    assert "The student holds." in (run / "report.html").read_text()


def test_a_page_on_several(rldistill: Command) -> None:
    """By the folder that holds them; it is written here."""
    seeds_of(Path("runs"))
    assert rldistill("report", "runs").out == "report.html\n"
    assert "13 runs on 2 tasks" in Path("report.html").read_text()
    assert rldistill("report", "runs", "--out", "all.html").out == "all.html\n"


def test_a_video_that_cannot_be_made_is_said_and_the_page_stands(rldistill: Command) -> None:
    """The task is unknown, the teacher gone."""
    run = made_run(Path("runs/one"), evidence={})
    result = rldistill("report", run)
    assert (result.code, result.err) == (0, "")
    text = (run / "report.html").read_text()
    assert "There is no video: " in text
    assert "Where they differ most" in text


def test_a_missing_encoder_is_said(rldistill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pip line, and the page stands."""
    import sys

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    run = made_run(Path("runs/one"))
    assert rldistill("report", run, "--teacher", "teacher.zip").code == 1  # evidence needs it
    with (run / "recipe.toml").open("a") as file:
        file.write('teacher = "teacher.zip"\n')
    assert rldistill("report", run).code == 0
    assert "pip install" in (run / "report.html").read_text()


def test_markdown_and_card(rldistill: Command) -> None:
    """Printed, or written where --out says and nothing is yet."""
    made_run(Path("runs/one"))
    assert rldistill("report", "runs/one", "--to", "md").out.startswith("**The student holds.**")
    card = rldistill("report", "runs/one", "--to", "card")
    assert card.out.startswith("---\nlibrary_name: rldistill\n")
    assert rldistill("report", "runs/one", "--to", "card", "--out", "README.md").code == 0
    assert Path("README.md").read_text() == card.out
    again = rldistill("report", "runs/one", "--to", "card", "--out", "README.md")
    assert (again.code, "is there already" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "a run folder is required"),
        (("runs/two",), "no run folder at"),
        (("runs/one", "--to", "pdf"), "--to must be one of html, md, card; got 'pdf'"),
        (("runs/one", "--to", "md", "--open"), "--open has no effect with --to md"),
        (("runs/one", "--to", "md", "--no-video"), "--no-video has no effect"),
        (("runs", "--no-video"), "--no-video has no effect"),
        (("runs", "--to", "card"), "--to card is about one run; got 2"),
    ],
)
def test_wrong_use(rldistill: Command, arguments: tuple[str, ...], words: str) -> None:
    made_run(Path("runs/one"))
    made_run(Path("runs/other"))
    result = rldistill("report", *arguments)
    assert result.code in (1, 2)
    assert words in result.err


def test_compare(rldistill: Command) -> None:
    """Pairs by seed; the JSON has the same numbers."""
    made_run(Path("runs/a"), evidence={"shift": 0.0})
    made_run(Path("runs/b"), evidence={"shift": -1.0})
    result = rldistill("compare", "runs/a", "runs/b")
    assert (result.code, result.err) == (0, "")
    assert "a - b\ndifference   1 [1, 1] return, 95 % bootstrap over 40 pairs" in result.out
    assert "40 wins, 0 ties, 0 losses, sign test p = 1.82e-12" in result.out
    assert "result       a has the higher mean return" in result.out
    (found,) = rldistill("compare", "runs", "--json").records
    assert (found["paired"], found["wins"], found["why_unpaired"]) == (True, 40, None)
    assert rldistill("compare").code == 2
    assert "got 1" in rldistill("compare", "runs/a").err


def test_distill_writes_its_report(
    rldistill: Command, teacher: Path, real_report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default, and not with --no-report."""
    monkeypatch.setattr(distill, "write_report", real_report)
    few = ("--steps", 64, "--num-envs", 4, "--student", "mlp:4")
    result = rldistill("distill", teacher, *TASK, *few, "--out", "runs/with")
    assert result.out.endswith(f"report     {Path('runs/with').absolute()}/report.html\n")
    assert "Follow-v0" in Path("runs/with/report.html").read_text()
    last = rldistill("distill", teacher, *TASK, *few, "--out", "runs/json", "--json").records[-1]
    assert "verdict" in last
    assert Path("runs/json/report.html").exists()
    rldistill("distill", teacher, *TASK, *few, "--out", "runs/without", "--no-report")
    assert not Path("runs/without/report.html").exists()


def test_a_report_that_fails_does_not_lose_the_run(
    rldistill: Command, teacher: Path, real_report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code and the verdict are those of the run; the failure is said."""
    monkeypatch.setattr(distill, "write_report", real_report)

    def broken(*arguments: Any) -> str:
        raise ZeroDivisionError("no ink")

    monkeypatch.setattr(write, "html_report", broken)
    few = ("--steps", 64, "--num-envs", 4, "--student", "mlp:4", "--out", "runs/a")
    result = rldistill("distill", teacher, *TASK, *few)
    assert result.code == 0
    assert "the run is saved, but its report failed: no ink" in result.err
    assert Path("runs/a/verdict.json").exists()
