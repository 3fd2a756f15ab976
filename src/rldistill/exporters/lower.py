"""From a policy's torch modules to steps; what has no step is refused by name."""

import dataclasses
import math
from typing import Any

import numpy as np
from torch import Tensor, nn

from rldistill.core import (
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError
from rldistill.exporters import steps as kinds
from rldistill.exporters.lower_layers import array, layer_steps
from rldistill.exporters.steps import (
    Activation,
    Affine,
    Append,
    ChannelsFirst,
    Clip,
    Conv,
    Dense,
    Flatten,
    Fork,
    LayerNorm,
    Normalise,
    Squash,
    Step,
    Steps,
)
from rldistill.students.cnn import Cnn
from rldistill.students.impala import Impala, Residual
from rldistill.students.mlp import InputNormaliser, Mlp
from rldistill.students.multitask import TaskView
from rldistill.students.multitask_parts import (
    Controller,
    MaskedControllers,
    PixelEntrance,
    RowEntrance,
)
from rldistill.students.outputs import LOG_STD_RANGE
from rldistill.students.pixels import PixelLayout
from rldistill.students.tree_module import TreeModule
from rldistill.teachers import layers as fixed

Array = np.ndarray[Any, Any]
# What sees a flat observation.
FLAT = (Dense, Normalise, LayerNorm, kinds.Tree)


def lower(policy: NetworkPolicy) -> Steps:
    """The steps of a policy's module, from an observation to its raw outputs.

    Raises:
        SettingError: a layer is not supported; the message names it and the nearest that is.
        NotFiniteError: a weight is NaN or infinite.
    """
    require_finite(policy)
    steps = _module(policy.module)
    if len(policy.info.observation_shape) != 1 and isinstance(steps[0], FLAT):
        steps = (Flatten(), *steps)
    return _merged(steps)


def require_finite(policy: NetworkPolicy) -> None:
    """Check the weights.

    Raises:
        NotFiniteError: one is NaN or infinite.
    """
    for name, parameter in policy.module.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise NotFiniteError(f"{policy.info.name}: weight {name} holds NaN or infinity")
    for name, buffer in policy.module.named_buffers():
        if bool(buffer.isnan().any()):
            raise NotFiniteError(f"{policy.info.name}: {name} holds NaN")


def _module(module: nn.Module) -> Steps:
    match module:
        case nn.Sequential():
            return tuple(step for part in module for step in _module(part))
        case Mlp():
            network = module.folded()
            first = () if network.normaliser is None else _module(network.normaliser)
            end = _end(network.head, network.log_std)
            return (*first, *_module(network.layers), *end)
        case Cnn() | Impala():
            end = _end(module.head, module.log_std)
            return (*_pixels(module.pixels), *_module(module.layers), *end)
        case Residual():
            first, second = _module(module.first), _module(module.second)
            relu = Activation("relu")
            return (kinds.Residual((relu, *first, relu, *second)),)
        case TaskView():
            return _task_view(module)
        case TreeModule():
            return (_tree(module),)
        case InputNormaliser():
            std = 1.0 / array(module.inverse_std).astype(np.float64)
            return (Normalise(array(module.mean).astype(np.float64), std, module.clip),)
        case fixed.Normaliser():
            clip = module.clip if math.isfinite(module.clip) else None
            return (Normalise(array(module.mean), array(module.std), clip),)
        case fixed.ConstantStd():
            return (*_module(module.mean), Append(array(module.log_std)))
        case fixed.StateStd():
            low, high = (np.full(1, x, np.float32) for x in (fixed.LOG_STD_MIN, fixed.LOG_STD_MAX))
            return (Fork(_module(module.mean), (*_module(module.log_std), Clip(low, high))),)
        case fixed.ExplorationStd():
            return (Fork(_module(module.mean), _exploration(module)),)
        case fixed.Rescale():
            half = 0.5 * (array(module.high) - array(module.low))
            return (Affine(half, array(module.low) + half),)
        case fixed.Clip():
            return (Clip(array(module.low), array(module.high)),)
        case fixed.QuantileMean():
            count, actions = module.shape
            weight = np.tile(np.eye(actions, dtype=np.float32) / count, (1, count))
            return (Dense(weight, np.zeros(actions, np.float32)),)
        case _:
            return layer_steps(module)


def find_normaliser(module: nn.Module) -> Normalise | None:
    """The observation normaliser inside of a network; None where it has none or it is folded in."""
    for part in module.modules():
        if isinstance(part, (InputNormaliser, fixed.Normaliser)):
            (step,) = _module(part)
            assert isinstance(step, Normalise)
            return step
    return None


def _end(head: Head, log_std: Tensor | None) -> Steps:
    """What stands behind the last layer of our own students."""
    if log_std is not None:
        return (Append(array(log_std)),)
    if isinstance(head, SquashedGaussianHead):
        free = np.full(len(head.low), np.inf, np.float32)
        low, high = (np.full(len(head.low), bound, np.float32) for bound in LOG_STD_RANGE)
        return (Clip(np.concatenate([-free, low]), np.concatenate([free, high])),)
    if isinstance(head, DeterministicHead):
        return (Squash(np.array(head.low, np.float32), np.array(head.high, np.float32)),)
    return ()


def _pixels(pixels: PixelLayout) -> Steps:
    scale, zero = np.full(1, 1.0 / pixels.scale, np.float32), np.zeros(1, np.float32)
    scaled = () if pixels.scale == 1.0 else (Affine(scale, zero),)
    return (*(() if pixels.channels_first else (ChannelsFirst(),)), *scaled)


def _task_view(view: TaskView) -> Steps:
    """The layers of one task of several: those that are shared, and its own."""
    network, task = view.network, view.task
    entrance = network.entrances[task if len(network.entrances) > 1 else 0]
    if isinstance(entrance, PixelEntrance):
        first = (*_pixels(entrance.pixels), *_module(entrance.first))
    else:
        assert isinstance(entrance, RowEntrance)
        first = (*_module(entrance.normaliser), *_module(entrance.first))
    shared = (*first, *_module(network.trunk))
    if isinstance(network.controllers, MaskedControllers):
        *own, last = _module(network.controllers.layers)
        assert isinstance(last, Dense)
        rows = list(network.controllers.actions[task])
        return (*shared, *own, Dense(last.weight[rows], last.bias[rows]))
    assert isinstance(network.controllers, nn.ModuleList)
    controller = network.controllers[task]
    assert isinstance(controller, Controller)
    return (*shared, *_module(controller.layers), *_end(controller.head, controller.log_std))


def _tree(module: TreeModule) -> kinds.Tree:
    tree = module.tree
    linear = np.zeros(0, np.float32) if tree.coefficients is None else tree.coefficients
    return kinds.Tree(tree.feature, tree.threshold, tree.left, tree.right, tree.values, linear)


def _exploration(module: fixed.ExplorationStd) -> Steps:
    """log sigma(x) = log(sqrt(x^2 @ std^2 + epsilon)), one column of std^2 per action dimension."""
    mean = module.mean[0] if isinstance(module.mean, nn.Sequential) else module.mean
    assert isinstance(mean, nn.Linear)
    variance = array(module.std().square())
    columns = np.broadcast_to(variance.T, (mean.out_features, len(variance)))
    bias = np.full(mean.out_features, fixed.EPSILON, np.float32)
    return (Activation("square"), Dense(columns.copy(), bias), Activation("half_log"))


def _merged(steps: Steps) -> Steps:
    """A Dense right behind a Dense is one, in float64: the mean over quantiles costs nothing."""
    merged: list[Step] = []
    for step in steps:
        before = merged[-1] if merged else None
        if isinstance(step, Dense) and isinstance(before, Dense):
            weight, second = before.weight.astype(np.float64), step.weight.astype(np.float64)
            bias = second @ before.bias + step.bias
            merged[-1] = Dense((second @ weight).astype(np.float32), bias.astype(np.float32))
        else:
            merged.append(step)
    return tuple(merged)


def without_std(steps: Steps, head: GaussianHead | SquashedGaussianHead) -> Steps:
    """The steps that give the means alone: acting by mode needs no standard deviations."""
    size, last = len(head.low), steps[-1]
    if isinstance(last, Append):
        return steps[:-1]
    if isinstance(last, Fork):
        return (*steps[:-1], *last.first)
    before = steps[-2] if isinstance(last, Clip) and len(steps) > 1 else last
    if isinstance(before, Dense):
        kept = dataclasses.replace(before, weight=before.weight[:size], bias=before.bias[:size])
        return (*steps[: -2 if before is not last else -1], kept)
    return steps


def has_weights(steps: Steps) -> bool:
    """Whether there is a layer of weights.

    >>> has_weights((Flatten(),))
    False
    """
    for step in steps:
        match step:
            case Dense() | Conv():
                return True
            case Fork() if has_weights((*step.first, *step.second)):
                return True
            case kinds.Residual() if has_weights(step.steps):
                return True
            case _:
                continue
    return False
