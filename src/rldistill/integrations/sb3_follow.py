"""Distilling a stable-baselines3 model while it learns: one callback."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import torch

from rldistill.envs.backends import TaskSource
from rldistill.errors import SettingError
from rldistill.integrations.sb3 import BaseCallback
from rldistill.teachers.load import load_teacher
from rldistill.train.distill import distilling
from rldistill.train.follow import FollowSettings, prepare_following
from rldistill.train.job import Job
from rldistill.train.moving import PushedTeacher
from rldistill.train.request import Request
from rldistill.train.result import Run
from rldistill.train.settings import Settings

BEST = FollowSettings()


@final
class FollowCallback(BaseCallback):
    """Lets a student follow a model of one's own while the model learns.

    Every so many steps of the model a frozen copy of it is a new version of the teacher, and the
    student goes on for its share of steps, in environments of its own. When the model's training
    ends, so does the student's, with a verdict about the version followed last.

    Source: Rusu et al. 2016 (arXiv:1511.06295), section 4.5.

    Attributes:
        run: the student's run, once training has ended.
    """

    def __init__(
        self,
        task: TaskSource,
        student: Any = None,
        *,
        settings: Settings,
        every: int = 10_000,
        out: str | Path | None = None,
        following: FollowSettings = BEST,
    ) -> None:
        """Keep what is asked; it is checked when training begins.

        Args:
            task: of the student: as in distill. It shows raw observations, also where the model's
                are normalised.
            student: as in distill.
            settings: as in distill; steps, of the student, is required.
            every: steps of the model between two versions.
            out: the student's run folder.
            following: which versions are followed.

        Raises:
            SettingError: every is below 1.
        """
        super().__init__()
        if every < 1:
            raise SettingError(f"every must be at least 1 step, got {every}")
        self.run: Run | None = None
        self._task, self._student, self._settings = task, student, settings
        self._every, self._following = every, following
        self._out = None if out is None else Path(out)
        self._moving = PushedTeacher("a model of stable-baselines3")
        self._job: Job | None = None
        self._progress: Any = iter(())
        self._begin, self._last, self._total = 0, 0, 1

    def close(self) -> None:
        """Save the student as it is; needed only where learn() was interrupted."""
        if self._job is not None and self.run is None:
            self._progress.close()

    def _on_training_start(self) -> None:
        request = Request(
            teacher=None,
            task=self._task,
            student=self._student,
            out=self._out,
            resume=False,
            settings=self._settings,
        )
        self._begin = self._last = self.num_timesteps
        # learn() tells its callbacks the number of steps in its locals alone.
        self._total = max(int(self.locals["total_timesteps"]) - self._begin, 1)
        self._push()
        with apart():
            self._job = prepare_following(self._moving, request, self._following)
        self._progress = distilling(self._job)

    def _on_step(self) -> bool:
        if self.num_timesteps - self._last >= self._every:
            self._last = self.num_timesteps
            self._push()
            self._advance((self.num_timesteps - self._begin) / self._total)
        return True

    def _on_training_end(self) -> None:
        self._push()
        self._advance(float("inf"))
        assert self._job is not None, "training has begun"
        self.run = Run.finished(self._job)

    def _push(self) -> None:
        policy = load_teacher(self.model, announce=None)
        self._moving.give(policy, f"{self.num_timesteps} steps")

    def _advance(self, share: float) -> None:
        """Let the student come to a share of its steps."""
        job = self._job
        assert job is not None, "training has begun"
        with apart():
            torch.set_num_threads(job.num_threads)
            while job.state.env_steps < share * job.state.total_steps:
                if next(self._progress, None) is None:
                    break


@contextmanager
def apart() -> Generator[None]:
    """What is done here leaves torch's global random state and threads as they were."""
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(random)
