"""prepare: from what was asked to a Job that is checked; no environment step is taken before."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import tomli_w
import torch

from rldistill.core import NetworkPolicy, PolicyInfo
from rldistill.data.replay import Replay
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskInfo, TaskSpec, describe
from rldistill.errors import SettingError
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import Arena, task_info
from rldistill.methods.terms import align
from rldistill.rollout.control import Controller, Randomness
from rldistill.runs import RunFolder, atomic_write, default_run_path
from rldistill.students.build import default_spec, make_student
from rldistill.students.specs import MlpSpec
from rldistill.teachers.load import load_teacher, require_fit
from rldistill.train.job import Job
from rldistill.train.keeper import Keeper
from rldistill.train.learners import PerStateLearner
from rldistill.train.settings import Settings
from rldistill.train.sources import EnvironmentSource
from rldistill.train.state import RunState

# Nets up to this many parameters are faster on one thread: a batch is too little work to share.
SMALL_NETWORK = 30_000
# The first look at a student comes after this many environment steps.
FIRST_LOOK = 16_384
# Environments stepped together, where the settings do not say: many where C++ steps them.
NUM_ENVS = {"envpool": 64, "gymnasium": 16}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        teacher: a path, or a live object.
        task: an id, a TaskSpec, a factory of gymnasium environments, a vector environment.
        student: a spec, or a policy made by make_student; None: an MLP of a tenth of the teacher.
        out: the run folder; None: a new one under runs/.
        resume: continue the run in `out`.
        settings: everything else.
    """

    teacher: Any
    task: TaskSource
    student: str | NetworkPolicy | None
    out: Path | None
    resume: bool
    settings: Settings


def prepare(request: Request) -> Job:
    """Load, check and connect everything; takes no environment step.

    Raises:
        SettingError, TaskError, TeacherFileError, RunFolderError, MissingExtraError: what is wrong
            with the request.
    """
    settings = request.settings
    row = settings.row
    device = choose_device(settings.device)
    task = make_task(request.task, settings)
    info = task_info(task)
    teacher = make_teacher(request, info).to(device)
    torch.manual_seed(settings.seed)
    student = choose_student(request.student, teacher.info, info).to(device)
    randomness = Randomness.seeded(settings.seed, device)
    num_envs = count_envs(task, settings.num_envs, NUM_ENVS[info.backend])
    controller = Controller(
        row.control, teacher, student, settings.teacher_act, info.action_space, randomness
    )
    shape, head = info.observation_space.shape, teacher.info.head
    # A relative temperature is known once the first states are seen: see Job.begin.
    alignment = align(row, head, student.info.head, None)
    evaluation_envs = count_envs(task, None, settings.evaluation_envs)
    job = Job(
        settings=settings,
        task=task,
        task_info=info,
        teacher_info=teacher.info,
        source=EnvironmentSource(task, num_envs, settings.seed, controller, device),
        memory=Replay(row.memory or row.round_steps + num_envs, shape, head.num_outputs, device),
        learner=PerStateLearner(student, alignment, row.learning, randomness.batches),
        prover=Prover(
            Arena(task, info, evaluation_envs, settings.seed),
            Contestants(teacher, settings.teacher_act, settings.student_act, device),
            settings.floor,
        ),
        keeper=Keeper(open_folder(request, info.id, student.info.name), settings.save_seconds),
        state=RunState(total_steps=settings.total_steps, next_look=FIRST_LOOK),
        randomness=randomness,
        num_threads=choose_threads(teacher.info, student.info),
        notes=make_notes(teacher.info, student.info, info),
    )
    finish_preparing(job, request)
    return job


def finish_preparing(job: Job, request: Request) -> None:
    """Take over the checkpoint of a resumed run, or write down the settings of a new one."""
    if request.resume:
        job.keeper.resume(job)
    else:
        recipe = make_recipe(request, job)
        atomic_write(job.keeper.folder.recipe_toml, tomli_w.dumps(recipe))


def make_task(task: TaskSource, settings: Settings) -> TaskSpec:
    """The task with the settings that concern it.

    Raises:
        SettingError: a setting has no effect beside the others.
    """
    spec = task_spec(task)
    given = {
        "backend": settings.backend if settings.backend != "auto" else spec.backend,
        "env_kwargs": settings.env_kwargs or spec.env_kwargs,
        "wrapper": settings.wrapper or spec.wrapper,
        "imports": settings.imports or spec.imports,
    }
    return replace(spec, **given)


def make_teacher(request: Request, info: TaskInfo) -> NetworkPolicy:
    """Load the teacher, checked against the task.

    Raises:
        TeacherFileError, TaskError: it cannot be read, or does not fit.
    """
    return load_teacher(
        request.teacher,
        vecnormalize=request.settings.vecnormalize,
        observation_shape=info.observation_space.shape,
        action_space=info.action_space,
    )


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" is the CPU: MLP students are too small to feed a GPU.

    Raises:
        SettingError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError("device cuda: this PyTorch sees no CUDA device; use --device cpu")
    return torch.device("cuda" if name == "cuda" else "cpu")


def choose_threads(teacher: PolicyInfo, student: PolicyInfo) -> int:
    """Torch threads for networks of these sizes."""
    small = max(teacher.acting_parameters, student.acting_parameters) <= SMALL_NETWORK
    return 1 if small else torch.get_num_threads()


def count_envs(task: TaskSpec, asked: int | None, default: int) -> int:
    """How many environments are stepped together.

    Raises:
        SettingError: a live vector environment has another number.
    """
    if task.vector_env is None:
        return asked or default
    count = int(task.vector_env.num_envs)
    if asked not in (None, count):
        raise SettingError(f"num_envs is {asked}; the vector environment given has {count}")
    return count


def choose_student(
    student: str | NetworkPolicy | None, teacher: PolicyInfo, info: TaskInfo
) -> NetworkPolicy:
    """The student asked for, or an MLP of at most a tenth of the teacher's acting parameters."""
    if isinstance(student, NetworkPolicy):
        require_fit(student, info.observation_space.shape, info.action_space)
        return student
    spec: str | MlpSpec
    if student is None:
        num_inputs = int(np.prod(info.observation_space.shape))
        spec = default_spec(num_inputs, teacher.head, teacher.acting_parameters)
    else:
        spec = student
    return make_student(spec, info.observation_space, info.action_space, teacher.head)


def open_folder(request: Request, task: str, student: str) -> RunFolder:
    """The run folder: made, or opened to resume.

    Raises:
        RunFolderError: it exists, is not ours, or cannot be written.
    """
    if request.resume:
        if request.out is None:
            raise SettingError("resume needs the run folder")
        return RunFolder.open(request.out)
    return RunFolder.create(
        request.out or default_run_path(task, student), force=request.settings.force
    )


def make_notes(teacher: PolicyInfo, student: PolicyInfo, info: TaskInfo) -> tuple[str, ...]:
    """Lines that are shown at the start: what was found, what was assumed, what is odd."""
    size = student.acting_parameters / max(teacher.acting_parameters, 1)
    notes = [
        *(f"teacher  {note}" for note in teacher.notes or (teacher.name,)),
        f"student  {student.name}: {student.acting_parameters:,} parameters, "
        f"{100 * size:.3g} % of the teacher's {teacher.acting_parameters:,}",
        f"task     {describe(info)}",
        *(f"         {note}" for note in info.notes),
    ]
    if size > 1:
        notes.append("warning  the student is larger than its teacher")
    return tuple(notes)


def make_recipe(request: Request, job: Job) -> dict[str, Any]:
    """recipe.toml: the same keys as a recipe given to `rldistill distill`, defaults filled in."""
    settings = request.settings
    assert job.task is not None
    assert job.task_info is not None
    task = job.task.id or f"(a live object: {job.task_info.id})"
    recipe = {
        "teacher": os.fspath(request.teacher)
        if isinstance(request.teacher, (str, os.PathLike))
        else f"(a live object: {type(request.teacher).__name__})",
        "task": task,
        "student": job.learner.student.info.name,
        "method": settings.row.name,
        "steps": settings.total_steps,
        "until": settings.until if settings.until or settings.steps else settings.floor,
        "num_envs": job.source.num_envs if isinstance(job.source, EnvironmentSource) else None,
        "seed": settings.seed,
        "device": settings.device,
        "backend": job.task_info.backend,
        "env_kwargs": dict(job.task.env_kwargs),
        "wrapper": job.task.wrapper,
        "imports": list(job.task.imports),
        "vecnormalize": None if settings.vecnormalize is None else str(settings.vecnormalize),
        "teacher_act": str(settings.teacher_act),
        "student_act": str(settings.student_act),
    }
    return {name: value for name, value in recipe.items() if value not in (None, {}, [])}
