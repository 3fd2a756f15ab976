"""What learning from a dataset is judged on: the task asked for, or the one the dataset names."""

from dataclasses import dataclass
from typing import final

import numpy as np
from gymnasium import spaces

from rldistill.core import NetworkPolicy
from rldistill.data.minari import MinariDataset
from rldistill.data.rows import Dataset
from rldistill.data.shards import ShardDataset
from rldistill.envs.spec import TaskInfo, TaskSpec, plain_kwargs
from rldistill.envs.views import View
from rldistill.errors import DatasetError, SettingError
from rldistill.evaluation.own_views import recorded_views, refuse_code, through_views
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
    require_recorded(request.settings, dataset)
    if request.teacher is None:
        return JudgedTask(None)
    if request.task is not None:
        spec = make_task(request.task, request.settings)
        return JudgedTask(through_views(spec, views_of(dataset, request.settings)))
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
    spec = through_views(make_task(found, request.settings), views_of(dataset, request.settings))
    notes = () if recorded is None else recorded.notes
    if spec.env_kwargs:
        told = ", ".join(f"{k}={v}" for k, v in plain_kwargs(spec.env_kwargs).items())
        notes = (f"the task {spec.id} is played with {told}", *notes)
    return JudgedTask(spec, tuple(f"         {note}" for note in notes))


def views_of(dataset: Dataset, settings: Settings) -> dict[str, View]:
    """The views through which a dataset was recorded.

    Raises:
        SettingError: one runs code and is not named in the settings.
    """
    found = recorded_views(dataset.meta.views) if isinstance(dataset, ShardDataset) else {}
    for name, view in found.items():
        if getattr(settings, name) != view:
            refuse_code(view, str(settings.data))
    return found


def require_recorded(settings: Settings, dataset: Dataset) -> None:
    """Refuse views other than those of the dataset: what was seen is recorded.

    Raises:
        SettingError: there is one.
    """
    recorded = recorded_views(dataset.meta.views) if isinstance(dataset, ShardDataset) else {}
    for name in ("teacher_view", "student_view"):
        asked = getattr(settings, name)
        if asked is not None and asked != recorded.get(name):
            raise SettingError(
                f"{name} {asked} has no effect with data: {settings.data} holds what was seen "
                f"through {recorded.get(name) or 'no view'}; collect it again with the view, "
                f"rldistill collect --{name.replace('_', '-')}"
            )


def sees_alike(dataset: Dataset) -> bool:
    """Whether the teacher saw what is recorded, so that a teacher can label it anew."""
    views = dataset.meta.views if isinstance(dataset, ShardDataset) else {}
    return views.get("teacher_view") == views.get("student_view")


def require_its_labels(dataset: Dataset, teacher: NetworkPolicy) -> None:
    """Check that the stored labels are those of this teacher, which alone can be learnt from.

    Raises:
        DatasetError: they are of another one.
    """
    assert isinstance(dataset, ShardDataset), "others have no views"
    if dataset.meta.teacher_fingerprint != teacher.info.fingerprint:
        raise DatasetError(
            f"{dataset.meta.teacher_name} labelled this dataset by what it saw through another "
            "view than the student's, which is not recorded: another teacher cannot label it "
            "anew. Give that teacher, none, or collect with this one"
        )


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
