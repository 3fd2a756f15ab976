"""What learning from a dataset is judged on: the task asked for, or the one the dataset names."""

from dataclasses import dataclass
from typing import final

import numpy as np
from gymnasium import spaces

from rldistill.data.minari import MinariDataset
from rldistill.data.rows import Dataset
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import SettingError
from rldistill.train.job import plain_kwargs
from rldistill.train.keeper import UNJUDGED
from rldistill.train.request import Request, make_task
from rldistill.train.settings import Settings
from rldistill.train.sources import dataset_task


@final
@dataclass(frozen=True, slots=True)
class JudgedTask:
    """Where a student that learns from a dataset is judged.

    Attributes:
        spec: the task; None where nothing is played.
        notes: what is to be said of it at the start.
        unjudged: why there will be no verdict, where nothing is played.
    """

    spec: TaskSpec | None
    notes: tuple[str, ...] = ()
    unjudged: str = UNJUDGED


def task_to_judge(request: Request, dataset: Dataset) -> JudgedTask:
    """The task in which the student is compared with the teacher that labels the dataset.

    Raises:
        SettingError: no task is known and a setting is about playing or judging.
    """
    if request.teacher is None:
        return JudgedTask(None)
    if request.task is not None:
        return JudgedTask(make_task(request.task, request.settings))
    recorded = dataset.task if isinstance(dataset, MinariDataset) else None
    why = "" if recorded is None else recorded.unknown
    try:
        found = dataset_task(dataset)
    except SettingError as error:
        found, why = None, str(error)
    if found is None:
        refuse_play(request.settings)
        reason = (
            f"no task is known to play in ({why or 'the dataset names none'}): give --task ID and "
            "the student is judged against its teacher"
        )
        return JudgedTask(None, (f"warning  no verdict: {reason}",), reason)
    spec = make_task(found, request.settings)
    notes = () if recorded is None else recorded.notes
    if spec.env_kwargs:
        told = ", ".join(f"{k}={v}" for k, v in plain_kwargs(spec.env_kwargs).items())
        notes = (f"the task {spec.id} is played with {told}", *notes)
    return JudgedTask(spec, tuple(f"         {note}" for note in notes))


def refuse_play(settings: Settings) -> None:
    """Refuse settings about playing and judging where nothing will be played.

    Raises:
        SettingError: one is given.
    """
    usual = Settings()
    names = ("until", "backend", "env_kwargs", "wrapper", "imports")
    given = [name for name in names if getattr(settings, name) != getattr(usual, name)]
    if given:
        raise SettingError(
            f"{', '.join(given)}: of no effect, since {settings.data} does not say which task it "
            "is from and nothing can be played: give --task ID, or leave it out"
        )


def seen_in(dataset: Dataset, info: TaskInfo | None) -> tuple[spaces.Box, int]:
    """The observations of a dataset, and how many frames are stacked in one.

    A task that is known says more of them than the dataset does: of which range pixels are.
    """
    return (
        (observation_space(dataset), 1)
        if info is None
        else (info.observation_space, info.frame_stack)
    )


def observation_space(dataset: Dataset) -> spaces.Box:
    """The observations of a dataset: unbounded, or pixels."""
    pixels = dataset.observation_dtype == np.uint8
    low, high = (0, 255) if pixels else (-np.inf, np.inf)
    return spaces.Box(low, high, dataset.observation_shape, dataset.observation_dtype.type)
