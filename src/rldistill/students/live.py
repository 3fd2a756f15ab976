"""Live students: any nn.Module from observations [B, ...] to the raw outputs of a head."""

import copy

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
)
from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.students.weights import num_numbers, serialise

# Said at the start of a run with a live student.
NOTES = (
    "its inputs are not normalised: a live module sees observations as the task gives them",
    "only its weights are saved: load_policy(RUN, module=...) needs the module again",
)
# States that a module is tried on: one of zeros, the others drawn near it.
STATES_TRIED = 8


def live_student(
    module: nn.Module, observation_space: spaces.Box, head: Head, name: str | None = None
) -> NetworkPolicy:
    """A copy of a module that can be trained in its stead, checked on a few observations.

    Args:
        module: maps observations [B, ...] to the raw outputs [B, head.num_outputs]; not changed.
            Parameters with requires_grad=False are never moved.
        observation_space: of the task.
        head: what the outputs mean.
        name: how it is called; None: by its class.

    Returns:
        The policy; its module is in the modes (training or not) of the original.

    Raises:
        SettingError: it has nothing to train, or cannot be copied, saved, called or differentiated.
        ShapeError: its outputs are not those of the head; the message names the wanted ones.
        NotFiniteError: an output is NaN or infinite.
    """
    name = name or type(module).__name__
    require_trainable(module, name)
    own = _copied(module, name)
    serialise(own, name)
    _try_out(own, observation_space, head, name)
    count = num_numbers(own)
    info = PolicyInfo(
        name=name,
        framework="live object",
        observation_shape=observation_space.shape,
        head=head,
        acting_parameters=count,
        parameters=count,
        source=f"live {name}",
        notes=NOTES,
    )
    return NetworkPolicy(own, info)


def wanted_outputs(head: Head) -> str:
    """What a module with this head must give for B observations, in words.

    >>> wanted_outputs(CategoricalHead(4))
    'float outputs [B, 4]: one logit per action'
    """
    shape = f"float outputs [B, {head.num_outputs}]"
    if isinstance(head, (CategoricalHead, QValueHead)):
        return f"{shape}: one logit per action"
    if isinstance(head, DeterministicHead):
        return f"{shape}: the action itself, in the task's units"
    where = "in the task's units" if isinstance(head, GaussianHead) else "of the action before tanh"
    size = len(head.low)
    return f"{shape}: {size} means, then {size} log standard deviations, {where}"


def require_trainable(module: nn.Module, name: str) -> None:
    """Check that there is something to learn with.

    Raises:
        SettingError: no parameter has requires_grad, or one has no shape yet.
    """
    parameters = list(module.parameters())
    if any(isinstance(parameter, UninitializedParameter) for parameter in parameters):
        raise SettingError(
            f"the student ({name}) has weights without a shape yet: call it once on a batch of "
            "observations before it is distilled into"
        )
    if not any(parameter.requires_grad for parameter in parameters):
        raise SettingError(
            f"the student ({name}) has no trainable parameters: its {len(parameters)} parameters "
            "all have requires_grad=False; call module.requires_grad_(True) on what may learn"
        )


def _copied(module: nn.Module, name: str) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise SettingError(
            f"the student ({name}) cannot be copied, and a copy is what learns: {error}"
        ) from error


def _try_out(module: nn.Module, space: spaces.Box, head: Head, name: str) -> None:
    """Call a module in evaluation mode, and leave its modes as they were."""
    modes = [(part, part.training) for part in module.modules()]
    first = next(module.parameters())
    module.eval()
    try:
        for count in (1, STATES_TRIED):
            outputs = _call(module, states_to_try(space, count).to(first.device), head, name)
            _require_outputs(outputs, count, head, name)
    finally:
        for part, training in modes:
            part.training = training


def states_to_try(space: spaces.Box, count: int) -> Tensor:
    """Observations [count, ...]: zeros, then unit normals, all within the bounds of the space."""
    draws = np.random.default_rng(0).standard_normal((count, *space.shape))
    draws[0] = 0.0
    kind = np.uint8 if space.dtype == np.uint8 else np.float32
    return torch.from_numpy(draws.clip(space.low, space.high).astype(kind))


def _call(module: nn.Module, observations: Tensor, head: Head, name: str) -> object:
    try:
        with torch.enable_grad():
            return module(observations)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        raise SettingError(
            f"the student ({name}) raised on {observations.dtype} observations of shape "
            f"{tuple(observations.shape)}; required are {wanted_outputs(head)}; it said: {error}"
        ) from error


def _require_outputs(outputs: object, count: int, head: Head, name: str) -> None:
    wanted = f"the student ({name}) must give {wanted_outputs(head)}"
    if not isinstance(outputs, Tensor):
        raise ShapeError(f"{wanted}; it gave a {type(outputs).__name__}")
    if outputs.shape != (count, head.num_outputs) or not outputs.is_floating_point():
        raise ShapeError(f"{wanted}; for B = {count} it gave {_described(outputs)}")
    if not bool(outputs.isfinite().all()):
        raise NotFiniteError(f"{wanted}, all finite; on observations near 0 one is NaN or infinite")
    if not outputs.requires_grad:
        raise SettingError(
            f"{wanted} that can be differentiated; no gradient reaches its weights: is there a "
            "detach(), no_grad() or argmax in its forward?"
        )


def _described(outputs: Tensor) -> str:
    return f"{outputs.dtype} of shape {tuple(outputs.shape)}"
