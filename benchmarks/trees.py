"""Readable students: leaves against return, VIPER against DAgger without weights and plain CART.

    python benchmarks/trees.py run --teachers FOLDER --seeds 5   runs what is missing
    python benchmarks/trees.py table                             only writes the table

A cell is one run of `rldistill distill` (in this process): one task, student, row and seed, judged
at its end. It collects 24 rounds of 4,096 steps; the rows are else as shipped, so that the trees of
all rounds play for who is judged. Its fraction is that of the verdict: measured on 128 fresh
episodes after the tests. Cells are kept one by one in results/trees with the settings that they
were run with; the table takes those of today's settings, and says so of a cell that was not run.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from methods_tasks import breakout, breakout_teacher, by_card

from rldistill import load_teacher
from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import TaskSource
from rldistill.maths import stats
from rldistill.methods.catalogue import get_method
from rldistill.train.distill import distill
from rldistill.train.settings import Settings

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "trees"
ROWS = ("viper", "viper-unweighted", "cart")
ROUND_STEPS, ROUNDS = 4096, 24
# Fewer seeds have a mean and no interval.
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Task:
    """One teacher in one task.

    Attributes:
        source: what is played.
        teacher: loads it from the folder of teachers.
        students: specs, fewest numbers first.
        act: how the teacher acts; the student always by mode.
        quick: a cell takes seconds.
    """

    source: TaskSource
    teacher: Callable[[Path], NetworkPolicy]
    students: tuple[str, ...]
    act: Acting = Acting()
    quick: bool = True


def sb3(name: str) -> Callable[[Path], NetworkPolicy]:
    """A policy of stable-baselines3."""
    return lambda folder: load_teacher(folder / "sb3" / name / "model.zip")


def mountain_car(folder: Path) -> NetworkPolicy:
    """A PPO policy of gymnax."""
    return by_card(folder / "minatar-gymnax-ppo" / "mountaincar_ppo.npz", "mountaincar")


def trees(*leaves: int) -> tuple[str, ...]:
    """Specs of plain trees."""
    return tuple(f"tree:{n}" for n in leaves)


TASKS = {
    "CartPole (A2C)": Task("CartPole-v1", sb3("a2c-CartPole-v1"), trees(2, 4, 8)),
    "CartPole (DQN)": Task("CartPole-v1", sb3("dqn-CartPole-v1"), trees(8, 32)),
    "Acrobot (QR-DQN)": Task("Acrobot-v1", sb3("qrdqn-Acrobot-v1"), trees(4, 16)),
    "MountainCar (PPO)": Task("MountainCar-v0", mountain_car, trees(4, 16)),
    "LunarLander (DQN)": Task(
        "LunarLander-v3",
        sb3("dqn-LunarLander-v2"),
        ("linear-tree:4", "linear-tree:8", "linear-tree:16", *trees(64, 256, 512)),
        quick=False,
    ),
    "LunarLander (PPO)": Task(
        "LunarLander-v3",
        sb3("ppo-LunarLander-v2"),
        ("linear-tree:4", "linear-tree:8", "linear-tree:16", *trees(64, 256, 512)),
        quick=False,
    ),
    "Pendulum (SAC)": Task(
        "Pendulum-v1", sb3("sac-Pendulum-v1"), (*trees(16, 64), "linear-tree:8")
    ),
    "HalfCheetah (SAC)": Task(
        "HalfCheetah-v4", sb3("sac-HalfCheetah-v3"), ("tree:256", "linear-tree:16"), quick=False
    ),
    "MinAtar Breakout (PPO)": Task(breakout, breakout_teacher, trees(64), quick=False),
}
# Named by the page and played by no cell yet: what it would need is said there.
NOT_RUN = ("Pong from RAM",)


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        task: a key of TASKS.
        student: a spec.
        row: of the method table.
        seed: of the run.
    """

    task: str
    student: str
    row: str
    seed: int

    @property
    def path(self) -> Path:
        """Where its result is kept."""
        words = (self.task, self.student, self.row, str(self.seed))
        name = ".".join(words).replace(" ", "-").replace(":", "-")
        return RESULTS / f"{name.replace('(', '').replace(')', '')}.json"

    def result(self) -> dict[str, Any] | None:
        """What it gave with today's settings, or None."""
        found = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found if found.get("settings") == self.settings else None

    @property
    def settings(self) -> dict[str, str | int]:
        """What a result depends on beside the names in its path."""
        learner = str(get_method(self.row).learner)
        return {"rounds": ROUNDS, "round_steps": ROUND_STEPS, "learner": learner}

    def run(self, teachers: Path) -> dict[str, Any]:
        """Distil, keep and return what came out."""
        task, started = TASKS[self.task], time.perf_counter()
        row = replace(get_method(self.row), round_steps=ROUND_STEPS)
        settings = Settings(
            method=row,
            steps=ROUND_STEPS * ROUNDS,
            seed=self.seed,
            teacher_act=task.act,
        )
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            run = distill(
                task.teacher(teachers), task.source, self.student, out=out, settings=settings
            )
            card = json.loads((out / "student.json").read_text())
            summary = json.loads((out / "verdict.json").read_text())
        names = ("verdict", "fraction", "fraction_low", "fraction_high", "student_return")
        result = {name: summary.get(name) for name in (*names, "teacher_return", "random_return")}
        result |= {name: card[name] for name in ("leaves", "depth", "parameters")}
        result["settings"] = self.settings
        result["seconds"] = round(time.perf_counter() - started, 1)
        RESULTS.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(result, indent=1) + "\n")
        del run
        return result


def cells(seeds: int) -> list[Cell]:
    """All cells, quick tasks first, then whole seeds first."""
    return [
        Cell(name, student, row, seed)
        for quick in (True, False)
        for seed in range(seeds)
        for row in ROWS
        for name, task in TASKS.items()
        for student in task.students
        if task.quick == quick
    ]


def run_missing(teachers: Path, seeds: int, seconds: float, only: str) -> None:
    """Run cells that have no result, until the time is up."""
    torch.set_num_threads(1)
    end = time.monotonic() + seconds
    for cell in cells(seeds):
        asked = only in cell.path.name
        if asked and cell.result() is None and time.monotonic() < end:
            result = cell.run(teachers)
            print(cell, result["fraction"], result["verdict"], result["seconds"], flush=True)


def fraction_text(results: list[dict[str, Any]], seeds: int) -> str:
    """Mean over seeds and its 95 % interval, and how many seeds hold."""
    known = np.array([r["fraction"] for r in results if r["fraction"] is not None])
    if len(known) == 0:
        return "not run"
    mean = stats.estimate(known)
    span = (
        ""
        if mean.low is None or len(known) < LEAST_SEEDS
        else f" [{mean.low:.2f}, {mean.high:.2f}]"
    )
    holds = sum(r["verdict"] == "holds" for r in results)
    short = "" if len(known) == seeds else f" ({len(known)} of {seeds} seeds)"
    return f"{mean.value:.2f}{span}, {holds} hold{short}"


def table(seeds: int) -> str:
    """The table as Markdown."""
    lines = ["| task | student | " + " | ".join(f"`{row}`" for row in ROWS) + " |"]
    lines.append("|---" * (2 + len(ROWS)) + "|")
    for name, task in TASKS.items():
        for student in task.students:
            texts: list[str] = []
            for row in ROWS:
                found = (Cell(name, student, row, seed).result() for seed in range(seeds))
                texts.append(fraction_text([r for r in found if r is not None], seeds))
            lines.append(f"| {name} | `{student}` | {' | '.join(texts)} |")
    lines += [f"| {name} | | {' | '.join(['not run'] * len(ROWS))} |" for name in NOT_RUN]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run cells, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--teachers", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--only", default="", help="cells whose file name has this in it")
    arguments = parser.parse_args()
    if arguments.what == "run":
        run_missing(arguments.teachers, arguments.seeds, arguments.seconds, arguments.only)
    text = table(arguments.seeds)
    page = HERE / "trees.md"
    head, mark, _ = page.read_text().partition("<!-- table -->\n")
    page.write_text(f"{head}{mark}{text}")


if __name__ == "__main__":
    main()
