"""Run folders as a report: an HTML page, Markdown for a README, or a model card."""

from collections.abc import Sequence
from pathlib import Path

from rldistill.errors import RunFolderError, SettingError
from rldistill.reports.evidence_sections import evidence_sections, read_evidence
from rldistill.reports.method_row import method_section
from rldistill.reports.page import MARK, render_page
from rldistill.reports.record import RunRecord, read_run
from rldistill.reports.section import Section
from rldistill.reports.several import several_page, several_sections
from rldistill.reports.single import means_section, run_page, settings_section
from rldistill.reports.svg import drawing
from rldistill.runs import RunFolder, atomic_write, list_runs

REPORT = "report.html"
MOST_RUNS = 20_000
# Above so many runs their curves are not read, but for an even sample of so many.
MOST_CURVES = 200


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


def html_report(folders: Sequence[RunFolder]) -> str:
    """One self-contained HTML page on one run or several.

    Args:
        folders: of the runs, at least one.

    Raises:
        RldistillError: one of its kinds.
    """
    if len(folders) > 1:
        runs = read_runs(folders)
        return render_page(several_page(runs), several_sections(runs))
    run = read_run(folders[0])
    return render_page(run_page(run), run_sections(folders[0], run))


def run_sections(folder: RunFolder, run: RunRecord) -> tuple[Section, ...]:
    """The parts of the page on one run: its evidence, its method, its settings."""
    evidence, trouble = read_evidence(folder)
    rounds = max((int(point.get("round_index", 0)) for point in run.curve), default=0)
    shown = list(evidence_sections(run, evidence))
    if evidence is None:
        means = means_section(run)
        shown[:0] = [Section("Evidence", (f"Not shown: {trouble}.",)), *([means] if means else [])]
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


def is_report(path: Path) -> bool:
    """Whether a file begins as our pages do."""
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(200)
    except OSError:
        return False
