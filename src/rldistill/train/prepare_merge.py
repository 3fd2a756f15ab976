"""From what was asked to a Merging that is checked, and merge(), which does it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rldistill.core import NetworkPolicy
from rldistill.data.frames import FrameReplay
from rldistill.data.replay import Replay
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskInfo, TaskSpec, describe
from rldistill.errors import SettingError, between
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import Arena, task_info
from rldistill.methods.terms import align
from rldistill.rollout.control import Controller, Randomness
from rldistill.runs import RunFolder, default_run_path, live_object
from rldistill.students.multitask import TaskPart, TaskView, make_multitask_student
from rldistill.teachers.load import load_teacher
from rldistill.teachers.uris import name_of_source
from rldistill.train.keeper import Keeper
from rldistill.train.learning import Storage, make_memory
from rldistill.train.merge import MergePlan, Merging, merging
from rldistill.train.merge_job import MergedTask, MergeLearner
from rldistill.train.merge_settings import MergeRequest, MergeSettings
from rldistill.train.prepare import kwargs_for_toml
from rldistill.train.request import choose_device, choose_threads


def merge(
    pairs: Sequence[tuple[Any, TaskSource]],
    student: str,
    *,
    out: str | Path | None = None,
    settings: MergeSettings | None = None,
) -> dict[str, Any]:
    """Distil several teachers, each of its own task, into one student with a head for each.

    Args:
        pairs: (teacher, task) for each task; both as in distill.
        student: a multi-task spec, such as "multi:nature:100%,fc128".
        out: the run folder, which load_policy(out, task=...) takes; None: a new one under runs/.
        settings: everything else.

    Returns:
        What verdict.json holds: a verdict for each task, and the geometric mean over tasks.

    Raises:
        RldistillError: one of its kinds; each says what was required, what came and what to do.

    Source: Rusu et al. 2016 (arXiv:1511.06295), section 3.3 and appendix A.
    """
    request = MergeRequest(
        pairs=pairs,
        student=student,
        out=None if out is None else Path(out),
        settings=settings or MergeSettings(),
    )
    job = prepare_merge(request)
    for _ in merging(job):
        pass
    assert job.summary is not None, "the loop has ended"
    return job.summary


def prepare_merge(request: MergeRequest) -> Merging:
    """Make and check everything; takes no step of training.

    Raises:
        SettingError, TaskError, TeacherFileError, RunFolderError: what is wrong with the request.
    """
    settings, row = request.settings, request.settings.row
    device = choose_device(settings.device)
    specs = [task_spec(task) for _, task in request.pairs]
    infos = [task_info(spec) for spec in specs]
    names = check_pairs(infos)
    teachers = [
        load(teacher, info).to(device)
        for (teacher, _), info in zip(request.pairs, infos, strict=True)
    ]
    student = make_multitask(request, infos, teachers).to(device)
    randomness = Randomness.seeded(settings.seed, device)
    learner = MergeLearner(
        student,
        lambda policy, index: part_of(policy, names[index]),
        len(names),
        row.learning,
        randomness.batches,
    )
    tasks = [
        make_task(request, spec, info, teacher, (learner.acting(index), randomness, device))
        for index, (spec, info, teacher) in enumerate(zip(specs, infos, teachers, strict=True))
    ]
    return Merging(
        plan=MergePlan(
            method=row,
            total_steps=settings.total_steps,
            seed=settings.seed,
            save_seconds=settings.save_seconds,
            command=settings.command,
            recipe=make_recipe(request, specs, infos),
            resume=request.resume,
        ),
        tasks=tasks,
        learner=learner,
        keeper=Keeper(open_folder(request, names), settings.save_seconds),
        randomness=randomness,
        device=device,
        num_threads=choose_threads(teachers[0].info, student.info),
        notes=tuple(make_notes(student, teachers, infos)),
    )


def check_pairs(infos: Sequence[TaskInfo]) -> list[str]:
    """The names of the heads: the tasks' ids.

    Raises:
        SettingError: there are none, or two teachers of one task.
    """
    names = [info.id for info in infos]
    if not names:
        raise SettingError("at least one TEACHER@TASK is required")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingError(
            f"each task has one head and one teacher; two were given for {', '.join(twice)}"
        )
    return names


def load(teacher: Any, info: TaskInfo) -> NetworkPolicy:
    """A teacher, checked against its task.

    Raises:
        TeacherFileError, TaskError: it cannot be read, or does not fit its task.
    """
    with between("teacher", info.id):
        return load_teacher(
            teacher,
            observation_shape=info.observation_space.shape,
            action_space=info.action_space,
            announce=None,
        )


def make_multitask(
    request: MergeRequest, infos: Sequence[TaskInfo], teachers: Sequence[NetworkPolicy]
) -> NetworkPolicy:
    """The student, as its policy in the first task.

    Raises:
        SettingError, TaskError: the spec is no multi-task spec, or does not fit a task.
    """
    parts = [
        TaskPart(
            name=info.id,
            observation_space=info.observation_space,
            action_space=info.action_space,
            like=teacher.info.head,
        )
        for info, teacher in zip(infos, teachers, strict=True)
    ]
    torch.manual_seed(request.settings.seed)
    return make_multitask_student(request.student, parts).policy(infos[0].id)


def part_of(policy: NetworkPolicy, name: str) -> NetworkPolicy:
    """Another task's policy of the same network."""
    assert isinstance(policy.module, TaskView), "make_multitask() makes no other"
    return policy.module.network.policy(name)


def make_task(
    request: MergeRequest,
    spec: TaskSpec,
    info: TaskInfo,
    teacher: NetworkPolicy,
    parts: tuple[NetworkPolicy, Randomness, torch.device],
) -> MergedTask:
    """One task with its teacher, memory and verdict."""
    settings, row = request.settings, request.settings.row
    student, randomness, device = parts
    capacity = min(row.memory or row.round_steps + settings.num_envs, settings.total_steps)
    storage = Storage(capacity, info.observation_space, info.frame_stack, device)
    memory = make_memory(row, teacher, teacher.info, storage)
    assert isinstance(memory, Replay | FrameReplay), "MergeSettings.row refuses other rows"
    return MergedTask(
        task=spec,
        info=info,
        teacher=teacher,
        memory=memory,
        alignment=align(row, teacher.info.head, student.info.head, None),
        prover=Prover(
            Arena(spec, info, settings.evaluation_envs, settings.seed),
            Contestants(teacher, settings.teacher_act, settings.student_act, device),
            settings.floor,
        ),
        controller=Controller(
            row.control, teacher, student, settings.teacher_act, info.action_space, randomness
        ),
        num_envs=settings.num_envs,
        seed=settings.seed,
    )


def open_folder(request: MergeRequest, names: Sequence[str]) -> RunFolder:
    """The run folder: made, or opened to resume.

    Raises:
        RunFolderError: it exists, is not ours, or cannot be written.
    """
    if request.resume:
        if request.out is None:
            raise SettingError("resume needs the run folder")
        return RunFolder.open(request.out)
    if request.force and request.out is None:
        raise SettingError("force replaces the run in the folder that out names; give out")
    path = request.out or default_run_path("-".join(names)[:60], request.student)
    return RunFolder.create(path, force=request.force)


def make_notes(
    student: NetworkPolicy, teachers: Sequence[NetworkPolicy], infos: Sequence[TaskInfo]
) -> list[str]:
    """Lines that are shown at the start."""
    notes = [f"student  {student.info.name}: {student.info.parameters:,} parameters"]
    for teacher, info in zip(teachers, infos, strict=True):
        first = teacher.info.notes[0] if teacher.info.notes else teacher.info.name
        notes.append(f"task     {describe(info)}")
        notes.append(f"         teacher {first}")
    return notes


def make_recipe(
    request: MergeRequest, specs: Sequence[TaskSpec], infos: Sequence[TaskInfo]
) -> dict[str, Any]:
    """recipe.toml: what was merged, and how."""
    settings = request.settings
    recipe: dict[str, Any] = {
        "command": "merge",
        "teachers": [name_of_source(teacher) for teacher, _ in request.pairs],
        "tasks": [spec.id or live_object(info.id) for spec, info in zip(specs, infos, strict=True)],
        "env_kwargs": [kwargs_for_toml(spec.env_kwargs) for spec in specs],
        "student": request.student,
        "method": settings.row.name,
        "steps": settings.total_steps,
        "num_envs": settings.num_envs,
        "memory": settings.row.memory,
        "seed": settings.seed,
        "floor": settings.floor,
        "teacher_act": str(settings.teacher_act),
        "student_act": str(settings.student_act),
    }
    return recipe
