"""The frontier of every stable-baselines3 teacher made by others: cells, resumable, one table.

    python benchmarks/shrink.py TEACHERS --run [NAME ...]     runs what has no result yet
    python benchmarks/shrink.py TEACHERS                      writes benchmarks/shrink.md

TEACHERS is a folder such as `sb3`, with one folder per teacher. A cell that is not done after ten
minutes is kept as it is and goes on where it stopped when the command is given again.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells import cell_text

ROOT = Path(__file__).parent
RESULTS = ROOT / "results" / "shrink"
LIMIT_SECONDS = 10 * 60


@dataclass(frozen=True)
class Teacher:
    """One teacher: its folder, the task that is played today, and what else the command needs."""

    folder: str
    task: str
    flags: tuple[str, ...] = ()
    note: str = ""


TEACHERS = (
    Teacher("dqn-CartPole-v1", "CartPole-v1"),
    Teacher("a2c-CartPole-v1", "CartPole-v1"),
    Teacher("trpo-CartPole-v1", "CartPole-v1"),
    Teacher("qrdqn-Acrobot-v1", "Acrobot-v1"),
    Teacher("dqn-LunarLander-v2", "LunarLander-v3"),
    Teacher("ppo-LunarLander-v2", "LunarLander-v3"),
    Teacher("trpo-LunarLanderContinuous-v2", "LunarLanderContinuous-v3"),
    Teacher("ppo-Pendulum-v1", "Pendulum-v1"),
    Teacher("sac-Pendulum-v1", "Pendulum-v1"),
    Teacher("trpo-Swimmer-v3", "Swimmer-v4"),
    Teacher("sac-HalfCheetah-v3", "HalfCheetah-v4"),
    Teacher("tqc-HalfCheetah-v3", "HalfCheetah-v4"),
    Teacher("ppo-BipedalWalkerHardcore-v3", "BipedalWalkerHardcore-v3"),
)


def command(teacher: Teacher, folder: Path) -> list[str]:
    """The arguments of the cell, without where it is written."""
    home = folder / teacher.folder
    zips, statistics = sorted(home.glob("*.zip")), sorted(home.glob("*vec*normalize*.pkl"))
    given = [str(zips[0]), "--task", teacher.task, *teacher.flags]
    return given + (["--vecnormalize", str(statistics[0])] if statistics else [])


def run(teacher: Teacher, folder: Path, scratch: Path) -> None:
    """Run a cell, or go on with it; keep what it has found."""
    out = scratch / teacher.folder
    resumed = ["--resume"] if (out / "shrink.json").is_file() else []
    arguments = ["shrink", *command(teacher, folder), "--out", str(out), *resumed]
    print(teacher.folder, flush=True)
    error = ""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rldistill", *arguments],
            timeout=LIMIT_SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
        error = done.stderr.strip()[-300:]
    except subprocess.TimeoutExpired:
        error = "cut off after ten minutes"
    summary: dict[str, Any] = {"error": error}
    if (out / "shrink.json").is_file():
        summary |= json.loads((out / "shrink.json").read_text())
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{teacher.folder}.json").write_text(json.dumps(summary, indent=1) + "\n")


def section(teacher: Teacher) -> list[str]:
    """The frontier of one teacher."""
    name = teacher.folder if not teacher.note else f"{teacher.folder} ({teacher.note})"
    title = [f"## {name} on {teacher.task}", ""]
    path = RESULTS / f"{teacher.folder}.json"
    if not path.is_file():
        return [*title, "not run", ""]
    found = json.loads(path.read_text())
    if "frontier" not in found:
        return [*title, f"not run: {found['error']}", ""]
    known = found["reference"]
    size = cell_text(found["teacher"]["parameters"], "{:,}")
    lines = [
        *title,
        f"Teacher {size} acting parameters, return {known['teacher']:.4g}; random policy "
        f"{known['random']:.4g}; {found['labelled']:,} states labelled"
        + ("." if found["done"] else "; **not finished**: what it had found by then."),
        "",
        "| student | weights | bytes | us | fraction [95 %] | verdict |",
        "|---|---:|---:|---:|---|---|",
    ]
    points = sorted(found["frontier"], key=lambda point: -point["parameters"])
    return [*lines, *(row(point, found) for point in points), "", verdict_on_smaller(found), ""]


def row(point: dict[str, Any], found: dict[str, Any]) -> str:
    """One student; the winner in bold."""
    best = found["winner"] is not None and point["name"] == found["winner"]["name"]
    name = f"**{point['name']}**" if best else point["name"]
    interval = cell_text(point["fraction"], "{:.3f}")
    if point["fraction_low"] is not None:
        interval += f" [{point['fraction_low']:.3f}, {point['fraction_high']:.3f}]"
    return (
        f"| {name} | {point['parameters']:,} | {point['bytes']:,} | "
        f"{cell_text(point['latency_us'], '{:.0f}')} | {interval} | {point['verdict'] or '-'} |"
    )


def verdict_on_smaller(found: dict[str, Any]) -> str:
    """What is known of the next smaller student."""
    best, smaller = found["winner"], found["next_smaller"]
    if best is None:
        return "No student of the ladder was shown to hold."
    if smaller is None:
        return "Nothing smaller was in the ladder."
    return f"Next smaller: {smaller['name']}: {smaller['verdict'] or 'not judged'}."


def write(folder: Path) -> None:
    """benchmarks/shrink.md."""
    lines = [
        "# The smallest student of each teacher",
        "",
        "`python benchmarks/shrink.py TEACHERS --run` runs what is missing and writes this page;",
        f"each cell is `rldistill shrink TEACHER --task ID`, cut off after {LIMIT_SECONDS // 60} "
        "minutes and resumable.",
        "The smallest student that is shown to hold 95 % is in bold. Bytes are those of the saved",
        "student; of int8 in C, flash by the compiler. us: one decision in PyTorch, on a machine",
        "that did other work.",
        "",
    ]
    for teacher in TEACHERS:
        lines += section(teacher)
    (ROOT / "shrink.md").write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teachers", type=Path, help="folder with one folder per teacher")
    parser.add_argument("--run", nargs="*", metavar="NAME", help="run cells; none named: all")
    parser.add_argument("--scratch", type=Path, default=Path("runs/shrink"))
    given = parser.parse_args()
    if given.run is not None:
        for teacher in TEACHERS:
            path = RESULTS / f"{teacher.folder}.json"
            done = path.is_file() and json.loads(path.read_text()).get("done")
            if not done and (not given.run or teacher.folder in given.run):
                run(teacher, given.teachers, given.scratch)
    write(given.teachers)


if __name__ == "__main__":
    main()
