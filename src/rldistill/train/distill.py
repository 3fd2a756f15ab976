"""The one loop: collect -> label -> store -> learn -> test -> save."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import torch

from rldistill.core import Categorical
from rldistill.evaluation.prove import Look
from rldistill.train.job import Job
from rldistill.train.progress import Progress
from rldistill.train.sources import Labelled

# The student is tested at these multiples of the first look's steps: often while it is young and
# looks are worth it, rarely later, so that testing never dominates a long run.
FIRST_LOOK = 16_384
LOOK_GROWTH = 1.4


def distilling(job: Job) -> Iterator[Progress]:
    """Distil, yielding a Progress after each round and each look.

    Closing the generator, Ctrl-C and errors all leave a checkpoint behind.

    Raises:
        RunFolderError: the run folder is in use or not writable.
        EnvironmentFailure, NotFiniteError: from environments and policies.
    """
    run, row, state = job.run, job.settings.row, job.state
    with ExitStack() as stack:
        stack.enter_context(job.recorder)
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(job.num_threads)
        stack.callback(run.save_unless_finished, job)
        teacher_return, random_return = job.prover.compare_teacher()
        yield state.progress(message=job.greeting(teacher_return, random_return))
        while state.env_steps < job.settings.total_steps:
            started = time.perf_counter()
            batch = job.source.next_round(job.round_steps(), state.round_index)
            if state.round_index == 0:
                job.begin(batch)
            state.agreement = agreement_on(job, batch)
            job.memory.add(batch.observations, batch.teacher_raw)
            updates = max(1, round(row.learning.reuse * batch.num_steps / row.learning.batch_size))
            state.loss = job.learner.learn(job.memory, updates)
            state.finish_round(batch.num_steps, job.learner.updates, time.perf_counter() - started)
            yield state.progress()
            if state.env_steps >= state.next_look and job.settings.stops_early:
                yield from look(job)
                if job.prover.trial.decision == "holds":
                    break
            run.save_if_due(job)
        yield from conclude(job)


def look(job: Job) -> Iterator[Progress]:
    """Screen the student; if it is nominated, confirm a frozen copy of it."""
    state, prover = job.state, job.prover
    state.next_look = int(state.env_steps * LOOK_GROWTH)
    student = job.learner.tested
    screening = prover.screen(student)
    yield state.progress(look=screening)
    if screening.decision == "nominate":
        yield from confirm(job)
        if prover.trial.decision == "give-up":
            prover.give_up()
            job.run.save(job)


def confirm(job: Job) -> Iterator[Progress]:
    for confirming in job.prover.confirm(job.learner.tested):
        job.run.save(job)
        yield job.state.progress(look=confirming)


def conclude(job: Job) -> Iterator[Progress]:
    """Confirm the last student unless one was confirmed, measure it on fresh episodes, and save."""
    if job.prover.trial.decision != "holds":
        yield from confirm(job)
    verdict = job.prover.measure(job.learner.tested)
    job.run.finish(job, verdict)
    yield job.state.progress(verdict=verdict)


def agreement_on(job: Job, batch: Labelled) -> float | None:
    """Share of new states where student and teacher would act alike, before learning from them."""
    with torch.no_grad():
        teacher = job.teacher_head(batch.teacher_raw)
        if not isinstance(teacher, Categorical) or len(batch.observations) == 0:
            return None
        student = job.learner.tested(batch.observations)
        return float((student.mode() == teacher.mode()).double().mean())
