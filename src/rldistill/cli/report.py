"""rldistill report: one run or several as one page that works from disk."""

import sys
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rldistill.cli.flags import Environment, EnvironmentFlags, one_of
from rldistill.cli.terminal import option, parse, switch
from rldistill.errors import SettingError, UsageError

if TYPE_CHECKING:
    from rldistill.runs import RunFolder

FORMS = ("html", "md", "card")


@dataclass(frozen=True)
class Flags:
    """Write one HTML file on one run or several; it works offline and asks no other machine.

    Example: rldistill report runs/mine --open
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, option("RUN...")]
    """Run folders; a folder of run folders stands for all of them."""
    out: Annotated[Path | None, option("FILE")] = None
    """Where to write. Default: report.html in the run folder, or here for several runs;
    md and card are printed."""
    open: Annotated[bool, switch()] = False
    """Show the page in the browser."""
    to: Annotated[str, option("html|md|card"), one_of("--to", *FORMS)] = "html"
    """html, md (Markdown for a README), or card (a Hugging Face model card). Default: html."""
    no_video: Annotated[bool, switch()] = False
    """Leave out the video of teacher and student side by side."""
    teacher: Annotated[Path | None, option("FILE")] = None
    """The teacher, where the run does not say or it has moved; evidence that the run did not keep
    is made again with it."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """The teacher's VecNormalize statistics. Default: those of the run."""
    environment: Environment = field(default_factory=EnvironmentFlags)


def run(arguments: list[str]) -> int:
    """Write the report; returns the exit code."""
    flags = parse(Flags, "report", arguments)
    if not flags.runs:
        raise UsageError("a run folder is required, for example: rldistill report runs/mine")
    from rldistill.reports.write import find_runs

    folders = find_runs(flags.runs)
    refuse_without_effect(flags, len(folders))
    if flags.to == "html":
        path = write_html(flags, folders)
        sys.stdout.write(f"{path}\n")
        if flags.open:
            webbrowser.open(path.absolute().as_uri())
    elif flags.out is None:
        sys.stdout.write(as_text(flags.to, folders))
    else:
        from rldistill.reports.write import write_text

        write_text(flags.out, as_text(flags.to, folders))
        sys.stdout.write(f"{flags.out}\n")
    return 0


def refuse_without_effect(flags: Flags, num_runs: int) -> None:
    """Flags that would do nothing here.

    Raises:
        SettingError: one of them was given.
    """
    playing = {
        "--no-video": flags.no_video,
        "--teacher": flags.teacher is not None,
        "--vecnormalize": flags.vecnormalize is not None,
        "--backend, --env-kwargs, --wrapper, --import, views": flags.environment
        != EnvironmentFlags(),
    }
    for flag, given in playing.items():
        if given and (flags.to != "html" or num_runs > 1):
            raise SettingError(
                f"{flag} has no effect: nothing is played for "
                f"{'Markdown' if flags.to != 'html' else 'several runs'}"
            )
    if flags.open and flags.to != "html":
        raise SettingError(f"--open has no effect with --to {flags.to}: it shows pages")
    if flags.to == "card" and num_runs > 1:
        raise SettingError(f"--to card is about one run; got {num_runs}")


def write_html(flags: Flags, folders: "list[RunFolder]") -> Path:
    """Make the page and write it; returns where."""
    from rldistill.reports.record import read_run
    from rldistill.reports.write import Replay, default_path, html_report, write_page

    one = len(folders) == 1
    task = None
    if one and flags.environment != EnvironmentFlags():
        named = read_run(folders[0], with_curve=False).task
        task = None if named is None else flags.environment.task(named)
    replay = Replay(
        video=one and not flags.no_video,
        teacher=flags.teacher,
        task=task,
        vecnormalize=flags.vecnormalize,
    )
    path = flags.out or default_path(folders)
    write_page(path, html_report(folders, replay))
    return path


def as_text(form: str, folders: "list[RunFolder]") -> str:
    """The Markdown of `md` and `card`."""
    from rldistill.reports.markdown import model_card, summary
    from rldistill.reports.record import read_run

    runs = [read_run(folder, with_curve=len(folders) == 1) for folder in folders]
    return model_card(folders[0], runs[0]) if form == "card" else summary(runs)
