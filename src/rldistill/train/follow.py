"""follow(): distil a teacher while it is still learning.

The loop is the one of distill(); its source gives another teacher from time to time, and what is
stored is then labelled anew.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.core import Acting, NetworkPolicy, require_memoryless
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.errors import SettingError, TeacherFileError
from rldistill.evaluation.scores import Arena, policy_actor, task_info
from rldistill.runs import RunFolder
from rldistill.teachers.load import load_teacher
from rldistill.train.distill import distilling
from rldistill.train.job import Job
from rldistill.train.moving import CheckpointFolder, MovingTeacher, Snapshot
from rldistill.train.prepare import prepare
from rldistill.train.request import Request, make_task
from rldistill.train.result import Run
from rldistill.train.settings import Settings
from rldistill.train.sources import EnvironmentSource, Labelled

# Versions are judged on seeds of their own: this is added to the seed of the run.
JUDGE_SEED = 1_000_003


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FollowSettings:
    """How a moving teacher is followed.

    Attributes:
        best: the teacher is the version with the best score so far, until it is beaten (the paper);
            False: always the latest version.
        episodes: by which each version, and the student beside it, is scored.
        wait: seconds in which a first version must come.
        sleep: seconds between two looks while waiting for it.
    """

    best: bool = True
    episodes: int = 32
    wait: float = 600.0
    sleep: float = 0.5

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise SettingError(f"episodes must be at least 1, got {self.episodes}")
        if not self.wait >= 0.0 or not self.sleep > 0.0:
            raise SettingError("wait must be at least 0 and sleep above 0 seconds")


@final
@dataclass(slots=True, kw_only=True)
class FollowingSource:
    """States from environments, labelled by the version that is followed.

    Attributes:
        source: steps the environments.
        moving: where versions come from.
        current: the version that is followed.
        best_return: its score.
        settings: how it is chosen.
        arena: in which versions are scored.
        student: the student as it would be tested now.
        folder: of the run; each look is a line of following.jsonl there.
        act: how teacher and student act when they are scored.
        steps: of the student so far.
        last_round: in which versions were looked for; a round may come in pieces.
    """

    source: EnvironmentSource
    moving: MovingTeacher
    current: Snapshot
    settings: FollowSettings
    arena: Arena
    student: Callable[[], NetworkPolicy]
    folder: RunFolder
    act: tuple[Acting, Acting]
    best_return: float = -np.inf
    steps: int = 0
    last_round: int = -1

    def open(self, round_index: int) -> AbstractContextManager[object]:
        """As the source within."""
        return self.source.open(round_index)

    def next_round(self, num_steps: int, round_index: int) -> Labelled:
        """A round under the version that is followed now."""
        if self.last_round < 0:
            self._consider(self.current)
        elif round_index > self.last_round and (snapshot := self.moving.poll()) is not None:
            self._consider(snapshot)
        self.last_round = round_index
        labelled = self.source.next_round(num_steps, round_index)
        self.steps += labelled.num_steps
        return replace(labelled, teacher=self.current.policy)

    def _consider(self, snapshot: Snapshot) -> None:
        """Score a version and the student, and follow the version where that is due."""
        teacher, student = self._score(snapshot.policy, 0), self._score(self.student(), 1)
        follow = not self.settings.best or teacher > self.best_return
        if follow:
            policy = snapshot.policy.to(self.source.device)
            self.current, self.best_return = Snapshot(policy, snapshot.version), teacher
            self.source.controller.teacher = policy
        self.folder.append_following(
            {
                "env_steps": self.steps,
                "version": snapshot.version,
                "teacher_return": teacher,
                "student_return": student,
                "followed": follow,
                "messages": self.moving.messages,
            }
        )
        self.moving.messages = []

    def _score(self, policy: NetworkPolicy, who: int) -> float:
        seed = self.arena.next_seed()
        actor = policy_actor(policy, self.act[who], self.source.device, seed)
        return float(self.arena.play(actor, seed, as_teacher=who == 0).returns.mean())


def prepare_following(
    moving: MovingTeacher, request: Request, following: FollowSettings = FollowSettings()
) -> Job:
    """A Job of the loop whose teacher moves; request.teacher is not used.

    Raises:
        SettingError: the row has a learner that keeps the teacher, or the run is to stop early or
            learns from a dataset.
        TeacherFileError: no version came in time.
        RldistillError: what else is wrong with the request.
    """
    refuse(request.settings)
    first = first_version(moving, following)
    job = prepare(replace(request, teacher=first.policy))
    for one in (job.teacher_info, job.learner.student.info):
        require_memoryless(one, "following, which labels anew what is stored,")
    assert isinstance(job.source, EnvironmentSource)
    assert job.task is not None
    assert job.task_info is not None
    settings = job.settings
    job.source = FollowingSource(
        source=job.source,
        moving=moving,
        current=first,
        settings=following,
        arena=Arena(job.task, job.task_info, following.episodes, settings.seed + JUDGE_SEED),
        student=lambda: job.learner.tested,
        folder=job.keeper.folder,
        act=(settings.teacher_act, settings.student_act),
    )
    job.following = moving.name
    way = "the best version so far" if following.best else "the latest version"
    job.notes = (f"follows  {way} of {moving.name}", *job.notes)
    return job


def refuse(settings: Settings) -> None:
    """What cannot be done with a teacher that moves.

    Raises:
        SettingError: that is asked for.
    """
    row = settings.row
    if row.is_actor_critic or row.learner is not None:
        raise SettingError(
            f"{row.name} builds the teacher into its learner, which cannot follow another version; "
            "choose a row that learns state by state, such as on-policy-distill or rusu-kl"
        )
    if settings.until is not None:
        raise SettingError(
            "until has no effect on a teacher that moves: there is a verdict about its last "
            "version, at the end"
        )
    if settings.data is not None or settings.fit_critic is not None:
        raise SettingError("data and fit_critic have no effect on a teacher that moves")
    if settings.steps is None:
        raise SettingError("steps is required: a teacher that moves does not say when to stop")


def first_version(moving: MovingTeacher, settings: FollowSettings) -> Snapshot:
    """Wait for it.

    Raises:
        TeacherFileError: none came in time.
    """
    deadline = time.monotonic() + settings.wait
    while (snapshot := moving.poll()) is None:
        if time.monotonic() >= deadline:
            why = "".join(f"\n{line}" for line in moving.messages)
            raise TeacherFileError(
                f"no checkpoint that can be read came to {moving.name} within "
                f"{settings.wait:g} s{why}"
            )
        time.sleep(settings.sleep)
    return snapshot


def checkpoint_folder(folder: Path, task: TaskSource, settings: Settings) -> CheckpointFolder:
    """The checkpoints in a folder, as teachers of a task.

    Raises:
        SettingError: there is no such folder.
        TaskError: the task is unknown.
    """
    info = task_info(make_task(task_spec(task), settings))

    def load(path: Path) -> NetworkPolicy:
        return load_teacher(
            path,
            vecnormalize=settings.vecnormalize,
            observation_shape=info.teacher_shape,
            action_space=info.action_space,
            announce=None,
        )

    return CheckpointFolder(folder, load)


def follow(
    teacher: str | Path | MovingTeacher,
    task: TaskSource,
    student: Any = None,
    *,
    out: str | Path | None = None,
    settings: Settings,
    following: FollowSettings = FollowSettings(),
) -> Run:
    """Distil a teacher while it is still learning.

    Args:
        teacher: a folder in which a trainer drops checkpoints (or the run folder of `rldistill
            train`), or a MovingTeacher.
        task: as in distill.
        student: as in distill.
        out: the run folder.
        settings: as in distill; steps is required, until has no effect.
        following: which versions are followed.

    Returns:
        The finished run; its verdict is about the version followed last.

    Raises:
        RldistillError: one of its kinds; each says what was required, what came and what to do.

    Source: Rusu et al. 2016 (arXiv:1511.06295), section 4.5.
    """
    moving: MovingTeacher = (
        checkpoint_folder(Path(teacher), task, settings)
        if isinstance(teacher, (str, Path))
        else teacher
    )
    request = Request(
        teacher=None,
        task=task,
        student=student,
        out=None if out is None else Path(out),
        resume=False,
        settings=settings,
    )
    job = prepare_following(moving, request, following)
    for _ in distilling(job):
        pass
    return Run.finished(job)
