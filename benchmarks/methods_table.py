"""Writes methods.md from the cells there are."""

from pathlib import Path
from typing import Any

import methods
import methods_tasks
import numpy as np
from scipy import stats

TABLE = Path(__file__).resolve().parent / "methods.md"


def reference(task: str) -> dict[str, Any] | None:
    """The teacher without noise and the random policy."""
    found = methods.Cell(task, "teacher", 0.0, 0).result
    return None if found is None or "error" in found else found


def fractions(task: str, row: str, noise: float, seeds: int) -> list[list[float]]:
    """Per seed that was run, the fraction at each budget."""
    known = reference(task)
    if known is None:
        return []
    scale = known["teacher"] - known["random"]
    cells = [methods.Cell(task, row, noise, seed).result for seed in range(seeds)]
    done = [cell["returns"] for cell in cells if cell is not None and "error" not in cell]
    return [[(x - known["random"]) / scale for x in returns] for returns in done]


def noisy_teacher(task: str, seeds: int) -> str:
    """What the noisy teachers are worth."""
    known = reference(task)
    cells = [methods.Cell(task, "teacher", methods.NOISES[1], s).result for s in range(seeds)]
    done = [c["teacher"] for c in cells if c is not None and "error" not in c]
    if known is None or not done:
        return "not run"
    scale = known["teacher"] - known["random"]
    return ", ".join(f"{(x - known['random']) / scale:.2f}" for x in done)


def interval(values: list[float]) -> str:
    """Mean and 95 % interval over seeds."""
    if not values:
        return "not run"
    mean = float(np.mean(values))
    if len(values) == 1:
        return f"{mean:.2f}"
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean:.2f} ± {float(stats.t.ppf(0.975, len(values) - 1)) * error:.2f}"


def line(task: str, row: str, seeds: int, num_budgets: int) -> str:
    """One row: both noises, all budgets."""
    parts = [f"| `{row}`"]
    for noise in methods.NOISES:
        found = fractions(task, row, noise, seeds)
        parts.append(str(len(found)))
        parts += [interval([run[i] for run in found]) for i in range(num_budgets)]
    return " | ".join(parts) + " |"


def section(task: str, rows: tuple[str, ...], budgets: tuple[int, ...], seeds: int) -> list[str]:
    """One task."""
    known = reference(task)
    if known is None:
        return [f"## {task}", "", "not run", ""]
    heads = [f"{budget // 1000}k" for budget in budgets]
    return [
        f"## {task}",
        "",
        f"Teacher {known['teacher']:.4g} (deviation {known['teacher_sd']:.3g} over episodes), "
        f"random policy {known['random']:.4g}, {known['episodes']} episodes each. Fractions of the "
        f"noisy teachers themselves, by seed: {noisy_teacher(task, seeds)}.",
        "",
        f"| row | good teacher: seeds | {' | '.join(heads)} | noise 0.05: seeds "
        f"| {' | '.join(heads)} |",
        "|---|" + "---|" * (2 * len(heads) + 2),
        *[line(task, row, seeds, len(budgets)) for row in rows],
        "",
    ]


def write(
    core: tuple[str, ...], beside: tuple[str, ...], budgets: tuple[int, ...], seeds: int = 5
) -> None:
    """benchmarks/methods.md."""
    words = [
        "# Every method on deep networks",
        "",
        "`python benchmarks/methods.py run --teachers FOLDER --seeds 5`; a single cell is "
        "`python benchmarks/methods.py cell --teachers FOLDER TASK ROW NOISE SEED`. Return as a "
        "fraction of the good teacher's, (S - R) / (T - R), after "
        f"{', '.join(f'{b:,}' for b in budgets)} environment steps; mean over seeds and 95 % "
        "interval (t) where there are two or more, which with two seeds is very wide. Each run is "
        f"played for {methods_tasks.EPISODES} episodes at each budget, and nothing was chosen by "
        "these episodes. The student is the default one, a tenth of the teacher; all rows with "
        "credit share one set of learning settings, which was not tuned per row. With noise, "
        "N(0, 0.05^2) is added to every weight of the teacher, its critic included. Hopper's "
        "teacher has no critic: rows that need V learn one from 100,000 steps of the teacher, "
        "which are not in the budget.",
        "",
    ]
    for task in methods_tasks.TASKS:
        words += section(task, (*core, *beside), budgets, seeds)
    TABLE.write_text("\n".join(words))
