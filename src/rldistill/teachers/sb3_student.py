"""A live model of stable-baselines3 as a student: its acting network learns, then it gets it back.

The network is ours, rebuilt as for a teacher, so every algorithm that is read can be a student; the
model's critics, target networks and optimiser are left as they are.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import ShapeError, TaskError
from rldistill.students.weights import num_numbers
from rldistill.teachers.live import from_sb3_model, saved_of_model, statistics_of_model
from rldistill.teachers.sb3_policy import build_policy

SAVED_ALONE = "only its weights are saved: load_policy(RUN, module=...) needs such a model again"
LOGITS = (
    "its Q-values become logits: its predict acts by them, but training it on would have to begin "
    "anew"
)
CRITICS = "its acting network is trained; critics, if it has any, stay as they are"
# Which algorithms give which family of actions.
ALGORITHMS: dict[type[Head], str] = {
    CategoricalHead: "PPO, A2C, TRPO or DQN",
    QValueHead: "DQN or QRDQN",
    GaussianHead: "PPO, A2C or TRPO",
    SquashedGaussianHead: "SAC or TQC",
    DeterministicHead: "TD3, DDPG or ARS",
}
NORMALISED = "its VecNormalize statistics are part of it, and stay as they are"


def sb3_student(model: Any, head: Head) -> NetworkPolicy:
    """The acting network of a model, ready to be trained; the model is not changed.

    Args:
        model: a live model of stable-baselines3 or sb3-contrib.
        head: what a student of this teacher must have in this task.

    Raises:
        TaskError: the algorithm's actions are of another family than the teacher's.
        TeacherFileError: a kind of model that is not read yet.
    """
    policy = from_sb3_model(model)
    _require_head(policy, head)
    names = names_of_weights(model)
    for key, parameter in policy.module.named_parameters():
        parameter.requires_grad_(key in names)
    notes = (CRITICS, SAVED_ALONE)
    if statistics_of_model(model) is not None:
        notes += (NORMALISED,)
    if isinstance(policy.info.head, QValueHead):
        notes += (LOGITS,)
    count = num_numbers(policy.module)
    info = replace(
        policy.info,
        head=head,
        acting_parameters=count,
        parameters=count,
        value_units="none",
        fingerprint="",
        notes=notes,
    )
    return NetworkPolicy(policy.module, info)


def write_into_model(module: nn.Module, model: Any) -> None:
    """Copy the weights of a network that sb3_student made into the model it was made of.

    After that, `model.predict` is this network's policy.

    Raises:
        ShapeError: the model has another architecture.
    """
    names, theirs = names_of_weights(model), _tensors(model)
    ours = dict(module.named_parameters())
    wrong = [key for key, name in names.items() if ours[key].shape != theirs[name].shape]
    if wrong:
        raise ShapeError(f"the model has another architecture: {names[wrong[0]]} does not fit")
    with torch.no_grad():
        for key, name in names.items():
            theirs[name].copy_(ours[key])


def names_of_weights(model: Any) -> dict[str, str]:
    """Which tensor of the model's state_dict each parameter of our network comes from.

    The model is read once more with all of its n-th tensor set to n: where the n went, it belongs.
    """
    saved, names = saved_of_model(model), list(_tensors(model))
    numbered = {
        name: torch.full(saved.tensors[name].shape, float(n)) for n, name in enumerate(names, 1)
    }
    probe = build_policy(replace(saved, tensors=numbered), statistics_of_model(model))
    found: dict[str, str] = {}
    for key, parameter in probe.module.named_parameters():
        number = float(parameter.flatten()[0])
        # A weight that the file does not have, such as an unused slope, keeps its own default.
        if number.is_integer() and 1 <= number <= len(names):
            found[key] = names[int(number) - 1]
    return found


def _tensors(model: Any) -> Mapping[str, Tensor]:
    """The weights themselves, not copies."""
    return model.policy.state_dict()


def _require_head(policy: NetworkPolicy, head: Head) -> None:
    own, name = policy.info.head, policy.info.name
    if isinstance(own, QValueHead) and head == CategoricalHead(own.num_actions):
        return
    if type(own) is not type(head):
        raise TaskError(
            f"the student, a live {name}, gives {_family(own)} actions, and a student of this "
            f"teacher must give {_family(head)} ones: {ALGORITHMS[type(head)]} would fit, or an "
            "nn.Module, or a spec such as 'mlp:32,32'"
        )
    if own != head:
        raise TaskError(
            f"the student, a live {name}, has the actions {own}, the task requires {head}: make "
            "the model with an environment of this task"
        )


def _family(head: Head) -> str:
    return type(head).__name__.removesuffix("Head")
