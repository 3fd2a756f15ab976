"""What was asked of a run, and the choices that follow from it alone."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from rldistill.core import NetworkPolicy, PolicyInfo
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.methods.catalogue import DEFAULT, DEFAULT_GROWN, ROWS
from rldistill.methods.learner_settings import Growing
from rldistill.runs import RunFolder, default_run_path
from rldistill.students.families import is_grown, parse_spec
from rldistill.train.settings import Settings

# Nets up to this many parameters are faster on one thread: a batch is too little work to share.
SMALL_NETWORK = 500_000
# ... but convolutions have few parameters and much work: not where this many numbers are seen.
SMALL_OBSERVATION = 4096


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        teacher: a path, or a live object; None learns from what a dataset recorded.
        task: an id, a TaskSpec, a function that makes a gymnasium environment, or a vector
            environment; None where a dataset says it, or where there is no verdict.
        student: a spec, or a live object; None: an MLP of a tenth of the teacher.
        out: the run folder; None: a new one under runs/.
        resume: continue the run in `out`.
        settings: everything else.
    """

    teacher: Any
    task: TaskSource | None
    student: Any
    out: Path | None
    resume: bool
    settings: Settings

    def __post_init__(self) -> None:
        if self.teacher is None and self.task is not None and self.settings.data is not None:
            raise SettingError(
                "task has no effect without a teacher: recorded labels are learnt from and nothing "
                "is played"
            )


def with_method(request: Request) -> Request:
    """The request with the default row of its kind of student, where it names none.

    Raises:
        SettingError: the student's spec cannot be read, or its kind cannot learn by the row named.
    """
    student, settings = request.student, request.settings
    thing = student.module if isinstance(student, NetworkPolicy) else student
    grown = is_grown(parse_spec(thing) if isinstance(thing, str) else thing)
    if settings.method is None:
        settings = replace(settings, method=DEFAULT_GROWN if grown else DEFAULT)
    row = settings.row
    if grown != isinstance(row.learner, Growing):
        rows = ", ".join(name for name, r in ROWS.items() if isinstance(r.learner, Growing))
        raise SettingError(
            f"{row.name} trains by gradients, and a tree or rule list has none: choose {rows}"
            if grown
            else f"{row.name} grows trees and rule lists: choose a student such as tree:64, "
            f"linear-tree:16 or rules:8, or another row, such as {DEFAULT}"
        )
    return replace(request, settings=settings)


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
        "teacher_view": settings.teacher_view or spec.teacher_view,
        "student_view": settings.student_view or spec.student_view,
    }
    return replace(spec, **given)


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" is the CPU: MLP students are too small to feed a GPU.

    Raises:
        SettingError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError("device cuda: this PyTorch sees no CUDA device; use --device cpu")
    return torch.device("cuda" if name == "cuda" else "cpu")


def choose_threads(teacher: PolicyInfo, student: PolicyInfo) -> int:
    """Torch threads for networks of these sizes; those that see frames have much to compute."""
    small = max(teacher.acting_parameters, student.acting_parameters) <= SMALL_NETWORK
    seen = max(math.prod(one.observation_shape) for one in (teacher, student))
    small = small and seen <= SMALL_OBSERVATION
    return 1 if small else torch.get_num_threads()


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
