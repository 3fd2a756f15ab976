"""Every teacher of stable-baselines3 at hand, measured, and distilled into a tenth and less.

    python benchmarks/teachers.py --teachers FOLDER            runs what is missing
    python benchmarks/teachers.py --teachers FOLDER --table    only writes the table

FOLDER holds one folder per teacher with model.zip (and VecNormalize statistics) in it; the ones of
the table are DLR-RM/rl-trained-agents at commit cd35bde610f4 (MIT). Each cell is one command of at
most 20 minutes on 2 CPU cores.
"""

import argparse
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells import Cell, cell_text, run_missing

from rldistill.methods.catalogue import DEFAULT

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "teachers"
TABLE = HERE / "teachers.md"


@dataclass(frozen=True)
class Entry:
    """One teacher: its folder, its task, and what its source measured over 20 episodes."""

    name: str
    task: str
    mean: float
    deviation: float
    students: tuple[str, ...]
    steps: int = 1_000_000
    backend: tuple[str, ...] = ()


LADDER = ("mlp:linear", "mlp:4,4", "mlp:8,8", "mlp:16,16")
ENTRIES = (
    Entry("dqn-CartPole-v1", "CartPole-v1", 500.0, 0.0, ("default",)),
    Entry("a2c-CartPole-v1", "CartPole-v1", 500.0, 0.0, ("default",)),
    Entry("trpo-CartPole-v1", "CartPole-v1", 500.0, 0.0, ("default",)),
    Entry("dqn-LunarLander-v2", "LunarLander-v3", 122.19, 64.7, ("default",)),
    Entry("ppo-LunarLander-v2", "LunarLander-v3", 239.87, 28.2, ("default",)),
    Entry("qrdqn-Acrobot-v1", "Acrobot-v1", -67.45, 7.93, ("default",)),
    Entry("ppo-Pendulum-v1", "Pendulum-v1", -178.45, 98.73, ("default", *LADDER)),
    Entry("sac-Pendulum-v1", "Pendulum-v1", -153.08, 78.07, ("default", *LADDER)),
    Entry(
        "trpo-LunarLanderContinuous-v2",
        "LunarLanderContinuous-v3",
        263.81,
        19.09,
        ("default", "mlp:linear", "mlp:4,4", "mlp:8,8"),
    ),
    Entry(
        "trpo-Swimmer-v3",
        "Swimmer-v4",
        357.63,
        1.63,
        ("default", "mlp:linear", "mlp:4,4", "mlp:8,8"),
    ),
    Entry(
        "ppo-BipedalWalkerHardcore-v3",
        "BipedalWalkerHardcore-v3",
        73.94,
        111.04,
        ("default", "mlp:8,8"),
        500_000,
        ("--backend", "envpool"),
    ),
    Entry(
        "sac-HalfCheetah-v3",
        "HalfCheetah-v4",
        9408.18,
        95.54,
        ("default", *LADDER[2:], "mlp:32,32"),
    ),
    Entry(
        "tqc-HalfCheetah-v3",
        "HalfCheetah-v4",
        12072.72,
        138.16,
        ("default", *LADDER[2:], "mlp:32,32"),
    ),
)
EPISODES = 256
TEACHER_EPISODES = 20
# The default, and the row that was the default before; the latter's cells are kept, not made anew.
METHODS = (None, "dagger")


def measure_cell(entry: Entry) -> Cell:
    """The teacher alone."""
    arguments = ("evaluate", f"{entry.name}/model.zip", "--task", entry.task)
    episodes = ("--episodes", str(EPISODES))
    return Cell(f"{entry.name}.measure", (*arguments, *episodes, *entry.backend))


def distil_cell(entry: Entry, student: str, method: str | None = None) -> Cell:
    """The teacher into one student, by the default row unless another is named."""
    spec = () if student == "default" else ("--student", student)
    arguments = ("distill", f"{entry.name}/model.zip", "--task", entry.task, *spec)
    name = f"{entry.name}.{student.replace(':', '-').replace(',', 'x')}"
    budget = ("--until", "0.95", "--steps", str(entry.steps))
    if method is None:
        return Cell(name, (*arguments, *budget, *entry.backend))
    return Cell(f"{name}.{method}", (*arguments, "--method", method, *budget))


def tolerance(entry: Entry) -> float:
    """3 standard errors of the difference, and 3 % of the mean."""
    variance = entry.deviation**2 * (1 / EPISODES + 1 / TEACHER_EPISODES)
    return 3 * math.sqrt(variance) + 0.03 * abs(entry.mean)


def measured_rows() -> list[str]:
    """The table of the teachers themselves."""
    rows = [
        "| teacher | task, backend | source | measured, 95 % interval | difference | allowed | |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in ENTRIES:
        found = measure_cell(entry).result(RESULTS)
        if found is None or "error" in found:
            rows.append(f"| {entry.name} | {entry.task} | {entry.mean:g} | not run | | | |")
            continue
        difference = found["student_return"] - entry.mean
        fine = "within" if abs(difference) <= tolerance(entry) else "**outside**"
        rows.append(
            f"| {entry.name} | {entry.task}, {found['backend']} | {entry.mean:g} "
            f"| {found['student_return']:.1f} [{found['student_low']:.1f}, "
            f"{found['student_high']:.1f}] | {difference:+.1f} | {tolerance(entry):.1f} | {fine} |"
        )
    return rows


def distilled_rows() -> list[str]:
    """The table of the students."""
    rows = [
        "| teacher | student | row | parameters | of the teacher's | verdict "
        "| fraction, 95 % interval | agreement | env steps | training | in all |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in ENTRIES:
        for student in entry.students:
            for method in METHODS:
                found = distil_cell(entry, student, method).result(RESULTS)
                start = f"| {entry.name} | {student} | {method or DEFAULT}"
                if found is None and method is None:
                    rows.append(f"{start} | | | not run | | | | | |")
                elif found is not None and "error" in found:
                    rows.append(f"{start} | | | error | | | | | |")
                elif found is not None:
                    rows.append(f"{start} {distilled_row(found)}")
    return rows


def distilled_row(found: dict[str, Any]) -> str:
    """One student: what follows its names."""
    share = 100 * found["student_parameters"] / found["teacher_parameters"]
    fraction = cell_text(found["fraction"], "{:.3f}")
    between = (
        f" [{found['fraction_low']:.3f}, {found['fraction_high']:.3f}]"
        if found["fraction_low"] is not None
        else ""
    )
    return (
        f"| {found['student_parameters']:,} | {share:.2g} % "
        f"| {found['verdict'] or 'none'} | {fraction}{between} "
        f"| {100 * found['agreement']:.1f} % | {found['env_steps']:,} "
        f"| {found['train_seconds']:.1f} s | {found['total_seconds']:.1f} s |"
    )


def summary_rows() -> list[str]:
    """Per teacher: the best fraction, and the smallest student that holds."""
    rows = [
        "| teacher | best fraction | smallest student that holds 0.95 |",
        "|---|---|---|",
    ]
    for entry in ENTRIES:
        found = [
            (s, distil_cell(entry, s, method).result(RESULTS))
            for s in entry.students
            for method in METHODS
        ]
        done = [(s, r) for s, r in found if r and "error" not in r]
        best = max((r["fraction"] for _, r in done if r["fraction"] is not None), default=None)
        holds = [(r["student_parameters"], s) for s, r in done if r["verdict"] == "holds"]
        smallest = (
            f"{min(holds)[1]}, {min(holds)[0]:,} parameters" if holds else "none of those tried"
        )
        rows.append(
            f"| {entry.name} | {cell_text(best, '{:.3f}')} | {smallest if done else 'not run'} |"
        )
    return rows


def write_table() -> None:
    """benchmarks/teachers.md from the results there are."""
    first = distil_cell(ENTRIES[4], "default").command
    TABLE.write_text(
        "\n".join(
            [
                "# Teachers made by others: measured, and distilled",
                "",
                "`python benchmarks/teachers.py --teachers FOLDER`; see the script for what FOLDER "
                "holds. 2 CPU cores. Each row is one command, run in FOLDER, for example:",
                "",
                f"    {first}",
                "",
                "`default` is the student that `distill` takes by itself: at most a tenth of the "
                "teacher's acting network. What each cell printed: `benchmarks/results/teachers`.",
                "",
                "Method, size of the student and everything else are the defaults. The machine was "
                "busy: seconds are upper bounds, and `benchmarks/main_job.md` has those of a quiet "
                "one.",
                "",
                "## The teachers",
                "",
                f"Over {EPISODES} episodes, against the mean that their source states over "
                f"{TEACHER_EPISODES}; allowed is 3 sqrt(sd^2/n + sd^2/{TEACHER_EPISODES}) + 3 %.",
                "",
                *measured_rows(),
                "",
                "## In short",
                "",
                *summary_rows(),
                "",
                "## Every student",
                "",
                *distilled_rows(),
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
    parser.add_argument("--only", default="", help="only teachers whose name holds this")
    flags = parser.parse_args()
    if not flags.table:
        cells = [measure_cell(entry) for entry in ENTRIES if flags.only in entry.name]
        for entry in ENTRIES:
            if flags.only in entry.name:
                cells += [distil_cell(entry, student) for student in entry.students]
        os.chdir(flags.teachers)
        with tempfile.TemporaryDirectory() as scratch:
            for cell in cells:
                run_missing([cell], RESULTS, Path(scratch))
                write_table()
    write_table()


if __name__ == "__main__":
    main()
