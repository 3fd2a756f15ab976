"""Evidence of a student that was saved without it: episodes are played again, on other seeds."""

from typing import Any

import torch

from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.naming import task_names
from rldistill.errors import between
from rldistill.evaluation.evaluate import EvaluationSettings, one_thread
from rldistill.evaluation.evidence import RunEvidence, take_evidence
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import SEED_SPACE, Arena, count_envs, require_acting, task_info
from rldistill.teachers.load import load_teacher

DEFAULTS = EvaluationSettings()


def remeasure(
    student: Any,
    teacher: Any,
    task: TaskSource,
    settings: EvaluationSettings = DEFAULTS,
) -> RunEvidence:
    """Play 128 episodes of student, teacher and random policy, and keep what take_evidence keeps.

    Args:
        student: a run folder, a file or a live object.
        teacher: the same.
        task: as in distill.
        settings: of these seed, num_envs, vecnormalize, card, floor and how the two act are used.

    Raises:
        RldistillError: a file cannot be read, or a policy does not fit the task.
    """
    spec = with_own_views(task_spec(task), student, teacher)
    info = task_info(spec)
    shape, actions = info.observation_space.shape, info.action_space
    with between("policy", "task"):
        small = load_teacher(student, observation_shape=shape, action_space=actions, announce=None)
    large = load_teacher(
        teacher,
        vecnormalize=settings.vecnormalize,
        card=settings.card,
        observation_shape=info.teacher_shape,
        action_space=actions,
        announce=None,
    )
    require_acting(small, settings.student_act, "student_act")
    num_envs = count_envs(spec, settings.num_envs, 64)
    who = Contestants(large, settings.teacher_act, settings.student_act, torch.device("cpu"))
    with one_thread(), Arena(spec, info, num_envs, settings.seed) as arena:
        # A run of this seed chose its student on the seeds from 0 on: measure it on others.
        arena.rounds_played = SEED_SPACE // 4 // num_envs
        measured = Prover(arena, who, settings.floor).measure(small)
    return take_evidence(measured, info, task_names(spec, info), large, small)
