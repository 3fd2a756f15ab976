"""One rung of a sweep: a student learns from all states labelled so far, and is tested.

A stage of a rung is a function of an order and of files: it may be begun anew after its process or
machine was lost, and then ends as if it had been begun once.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch

from rldistill.data.frames import FrameReplay
from rldistill.data.replay import Replay
from rldistill.data.shard_writer import ShardWriter
from rldistill.data.shards import ShardDataset
from rldistill.envs.spec import TaskSpec
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.looks import Reference
from rldistill.evaluation.prove import Prover
from rldistill.methods.catalogue import DEFAULT_GROWN
from rldistill.runs import RunFolder, atomic_write, read_json, to_json
from rldistill.students.families import is_grown, parse_spec
from rldistill.train.gather import GatherSettings, make_meta
from rldistill.train.job import Job
from rldistill.train.learning import Storage, make_memory
from rldistill.train.looks import conclude, look
from rldistill.train.prepare import prepare
from rldistill.train.request import Request
from rldistill.train.settings import Settings
from rldistill.train.shrink_costs import latency, saved_parameters
from rldistill.train.sources import EnvironmentSource, Labelled

# A network learns from all labels, its own states and those of others.
METHOD = "dagger"
DATA, RUNGS = "data", "rungs"
# In one stage: the first states are few, and a student that hardly moved says nothing of its size.
LEAST_UPDATES = 300


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one rung does in one stage.

    Attributes:
        root: folder of the sweep.
        index: of the rung in the ladder.
        student: its spec.
        stage: counted from 0.
        teacher: a path, or a policy.
        task: what is played.
        settings: of its run; until is the floor.
        error_rate: the rung's part of the 5 %.
        reference: what teacher and random policy returned.
        known: names of datasets that the rung has learnt from before.
        fresh: names of those that came since.
        capacity: states that the sweep labels in all.
        collect: environment steps to take and label at the end; 0: none.
        taken: those that the rung took before.
        last: judge the student at the end, whatever it seems to be; "holds" is judged anyway.
    """

    root: Path
    index: int
    student: str
    stage: int
    teacher: Any
    task: TaskSpec
    settings: Settings
    error_rate: float
    reference: Reference
    known: tuple[str, ...]
    fresh: tuple[str, ...]
    capacity: int
    collect: int
    taken: int
    last: bool

    @property
    def folder(self) -> Path:
        """The run folder of the rung."""
        return self.root / RUNGS / rung_name(self.index, self.student)

    @property
    def result_file(self) -> Path:
        """Where the stage's result lies once it is done."""
        return self.folder / f"stage-{self.stage}.json"

    @property
    def dataset(self) -> str:
        """The name of the states that the rung collects in this stage."""
        return f"stage-{self.stage}-rung-{self.index}"


def rung_name(index: int, student: str) -> str:
    """A folder's name.

    >>> rung_name(3, "mlp:16,16")
    '03-mlp-16-16'
    """
    return f"{index:02}-" + "".join(c if c.isalnum() else "-" for c in student)


def method_of(student: str) -> str:
    """The row by which a student learns in a sweep."""
    return DEFAULT_GROWN if is_grown(parse_spec(student)) else METHOD


def climb(order: Order) -> dict[str, Any]:
    """Do what an order says, unless it was done before.

    Returns:
        Plain JSON types: what the rung is, what it cost, what it showed. It lies in its folder too.

    Raises:
        RldistillError: what went wrong.
    """
    if order.result_file.is_file():
        return read_json(order.result_file)
    with one_thread(), ExitStack() as stack:
        job = ready(order)
        stack.enter_context(job.keeper)
        job.keeper.start(job)
        prover = prover_of(job)
        prover.reference = order.reference
        stack.enter_context(prover.arena)
        updates = job.state.updates
        if job.state.round_index <= order.stage:
            learn(job, order)
            job.keeper.save(job)
        rows = collect(job, order) if order.collect else 0
        seen = [record.to_json() for record in judge(job, order)]
        result = describe(job, order, seen) | {
            "rows": rows,
            "new_updates": job.state.updates - updates,
        }
        atomic_write(order.result_file, to_json(result, indent=1))
    return result


def ready(order: Order) -> Job:
    """The rung's job, whose memory holds all that the sweep labels."""
    folder = order.folder
    resume = (folder / "run.json").is_file()
    if resume:
        # A verdict without the stage's result: its process was lost at the last moment.
        RunFolder.open(folder).verdict_json.unlink(missing_ok=True)
    job = prepare(
        Request(
            teacher=order.teacher,
            task=order.task,
            student=order.student,
            out=folder,
            resume=resume,
            settings=order.settings,
        )
    )
    share_memory(job, order.capacity)
    prover = prover_of(job)
    prover.trial = type(prover.trial)(floor=prover.floor, error_rate=order.error_rate)
    return job


def share_memory(job: Job, capacity: int) -> None:
    """Room for all that the sweep labels."""
    assert job.task_info is not None
    space, stack = job.task_info.observation_space, job.task_info.frame_stack
    device = torch.device("cpu")
    job.memory = make_memory(
        job.settings.row, None, job.teacher_info, Storage(capacity, space, stack, device)
    )


def prover_of(job: Job) -> Prover:
    """A sweep has a teacher and a task, and so a prover."""
    assert job.prover is not None
    return job.prover


def learn(job: Job, order: Order) -> None:
    """Take over what was labelled since, then learn from all of it."""
    assert isinstance(job.memory, Replay | FrameReplay)
    began = time.perf_counter()
    remember(job, order, order.fresh if len(job.memory) else (*order.known, *order.fresh))
    learning = job.settings.row.learning
    wish = round(learning.reuse * len(job.memory) / learning.batch_size)
    updates = max(LEAST_UPDATES, wish)
    job.state.loss = job.learner.learn(job.memory, updates)
    # A rung that joined no stage for a while goes on with the present one.
    job.state.round_index = order.stage
    job.state.finish_round(0, job.learner.updates, time.perf_counter() - began)


def remember(job: Job, order: Order, names: tuple[str, ...]) -> None:
    """Store the labelled states of these datasets; no teacher is asked."""
    for name in names:
        for part in labelled(order.root / DATA / name):
            if job.learner.updates == 0 and len(job.memory) == 0:
                job.begin(part)
            job.remember(part)


def labelled(folder: Path) -> Iterator[Labelled]:
    """All states of a dataset with the labels that were stored when they were collected."""
    for rows in ShardDataset(folder).iterate():
        assert rows.teacher_raw is not None
        yield Labelled(
            torch.from_numpy(rows.observations),
            torch.from_numpy(rows.teacher_raw),
            torch.ones(len(rows), dtype=torch.bool),
            len(rows),
        )


def collect(job: Job, order: Order) -> int:
    """Let the student act, label what it comes to, and store that for all; returns the rows."""
    source = job.source
    assert isinstance(source, EnvironmentSource)
    assert job.task is not None
    assert job.task_info is not None
    teacher: Any = source.controller.teacher
    settings = GatherSettings(steps=order.collect, seed=order.settings.seed)
    meta = make_meta(teacher, job.task, job.task_info, settings)
    folder = order.root / DATA / order.dataset
    with source.open(order.stage + 1), ShardWriter(folder, meta, force=True) as writer:
        left = order.collect
        while left > 0:
            piece = min(left, job.settings.row.round_steps)
            batch = source.next_round(piece, order.stage + 1)
            assert batch.trajectory is not None
            writer.add(batch.trajectory)
            left -= piece
    rows = len(ShardDataset(folder))
    job.state.env_steps = order.taken + rows
    return rows


def judge(job: Job, order: Order) -> Iterator[Any]:
    """Screen the student, confirm it where it seems to hold; conclude where it does, or must."""
    yield from look(job)
    if job.holds or order.last:
        yield from conclude(job)
        assert job.keeper.summary is not None
    else:
        job.keeper.save(job)


def describe(job: Job, order: Order, seen: list[dict[str, Any]]) -> dict[str, Any]:
    """The result of a stage."""
    screening = next(record for record in seen if record["phase"] == "screening")
    student = job.learner.tested if job.keeper.summary is None else job.saved_student()
    names = ("student_return", "return_low", "return_high", "fraction", "episodes")
    return {
        "student": order.student,
        "index": order.index,
        "stage": order.stage,
        "method": job.settings.row.name,
        "parameters": saved_parameters(order.folder),
        "bytes": (order.folder / "student.safetensors").stat().st_size,
        "latency_us": 1e6 * latency(student),
        "env_steps": job.state.env_steps,
        "states": len(job.memory),
        "updates": job.state.updates,
        "loss": job.state.loss,
        "train_seconds": job.state.train_seconds,
        "screening": {name: screening[name] for name in names},
        "verdict": job.keeper.summary,
    }
