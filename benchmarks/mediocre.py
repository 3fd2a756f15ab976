"""Can a student be better than a mediocre teacher? Kickstarting against cloning, five seeds each.

    python benchmarks/mediocre.py --teachers FOLDER            runs what is missing
    python benchmarks/mediocre.py --teachers FOLDER --table    only writes the table

The teacher is dqn-LunarLander-v2 of DLR-RM/rl-trained-agents (MIT); a fraction of 1 is its return,
0 that of the random policy.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from cells import Cell, run_missing
from scipy import stats

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "mediocre"
TABLE = HERE / "mediocre.md"
STEPS = 800_000
SEEDS = range(5)
ROWS = ("on-policy-distill", "dagger", "on-policy-distill+R", "kickstarting", "baseline")
CLONERS = ("on-policy-distill", "dagger")


def cell_of(row: str, seed: int) -> Cell:
    """One run; the student is judged on fresh episodes at its end."""
    arguments = ("distill", "dqn-LunarLander-v2/model.zip", "--task", "LunarLander-v3")
    settings = ("--student", "mlp:64,64", "--steps", str(STEPS), "--seed", str(seed))
    return Cell(f"{row}.{seed}", (*arguments, "--method", row, *settings))


def fractions(row: str) -> list[float]:
    """Of the seeds that were run."""
    results = [cell_of(row, seed).result(RESULTS) for seed in SEEDS]
    return [r["fraction"] for r in results if r is not None and "error" not in r]


def line(row: str) -> str:
    """One row of the table."""
    found = fractions(row)
    if len(found) < 2:
        return f"| `{row}` | {len(found)} | not run | | |"
    mean, error = float(np.mean(found)), float(np.std(found, ddof=1)) / len(found) ** 0.5
    half = float(stats.t.ppf(0.975, len(found) - 1)) * error
    above = float(stats.ttest_1samp(found, 1.0, alternative="greater").pvalue)
    seeds = ", ".join(f"{x:.2f}" for x in found)
    return f"| `{row}` | {len(found)} | {mean:.3f} ± {half:.3f} | {above:.2g} | {seeds} |"


def comparison() -> str:
    """Kickstarting against each cloner."""
    words: list[str] = []
    for row in CLONERS:
        ours, theirs = fractions("kickstarting"), fractions(row)
        if min(len(ours), len(theirs)) < 2:
            words.append(f"against `{row}`: not run")
            continue
        test = stats.ttest_ind(ours, theirs, equal_var=False, alternative="greater")
        words.append(f"against `{row}`: p = {float(test.pvalue):.2g}")
    return "Kickstarting is better (Welch's t-test over seeds, one-sided) " + "; ".join(words) + "."


def write_table() -> None:
    """benchmarks/mediocre.md from the results there are."""
    TABLE.write_text(
        "\n".join(
            [
                "# A student better than its teacher",
                "",
                "`python benchmarks/mediocre.py --teachers FOLDER` (FOLDER as for `teachers.py`). "
                f"The teacher is a mediocre DQN on LunarLander-v3; students are mlp:64,64 after "
                f"{STEPS:,} environment steps, seeds {SEEDS[0]} to {SEEDS[-1]}, 128 fresh episodes "
                "each. Fraction of the teacher's return, mean over seeds and 95 % interval (t); p "
                "that a mean this high comes from students no better than the teacher.",
                "",
                "| row | seeds | fraction of the teacher | p (<= 1) | each seed |",
                "|---|---|---|---|---|",
                *[line(row) for row in ROWS],
                "",
                comparison(),
                "",
            ]
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="only write the table")
    flags = parser.parse_args()
    if not flags.table:
        os.chdir(flags.teachers)
        with tempfile.TemporaryDirectory() as scratch:
            for seed in SEEDS:
                run_missing([cell_of(row, seed) for row in ROWS], RESULTS, Path(scratch))
                write_table()
    write_table()


if __name__ == "__main__":
    main()
