"""shrink(): the smallest student that is shown to hold its teacher's return.

Stage by stage every student of a ladder that still lives learns from all states labelled so far,
acts, and labels what it came to, once, for all of them. It is tested on seeds of its own. Of those
that are smaller than the smallest shown to hold, the better half lives on with twice the states.
At the end the next smaller one gets every stage it missed, and all are judged.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from rldistill.core import NetworkPolicy
from rldistill.data.manifest import MANIFEST
from rldistill.data.shards import ShardDataset
from rldistill.envs.backends import TaskSource
from rldistill.rollout.workers import Workers, workers_for
from rldistill.runs import lock_folder
from rldistill.students.families import is_grown, parse_spec
from rldistill.students.store import load_student
from rldistill.train.gather import GatherSettings, gather
from rldistill.train.prepare_shrink import ShrinkRequest, prepare_sweep
from rldistill.train.shrink_compress import PruneOrder, in_int8, prune
from rldistill.train.shrink_rung import DATA, Order, climb
from rldistill.train.shrink_settings import ShrinkSettings
from rldistill.train.shrink_summary import (
    compressed_line,
    rung_line,
    sure_that_smaller_fails,
    write_summary,
)
from rldistill.train.shrink_sweep import Rung, Sweep

SEED_DATA = "teacher"


@final
@dataclass(frozen=True, slots=True)
class Step:
    """Something that a sweep did.

    Attributes:
        message: a line for people.
        record: plain JSON types.
    """

    message: str
    record: dict[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Shrunk:
    """A finished sweep.

    Attributes:
        path: its folder.
        summary: what shrink.json holds: the frontier, the winner, the next smaller one.
        student: the smallest student shown to hold; None where none was.
    """

    path: Path
    summary: dict[str, Any]
    student: NetworkPolicy | None


def shrink(
    teacher: Any,
    task: TaskSource,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    settings: ShrinkSettings = ShrinkSettings(),
) -> Shrunk:
    """Find the smallest student that is shown to hold a fraction of its teacher's return.

    Args:
        teacher: a file, a run folder, or a live object.
        task: as in distill, but for live vector environments.
        out: folder of the sweep; None: a new one under runs/.
        workers: processes; None: one for each core, 1: this process alone.
        settings: everything else.

    Returns:
        The sweep: its folder, its frontier and the smallest student. The chance that any student
        of the sweep is said to hold and does not is 5 %.

    Raises:
        RldistillError: one of its kinds; each says what was required, what came and what to do.

    Source: Karnin et al. 2013 (successive halving); Ross et al. 2011 (labels on own states).
    """
    where = None if out is None else Path(out)
    request = ShrinkRequest(teacher=teacher, task=task, out=where, resume=False, settings=settings)
    sweep = prepare_sweep(request)
    for _ in shrinking(sweep, workers_for(workers)):
        pass
    return finished(sweep)


def finished(sweep: Sweep) -> Shrunk:
    """What a sweep whose loop has ended found."""
    best = sweep.winner
    student = None if best is None else load_student(folder_of(sweep, best))
    return Shrunk(sweep.root, write_summary(sweep, done=True), student)


def folder_of(sweep: Sweep, rung: Rung) -> Path:
    """The run folder of a rung."""
    return sweep.order(rung, 0, 0).folder


def shrinking(sweep: Sweep, workers: Workers) -> Generator[Step]:
    """Run a sweep; whatever ends it, it can be resumed, and does nothing twice.

    Raises:
        RunFolderError: another process works in the folder.
        RldistillError: from environments, policies and workers.
    """
    with lock_folder(sweep.root):
        yield from begin(sweep)
        yield from halve(sweep, workers)
        yield from try_smaller(sweep, workers)
        yield from judge_others(sweep, workers)
        yield from compress(sweep, workers)
        summary = write_summary(sweep, done=True)
        yield Step(sure_that_smaller_fails(summary), {"event": "done"})


def begin(sweep: Sweep) -> Iterator[Step]:
    """Measure the teacher, and label the states of its own play, which all learn from first."""
    began = time.perf_counter()
    reference = sweep.reference or sweep.measure_teacher()
    write_summary(sweep)
    settings, folder = sweep.settings, sweep.root / DATA / SEED_DATA
    if not ((folder / MANIFEST).is_file() and ShardDataset(folder).complete):
        asked = GatherSettings(
            steps=settings.stage_steps(0),
            seed=sweep.seed_of(len(sweep.rungs) + 1),
            teacher_act=settings.teacher_act,
            force=True,
            command=settings.command,
        )
        gather(sweep.policy, sweep.task, folder, asked)
    add_dataset(sweep, SEED_DATA)
    seconds = time.perf_counter() - began
    yield Step(
        f"teacher  {reference.teacher:.4g}, random policy {reference.random:.4g}; "
        f"{sweep.labelled:,} states of its play labelled in {seconds:.1f} s; "
        f"{len(sweep.rungs)} students: {', '.join(rung.student for rung in sweep.rungs)}",
        {"event": "teacher", "teacher": reference.teacher, "random": reference.random},
    )


def add_dataset(sweep: Sweep, name: str) -> None:
    """Give a dataset to all rungs."""
    sweep.datasets.append(name)
    sweep.labelled += len(ShardDataset(sweep.root / DATA / name))


def halve(sweep: Sweep, workers: Workers) -> Iterator[Step]:
    """Successive halving: see above."""
    living, stages = list(sweep.rungs), sweep.settings.stages
    for stage in range(stages):
        if not living:
            return
        more = sweep.settings.stage_steps(stage + 1) // len(living) if stage < stages - 1 else 0
        yield from run(sweep, workers, [sweep.order(rung, stage, more) for rung in living])
        living = living_on(sweep, living)
        names = ", ".join(rung.student for rung in living) or "none"
        best = "none" if sweep.winner is None else sweep.winner.student
        yield Step(
            f"stage {stage + 1}  smallest shown to hold: {best}; living on: {names}; "
            f"{sweep.labelled:,} states labelled",
            {"event": "stage", "stage": stage, "best": best, "labelled": sweep.labelled},
        )


def living_on(sweep: Sweep, living: Sequence[Rung]) -> list[Rung]:
    """The better half of those that are smaller than the smallest shown to hold."""
    budget, best = sweep.settings.budget, sweep.winner
    able = [
        rung
        for rung in living
        if not rung.holds and (best is None or rung.cost(budget) < best.cost(budget))
    ]
    able.sort(key=lambda rung: (-rung.fraction, rung.cost(budget)))
    return sorted(able[: (len(able) + 1) // 2], key=lambda rung: rung.index)


def run(sweep: Sweep, workers: Workers, orders: Sequence[Order]) -> Iterator[Step]:
    """Have orders done, take over their results, and then what they labelled, in fixed order."""
    results: dict[int, dict[str, Any]] = {}
    for result in workers.run(climb, orders):
        results[result["index"]] = result
        yield Step(rung_line(result), {"event": "rung", **result})
    for order in orders:
        rung, result = sweep.rungs[order.index], results[order.index]
        rung.seen = len(order.known) + len(order.fresh)
        rung.results.append(result)
    for order in orders:
        if order.collect:
            add_dataset(sweep, order.dataset)
    write_summary(sweep)


def try_smaller(sweep: Sweep, workers: Workers) -> Iterator[Step]:
    """Give the next smaller one all stages that it missed; where it holds, go on with the next."""
    stages, most = sweep.settings.stages, 2 * sweep.settings.steps
    while (rung := sweep.next_smaller) is not None and rung.verdict is None:
        while not rung.holds and rung.verdict is None:
            stage = rung.next_stage
            last = stage >= stages - 1
            wish = 0 if last else sweep.settings.stage_steps(stage + 1)
            collect = min(wish, max(most - sweep.labelled, 0))
            yield from run(sweep, workers, [sweep.order(rung, stage, collect, last)])


def judge_others(sweep: Sweep, workers: Workers) -> Iterator[Step]:
    """The rungs without a verdict learn once more from all states, and are judged as they are."""
    rest = [rung for rung in sweep.rungs if rung.verdict is None]
    orders = [sweep.order(rung, rung.next_stage, 0, last=True) for rung in rest]
    yield from run(sweep, workers, orders)


def compress(sweep: Sweep, workers: Workers) -> Iterator[Step]:
    """The smallest student pruned and in int8; each has its own verdict on its own seeds."""
    best, settings = sweep.winner, sweep.settings
    if best is None:
        return
    if is_grown(parse_spec(best.student)):
        message = f"  {best.student} has no weights to set to 0 or to hold in int8"
        yield Step(message, {"event": "not compressed", "student": best.student})
        return
    place = len(sweep.rungs) + 2
    base = replace(sweep.order(best, best.next_stage, 0), fresh=tuple(sweep.datasets), known=())
    orders: list[PruneOrder] = []
    for i, share in enumerate(settings.prune):
        seeded = replace(base.settings, seed=sweep.seed_of(place + 1 + i))
        orders.append(PruneOrder(order=replace(base, settings=seeded), share=share))
    for result in workers.run(prune, orders):
        sweep.compressed.append(result)
        yield Step(compressed_line(result), {"event": "compressed", **result})
    sweep.compressed.sort(key=lambda result: result["share"])
    if settings.int8:
        seeded = replace(base.settings, seed=sweep.seed_of(place))
        result = in_int8(replace(base, settings=seeded), sweep.info)
        sweep.compressed.append(result)
        yield Step(compressed_line(result), {"event": "compressed", **result})
