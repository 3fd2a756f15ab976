"""How close the main job comes to the slowest of its parts, measured in one run.

    python benchmarks/speed.py --teacher model.zip [--task LunarLander-v3] [--student mlp:32,32]

Bare parts, on the same machine, one after the other, several times, best time kept: stepping the
environments with ready-made actions; the teacher's forward on batches as large as the number of
environments; forward, backward and step of the student with ready-made batches. Ours: a whole run's
collecting and learning for the same counts.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rldistill.data.replay import Replay
from rldistill.envs.backends import make
from rldistill.methods.catalogue import get_method
from rldistill.rollout.control import uniform_actions
from rldistill.train.distill import distilling
from rldistill.train.job import Job
from rldistill.train.prepare import Request, prepare
from rldistill.train.settings import Settings
from rldistill.train.sources import Labelled, Source

HERE = Path(__file__).resolve().parent
STEPS = 24_576
REPEATS = 5


def best(run: Callable[[], None]) -> float:
    """Seconds of the fastest of several runs: the others were disturbed."""
    times: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def bare_stepping(task: str, num_envs: int) -> float:
    """Seconds for STEPS environment steps with actions that were drawn before."""
    with make(task, num_envs, 0) as env:
        env.reset()
        count = STEPS // num_envs
        generator = np.random.default_rng(0)
        actions = [
            uniform_actions(env.info.action_space, num_envs, generator) for _ in range(count)
        ]

        def run() -> None:
            for action in actions:
                env.step(action)

        return best(run)


@torch.no_grad()
def bare_teacher(job: Job, num_envs: int) -> float:
    """Seconds for the teacher's forward on STEPS states, num_envs at a time."""
    assert job.prover is not None
    teacher = job.prover.contestants.teacher
    states = torch.randn(num_envs, *teacher.info.observation_shape)

    def run() -> None:
        for _ in range(STEPS // num_envs):
            teacher.raw(states)

    return best(run)


def bare_learning(job: Job) -> float:
    """Seconds for as many updates as STEPS states are worth, on one ready-made batch."""
    learning = job.settings.row.learning
    updates = round(learning.reuse * STEPS / learning.batch_size)
    student = job.learner.student
    observations = torch.randn(learning.batch_size, *student.info.observation_shape)
    labels = torch.randn(learning.batch_size, job.teacher_info.head.num_outputs)
    optimiser = torch.optim.Adam(student.module.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        for _ in range(updates):
            loss = job.learner.alignment(labels, student.module(observations)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return best(run)


class Stopwatch:
    """Stands before a source and a learner, and adds up the time that they take."""

    def __init__(self, source: Source, learn: Callable[[Replay, int], float]) -> None:
        self.source, self._learn = source, learn
        self.collecting = self.learning = 0.0

    def open(self, round_index: int) -> AbstractContextManager[object]:
        return self.source.open(round_index)

    def next_round(self, num_steps: int, round_index: int) -> Labelled:
        started = time.perf_counter()
        batch = self.source.next_round(num_steps, round_index)
        self.collecting += time.perf_counter() - started
        return batch

    def learn(self, memory: Replay, num_updates: int) -> float:
        started = time.perf_counter()
        loss = self._learn(memory, num_updates)
        self.learning += time.perf_counter() - started
        return loss


def ours(teacher: Path, task: str, student: str) -> tuple[float, float]:
    """Seconds of collecting and of learning in a run of STEPS steps; no test of the student."""
    collecting: list[float] = []
    learning: list[float] = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            job = make_job(teacher, task, student, Path(folder) / "run")
            stopwatch = Stopwatch(job.source, job.learner.learn)
            job.source, job.learner.learn = stopwatch, stopwatch.learn
            for progress in (run := distilling(job)):
                if progress.env_steps >= STEPS:
                    break
            job.keeper.summary = {}
            run.close()
            collecting.append(stopwatch.collecting)
            learning.append(stopwatch.learning)
    return min(collecting), min(learning)


def make_job(teacher: Path, task: str, student: str, out: Path) -> Job:
    """A run of the on-policy row: the student acts and every state is labelled."""
    row = replace(get_method("dagger"), control=get_method("on-policy-distill").control)
    settings = Settings(steps=STEPS, method=row)
    return prepare(
        Request(
            teacher=teacher, task=task, student=student, out=out, resume=False, settings=settings
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--task", default="LunarLander-v3")
    parser.add_argument("--student", default="mlp:32,32")
    parser.add_argument("--out", type=Path, default=HERE / "speed.md")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(flags.teacher, flags.task, flags.student, Path(folder) / "run")
        num_envs = job.source.num_envs
        stepping = bare_stepping(flags.task, num_envs)
        teaching = bare_teacher(job, num_envs)
        bare = bare_learning(job)
        backend = job.task_info.backend if job.task_info else ""
    collect, learn = ours(flags.teacher, flags.task, flags.student)
    slowest = max(stepping, teaching)
    rows = [
        ("environment stepping, bare", stepping, ""),
        ("teacher forward in small batches, bare", teaching, ""),
        (
            "collect and label, ours",
            collect,
            f"{100 * slowest / collect:.0f} % of the slower bare part",
        ),
        ("learning, bare", bare, ""),
        ("learning, ours", learn, f"{100 * bare / learn:.0f} % of bare learning"),
    ]
    lines = [
        "# Speed of the hot paths",
        "",
        f"`python benchmarks/speed.py --teacher model.zip --task {flags.task} "
        f"--student {flags.student}`",
        "",
        f"{STEPS:,} environment steps of {flags.task} on {backend}, {num_envs} environments, "
        f"teacher {job.teacher_info.name} with {job.teacher_info.acting_parameters:,} acting "
        f"parameters, {platform.machine()}, torch {torch.__version__}, one torch thread; "
        f"best of {REPEATS}.",
        "",
        "| part | seconds | steps/s | |",
        "|---|---|---|---|",
        *(f"| {name} | {s:.3f} | {STEPS / s:,.0f} | {note} |" for name, s, note in rows),
        "",
    ]
    flags.out.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
