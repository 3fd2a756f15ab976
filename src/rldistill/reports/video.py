"""Teacher and student side by side, from the same start, as a video."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from numpy.typing import NDArray

from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.off_screen import off_screen
from rldistill.envs.rendered import RenderedEnv, open_rendered
from rldistill.errors import SettingError
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.scores import Actor, policy_actor, require_acting
from rldistill.reports.encoder import require_encoder, write_video
from rldistill.reports.frames import join_sides
from rldistill.reports.moments import Moment, Player, dividing_moments
from rldistill.teachers.load import load_teacher

Array = NDArray[Any]
FRAME_RATE = 30.0  # at most; tasks that step faster are shown at every n-th step
HOLD_SECONDS = 1.0  # for which the end is shown


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How to film; every field has a default.

    Attributes:
        seed: of the start, the same for both.
        seconds: of the video at most; an episode that lasts longer is cut.
        most_bytes: of the file.
        student_act, teacher_act: how the two act.
        vecnormalize: statistics of the teacher's observation normaliser.
        card: what network the teacher's weights are of; None looks beside them.
    """

    seed: int = 0
    seconds: float = 20.0
    most_bytes: int = 3_000_000
    student_act: Acting = Acting()
    teacher_act: Acting = Acting()
    vecnormalize: Path | None = None
    card: Path | None = None

    def __post_init__(self) -> None:
        Acting.require(self.teacher_act, "teacher_act")
        Acting.require(self.student_act, "student_act")
        if not 0 <= self.seed < 2**31:
            raise SettingError(f"seed must lie in 0..2**31 - 1, got {self.seed}")
        if not 1.0 <= self.seconds <= 600.0:
            raise SettingError(f"seconds must lie in 1..600, got {self.seconds:g}")
        if self.most_bytes < 1:
            raise SettingError(f"most_bytes must be at least 1, got {self.most_bytes}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What a video shows.

    Attributes:
        path: of the file.
        task: id of the task, stepped by gymnasium.
        seed: of the start.
        frames: how many.
        frames_per_second: at which they are shown.
        teacher_return, student_return: reward as far as it is shown.
        teacher_steps, student_steps: environment steps as far as they are shown.
        teacher_over, student_over: whether the episode ended within the video.
        num_bytes: of the file.
        moments: of the student's episode, at which the two differ most; the worst first.
    """

    path: Path
    task: str
    seed: int
    frames: int
    frames_per_second: float
    teacher_return: float
    student_return: float
    teacher_steps: int
    student_steps: int
    teacher_over: bool
    student_over: bool
    num_bytes: int
    moments: tuple[Moment, ...] = ()

    def sentence(self) -> str:
        """What is seen, for people and as the text alternative."""
        sides = (
            ("teacher", self.teacher_return, self.teacher_steps, self.teacher_over),
            ("student", self.student_return, self.student_steps, self.student_over),
        )
        told = [
            f"the {name} returns {returned:.4g} in {steps} steps{'' if over else ' (cut there)'}"
            for name, returned, steps, over in sides
        ]
        return (
            f"Teacher (left) and student (right) on {self.task} from the start of seed "
            f"{self.seed}: {' and '.join(told)}."
        )


def film(
    student: Any,
    teacher: Any,
    task: TaskSource,
    out: Path,
    settings: VideoSettings | None = None,
) -> Film:
    """Let teacher and student play from one start, and write both side by side as an MP4.

    The task is stepped by gymnasium, whatever stepped it before: envpool cannot draw.

    Args:
        student: a run folder, a file or a live object.
        teacher: the same.
        task: as in distill.
        out: the file to write.
        settings: everything else.

    Raises:
        MissingExtraError: the encoder is not installed.
        TaskError: the task cannot draw itself, or a policy does not fit it.
        RldistillError: one of its kinds.
    """
    settings = settings or VideoSettings()
    require_encoder()
    spec = with_own_views(task_spec(task), student, teacher)
    with ExitStack() as stack:
        stack.enter_context(off_screen())
        stack.enter_context(one_thread())
        left = stack.enter_context(open_rendered(spec.seen_by_teacher()))
        right = stack.enter_context(open_rendered(spec))
        ours = _load(teacher, left, settings)
        small = _load(student, right, VideoSettings())
        require_acting(ours, settings.teacher_act, "teacher_act")
        require_acting(small, settings.student_act, "student_act")
        players = (
            Player("teacher", left, _actor(ours, settings.teacher_act, settings.seed)),
            Player("student", right, _actor(small, settings.student_act, settings.seed)),
        )
        every = max(1, round(left.frames_per_second / FRAME_RATE))
        rate = left.frames_per_second / every
        frames = _side_by_side(players, settings, every, rate)
        count = write_video(out, frames, rate, settings.most_bytes)
        moments = dividing_moments(ours, small, players[1], rate / every)
        return Film(
            path=out,
            task=left.info.id,
            seed=settings.seed,
            frames=count,
            frames_per_second=rate,
            teacher_return=players[0].returned,
            student_return=players[1].returned,
            teacher_steps=players[0].step_count,
            student_steps=players[1].step_count,
            teacher_over=players[0].over,
            student_over=players[1].over,
            num_bytes=out.stat().st_size,
            moments=moments,
        )


def _load(source: Any, env: RenderedEnv, settings: VideoSettings) -> NetworkPolicy:
    return load_teacher(
        source,
        vecnormalize=settings.vecnormalize,
        card=settings.card,
        observation_shape=env.info.observation_space.shape,
        action_space=env.info.action_space,
        announce=None,
    )


def _actor(policy: NetworkPolicy, act: Acting, seed: int) -> Actor:
    return policy_actor(policy, act, torch.device("cpu"), seed)


def _side_by_side(
    players: tuple[Player, Player], settings: VideoSettings, every: int, rate: float
) -> Iterator[Array]:
    """Frames until both episodes have ended or the seconds are over, then the end held."""
    left, right = players
    hold = max(1, round(HOLD_SECONDS * rate))
    most = max(2, int(settings.seconds * rate) - hold)
    for player in players:
        player.start(settings.seed)
    frame = join_sides(left.shown(), right.shown())
    yield frame
    for _ in range(most - 1):
        if left.over and right.over:
            break
        for player in players:
            player.advance(every)
        frame = join_sides(left.shown(), right.shown())
        yield frame
    for _ in range(hold):
        yield frame
