"""Small students of real Atari teachers by others: what fraction of its teacher each holds.

    python benchmarks/atari_students.py --teachers FOLDER            runs what is missing
    python benchmarks/atari_students.py --teachers FOLDER --only pong
    python benchmarks/atari_students.py --table                      only writes the table

FOLDER holds atari-ikostrikov-cnn, three ACKTR policies by ikostrikov. Each cell is one run of
`rldistill distill` of at most 20 minutes, judged at its end; its result is kept in
results/atari_students, and cells that were not run are shown as that.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from cells import Cell, run_missing

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "atari_students"
PAGE = HERE / "atari_students.md"
STEPS = 300_000
ROW = "on-policy-distill"
STUDENTS = {"Pong": ("25%",), "Breakout": ("25%", "7%"), "Qbert": ("25%",)}


def cell_of(game: str, size: str) -> Cell:
    """One run; where it is run, `teachers` and `cards` are names of the folders."""
    name = game.lower()
    teacher = (
        f"teachers/atari-ikostrikov-cnn/acktr_{name}.npz",
        *("--card", f"cards/atari-ikostrikov-cnn-{name}.toml"),
        *("--task", f"{game}NoFrameskip-v4", "--env-kwargs", "fire_after_life=true"),
    )
    budget = ("--student", f"nature:{size}", "--method", ROW, "--steps", str(STEPS))
    return Cell(f"{name}.{size.removesuffix('%')}", ("distill", *teacher, *budget))


def cells() -> list[tuple[str, str, Cell]]:
    """Game, size and run of all."""
    return [(game, size, cell_of(game, size)) for game, sizes in STUDENTS.items() for size in sizes]


def run(teachers: Path, only: str) -> None:
    """Run what is missing, in a folder where commands read as they stand on the page."""
    chosen = [cell for _, _, cell in cells() if only in cell.name]
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "teachers").symlink_to(teachers.resolve())
        (Path(scratch) / "cards").symlink_to(HERE.parent / "examples" / "cards")
        os.chdir(scratch)
        run_missing(chosen, RESULTS, Path(scratch))


def words_of(result: dict[str, Any] | None) -> list[str]:
    """Teacher, student, fraction with interval, cost."""
    if result is None:
        return ["not run"] * 4
    if "error" in result:
        return ["failed", "", result["error"].strip().splitlines()[-1], ""]
    span = f"[{result['fraction_low']:.2f}, {result['fraction_high']:.2f}]"
    return [
        f"{result['teacher_return']:.1f}",
        f"{result['student_return']:.1f}",
        f"{result['fraction']:.2f} {span}",
        f"{result['env_steps']:,} steps, {result['total_seconds'] / 60:.0f} min",
    ]


def table() -> str:
    """The table as Markdown."""
    lines = ["| game | student | teacher | student's return | fraction of the teacher | cost |"]
    lines.append("|---" * 6 + "|")
    for game, size, cell in cells():
        words = [game, f"`nature:{size}`", *words_of(cell.result(RESULTS))]
        lines.append(f"| {' | '.join(words)} |")
    lines.append("| all three in one | `multi:` | not run | not run | not run | not run |")
    return "\n".join([*lines, "", *(f"    {cell.command}" for _, _, cell in cells()), ""])


def main() -> None:
    """Run cells, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--teachers", type=Path, help="folder that holds atari-ikostrikov-cnn")
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--table", action="store_true", help="run nothing")
    flags = parser.parse_args()
    if not flags.table:
        if flags.teachers is None or not (flags.teachers / "atari-ikostrikov-cnn").is_dir():
            parser.error("--teachers: give the folder that holds atari-ikostrikov-cnn")
        run(flags.teachers, flags.only)
    head, mark, _ = PAGE.read_text().partition("<!-- table -->\n")
    PAGE.write_text(f"{head}{mark}{table()}")


if __name__ == "__main__":
    main()
