"""Tables 1, B1, B2, 2 and figure 5 of "Policy Distillation" (Rusu et al. 2016, arXiv:1511.06295).

    python reproduce/rusu2015.py --suite minatar            runs what is missing, writes the page
    python reproduce/rusu2015.py --suite minatar --quick    a try of every kind of cell
    python reproduce/rusu2015.py --suite atari3             Atari: Freeway, Pong and Qbert
    python reproduce/rusu2015.py --suite minatar --page     only the page, from what was run

Results lie in reproduce/results/rusu2015/SUITE, one JSON file per cell, written when it is done:
an interrupted run continues with the next cell, and cells that were not run are shown as that. Each
cell has a process of its own, which is ended after 20 minutes; what fails is named on the page, and
is tried again after all others.
Teachers lie in reproduce/results/rusu2015/SUITE/teachers/GAME; the page says how each was made.
The page is docs/rusu2015/SUITE.md.
"""

import argparse
import json
import sys
from fnmatch import fnmatch
from pathlib import Path

from rusu2015_cells import result
from rusu2015_claims import claims_table
from rusu2015_running import CELL_MINUTES, failures, run_missing
from rusu2015_suites import SUITES, Cell, Suite, cells
from rusu2015_tables import NOT_RUN, all_tables, looks

from rldistill.reports.following import following_figure

DOCS = Path(__file__).parent.parent / "docs" / "rusu2015"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=sorted(SUITES), required=True)
    parser.add_argument("--quick", action="store_true", help="two games, one seed, few steps")
    parser.add_argument("--minutes", type=float, help="after this no new cell is begun")
    parser.add_argument(
        "--cells",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="only cells whose name is like one of these, such as 'distill_Breakout*_seed0'",
    )
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time; default: 2")
    parser.add_argument("--page", action="store_true", help="run nothing")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    flags = parse(arguments)
    suite = SUITES[flags.suite].quick() if flags.quick else SUITES[flags.suite]
    if not flags.page:
        try:
            run_missing(suite, chosen(suite, flags.cells), flags.jobs, flags.minutes)
        except KeyboardInterrupt:
            sys.stdout.write("stopped; the same command goes on with the next cell\n")
    sys.stdout.write(f"page: {write_page(suite, flags.docs)}\n")


def write_page(suite: Suite, folder: Path) -> Path:
    """Write the page and its pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, seen in looks(suite).items():
        following_figure(seen, name).savefig(folder / f"{suite.name}-{name}.svg")
    page = folder / f"{suite.name}.md"
    page.write_text("\n".join(page_lines(suite)) + "\n")
    return page


def chosen(suite: Suite, patterns: list[str]) -> list[Cell]:
    """The cells whose names are like one of the patterns, in the order of the suite."""
    found = [
        cell
        for cell in cells(suite)
        if any(fnmatch(cell.file.removesuffix(".json"), pattern) for pattern in patterns)
    ]
    if not found:
        sys.exit(f"no cell of {suite.name} is like {' or '.join(patterns)}")
    return found


def page_lines(suite: Suite) -> list[str]:
    """The page: settings, teachers, tables, claims."""
    planned = list(cells(suite))
    done = [record for cell in planned if (record := result(suite, cell)) is not None]
    minutes = sum(record["seconds"] for record in done) / 60
    timed = [record["cpu_seconds"] for record in done if "cpu_seconds" in record]
    busy = f", of which {sum(timed) / 60:.1f} of computing in {len(timed)} cells" if timed else ""
    return [
        f"# Policy Distillation on {suite.name}",
        "",
        f"{len(done)} of {len(planned)} cells were run, one thread each, in {minutes:.1f} minutes "
        f"altogether{busy}; none may take more than {CELL_MINUTES:.0f}.",
        "",
        f"Budget: a student has {suite.steps:,} steps of its teacher ({suite.steps / 27e6:.2%} of "
        f"the paper's 27 million) and {suite.steps * 10 // 54:,} updates, per game; a network "
        f"that learns from scratch has {suite.teacher_steps:,} steps per game. "
        f"{suite.episodes} episodes score a policy, epsilon is 0.05 in collection and evaluation, "
        "and the last weights count. Intervals are 95 % over seeds. The paper's columns are shares "
        "of published DQN scores on Atari under human starts; ours are shares of the teachers' own "
        "scores.",
        "",
        f"Command: `python reproduce/rusu2015.py --suite {suite.name.removesuffix('-quick')}"
        f"{' --quick' if suite.name.endswith('-quick') else ''}`",
        "",
        *teacher_lines(suite),
        *all_tables(suite),
        *claims_table(suite),
        *failure_lines(suite),
    ]


def failure_lines(suite: Suite) -> list[str]:
    """Cells that were tried and gave nothing."""
    found = failures(suite)
    if not found:
        return []
    lines = ["### Cells that failed", "", "| cell | why |", "|---|---|"]
    return [*lines, *(f"| `{name}` | {why} |" for name, why in found.items()), ""]


def teacher_lines(suite: Suite) -> list[str]:
    """How each teacher was made, and how it plays greedily."""
    lines = ["### Teachers", "", "| game | greedy return | made by |", "|---|---|---|"]
    for game in suite.tasks:
        card, played = (suite.teacher(game) / name for name in ("student.json", "verdict.json"))
        if not card.exists() or not played.exists():
            lines.append(f"| {game} | {NOT_RUN} | |")
            continue
        found = json.loads(played.read_text())
        words = (
            f"{found['student_return']:.2f} [{found['student_low']:.2f}, "
            f"{found['student_high']:.2f}]"
        )
        lines.append(f"| {game} | {words} | `{json.loads(card.read_text())['command']}` |")
    return [*lines, ""]


if __name__ == "__main__":
    main(sys.argv[1:])
