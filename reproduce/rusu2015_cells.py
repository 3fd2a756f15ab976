"""Runs cells; each result is one JSON file, written once it is complete."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rusu2015_suites import RESULTS, Cell, Suite

from rldistill.core import Acting, NetworkPolicy, QValueHead
from rldistill.envs.spec import TaskSpec
from rldistill.evaluation.scores import Arena, policy_actor, random_actor, task_info
from rldistill.evaluation.stability import stability
from rldistill.methods.catalogue import get_method
from rldistill.methods.landscape import GAP
from rldistill.methods.method import Method, Temperature
from rldistill.runs import atomic_write
from rldistill.teachers.load import load_teacher
from rldistill.train.beside import beside
from rldistill.train.distill import distilling
from rldistill.train.follow import FollowSettings, prepare_following
from rldistill.train.merge import merging
from rldistill.train.merge_settings import MergeRequest, MergeSettings
from rldistill.train.parallel_q import ParallelQ
from rldistill.train.prepare import prepare
from rldistill.train.prepare_merge import prepare_merge
from rldistill.train.prepare_training import TrainRequest, prepare_training
from rldistill.train.request import Request
from rldistill.train.settings import Settings
from rldistill.train.train_teacher import TrainSettings, training

# Of uniform actions, in collection and evaluation (A4, A5).
EPSILON = 0.05
# Seeds of scores are away from those that runs count from 0.
SCORE_SEED = 700
FOLLOW_VERSIONS = 20
# Kinds of cells that train what they learn from.
OWN_TEACHERS = ("scratch", "multi-dqn", "follow")


class NoTeacherError(Exception):
    """A cell needs a teacher that nobody has made."""


def path_of(suite: Suite, cell: Cell) -> Path:
    """Where its result lies."""
    return RESULTS / suite.name / cell.file


def made_with(suite: Suite, cell: Cell) -> dict[str, Any]:
    """What a result must have been made with to count."""
    teachers = {game: fingerprint(suite, game) for game in cell.games}
    if cell.kind == "reference":
        return {"episodes": suite.episodes, "teachers": teachers}
    if cell.kind in OWN_TEACHERS:
        clipped = {"clip_rewards": suite.clip_rewards}
        steps = {"teacher_steps": suite.teacher_steps}
        if cell.kind == "follow":
            steps["steps"] = suite.steps
        return {**steps, **clipped, "episodes": suite.episodes}
    return {"steps": suite.steps, "episodes": suite.episodes, "teachers": teachers}


def fingerprint(suite: Suite, game: str) -> str | None:
    """The first letters of the sha256 of a game's teacher; None where there is none."""
    card = suite.teacher(game) / "student.json"
    return json.loads(card.read_text())["weights_sha256"][:12] if card.exists() else None


def result(suite: Suite, cell: Cell) -> dict[str, Any] | None:
    """What a cell gave, if it was run with what the suite says now."""
    path = path_of(suite, cell)
    record = json.loads(path.read_text()) if path.exists() else None
    return record if record and record["made_with"] == made_with(suite, cell) else None


def run(suite: Suite, cell: Cell) -> dict[str, Any]:
    """Run a cell and keep what it gave.

    Raises:
        NoTeacherError: a teacher is missing.
    """
    started, busy = time.perf_counter(), time.process_time()
    missing = [game for game in cell.games if fingerprint(suite, game) is None]
    if missing and cell.kind not in OWN_TEACHERS:
        raise NoTeacherError(f"no teacher of {', '.join(missing)}")
    scratch = Path(tempfile.mkdtemp(prefix="rusu2015-"))
    try:
        found = KINDS[cell.kind](suite, cell, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    record = {
        "kind": cell.kind,
        "games": list(cell.games),
        "net": cell.net,
        "method": cell.method,
        "seed": cell.seed,
        "made_with": made_with(suite, cell),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - busy, 1),
        **found,
    }
    path = path_of(suite, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(record, indent=1) + "\n")
    return record


def score(policy: NetworkPolicy | None, suite: Suite, game: str, seed: int) -> list[float]:
    """Returns of whole episodes, epsilon 0.05; None is the uniform policy."""
    task = TaskSpec(id=suite.tasks[game])
    info = task_info(task)
    with Arena(task, info, suite.episodes, SCORE_SEED + seed) as arena:
        start = arena.next_seed()
        if policy is None:
            actor = random_actor(info.action_space, start)
        else:
            actor = policy_actor(policy, Acting(epsilon=EPSILON), torch.device("cpu"), start)
        return [round(float(x), 3) for x in arena.play(actor, start).returns]


def row(suite: Suite, method: str) -> Method:
    """rusu-nll, rusu-mse or rusu-kl, with a temperature of its own where one is named."""
    loss, _, tau = method.partition(":")
    base = get_method(f"rusu-{loss}")
    base = replace(base, memory=min(base.memory, suite.steps))
    if not tau:
        return base
    temperature = GAP if tau == "relative" else Temperature(q_values=float(tau))
    return replace(base, teacher_temperature=temperature)


def reference(suite: Suite, cell: Cell, scratch: Path) -> dict[str, Any]:
    """The teacher and the uniform policy; the spread of the teacher's Q-values."""
    del scratch
    (game,) = cell.games
    teacher = load_teacher(suite.teacher(game), announce=None)
    return {
        "returns": {game: score(teacher, suite, game, cell.seed)},
        "random": {game: score(None, suite, game, cell.seed)},
        "parameters": teacher.info.acting_parameters,
    }


def distill(suite: Suite, cell: Cell, scratch: Path) -> dict[str, Any]:
    """One student of one teacher; the final weights count."""
    (game,) = cell.games
    settings = Settings(
        method=row(suite, cell.method), steps=suite.steps, seed=cell.seed, evaluation_envs=8
    )
    request = Request(
        teacher=suite.teacher(game),
        task=suite.tasks[game],
        student=cell.net,
        out=scratch / "run",
        resume=False,
        settings=settings,
    )
    job = prepare(request)
    with closing(distilling(job)) as progress:
        for record in progress:
            if record.env_steps is not None and record.env_steps >= suite.steps:
                break
    student = job.learner.tested
    return {
        "returns": {game: score(student, suite, game, cell.seed)},
        "loss": job.state.loss,
        "agreement": job.state.agreement,
        "updates": job.learner.updates,
        "parameters": student.info.acting_parameters,
    }


def train(suite: Suite, cell: Cell, scratch: Path) -> dict[str, Any]:
    """A network of its own, trained by Q-learning: on one game, or on several together."""
    learning = ParallelQ(clip_rewards=suite.clip_rewards)
    settings = TrainSettings(
        steps=suite.teacher_steps * len(cell.games), seed=cell.seed, learning=learning
    )
    job = prepare_training(
        TrainRequest(
            tasks=[suite.tasks[game] for game in cell.games],
            network=normalised(cell.net),
            out=scratch / "run",
            settings=settings,
        )
    )
    with closing(training(job)) as progress:
        for record in progress:
            if record.env_steps is not None and record.env_steps >= settings.steps:
                break
    stages = zip(cell.games, job.stages, strict=True)
    return {
        "returns": {game: score(stage.policy, suite, game, cell.seed) for game, stage in stages},
        "parameters": job.network.info.parameters,
    }


def normalised(spec: str) -> str:
    """With LayerNorm, which Q-learning without a target network needs.

    >>> normalised("minatar"), normalised("cnn:8x3,fc64"), normalised("multi:minatar,fc32")
    ('minatar:layernorm', 'cnn:8x3,fc64,layernorm', 'multi:minatar:layernorm,fc32')
    """
    if "minatar" in spec:
        return spec.replace("minatar", "minatar:layernorm")
    return f"{spec},layernorm"


def merge(suite: Suite, cell: Cell, scratch: Path) -> dict[str, Any]:
    """One student of several teachers."""
    settings = MergeSettings(
        method=row(suite, cell.method),
        steps=suite.steps * len(cell.games),
        seed=cell.seed,
        evaluation_envs=8,
        num_envs=16,
    )
    pairs = [(suite.teacher(game), suite.tasks[game]) for game in cell.games]
    job = prepare_merge(
        MergeRequest(pairs=pairs, student=cell.net, out=scratch / "run", settings=settings)
    )
    with closing(merging(job)) as progress:
        for record in progress:
            if record.env_steps is not None and record.env_steps >= settings.total_steps:
                break
    return {
        "returns": {
            game: score(job.learner.part(index), suite, game, cell.seed)
            for index, game in enumerate(cell.games)
        },
        "losses": dict(zip(cell.games, job.learner.losses, strict=True)),
        "updates": job.learner.updates,
        "parameters": job.learner.tested.info.parameters,
    }


def follow(suite: Suite, cell: Cell, scratch: Path) -> dict[str, Any]:
    """A teacher in training and a student that follows its best version; a round for each."""
    (game,) = cell.games
    method = replace(row(suite, cell.method), round_steps=-(-suite.steps // FOLLOW_VERSIONS))
    settings = Settings(method=method, steps=suite.steps, seed=cell.seed, evaluation_envs=8)
    learning = ParallelQ(clip_rewards=suite.clip_rewards)
    teacher = prepare_training(
        TrainRequest(
            tasks=[suite.tasks[game]],
            out=scratch / "teacher",
            settings=TrainSettings(steps=suite.teacher_steps, seed=cell.seed, learning=learning),
        )
    )
    moving = beside(teacher, settings, FOLLOW_VERSIONS)
    request = Request(
        teacher=None,
        task=suite.tasks[game],
        student=cell.net,
        out=scratch / "run",
        resume=False,
        settings=settings,
    )
    job = prepare_following(moving, request, FollowSettings(episodes=suite.episodes))
    with closing(distilling(job)) as progress:
        for record in progress:
            if record.env_steps is not None and record.env_steps >= suite.steps:
                break
    moving.progress.close()
    looks = job.keeper.folder.read_following()
    steady = stability(looks)
    return {
        "returns": {game: score(job.learner.tested, suite, game, cell.seed)},
        "looks": looks,
        "teacher_variance": None if steady is None else steady.teacher,
        "student_variance": None if steady is None else steady.student,
        "parameters": job.learner.tested.info.acting_parameters,
    }


KINDS: dict[str, Callable[[Suite, Cell, Path], dict[str, Any]]] = {
    "reference": reference,
    "distill": distill,
    "scratch": train,
    "multi-dqn": train,
    "merge": merge,
    "follow": follow,
}


def is_q_teacher(suite: Suite, game: str) -> bool:
    """Whether a game's teacher gives Q-values, which the temperatures are about."""
    return isinstance(load_teacher(suite.teacher(game), announce=None).info.head, QValueHead)
