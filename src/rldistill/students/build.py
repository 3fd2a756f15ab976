"""make_student: from a spec and two spaces to a policy that can be trained."""

import math
from typing import Any

from gymnasium import spaces

from rldistill.core import Head, NetworkPolicy, PolicyInfo, head_for
from rldistill.errors import TaskError
from rldistill.students.mlp import Mlp, num_parameters
from rldistill.students.specs import MlpSpec, parse_spec

TEACHER_SHARE = 0.1


def make_student(
    spec: str | MlpSpec,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    like: Head | None = None,
) -> NetworkPolicy:
    """Build an untrained student.

    Args:
        spec: for example "mlp:32,32"; see parse_spec.
        observation_space: a Box [O].
        action_space: Discrete, or a flat Box.
        like: the teacher's head; the student's distribution is of the same family.

    Returns:
        A policy whose .module is a plain torch module [B, O] -> [B, outputs].

    Raises:
        SettingError: the spec cannot be read.
        TaskError: spaces that this student cannot see or act in.

    >>> space = spaces.Box(-1, 1, (8,))
    >>> make_student("mlp:16,16", space, spaces.Discrete(4)).info.parameters
    484
    """
    parsed = parse_spec(spec) if isinstance(spec, str) else spec
    if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) != 1:
        raise TaskError(
            f"an MLP student needs flat observations [O]; this task has {observation_space}"
        )
    head = head_for(action_space, like)
    module = Mlp(parsed, observation_space.shape[0], head)
    count = num_parameters(module)
    info = PolicyInfo(
        name=str(parsed),
        framework="rldistill",
        observation_shape=observation_space.shape,
        head=head,
        acting_parameters=count,
        parameters=count,
    )
    return NetworkPolicy(module, info)


def default_spec(num_inputs: int, head: Head, teacher_parameters: int) -> MlpSpec:
    """Two equal hidden layers with at most a tenth of the teacher's acting parameters.

    With w the width: w (O + 1) + w (w + 1) + out (w + 1) <= budget, solved for w. Never below 4 wide.

    >>> from rldistill.core import CategoricalHead
    >>> str(default_spec(8, CategoricalHead(4), 4996))
    'mlp:15,15'
    """
    budget = TEACHER_SHARE * teacher_parameters
    # A Gaussian head's log standard deviations (half its outputs) are parameters too, or outputs.
    outputs = head.num_outputs
    b = num_inputs + 2 + outputs
    width = int((-b + math.sqrt(max(b * b - 4 * (outputs - budget), 0.0))) / 2)
    return MlpSpec(hidden=(max(width, 4),) * 2)
