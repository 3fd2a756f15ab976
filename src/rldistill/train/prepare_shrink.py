"""prepare_sweep: from what was asked to a Sweep that is checked; nothing is played."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rldistill.envs.backends import TaskSource, task_spec
from rldistill.errors import RunFolderError, SettingError, between
from rldistill.evaluation.looks import Reference
from rldistill.evaluation.scores import require_acting, task_info
from rldistill.runs import default_run_path, make_folder, read_json, storage_advice
from rldistill.teachers.load import load_teacher
from rldistill.train.shrink_ladder import check_ladder, default_ladder
from rldistill.train.shrink_rung import DATA, RUNGS
from rldistill.train.shrink_settings import Budget, ShrinkSettings
from rldistill.train.shrink_sweep import COMPRESSED, FORMAT, SUMMARY, Rung, Sweep


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkRequest:
    """What was asked for.

    Attributes:
        teacher: a path, or a live object.
        task: as in distill, but no live vector environment.
        out: folder of the sweep; None: a new one under runs/.
        resume: go on with the sweep in `out`.
        settings: everything else.
    """

    teacher: Any
    task: TaskSource
    out: Path | None
    resume: bool
    settings: ShrinkSettings


def prepare_sweep(request: ShrinkRequest) -> Sweep:
    """Load and check everything; nothing is played yet.

    Raises:
        SettingError, TaskError, TeacherFileError, RunFolderError: what is wrong with the request.
    """
    settings, spec = request.settings, task_spec(request.task)
    if spec.vector_env is not None:
        raise SettingError(
            "a sweep plays in several processes, and a live vector environment is in this one "
            "alone; give an id, a TaskSpec or a function that makes an environment"
        )
    info = task_info(spec)
    space, actions = info.observation_space, info.action_space
    with between("teacher", "task"):
        policy = load_teacher(
            request.teacher,
            vecnormalize=settings.vecnormalize,
            card=settings.card,
            observation_shape=info.teacher_shape,
            action_space=actions,
            announce=None,
        )
    require_acting(policy, settings.teacher_act, "teacher_act")
    ladder = settings.ladder or default_ladder(space, policy.info, Budget(settings.budget))
    names = check_ladder(ladder, space, actions, policy.info)
    live = not isinstance(request.teacher, (str, Path))
    if live and settings.vecnormalize is not None:
        raise SettingError("vecnormalize goes with a teacher that is a file")
    root = request.out or default_run_path(info.id, "shrink")
    sweep = Sweep(
        root=Path(root).expanduser().absolute(),
        # Processes elsewhere read the same file; a live object travels as a network alone.
        teacher=policy if live else Path(request.teacher).expanduser().absolute(),
        policy=policy,
        task=spec,
        info=info,
        settings=settings,
        rungs=[Rung(index, name) for index, name in enumerate(names)],
    )
    open_sweep(sweep, request.resume)
    return sweep


def open_sweep(sweep: Sweep, resume: bool) -> None:
    """Make the folder, or check that it holds this very sweep.

    Raises:
        RunFolderError: it is not empty, or holds another sweep, or none.
    """
    root, path = sweep.root, sweep.root / SUMMARY
    ours = path.is_file() and read_json(path).get("format") == FORMAT
    if resume and not ours:
        raise RunFolderError(f"{root} holds no sweep to resume: leave --resume out")
    if resume:
        saved, now = read_json(path)["identity"], sweep.identity()
        different = [
            f"  {key}: the sweep has {saved.get(key)}, you asked for {value}"
            for key, value in now.items()
            if saved.get(key) != value
        ]
        if different:
            raise RunFolderError("\n".join(["cannot resume, this is another sweep:", *different]))
        reference = read_json(path)["reference"]
        sweep.reference = None if reference is None else Reference(**reference)
        return
    try:
        make_folder(root)
        names = [entry.name for entry in root.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise RunFolderError(storage_advice(error, root)) from error
    if names and not ours:
        raise RunFolderError(f"{root} is not empty and holds no sweep: choose another with --out")
    if names and not sweep.settings.force:
        raise RunFolderError(
            f"{root} already holds a sweep: choose another folder with --out, continue it with "
            "--resume, or replace it with --force"
        )
    forget(root)


def forget(folder: Path) -> None:
    """Delete what a sweep has written; nothing else."""
    for name in (DATA, RUNGS, COMPRESSED):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (SUMMARY, "frontier.svg"):
        (folder / name).unlink(missing_ok=True)
