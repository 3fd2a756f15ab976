"""Cells of the reproduction: one method in one panel, its worlds one after the other, on disk.

A cell is a small JSON file that grows. It is continued when it was made with the same settings, and
made anew when it was not.
"""

import json
import math
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from czarnecki2019_intervals import NotRunError
from czarnecki2019_panels import ARMS, FIRST_TUNING_WORLD, RATES, Panel, panel_of
from numpy.typing import NDArray

from rldistill.errors import SettingError
from rldistill.lab.mdp import Mdp
from rldistill.lab.simulate import Measurement, Simulating, simulate
from rldistill.lab.solve import expected_return
from rldistill.lab.teachers import Teacher

FloatArray = NDArray[np.float64]

CHECKPOINTS = (0, 30, 100, 300, 1000, 2000, 3000, 5000, 10_000, 20_000, 30_000)
KL_MEASURES = ("kl_student", "kl_teacher", "kl_uniform")
# The score of a learning rate with which some student becomes NaN: below every possible return.
DIVERGED = -1e9


@dataclass(frozen=True)
class Plan:
    """How much is run.

    Attributes:
        mdps: worlds per panel.
        iterations: episodes per student.
        threads: students that learn at the same time.
        minutes: per panel; after this no new block of worlds is begun.
        folder: of the results.
    """

    mdps: int = 100
    iterations: int = 30_000
    threads: int = 2
    minutes: float = 10.0
    folder: Path = field(default=Path(__file__).parent / "results" / "czarnecki2019")

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Those that are reached."""
        return tuple(point for point in CHECKPOINTS if point <= self.iterations)


@dataclass(frozen=True)
class Cell:
    """One method in one panel at one learning rate."""

    panel: Panel
    arm: str
    rate: float

    def path(self, folder: Path) -> Path:
        """Where it is kept."""
        return folder / f"figure{self.panel.figure}" / f"{self.panel.file}.{self.arm}.json"

    def settings(self, plan: Plan, number: int) -> Simulating:
        """Of the student in world number n, whose draws are its own."""
        name = f"{self.panel.figure}.{self.panel.name}.{self.arm}.{self.rate:g}.{number}"
        return Simulating(
            num_iterations=plan.iterations,
            checkpoints=plan.checkpoints,
            learning_rate=self.rate,
            online=self.panel.online,
            seed=zlib.crc32(name.encode()),
        )

    def empty(self, plan: Plan) -> dict[str, Any]:
        """A record without worlds."""
        measures = ("returns", *(KL_MEASURES if self.panel.figure == 3 else ()))
        return {
            "made_with": {
                "rate": self.rate,
                "online": self.panel.online,
                "checkpoints": list(plan.checkpoints),
                "iterations": plan.iterations,
            },
            "seconds": 0.0,
            "teacher": [],
            **{measure: [] for measure in measures},
        }

    def load(self, plan: Plan) -> dict[str, Any]:
        """What is on disk, if it was made with these settings; else an empty record."""
        empty, path = self.empty(plan), self.path(plan.folder)
        if path.exists():
            record: dict[str, Any] = json.loads(path.read_text())
            if record["made_with"] == empty["made_with"]:
                return record
        return empty

    def extend(self, plan: Plan, pupils: "Iterable[Pupil]") -> None:
        """Train one student per pupil and keep what was measured."""
        record, started = self.load(plan), time.process_time()
        for pupil, measured in trained(self, plan, pupils):
            record["teacher"].append(short(expected_return(pupil.world, pupil.teacher.policy)))
            for measure, rows in record.items():
                if measure == "returns" or measure in KL_MEASURES:
                    rows.append([short(value) for value in getattr(measured, measure)])
        record["seconds"] = round(record["seconds"] + time.process_time() - started, 1)
        write_json(self.path(plan.folder), record)


@dataclass(frozen=True)
class Pupil:
    """World number n and its teacher."""

    number: int
    world: Mdp
    teacher: Teacher


def pupils_of(panel: Panel, numbers: Iterable[int]) -> list[Pupil]:
    """The worlds of these numbers, with their teachers."""
    worlds = [(number, panel.world(number)) for number in numbers]
    return [Pupil(number, world, panel.teacher(world, number)) for number, world in worlds]


def trained(cell: Cell, plan: Plan, pupils: Iterable[Pupil]) -> Iterator[tuple[Pupil, Measurement]]:
    """Each pupil with its measurement; the order and the number of threads change nothing."""

    def train(pupil: Pupil) -> tuple[Pupil, Measurement]:
        settings = cell.settings(plan, pupil.number)
        found = simulate([pupil.world], [pupil.teacher], [ARMS[cell.arm]], settings)
        return pupil, found[0][0]

    with ThreadPoolExecutor(plan.threads) as pool:
        yield from pool.map(train, pupils)


def run_panel(panel: Panel, plan: Plan) -> None:
    """Run the missing worlds of a panel, block by block so that its methods stay level."""
    rates = rates_of(panel, plan)
    cells = [Cell(panel, arm, rates[arm]) for arm in panel.arms]
    done = {cell.arm: len(cell.load(plan)["teacher"]) for cell in cells}
    started = time.monotonic()
    for stop in [*range(panel.block, plan.mdps, panel.block), plan.mdps]:
        behind = [cell for cell in cells if done[cell.arm] < stop]
        if not behind:
            continue
        if time.monotonic() - started > 60 * plan.minutes:
            print(f"figure {panel.figure}, {panel.file}: {plan.minutes:g} minutes are over")
            break
        pupils = pupils_of(panel, range(min(done[cell.arm] for cell in behind), stop))
        for cell in behind:
            cell.extend(plan, [pupil for pupil in pupils if pupil.number >= done[cell.arm]])
            done[cell.arm] = stop
    spent = time.monotonic() - started
    worlds = min(done.values())
    print(f"figure {panel.figure}, {panel.file}: {worlds} worlds, {spent:.0f} s", flush=True)


def rates_of(panel: Panel, plan: Plan, *, choose: bool = True) -> dict[str, float]:
    """The learning rate of every arm; without choose only those that have been chosen.

    Where none is given: the one of RATES whose students have the highest return, averaged over the
    checkpoints after the start and over the tuning worlds. Of equals the smallest.

    Raises:
        NotRunError: they have not been chosen.
    """
    if panel.rate is not None:
        return dict.fromkeys(panel.arms, panel.rate)
    name = f"{panel.tuned_as or panel.name}{panel.variant}"
    path = plan.folder / "rates" / f"figure{panel.figure}.{name}.json"
    scores = json.loads(path.read_text()) if path.exists() else {}
    tuned = panel_of(panel.figure, name) if panel.tuned_as else panel
    if choose:
        score_missing(tuned, plan, scores, path)
    if any(f"{rate:g}" not in scores.get(arm, {}) for arm in panel.arms for rate in RATES):
        raise NotRunError
    return {arm: best_rate(scores[arm]) for arm in panel.arms}


def score_missing(
    panel: Panel, plan: Plan, scores: dict[str, dict[str, list[float]]], path: Path
) -> None:
    """Fill scores [arm][rate] = one number per tuning world, and keep them."""
    missing = [
        (arm, rate)
        for arm in panel.arms
        for rate in RATES
        if f"{rate:g}" not in scores.get(arm, {})
    ]
    if not missing:
        return
    first = FIRST_TUNING_WORLD
    pupils = pupils_of(panel, range(first, first + panel.num_tuning))
    for arm, rate in missing:
        found = scores_of(Cell(panel, arm, rate), plan, pupils)
        scores.setdefault(arm, {})[f"{rate:g}"] = found
        write_json(path, scores)
    print(f"figure {panel.figure}, {panel.file}: learning rates chosen", flush=True)


def scores_of(cell: Cell, plan: Plan, pupils: Iterable[Pupil]) -> list[float]:
    """Mean return over the checkpoints after the start, per tuning world."""
    try:
        return [short(found.returns[1:].mean()) for _, found in trained(cell, plan, pupils)]
    except (SettingError, ValueError):  # a policy of NaN: the student has diverged
        return [DIVERGED]


def best_rate(scores: dict[str, list[float]]) -> float:
    """The rate with the highest mean score.

    >>> best_rate({"0.1": [1.0, 2.0], "0.01": [2.0, 1.0], "1": [0.0, 0.0]})
    0.01
    """
    return min((-sum(values) / len(values), float(rate)) for rate, values in scores.items())[1]


def short(value: float) -> float:
    """Four significant digits.

    >>> short(-1.234567)
    -1.235
    """
    if not math.isfinite(value):
        raise ValueError(f"a student's measure must be finite, got {value}")
    return float(f"{value:.4g}")


def write_json(path: Path, record: dict[str, Any]) -> None:
    """One row per line, written to another name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, separators=(",", ":")).replace("],[", "],\n[")
    partial = path.with_suffix(".partial")
    partial.write_text(text.replace("},", "},\n") + "\n")
    partial.replace(path)
