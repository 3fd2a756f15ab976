"""Tables 1, B1, B2, 2 and figure 5 of "Policy Distillation" (Rusu et al. 2016, arXiv:1511.06295).

    python reproduce/rusu2015.py --suite minatar            runs what is missing, writes the page
    python reproduce/rusu2015.py --suite minatar --quick    a try of every kind of cell
    python reproduce/rusu2015.py --suite atari3             Atari: Freeway, Pong and Qbert
    python reproduce/rusu2015.py --suite minatar --page     only the page, from what was run

Results lie in reproduce/results/rusu2015/SUITE, one JSON file per cell, written when it is done:
an interrupted run continues with the next cell, and cells that were not run are shown as that.
Teachers lie in reproduce/results/rusu2015/SUITE/teachers/GAME; the page says how each was made.
The page is docs/rusu2015/SUITE.md.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from rusu2015_cells import NoTeacherError, path_of, result, run
from rusu2015_claims import claims_table
from rusu2015_suites import SUITES, Suite, cells
from rusu2015_tables import NOT_RUN, all_tables, looks

from rldistill.errors import RldistillError
from rldistill.reports.following import following_figure

DOCS = Path(__file__).parent.parent / "docs" / "rusu2015"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=sorted(SUITES), required=True)
    parser.add_argument("--quick", action="store_true", help="two games, one seed, few steps")
    parser.add_argument("--minutes", type=float, help="after this no new cell is begun")
    parser.add_argument("--kinds", nargs="*", help="only cells of these kinds")
    parser.add_argument("--page", action="store_true", help="run nothing")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    flags = parse(arguments)
    suite = SUITES[flags.suite].quick() if flags.quick else SUITES[flags.suite]
    if not flags.page:
        try:
            run_missing(suite, flags.minutes, flags.kinds)
        except KeyboardInterrupt:
            sys.stdout.write("stopped; the same command goes on with the next cell\n")
    flags.docs.mkdir(parents=True, exist_ok=True)
    for name, seen in looks(suite).items():
        following_figure(seen, name).savefig(flags.docs / f"{suite.name}-{name}.svg")
    page = flags.docs / f"{suite.name}.md"
    page.write_text("\n".join(page_lines(suite)) + "\n")
    sys.stdout.write(f"page: {page}\n")


def run_missing(suite: Suite, minutes: float | None, kinds: list[str] | None) -> None:
    """Run cells until none is missing or time is up; a cell that fails is named and passed over."""
    until = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    planned = [cell for cell in cells(suite) if kinds is None or cell.kind in kinds]
    missing = [cell for cell in planned if result(suite, cell) is None]
    sys.stdout.write(f"{suite.name}: {len(missing)} of {len(planned)} cells are missing\n")
    for cell in missing:
        if time.monotonic() >= until:
            sys.stdout.write("time is up\n")
            return
        name = path_of(suite, cell).stem
        try:
            record = run(suite, cell)
            means = ", ".join(
                f"{game} {sum(values) / len(values):.2f}"
                for game, values in record["returns"].items()
            )
            sys.stdout.write(f"{name}: {means} ({record['seconds']:.0f} s)\n")
        except (NoTeacherError, RldistillError) as error:
            sys.stdout.write(f"{name}: {NOT_RUN}: {error}\n")
        sys.stdout.flush()


def page_lines(suite: Suite) -> list[str]:
    """The page: settings, teachers, tables, claims."""
    planned = list(cells(suite))
    done = [record for cell in planned if (record := result(suite, cell)) is not None]
    seconds = sum(record["seconds"] for record in done)
    return [
        f"# Policy Distillation on {suite.name}",
        "",
        f"{len(done)} of {len(planned)} cells were run, {seconds / 60:.0f} minutes in all. A "
        f"student has {suite.steps:,} steps, {suite.episodes} episodes score a policy, epsilon is "
        "0.05 in collection and evaluation, and the last weights count. Intervals are 95 % over "
        "seeds. The paper's columns are shares of published DQN scores on Atari under human "
        "starts; ours are shares of the teachers' own scores.",
        "",
        f"Command: `python reproduce/rusu2015.py --suite {suite.name.removesuffix('-quick')}"
        f"{' --quick' if suite.name.endswith('-quick') else ''}`",
        "",
        *teacher_lines(suite),
        *all_tables(suite),
        *claims_table(suite),
    ]


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
