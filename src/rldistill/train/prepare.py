"""prepare: from what was asked to a Job that is checked; takes no environment step of training."""

from dataclasses import dataclass, replace
from typing import Any, final

import torch
from gymnasium import spaces

from rldistill.core import NetworkPolicy, PolicyInfo, require_memoryless
from rldistill.data.rows import Dataset
from rldistill.envs.spec import TaskInfo, TaskSpec, kwargs_for_toml
from rldistill.errors import DatasetError, SettingError, between
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import Arena, count_envs, task_info
from rldistill.methods.terms import align
from rldistill.rollout.control import Controller, Randomness
from rldistill.runs import live_object
from rldistill.teachers.load import load_teacher, require_fit
from rldistill.teachers.uris import name_of_source
from rldistill.train.fit_critic import FIT_ENVS, CriticFit, FitSettings, critic_fit
from rldistill.train.job import Job
from rldistill.train.keeper import UNJUDGED, Keeper
from rldistill.train.learning import (
    Labeller,
    Storage,
    labeller,
    make_learner,
    make_memory,
    require_row,
    too_short,
    window_for,
)
from rldistill.train.notes import make_notes
from rldistill.train.offline import (
    require_its_labels,
    seen_in,
    sees_alike,
    task_to_judge,
)
from rldistill.train.request import (
    Request,
    choose_device,
    choose_threads,
    make_task,
    open_folder,
    with_method,
)
from rldistill.train.sources import (
    DatasetSource,
    EnvironmentSource,
    Source,
    open_dataset,
    recorded_info,
)
from rldistill.train.state import RunState
from rldistill.train.students import Chosen, choose_student

# The first look at a student comes after this many environment steps.
FIRST_LOOK = 16_384
# Environments stepped together, where the settings do not say: many where C++ steps them.
NUM_ENVS = {"envpool": 64, "gymnasium": 16, "ale": 64, "minatar": 64}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What learning from environments and learning from a dataset make differently."""

    teacher: PolicyInfo
    student: Chosen
    source: Source
    storage: Storage
    randomness: Randomness
    task: TaskSpec | None
    task_info: TaskInfo | None
    prover: Prover | None
    labeller: Labeller | None = None
    critic: CriticFit | None = None
    unjudged: str = UNJUDGED
    notes: tuple[str, ...] = ()


def prepare(request: Request) -> Job:
    """Load, check and connect everything.

    Raises:
        SettingError, TaskError, TeacherFileError, DatasetError, RunFolderError, MissingExtraError:
            what is wrong with the request.
    """
    request = with_method(request)
    settings, row = request.settings, request.settings.row
    device = choose_device(settings.device)
    torch.manual_seed(settings.seed)
    parts = online(request, device) if settings.data is None else offline(request, device)
    teacher, student = parts.teacher, parts.student.policy
    # A relative temperature is known once the first states are seen: see Job.begin.
    alignment = align(row, teacher.head, student.info.head, None)
    window, batches = window_for(row, student.info, settings), parts.randomness.batches
    storage = replace(parts.storage, window=window)
    learner = make_learner(row, student, parts.labeller, alignment, batches, window)
    if isinstance(parts.source, EnvironmentSource):
        parts.source.controller.acting = lambda: learner.acting
    title = "data" if parts.task_info is None else parts.task_info.id
    return Job(
        settings=settings,
        task=parts.task,
        task_info=parts.task_info,
        teacher_info=teacher,
        source=parts.source,
        memory=make_memory(row, parts.labeller, teacher, storage),
        learner=learner,
        prover=parts.prover,
        keeper=Keeper(open_folder(request, title, student.info.name), settings.save_seconds),
        state=RunState(
            total_steps=settings.total_steps,
            next_look=FIRST_LOOK,
            from_dataset=settings.data is not None,
            batch_size=row.learning.batch_size,
        ),
        randomness=parts.randomness,
        num_threads=choose_threads(teacher, student.info),
        notes=(
            *parts.notes,
            *make_notes(teacher, student.info, parts.task_info),
            *(too_short(row, settings.total_steps) if settings.data is None else ()),
        ),
        recipe=make_recipe(request, parts),
        give_back=parts.student.give_back,
        critic=parts.critic,
        unjudged=parts.unjudged,
        resume=request.resume,
    )


def online(request: Request, device: torch.device) -> Parts:
    """Learning from environments: who acts is the row's control."""
    settings, row = request.settings, request.settings.row
    if request.teacher is None or request.task is None:
        raise SettingError("a teacher and a task are required, or data to learn from")
    task = with_own_views(make_task(request.task, settings), None, request.teacher)
    space = (info := task_info(task)).observation_space
    teacher = load(request, info.teacher_shape, info.action_space).to(device)
    chosen = choose_student(request.student, teacher.info, space, info.action_space)
    student = chosen.policy.to(device)  # its module moves, and chosen holds that module
    require_row(row, teacher.info, student.info)
    randomness = Randomness.seeded(settings.seed, device)
    labels = labeller(row, teacher)
    controller = Controller(
        row.control, labels, student, settings.teacher_act, info.action_space, randomness
    )
    num_envs = count_envs(task, settings.num_envs, NUM_ENVS[info.backend])
    critic = make_critic(request, teacher, task)
    return Parts(
        teacher=teacher.info,
        student=chosen,
        source=EnvironmentSource(
            task, num_envs, settings.seed, controller, device, keep_teacher=row.is_actor_critic
        ),
        storage=Storage(row.memory or row.round_steps + num_envs, space, info.frame_stack, device),
        randomness=randomness,
        task=task,
        task_info=info,
        prover=make_prover(request, teacher, task, info),
        labeller=labels if critic is None else critic.teacher,
        critic=critic,
    )


def offline(request: Request, device: torch.device) -> Parts:
    """Learning from a dataset.

    With a teacher its states are labelled anew and the verdict is about that teacher, in the task
    that is asked for or that the dataset names; without one
    the stored labels, or else the recorded actions, are learnt from and there is no verdict.
    """
    settings = request.settings
    assert settings.data
    if settings.fit_critic is not None:
        raise SettingError(f"--fit-critic has no effect with data: {settings.data}; leave it out")
    dataset = open_dataset(settings.data)
    if len(dataset) == 0:
        raise DatasetError(f"{settings.data} has no rows to learn from")
    teacher, info, prover, judged = None, None, None, task_to_judge(request, dataset)
    if request.teacher is not None:
        info = None if judged.spec is None else task_info(judged.spec)
        teacher = labeller_of(request, dataset, info).to(device)
        if (task := judged.spec) is not None and info is not None:
            require_fit(teacher, info.teacher_shape, info.action_space)
            prover = make_prover(request, teacher, task, info)
    whose = recorded_info(dataset, str(settings.data)) if teacher is None else teacher.info
    capacity = min(settings.row.memory or len(dataset), len(dataset))
    chosen = choose_student(request.student, whose, seen_in(dataset, info)[0], dataset.action_space)
    require_memoryless(chosen.policy.to(device).info, "learning from a dataset")
    return Parts(
        teacher=whose,
        student=chosen,
        source=DatasetSource(dataset, teacher if sees_alike(dataset) else None, capacity, device),
        storage=Storage(capacity, *seen_in(dataset, info), device),
        randomness=Randomness.seeded(settings.seed, device),
        task=judged.spec,
        task_info=info,
        prover=prover,
        unjudged=judged.unjudged,
        notes=(f"data     {settings.data}: {len(dataset):,} rows", *judged.notes),
    )


def labeller_of(request: Request, dataset: Dataset, info: TaskInfo | None) -> NetworkPolicy:
    """The teacher of a run on data: it labels the states anew, or has labelled them."""
    if sees_alike(dataset) or info is None:
        with between("teacher", "dataset"):
            return load(request, dataset.observation_shape, dataset.action_space)
    teacher = load(request, info.teacher_shape, info.action_space)
    require_its_labels(dataset, teacher)
    return teacher


def make_critic(request: Request, teacher: NetworkPolicy, task: TaskSpec) -> CriticFit | None:
    """The critic that --fit-critic asks for, not fitted yet."""
    settings = request.settings
    if settings.fit_critic is None:
        return None
    fit = FitSettings(
        steps=settings.fit_critic,
        num_envs=count_envs(task, None, FIT_ENVS),
        seed=settings.seed,
        teacher_act=settings.teacher_act,
    )
    return critic_fit(settings.row, teacher, task.seen_by_teacher(), fit)


def make_prover(request: Request, teacher: NetworkPolicy, task: TaskSpec, info: TaskInfo) -> Prover:
    """What tests students of this teacher in this task."""
    settings, device = request.settings, choose_device(request.settings.device)
    arena = Arena(task, info, count_envs(task, None, settings.evaluation_envs), settings.seed)
    contestants = Contestants(teacher, settings.teacher_act, settings.student_act, device)
    return Prover(arena, contestants, settings.floor)


def load(
    request: Request, observation_shape: tuple[int, ...], action_space: spaces.Space[Any]
) -> NetworkPolicy:
    """The teacher, checked against what it will see and do.

    Raises:
        TeacherFileError, TaskError: it cannot be read, or does not fit.
    """
    return load_teacher(
        request.teacher,
        vecnormalize=request.settings.vecnormalize,
        card=request.settings.card,
        head=request.settings.head,
        trust=request.settings.trust,
        observation_shape=observation_shape,
        action_space=action_space,
        announce=None,
    )


def make_recipe(request: Request, parts: Parts) -> dict[str, Any]:
    """recipe.toml: the same keys as a recipe given to `rldistill distill`, defaults filled in."""
    settings, task, info = request.settings, parts.task, parts.task_info
    recipe: dict[str, Any] = {
        "teacher": name_of_source(request.teacher),
        "student": parts.student.text,
        "method": settings.row.name,
        "steps": settings.total_steps,
        "until": settings.floor if parts.prover and settings.stops_early else None,
        "num_envs": parts.source.num_envs if isinstance(parts.source, EnvironmentSource) else None,
        "seed": settings.seed,
        "device": settings.device,
        "vecnormalize": None if settings.vecnormalize is None else str(settings.vecnormalize),
        "card": None if settings.card is None else str(settings.card),
        "head": settings.head,
        "trust": settings.trust or None,
        "teacher_act": str(settings.teacher_act),
        "student_act": str(settings.student_act),
        "fit_critic": settings.fit_critic,
        "window": settings.window,
        "burn_in": settings.burn_in,
        "data": None if settings.data is None else str(settings.data),
    }
    if task is not None and info is not None:
        recipe |= {
            "task": task.id or live_object(info.id),
            "backend": info.backend,
            "env_kwargs": kwargs_for_toml(task.env_kwargs),
            "wrapper": task.wrapper,
            "imports": list(task.imports),
            **task.view_texts(),
        }
    return {name: value for name, value in recipe.items() if value not in (None, {}, [])}
