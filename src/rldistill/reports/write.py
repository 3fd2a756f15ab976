"""Run folders as a report: an HTML page, Markdown for a README, or a model card."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rldistill.envs.spec import TaskSpec
from rldistill.errors import RunFolderError, SettingError
from rldistill.reports.evidence_sections import evidence_sections, read_evidence, remake_evidence
from rldistill.reports.method_row import method_section
from rldistill.reports.page import MARK, render_page
from rldistill.reports.record import RunRecord, read_run
from rldistill.reports.section import Section
from rldistill.reports.single import means_section, run_page, settings_section
from rldistill.reports.svg import drawing
from rldistill.reports.tasks_section import tasks_section
from rldistill.reports.video_section import video_section
from rldistill.runs import RunFolder, atomic_write, list_runs

SEVERAL = "report.html"  # in the working directory
MOST_RUNS = 20_000
# Above so many runs their curves are not read, but for an even sample of so many.
MOST_CURVES = 200


def report(*runs: Path | str, out: Path | str | None = None, video: bool = False) -> Path:
    """Write one self-contained HTML page on one run or several.

    Args:
        runs: run folders; a folder of run folders stands for all of them.
        out: the file; None: report.html in the run folder, or here for several runs.
        video: film teacher and student side by side; one run alone.

    Returns:
        Where it was written.

    Raises:
        RldistillError: one of its kinds.
    """
    folders = find_runs(runs)
    if video and len(folders) > 1:
        raise SettingError("video has no effect: nothing is played for several runs")
    path = Path(out) if out is not None else default_path(folders)
    write_page(path, html_report(folders, Replay(video=video)))
    return path


def default_path(folders: Sequence[RunFolder]) -> Path:
    """Where the page goes if nobody says."""
    return folders[0].report_html if len(folders) == 1 else Path(SEVERAL)


def find_runs(paths: Sequence[Path | str]) -> list[RunFolder]:
    """The run folders that paths name; a folder of run folders stands for all of them.

    Args:
        paths: at least one; what is named twice is taken once.

    Raises:
        RunFolderError: a path is neither.
        SettingError: there are none, or more than 20,000.
    """
    found: dict[Path, RunFolder] = {}
    for path in paths:
        folder = Path(path).expanduser().absolute()
        inside = list_runs(folder) if folder.is_dir() and not (folder / "run.json").exists() else []
        for run in inside or [RunFolder.open(folder)]:
            found[run.root] = run
    if not found or len(found) > MOST_RUNS:
        raise SettingError(f"a report needs 1 to {MOST_RUNS:,} runs; got {len(found):,}")
    return list(found.values())


def read_runs(folders: Sequence[RunFolder]) -> list[RunRecord]:
    """What these folders say; of very many runs only some with their curves."""
    step = max(1, len(folders) // MOST_CURVES)
    return [read_run(folder, with_curve=i % step == 0) for i, folder in enumerate(folders)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How teacher and student play again, for a video or for evidence that was not kept.

    Attributes:
        video: film the two side by side.
        teacher: file of the teacher; None: where the run says, and evidence is not made again.
        task: as the user names it; None: as the run says.
        vecnormalize: statistics of the teacher's observation normaliser.
    """

    video: bool = False
    teacher: Path | None = None
    task: TaskSpec | None = None
    vecnormalize: Path | None = None


NOTHING_PLAYED = Replay()


def html_report(folders: Sequence[RunFolder], replay: Replay = NOTHING_PLAYED) -> str:
    """One self-contained HTML page on one run or several.

    Args:
        folders: of the runs, at least one.
        replay: what is played for it; of one run alone.

    Raises:
        RldistillError: one of its kinds.
    """
    if len(folders) > 1:
        # It brings scipy's statistics, which a report at the end of a run need not wait for.
        from rldistill.reports.several import several_page, several_sections

        runs = read_runs(folders)
        return render_page(several_page(runs), several_sections(runs))
    run = read_run(folders[0])
    return render_page(run_page(run), run_sections(folders[0], run, replay))


def run_sections(folder: RunFolder, run: RunRecord, replay: Replay) -> tuple[Section, ...]:
    """The parts of the page on one run: its evidence, its method, its settings."""
    evidence, trouble = read_evidence(folder)
    if evidence is None and replay.teacher is not None:
        evidence = remake_evidence(
            run, replay.teacher, task=replay.task, vecnormalize=replay.vecnormalize
        )
    rounds = max((int(point.get("round_index", 0)) for point in run.curve), default=0)
    shown = list(evidence_sections(run, evidence))
    if evidence is None:
        shown[:0] = [Section("Evidence", (f"Not shown: {trouble}.",))]
        shown[1:1] = [part for part in (tasks_section(run), means_section(run)) if part]
    if replay.video and run.student:
        shown.insert(
            1,
            video_section(run, replay.teacher, task=replay.task, vecnormalize=replay.vecnormalize),
        )
    with drawing():
        return (*shown, method_section(run.method, rounds), settings_section(run))


def write_page(path: Path, page: str) -> None:
    """Write a page, unless something else is there.

    Raises:
        RunFolderError: the path is a file that is no report of ours, or cannot be written.
    """
    if path.exists() and not is_report(path):
        raise RunFolderError(
            f"{path} is there and is not a report of rldistill; it is not overwritten: choose "
            "another file with --out"
        )
    atomic_write(path, page)


def write_text(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        RunFolderError: something is there already, or it cannot be written.
    """
    if path.exists():
        raise RunFolderError(f"{path} is there already: choose another file with --out")
    atomic_write(path, text)


def is_report(path: Path) -> bool:
    """Whether a file begins as our pages do."""
    try:
        with path.open("rb") as file:
            # Where the template has it: a text that speaks of reports is none.
            return file.read(200).startswith(f"<!doctype html>\n<!-- {MARK} -->".encode())
    except OSError:
        return False
