"""The one loop: collect -> label -> store -> learn -> test -> save."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rldistill.envs.backends import TaskSource
from rldistill.train.job import Job
from rldistill.train.looks import conclude, look
from rldistill.train.prepare import Request, prepare
from rldistill.train.progress import Progress
from rldistill.train.result import Run
from rldistill.train.settings import Settings


def distill(
    teacher: Any,
    task: TaskSource,
    student: Any = None,
    *,
    until: float | None = None,
    out: str | Path | None = None,
    settings: Settings = Settings(),
) -> Run:
    """Distil a trained policy into a small one, and prove that it still does the job.

    Args:
        teacher: a file, a run folder, or a live object: a stable-baselines3 model, an nn.Module.
        task: an id such as "LunarLander-v3", a TaskSpec, a function that makes a gymnasium
            environment, or a gymnasium vector environment.
        student: a spec such as "mlp:16,16"; a policy made by make_student; an nn.Module from
            observations [B, O] to the raw outputs of the teacher's family (logits [B, A]; mean and
            log standard deviation [B, 2 D]; actions [B, D]); a stable-baselines3 model; None: an
            MLP of at most a tenth of the teacher's acting parameters. See below for live objects.
        until: stop once the student is shown to hold this fraction of the teacher's return;
            overrides the one in settings.
        out: the run folder; None: a new folder under runs/.
        settings: everything else.

    A live student (all but a spec) ends, however the run ends, with the weights that were *tested*
    and saved: the running average over the updates, not the last raw ones. Between, a copy of it
    learns: its device, its modes and its requires_grad stay as they are, and parameters with
    requires_grad=False are never moved. Dropout and batch normalisation are in training mode while
    the copy learns and in evaluation mode while it acts and is tested; parts that are in evaluation
    mode inside a module in training mode stay so. Its inputs are not normalised. Of an nn.Module
    or a model the run folder has weights alone: load_policy(run, module=...) reads them.

    Returns:
        The finished run: its folder, its student and its verdict.

    Raises:
        RldistillError: one of its kinds; each says what was required, what came and what to do.
    """
    if until is not None:
        settings = replace(settings, until=until)
    request = Request(
        teacher=teacher,
        task=task,
        student=student,
        out=None if out is None else Path(out),
        resume=False,
        settings=settings,
    )
    job = prepare(request)
    for _ in distilling(job):
        pass
    return Run.finished(job)


def distilling(job: Job) -> Generator[Progress]:
    """Distil, yielding a Progress after each round and each look.

    Ctrl-C, an error, or closing this generator leaves a checkpoint behind.

    Raises:
        RunFolderError: the run folder is in use or not writable.
        EnvironmentFailure, NotFiniteError: from environments and policies.
    """
    keeper, state, learning = job.keeper, job.state, job.settings.row.learning
    with ExitStack() as stack:
        stack.enter_context(keeper)
        keeper.start(job)
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(job.num_threads)
        stack.callback(job.hand_over)
        stack.callback(keeper.save_unless_finished, job)
        stack.enter_context(job.source.open(state.round_index))
        if job.prover is not None:
            stack.enter_context(job.prover.arena)
        yield from greet(job)
        while state.env_steps < state.total_steps and not job.holds:
            started = time.perf_counter()
            batch = job.collect()
            message = job.begin(batch) if state.round_index == 0 else ""
            state.agreement = job.agreement_on(batch)
            job.weigh()
            if batch.num_steps > 0:  # none where every environment was starting over
                updates = max(1, round(learning.reuse * batch.num_steps / learning.batch_size))
                state.loss = job.learner.learn(job.memory, updates)
            state.finish_round(batch.num_steps, job.learner.updates, time.perf_counter() - started)
            yield keeper.record(state.progress(message=message))
            if job.settings.stops_early and state.env_steps >= state.next_look:
                yield from look(job)
            keeper.save_if_due(job)
        yield from conclude(job)


def greet(job: Job) -> Iterator[Progress]:
    """Say what was found, fit a critic where one is asked for, play teacher and random policy."""
    yield job.keeper.record(job.state.progress(message="\n".join(job.notes)))
    if job.critic is not None:
        if job.critic.steps == 0:
            job.critic.fit()
        yield job.keeper.record(job.state.progress(message=job.critic.message))
    if job.prover is not None:
        message = job.prover.describe_teacher()
        yield job.keeper.record(job.state.progress(message=message))
