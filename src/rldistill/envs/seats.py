"""What student and teacher see of one step of a simulator, each through its view."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, final

import numpy as np
import torch
from gymnasium import spaces

from rldistill.envs.eyes import Moment
from rldistill.envs.naming import task_names
from rldistill.envs.observations import KeyReader, ObservationReader
from rldistill.envs.seeing import Scene, Viewer
from rldistill.envs.spec import TaskInfo, TaskSpec

Array = np.ndarray[Any, Any]


class Shown(Protocol):
    """What is asked of a simulator here."""

    num_envs: int
    observation_space: spaces.Space[Any]


@final
class Seats:
    """Both seats at one simulator.

    Attributes:
        info: what the task is like through its views.
    """

    def __init__(
        self,
        task: TaskSpec,
        info: TaskInfo,
        simulator: Shown,
        shows: Mapping[str, Callable[[], Array]],
    ) -> None:
        """Open the views.

        Args:
            task: with at least one view.
            info: what the task is like without views.
            simulator: its observations and how many there are.
            shows: what else can be looked at.

        Raises:
            SettingError: a view does not fit what the task shows, or has no effect.
        """
        space = simulator.observation_space
        self._kept: dict[str, Array] = {}
        scene = Scene(
            task_id=info.id,
            num_envs=simulator.num_envs,
            reader=ObservationReader(space),
            features=task_names(task, info).features,
            read_keys=lambda names: KeyReader(space, names),
            shows={what: self._once(what, show) for what, show in shows.items()},
            action_space=info.action_space,
        )
        self._student = Viewer(task.student_view, scene)
        self._teacher = self._student if task.one_view else Viewer(task.teacher_view, scene)
        self.info = self._seen(info, task)

    def look(
        self, raw: Any, actions: Array | None, starts: Array, seed: int | None
    ) -> tuple[Array, Array]:
        """What student and teacher see: one array twice where their views are equal.

        Args:
            raw: observations of the simulator.
            actions: taken before it, as policies act; None at a reset.
            starts: [B] bool, where this observation is the first of its episode.
            seed: of a reset; None: no new one.
        """
        self._kept.clear()
        acted = None if actions is None else torch.from_numpy(np.asarray(actions))
        moment = Moment(torch.from_numpy(starts), acted, seed)
        student = self._student.look(raw, moment).numpy()
        if self._teacher is self._student:
            return student, student
        return student, self._teacher.look(raw, moment).numpy()

    def _once(self, what: str, show: Callable[[], Array]) -> Callable[[], Array]:
        """What is shown, asked for once per step however many views look at it."""

        def shown() -> Array:
            if what not in self._kept:
                self._kept[what] = show()
            return self._kept[what]

        return shown

    def _seen(self, info: TaskInfo, task: TaskSpec) -> TaskInfo:
        student, teacher = self._student.seen, self._teacher.seen
        if task.student_view is not None:
            info = replace(
                info,
                observation_space=student.space,
                observation_parts=(),
                frame_stack=1,
                features=student.features,
            )
        if self._teacher is not self._student:
            info = replace(info, teacher_space=teacher.space)
        said = {"view": str(task.student_view)} if task.one_view else task.view_texts()
        told = [f"{name.replace('_', ' ')}: {text}" for name, text in said.items()]
        return replace(info, notes=(*info.notes, *told))
