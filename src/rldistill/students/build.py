"""make_student: from a spec and two spaces to a policy that can be trained."""

import math
from dataclasses import replace
from typing import Any

from gymnasium import spaces

from rldistill.core import Head, NetworkPolicy, PolicyInfo, head_for
from rldistill.core.recurrent import state_shapes_of
from rldistill.errors import TaskError
from rldistill.students.families import StudentSpec, family_of, parse_spec, require_family
from rldistill.students.mlp import Mlp
from rldistill.students.specs import MlpSpec


def make_student(
    spec: str | StudentSpec,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    like: Head | None = None,
) -> NetworkPolicy:
    """Build an untrained student of any family.

    Args:
        spec: for example "mlp:32,32"; docs/students.md lists the families.
        observation_space: a Box.
        action_space: Discrete, or a flat Box.
        like: the teacher's head; the student's distribution is of the same family.

    Returns:
        A policy whose .module is a plain torch module [B, ...] -> [B, outputs], or Recurrent.

    Raises:
        SettingError: the spec cannot be read.
        TaskError: spaces that this student cannot see or act in.

    >>> space = spaces.Box(-1, 1, (8,))
    >>> make_student("mlp:16,16", space, spaces.Discrete(4)).info.parameters
    484
    """
    parsed = parse_spec(spec) if isinstance(spec, str) else spec
    family = require_family(parsed)
    if not isinstance(observation_space, spaces.Box) or not observation_space.shape:
        raise TaskError(
            "a student needs observations that are a Box with at least one axis; this task has "
            f"{observation_space}"
        )
    head = head_for(action_space, like)
    module = family.build(parsed, observation_space, head)
    count = family.count(module)
    info = PolicyInfo(
        name=str(parsed),
        framework="rldistill",
        observation_shape=observation_space.shape,
        head=head,
        acting_parameters=count,
        parameters=count,
        state_shapes=state_shapes_of(module),
        notes=("it is grown from labelled states: how large, is known at the end",)
        if family.grown
        else (),
    )
    return NetworkPolicy(module, info)


def another_like(student: NetworkPolicy) -> NetworkPolicy:
    """A network on the same device with the same inputs and head, and random weights of its own.

    It has the layers of a student made from a spec; beside a live module, it is an MLP of two
    layers of 64.
    """
    family = family_of(student.module)
    if family is not None:
        module = family.fresh(student.module)
    else:
        num_inputs = math.prod(student.info.observation_shape)
        module = Mlp(MlpSpec(hidden=(64, 64)), num_inputs, student.info.head)
    info = replace(student.info, name=str(module.spec), fingerprint="", source="", notes=())
    return NetworkPolicy(module.to(student.device), info)
