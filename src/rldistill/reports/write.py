"""Run folders as a report: an HTML page, Markdown for a README, or a model card."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rldistill.errors import RldistillError, RunFolderError, SettingError
from rldistill.evaluation.evidence import RunEvidence
from rldistill.evaluation.evidence_file import load_evidence
from rldistill.reports.curves import curves_section
from rldistill.reports.method_row import method_section
from rldistill.reports.page import MARK, render_page
from rldistill.reports.record import RunRecord, plain_file, plain_text, read_run
from rldistill.reports.section import Section
from rldistill.reports.several import several_page, several_sections
from rldistill.reports.single import cost_section, returns_section, run_page, settings_section
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


def html_report(folders: Sequence[RunFolder], *, with_video: bool = True) -> str:
    """One self-contained HTML page on one run or several.

    Args:
        folders: of the runs, at least one.
        with_video: play student and teacher side by side, where the task can be drawn; one run.

    Raises:
        RldistillError: one of its kinds.
    """
    if len(folders) > 1:
        runs = read_runs(folders)
        return render_page(several_page(runs), several_sections(runs))
    run = read_run(folders[0])
    return render_page(run_page(run), run_sections(folders[0], run, with_video))


def run_sections(folder: RunFolder, run: RunRecord, with_video: bool) -> tuple[Section, ...]:
    """The parts of the page on one run; one that cannot be made says why, the others stand."""
    evidence: RunEvidence | None = None
    trouble = ""
    try:
        evidence = load_evidence(plain_file(folder.evidence))
    except RunFolderError as error:
        trouble = str(error)
    episodes = None if evidence is None else evidence.episodes
    rounds = max((int(p["round_index"]) for p in run.curve if "round_index" in p), default=30)
    makers: list[tuple[str, Callable[[], Section | None]]] = [
        ("Returns in numbers", lambda: returns_section(run, episodes)),
        ("Learning curves", lambda: curves_section([run])),
        ("Size, latency, cost", lambda: cost_section(run, evidence)),
        ("Method", lambda: method_section(run.method, rounds)),
        ("Settings, versions, command", lambda: settings_section(run)),
    ]
    del with_video
    with drawing():
        parts = [made(title, maker) for title, maker in makers]
    if trouble:
        parts.insert(
            0, Section("Evidence", (f"The evidence of this run is not shown: {trouble}.",))
        )
    return tuple(part for part in parts if part is not None)


def made(title: str, maker: Callable[[], Section | None]) -> Section | None:
    """A section, or one that says why there is none: what one file lacks hides no other."""
    try:
        return maker()
    except RldistillError as error:
        return Section(title, (f"This part could not be made: {plain_text(error)}.",))


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
