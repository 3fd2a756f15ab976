"""PPO, A2C and TRPO of stable-baselines3 and sb3-contrib: an actor and a critic of the state."""

import itertools

from torch import Tensor, nn

from rldistill.core import CategoricalHead, GaussianHead, Head, SquashedGaussianHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.layers import ConstantStd, ExplorationStd, Squeeze
from rldistill.teachers.networks import (
    Bounds,
    Networks,
    fit_bounds,
    layer_sizes,
    require_bounds,
    unbounded,
)
from rldistill.teachers.settings import Settings
from rldistill.teachers.weights import Weights, widths


def read_actor_critic(weights: Weights, settings: Settings, bounds: Bounds | None) -> Networks:
    """Rebuild an ActorCriticPolicy: trunks shared (before 1.8) or apart, gSDE or not.

    Args:
        weights: its state dict.
        settings: what the file says.
        bounds: of the action, None if unknown or discrete.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        TaskError: squashed actions without known bounds.
    """
    activation, activation_name = settings.activation(nn.Tanh)
    shared = weights.stack("mlp_extractor.shared_net", activation)
    policy = shared + weights.stack("mlp_extractor.policy_net", activation)
    value = shared + weights.stack("mlp_extractor.value_net", activation)
    action_net, value_net = weights.linear("action_net"), weights.linear("value_net")
    _check_ends(weights, policy, action_net, value, value_net)
    outputs, head, notes = _outputs(weights, settings, action_net, bounds)
    explores = isinstance(outputs, ExplorationStd)
    return Networks(
        algorithm=_algorithm(settings),
        actor=[*policy, outputs],
        head=head,
        critic=nn.Sequential(*value, value_net, Squeeze()),
        sizes=layer_sizes(policy, action_net),
        activation=f"{activation_name}, gSDE" if explores else activation_name,
        notes=notes,
    )


def _algorithm(settings: Settings) -> str:
    if "cg_damping" in settings.values:
        return "TRPO"
    return "PPO" if "clip_range" in settings.values else "A2C"


def _check_ends(
    weights: Weights,
    policy: list[nn.Module],
    action: nn.Linear,
    value: list[nn.Module],
    last: nn.Linear,
) -> None:
    inputs = (widths(policy) or widths(value) or (action.in_features,))[0]
    for layers, end, name in ((policy, action, "action_net"), (value, last, "value_net")):
        sizes = widths(layers)
        _check_inside(weights, layers)
        weights.require_inputs(end, sizes[-1] if sizes else inputs, name)
        if sizes and sizes[0] != inputs:
            raise TeacherFileError(
                f"{weights.what}: the actor takes {inputs} numbers, the critic {sizes[0]}"
            )
    if last.out_features != 1:
        raise TeacherFileError(
            f"{weights.what}: value_net gives {last.out_features} numbers, not 1"
        )


def _check_inside(weights: Weights, layers: list[nn.Module]) -> None:
    """A shared trunk and what follows it come from two stacks: check the seam too."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for before, after in itertools.pairwise(linear):
        weights.require_inputs(after, before.out_features, "a layer after the shared trunk")


def _outputs(
    weights: Weights, settings: Settings, action_net: nn.Linear, bounds: Bounds | None
) -> tuple[nn.Module, Head, tuple[str, ...]]:
    size = action_net.out_features
    if not weights.names("log_std"):
        if settings.action.kind not in ("", "Discrete"):
            raise TeacherFileError(
                f"{weights.what}: not supported yet: actions of {settings.action.kind} "
                "without a log_std tensor"
            )
        return action_net, CategoricalHead(size), ()
    log_std = weights.take("log_std")
    if log_std.ndim == 2:
        return _exploring(log_std, settings, action_net, bounds)
    if log_std.shape != (size,):
        raise TeacherFileError(
            f"{weights.what}: log_std has shape {tuple(log_std.shape)}, action_net gives {size}"
        )
    head, notes = _gaussian_head(settings, size, bounds)
    return ConstantStd(action_net, log_std), head, notes


def _exploring(
    log_std: Tensor, settings: Settings, action_net: nn.Linear, bounds: Bounds | None
) -> tuple[nn.Module, Head, tuple[str, ...]]:
    size = action_net.out_features
    outputs = exploration(action_net, log_std, settings)
    if settings.flag("squash_output"):
        found = require_bounds(bounds, size, settings)
        return outputs, SquashedGaussianHead(found.low, found.high), ()
    head, notes = _gaussian_head(settings, size, bounds)
    return outputs, head, notes


def exploration(mean: nn.Linear, log_std: Tensor, settings: Settings) -> ExplorationStd:
    """The outputs of gSDE, with its parameter [latent, D] or [latent, 1] checked.

    Raises:
        TeacherFileError: of another shape, or with features of its own.
    """
    if settings.policy_kwargs.get("sde_net_arch") is not None:
        raise TeacherFileError(
            f"{settings.what}: not supported yet: gSDE with its own sde_net_arch"
        )
    if log_std.shape not in ((mean.in_features, mean.out_features), (mean.in_features, 1)):
        raise TeacherFileError(
            f"{settings.what}: gSDE's log_std has shape {tuple(log_std.shape)}, "
            f"({mean.in_features}, {mean.out_features}) or ({mean.in_features}, 1) is required"
        )
    return ExplorationStd(mean, log_std, settings.flag("use_expln"))


def _gaussian_head(
    settings: Settings, size: int, bounds: Bounds | None
) -> tuple[GaussianHead, tuple[str, ...]]:
    found = fit_bounds(bounds, size, settings)
    if found is not None:
        return GaussianHead(found.low, found.high), ()
    free = unbounded(size)
    note = "the file does not tell its action bounds: actions are not clipped"
    return GaussianHead(free.low, free.high), (note,)
