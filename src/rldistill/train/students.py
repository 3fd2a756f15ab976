"""Who learns: a network made from a spec, or a copy of what the user gave, which gets it back."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast, final

from gymnasium import spaces
from torch import nn

from rldistill.core import Head, NetworkPolicy, PolicyInfo, head_for
from rldistill.errors import SettingError
from rldistill.runs import live_object
from rldistill.students.build import make_student
from rldistill.students.defaults import default_student
from rldistill.students.families import StudentSpec, family_of, is_grown
from rldistill.students.live import live_student, require_trainable, wanted_outputs
from rldistill.teachers.live import is_sb3_model, refuse_sb3_network
from rldistill.teachers.load import require_fit
from rldistill.teachers.sb3_student import sb3_student, write_into_model


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The student of one run.

    Attributes:
        policy: learns; no object of the user's is part of it.
        text: what recipe.toml says of it.
        give_back: called with the tested network when the run ends, to write its weights into what
            the user gave.
    """

    policy: NetworkPolicy
    text: str
    give_back: Callable[[nn.Module], object]


def choose_student(
    student: object,
    teacher: PolicyInfo,
    observation_space: spaces.Box,
    action_space: spaces.Space[Any],
) -> Chosen:
    """The student asked for, or one with at most a tenth of the teacher's acting parameters.

    Args:
        student: a spec, a policy of make_student, an nn.Module, a stable-baselines3 model, or None.
        teacher: gives the family of distributions, and the size of a default student.
        observation_space: of the task.
        action_space: of the task.

    Raises:
        SettingError: a student of another type, or one that cannot learn or be saved.
        ShapeError, NotFiniteError: a module whose outputs are not those that are needed.
        TaskError: one that does not fit task or teacher.
    """
    if student is None:
        student = default_student(observation_space, teacher.head, teacher.acting_parameters)
    if isinstance(student, str) or (family_of(student) and not isinstance(student, nn.Module)):
        spec = cast("str | StudentSpec", student)
        policy = make_student(spec, observation_space, action_space, teacher.head)
        return Chosen(policy=policy, text=policy.info.name, give_back=_to_nobody)
    head = head_for(action_space, teacher.head)
    if is_sb3_model(student):
        return _of_model(student, observation_space, head)
    if isinstance(student, NetworkPolicy):
        require_fit(student, observation_space.shape, action_space)
        if family_of(student.module) is not None:
            return _of_ours(student, head)
        _require_head(student.info, head)
        return _of_module(student.module, observation_space, head)
    if isinstance(student, nn.Module):
        refuse_sb3_network(student)
        return _of_module(student, observation_space, head)
    raise SettingError(
        "a student must be a spec such as 'mlp:16,16', a policy of make_student, an nn.Module or a "
        f"stable-baselines3 model; got a {type(student).__name__}"
    )


def _to_nobody(module: nn.Module) -> None:
    """For a network that this library made itself."""


def _of_ours(student: NetworkPolicy, head: Head) -> Chosen:
    """A policy of make_student, or a finished student that is trained on."""
    _require_head(student.info, head)
    network = student.module
    own = copy.deepcopy(network)
    if not is_grown(own):
        require_trainable(own, student.info.name)

    def give_back(tested: nn.Module) -> object:
        return network.load_state_dict(tested.state_dict())

    policy = NetworkPolicy(own, replace(student.info, notes=()))
    return Chosen(policy=policy, text=student.info.name, give_back=give_back)


def _of_module(module: nn.Module, observation_space: spaces.Box, head: Head) -> Chosen:
    policy = live_student(module, observation_space, head)

    def give_back(tested: nn.Module) -> object:
        return module.load_state_dict(tested.state_dict())

    return Chosen(policy=policy, text=live_object(policy.info.name), give_back=give_back)


def _of_model(model: Any, observation_space: spaces.Box, head: Head) -> Chosen:
    policy = sb3_student(model, head)
    require_fit(policy, observation_space.shape, None)

    def give_back(tested: nn.Module) -> None:
        write_into_model(tested, model)

    return Chosen(policy=policy, text=live_object(policy.info.name), give_back=give_back)


def _require_head(student: PolicyInfo, head: Head) -> None:
    if student.head != head:
        raise SettingError(
            f"the student ({student.name}) has a {student.head}; a student of this teacher must "
            f"give {wanted_outputs(head)}"
        )
