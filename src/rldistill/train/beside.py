"""A teacher of our own trained in the same process as the student that follows it."""

import copy
from dataclasses import replace

from rldistill.core import NetworkPolicy
from rldistill.errors import SettingError
from rldistill.students.families import require_family
from rldistill.train.moving import TrainedBeside
from rldistill.train.settings import Settings
from rldistill.train.train_teacher import Training, training


def beside(job: Training, student: Settings, versions: int = 20) -> TrainedBeside:
    """The teacher of a Training, as a MovingTeacher that gives so many versions.

    Training goes on in stretches, before the rounds of the student at which a version is due, so
    that teacher and student end at about the same time.

    Args:
        job: made by prepare_training, not begun; of one task.
        student: settings of the student; its steps and row say how many rounds it has.
        versions: of the teacher, at most; there are fewer where the student has fewer rounds.

    Raises:
        SettingError: versions is below 2, or the teacher has several tasks.
    """
    if versions < 2:
        raise SettingError(f"versions must be at least 2, got {versions}")
    if len(job.stages) > 1:
        raise SettingError("a student of a teacher that moves follows one task; this has several")
    rounds = -(-student.total_steps // student.row.round_steps)
    every = -(-rounds // versions)
    given = -(-rounds // every)  # fewer where the student has too few rounds for them all
    number = 0

    def snapshot() -> NetworkPolicy:
        nonlocal number
        number += 1
        module = copy.deepcopy(job.network.module).requires_grad_(False).eval()
        info = replace(
            job.network.info,
            gamma=job.settings.learning.gamma,
            fingerprint=f"version {number}",
            source=job.keeper.folder.root.name,
        )
        return NetworkPolicy(require_family(module).fold(module), info)

    return TrainedBeside(
        name=f"a teacher trained beside, {job.network.info.name}",
        progress=training(job),
        snapshot=snapshot,
        stretch=-(-job.settings.steps // given),
        every=every,
    )
