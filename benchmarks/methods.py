"""Every method on deep networks: return as a fraction of the teacher's, at three budgets.

    python benchmarks/methods.py run --teachers FOLDER --seeds 5    runs what is missing
    python benchmarks/methods.py table                              only writes the table

A cell is one task, row, teacher (good, or with weight noise 0.05) and seed: one training run that
is played at each budget of environment steps, 64 episodes each, and at no other time. The fraction
is (S - R) / (T - R) with T the return of the teacher without noise: a noisy teacher's own fraction
is given beside it. Cells are kept one by one in results/methods; a cell that was not run is said
to be that. MinAtar needs `pip install minatar==1.0.15`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import methods_tasks

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "methods"
BUDGETS = (50_000, 150_000, 400_000)
NOISES = (0.0, 0.05)
LIMIT_SECONDS = 20 * 60
CORE = (
    "teacher-distill",
    "on-policy-distill",
    "on-policy-distill+R",
    "entropy-regularised",
    "n-distill",
    "n-distill+R",
    "exp-entropy-regularised",
    "exp-entropy-regularised+R",
    "kl-regularised",
    "value-gated+R",
    "teacher-v-reward",
    "td-teacher-v",
)
BESIDE = ("baseline", "kickstarting", "ppd", "kl-regularised+R", "dagger", "value-gated", "td-v0")


@dataclass(frozen=True)
class Cell:
    """One training run.

    Attributes:
        task: a key of methods_tasks.TASKS.
        row: of the method table; "teacher" plays the teacher and the random policy instead.
        noise: deviation of the noise on each weight of the teacher.
        seed: of the run and of the noise.
    """

    task: str
    row: str
    noise: float
    seed: int

    @property
    def path(self) -> Path:
        """Where its result is kept."""
        return RESULTS / f"{self.task}.{self.row}.{self.noise:g}.{self.seed}.json"

    @property
    def result(self) -> dict[str, Any] | None:
        """What it gave, or None."""
        return json.loads(self.path.read_text()) if self.path.exists() else None

    def run(self, teachers: Path) -> None:
        """Run it in a process of its own; an error is kept too."""
        own = [self.task, self.row, f"{self.noise:g}", str(self.seed)]
        command = [sys.executable, __file__, "cell", "--teachers", str(teachers), *own]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
            )
            lines = done.stdout.strip().splitlines()
            good = done.returncode == 0 and lines
            result = json.loads(lines[-1]) if good else {"error": done.stderr[-300:]}
        except subprocess.TimeoutExpired:
            result = {"error": f"not done after {LIMIT_SECONDS} s"}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(result) + "\n")


def play_cell(cell: Cell, teachers: Path) -> dict[str, Any]:
    """Mean returns at each budget, or of the teacher and the random policy."""
    task = methods_tasks.TASKS[cell.task]
    policy = task.teacher(teachers)
    if cell.noise:
        policy = methods_tasks.with_noise(policy, cell.noise, cell.seed)
    if cell.row == "teacher":
        return methods_tasks.play_teacher(task, policy)
    with tempfile.TemporaryDirectory() as scratch:
        returns = methods_tasks.train(
            task, policy, cell.row, cell.seed, BUDGETS, Path(scratch) / "run"
        )
    return {"returns": returns, "budgets": list(BUDGETS)}


def cells(seeds: int, rows: tuple[str, ...]) -> list[Cell]:
    """All cells, a seed after the other, so that a table cut short is balanced."""
    found = [Cell(task, "teacher", 0.0, 0) for task in methods_tasks.TASKS]
    for seed in range(seeds):
        found += [Cell(task, "teacher", NOISES[1], seed) for task in methods_tasks.TASKS]
        found += [
            Cell(task, row, noise, seed)
            for task in methods_tasks.TASKS
            for row in rows
            for noise in NOISES
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--teachers", type=Path, required=True)
    run.add_argument("--seeds", type=int, default=5)
    run.add_argument("--tasks", nargs="+", default=list(methods_tasks.TASKS))
    run.add_argument("--rows", nargs="+", default=list(CORE))
    one = commands.add_parser("cell")
    one.add_argument("--teachers", type=Path, required=True)
    one.add_argument("task")
    one.add_argument("row")
    one.add_argument("noise", type=float)
    one.add_argument("seed", type=int)
    commands.add_parser("table")
    flags = parser.parse_args()
    if flags.command == "cell":
        cell = Cell(flags.task, flags.row, flags.noise, flags.seed)
        print(json.dumps(play_cell(cell, flags.teachers)))
        return
    if flags.command == "run":
        for cell in cells(flags.seeds, tuple(flags.rows)):
            missing = cell.result is None or "error" in cell.result
            if cell.task in flags.tasks and missing:
                cell.run(flags.teachers)
                print(cell.path.stem, cell.result, flush=True)
    import methods_table

    methods_table.write(CORE, BESIDE, BUDGETS)


if __name__ == "__main__":
    main()
