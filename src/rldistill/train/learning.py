"""Which learner, memory and labels a row needs."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from gymnasium import spaces

from rldistill.core import NetworkPolicy, PolicyInfo
from rldistill.data.frames import FrameReplay
from rldistill.data.latest import LatestRound
from rldistill.data.replay import Replay
from rldistill.data.round_windows import Window
from rldistill.data.sequences import SequenceReplay
from rldistill.data.transitions import Transitions
from rldistill.errors import SettingError
from rldistill.methods.learner_settings import FeatureRegression, Growing, Peer, Prior, QLearning
from rldistill.methods.method import LAST_ROUND, Method
from rldistill.methods.schedules import Weaning
from rldistill.methods.terms import Alignment
from rldistill.train.actor_critic import ActorCriticLearner
from rldistill.train.distral import DistralLearner
from rldistill.train.dual import DualLearner
from rldistill.train.experience import GAMMA
from rldistill.train.fit import GrowingLearner
from rldistill.train.learners import Learner, Memory, PerStateLearner
from rldistill.train.mimic import FeatureTeacher, MimicLearner
from rldistill.train.qlearn import QLearner
from rldistill.train.sequence_learner import SequenceLearner
from rldistill.train.settings import Settings

# Who labels states: the teacher, with its hidden layer where the row asks for that.
Labeller = NetworkPolicy | FeatureTeacher


def require_row(row: Method, teacher: PolicyInfo, student: PolicyInfo) -> None:
    """Refuse a recurrent policy where a row's learner looks at single states.

    Raises:
        SettingError: the row has such a learner, and student or teacher is recurrent.
    """
    if row.learner is None:
        return
    if student.is_recurrent:
        raise SettingError(
            f"{row.name} learns from single states, and {student.name} is recurrent: choose a row "
            "that learns from sequences, such as on-policy-distill, dagger or a kickstarting row"
        )
    if teacher.is_recurrent and isinstance(row.learner, FeatureRegression):
        raise SettingError(
            f"{row.name} reads the teacher's hidden layer in single states, and {teacher.name} is "
            "recurrent: choose a row without feature regression, such as on-policy-distill"
        )


def labeller(row: Method, teacher: NetworkPolicy) -> Labeller:
    """Who labels the states of a row.

    Raises:
        SettingError: the row needs the teacher's hidden layer, and there is none.
    """
    if isinstance(row.learner, FeatureRegression):
        return FeatureTeacher.of(teacher)
    return teacher


def window_for(row: Method, student: PolicyInfo, settings: Settings) -> Window | None:
    """How the sequences of a student that remembers are cut; None for other students.

    Raises:
        SettingError: window or burn_in is given and has no effect.
    """
    given = {"window": settings.window, "burn_in": settings.burn_in}
    if not student.is_recurrent:
        for name, value in given.items():
            if value is not None:
                raise SettingError(
                    f"{name} has no effect on {student.name}, which remembers nothing; leave it "
                    "out, or choose a recurrent student, such as gru:64"
                )
        return None
    if row.is_actor_critic and settings.burn_in is not None:
        raise SettingError(
            f"burn_in has no effect on {row.name}, which learns from its latest round alone: what "
            "is remembered there is not stale; leave it out"
        )
    return Window(**{_FIELDS[name]: x for name, x in given.items() if x is not None})


_FIELDS = {"window": "length", "burn_in": "burn_in"}


@final
@dataclass(frozen=True, slots=True)
class Storage:
    """What a memory holds.

    Attributes:
        capacity: rows.
        observation_space: of one observation: uint8 pixels, or numbers.
        frame_stack: frames in one observation [S, H, W], oldest first; 1: it is no stack.
        device: where it lives.
        window: how sequences are cut, for a student that remembers; None: for others.
    """

    capacity: int
    observation_space: spaces.Box
    frame_stack: int
    device: torch.device
    window: Window | None = None


def make_memory(
    row: Method, labels: Labeller | None, teacher: PolicyInfo, storage: Storage
) -> Memory:
    """The memory of a row.

    Args:
        row: the method.
        labels: who labels; None where the states come from a dataset.
        teacher: what is known of who is distilled.
        storage: how many rows of what.

    Raises:
        SettingError: there is not enough memory.
    """
    shape, width = storage.observation_space.shape, teacher.head.num_outputs
    capacity, device = storage.capacity, storage.device
    if row.is_actor_critic:
        return LatestRound()
    if isinstance(row.learner, QLearning):
        n = row.learner.n_step
        return Transitions(capacity, shape, width, discount(row.learner, teacher), n, device)
    if storage.window is not None:
        return SequenceReplay(capacity, storage.window, device)
    if isinstance(labels, FeatureTeacher):
        width = labels.label_width
    if storage.frame_stack > 1:
        return FrameReplay(capacity, shape, width, device)
    pixels = storage.observation_space.dtype == np.uint8
    return Replay(capacity, shape, width, device, torch.uint8 if pixels else torch.float32)


def make_learner(
    row: Method,
    student: NetworkPolicy,
    teacher: Labeller | None,
    alignment: Alignment,
    generator: torch.Generator,
    window: Window | None = None,
) -> Learner:
    """The learner of a row.

    Args:
        row: the method.
        student: what learns.
        teacher: None where the states come from a dataset.
        alignment: the loss.
        generator: of its batches.
        window: how sequences are cut, where the student remembers.

    Raises:
        SettingError: the row needs environments, the teacher's value or a hidden layer, and there
            is none; or it needs another student.
    """
    if teacher is None and isinstance(row.loss_weight, Weaning):
        raise SettingError(
            f"{row.name} weighs its loss by the returns of training episodes, which a dataset does "
            "not have; choose another loss_weight, such as Constant(1.0)"
        )
    if not row.is_actor_critic and row.learner is None and student.info.is_recurrent:
        return SequenceLearner(student, alignment, row, generator)
    if not row.is_actor_critic and row.learner is None:
        return PerStateLearner(student, alignment, row.learning, generator)
    if isinstance(row.learner, Growing):
        return GrowingLearner(student, row.learner, alignment, generator)
    if teacher is None:
        raise SettingError(
            f"{row.name} learns from what the student does, so it needs a teacher and an "
            "environment; from a dataset learn with a row without credit, such as teacher-distill"
        )
    match row.learner, teacher:
        case FeatureRegression() as settings, FeatureTeacher():
            method = (row.learning, settings)
            return MimicLearner(student, teacher, alignment, method, generator)
        case QLearning() as settings, NetworkPolicy():
            gamma = discount(settings, teacher.info)
            return QLearner(student, gamma, row, alignment, generator)
        case Peer(), NetworkPolicy():
            return DualLearner(student, teacher, row, alignment, generator)
        case Prior(), NetworkPolicy():
            return DistralLearner(student, teacher, row, alignment, generator)
        case _, NetworkPolicy():
            return ActorCriticLearner(student, teacher, row, alignment, generator, window)
        case _:
            raise AssertionError("labeller() makes a FeatureTeacher for FeatureRegression alone")


def discount(settings: QLearning, teacher: PolicyInfo) -> float:
    """The row's own gamma, else the teacher's, else GAMMA."""
    return next(g for g in (settings.gamma, teacher.gamma, GAMMA) if g is not None)


def too_short(row: Method, total_steps: int) -> tuple[str, ...]:
    """A warning where a run ends before the first step that the row leaves to the student."""
    share = row.control.teacher_share
    rounds = -(-total_steps // row.round_steps)
    if share.at(rounds - 1) < 1.0 or share.at(LAST_ROUND) >= 1.0:
        return ()
    first = next(i for i in range(rounds, LAST_ROUND + 1) if share.at(i) < 1.0)
    return (
        f"warning  in so few steps the teacher alone acts: {row.name} lets the student act after "
        f"{first * row.round_steps:,}",
    )
