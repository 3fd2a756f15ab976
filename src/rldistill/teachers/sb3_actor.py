"""SAC, TQC, TD3, DDPG and ARS: an actor of continuous actions, with critics of (state, action)."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rldistill.core import CategoricalHead, DeterministicHead, SquashedGaussianHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.layers import (
    Clip,
    Critics,
    DeterministicValue,
    ExplorationStd,
    Rescale,
    SoftValue,
    StateStd,
)
from rldistill.teachers.networks import (
    Bounds,
    Networks,
    fit_bounds,
    layer_sizes,
    require_bounds,
    unbounded,
)
from rldistill.teachers.sb3_actor_critic import exploration
from rldistill.teachers.settings import Settings
from rldistill.teachers.weights import Weights, widths

NUM_DRAWS = 16
CLIP_MEAN = 2.0
DROPPED_QUANTILES = 2
Variables = Mapping[str, Tensor]


def read_soft(
    weights: Weights, settings: Settings, bounds: Bounds | None, variables: Variables
) -> Networks:
    """Rebuild a SACPolicy or TQCPolicy, with gSDE or without.

    The value is the mean over 16 fixed draws of the noise (8 and their negatives):
    V = E[min Q - alpha log pi]; TQC's Q leaves out the highest quantiles, as in its training.

    Args:
        weights: the state dict of its policy.
        settings: what the file says.
        bounds: of the action.
        variables: tensors kept apart: the entropy coefficient.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        TaskError: the action bounds are unknown.
    """
    weights.drop("critic_target.")
    activation, activation_name = settings.activation(nn.ReLU)
    latent = weights.stack("actor.latent_pi", activation)
    mean, outputs = _soft_outputs(weights, settings)
    if latent:
        weights.require_inputs(mean, widths(latent)[-1], "actor.mu")
    sizes = layer_sizes(latent, mean)
    found = require_bounds(bounds, mean.out_features, settings)
    critics = _critics(weights, activation, sizes[0] + sizes[-1])
    actor = [*latent, outputs]
    explores = isinstance(outputs, ExplorationStd)
    name, drop = _soft_name(settings, critics)
    alpha = _alpha(settings, variables)
    value = None
    notes = ("no entropy coefficient in the file: no value",)
    if alpha is not None and critics:
        value = SoftValue(nn.Sequential(*actor), Critics(critics, drop), alpha, draws(sizes[-1]))
        notes = (f"value: mean over {NUM_DRAWS} fixed draws of min Q - {alpha:.3g} log pi",)
    head = SquashedGaussianHead(found.low, found.high)
    return Networks(
        algorithm=name,
        actor=actor,
        head=head,
        critic=value,
        sizes=sizes,
        activation=f"{activation_name}, gSDE" if explores else activation_name,
        notes=notes,
    )


def _soft_outputs(weights: Weights, settings: Settings) -> tuple[nn.Linear, nn.Module]:
    if not weights.names("actor.log_std."):
        # gSDE: with clip_mean > 0, the default, mu is a Sequential of a layer and a Hardtanh.
        clipped = bool(weights.names("actor.mu.0."))
        mean = weights.linear("actor.mu.0" if clipped else "actor.mu")
        outputs = exploration(mean, weights.take("actor.log_std"), settings)
        if clipped:
            clip = settings.policy_kwargs.get("clip_mean", CLIP_MEAN)
            if not isinstance(clip, (int, float)) or not 0.0 < clip < math.inf:
                raise TeacherFileError(f"{settings.what}: clip_mean must be > 0, got {clip!r:.40}")
            outputs.mean = nn.Sequential(mean, nn.Hardtanh(-float(clip), float(clip)))
        return mean, outputs
    mean, log_std = weights.linear("actor.mu"), weights.linear("actor.log_std")
    if mean.weight.shape != log_std.weight.shape:
        raise TeacherFileError(
            f"{settings.what}: actor.mu is {tuple(mean.weight.shape)}, "
            f"actor.log_std {tuple(log_std.weight.shape)}"
        )
    return mean, StateStd(mean, log_std)


def _soft_name(settings: Settings, critics: list[nn.Module]) -> tuple[str, int | None]:
    """SAC, or TQC with how many of the pooled quantiles it drops."""
    per_critic = _outputs(critics[0]) if critics else 1
    if per_critic == 1 and "top_quantiles_to_drop_per_net" not in settings.values:
        return "SAC", None
    drop = settings.count("top_quantiles_to_drop_per_net", DROPPED_QUANTILES)
    if critics and drop >= per_critic:
        raise TeacherFileError(
            f"{settings.what}: drops {drop} of {per_critic} quantiles: none is left"
        )
    return "TQC", drop * len(critics)


def _alpha(settings: Settings, variables: Variables) -> float | None:
    """The entropy coefficient: learned (its logarithm is stored) or fixed."""
    for name, transform in (("log_ent_coef", math.exp), ("ent_coef_tensor", float)):
        tensor = variables.get(name)
        if tensor is not None and tensor.numel() == 1 and abs(float(tensor)) < 50.0:
            return transform(float(tensor))
    return settings.number("ent_coef")


def draws(num_dimensions: int) -> Tensor:
    """Standard normal noise [16, D], antithetic, the same on every machine and in every call."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(NUM_DRAWS // 2, num_dimensions, generator=generator, dtype=torch.float64)
    return torch.cat([half, -half]).float()


def _critics(weights: Weights, activation: type[nn.Module], num_inputs: int) -> list[nn.Module]:
    """critic.qf0, critic.qf1, ...: each from (s, a) to one number, or to quantiles."""
    critics: list[nn.Module] = []
    while weights.names(f"critic.qf{len(critics)}."):
        name = f"critic.qf{len(critics)}"
        layers = weights.network(name, activation)
        sizes = widths(layers)
        if sizes[:1] != (num_inputs,):
            raise TeacherFileError(
                f"{weights.what}: {name} takes {sizes[:1]} numbers, ({num_inputs},) come in"
            )
        critics.append(nn.Sequential(*layers))
    if len({_outputs(critic) for critic in critics}) > 1:
        raise TeacherFileError(f"{weights.what}: its critics have different numbers of outputs")
    return critics


def _outputs(critic: nn.Module) -> int:
    return widths(list(critic.children()))[-1]


def read_deterministic(weights: Weights, settings: Settings, bounds: Bounds | None) -> Networks:
    """Rebuild a TD3Policy (TD3 and DDPG): a = mu(s) in [-1, 1], scaled. V = min Q(s, mu(s)).

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        TaskError: the action bounds are unknown.
    """
    weights.drop("actor_target.", "critic_target.")
    activation, activation_name = settings.activation(nn.ReLU)
    layers = weights.network("actor.mu", activation)
    sizes = widths(layers)
    found = require_bounds(bounds, sizes[-1], settings)
    critics = _critics(weights, activation, sizes[0] + sizes[-1])
    scaled = [*layers, nn.Tanh()]
    is_ddpg = len(critics) == 1 and settings.number("target_noise_clip") == 0.0
    value = DeterministicValue(nn.Sequential(*scaled), Critics(critics)) if critics else None
    return Networks(
        algorithm="DDPG" if is_ddpg else "TD3",
        actor=[*scaled, Rescale(*found.tensors())],
        head=DeterministicHead(found.low, found.high),
        critic=value,
        sizes=sizes,
        activation=activation_name,
    )


def read_ars(
    weights: Weights, settings: Settings, bounds: Bounds | None, *, is_discrete: bool
) -> Networks:
    """Rebuild an ARSPolicy or ARSLinearPolicy; it has no critic and no discount.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        TaskError: squashed actions without known bounds.
    """
    activation, activation_name = settings.activation(nn.ReLU)
    layers = weights.network("action_net", activation)
    sizes = widths(layers)
    notes: tuple[str, ...] = ()
    actor: list[nn.Module] = layers
    if is_discrete:
        head = CategoricalHead(sizes[-1])
        notes = ("ARS ranks actions: its logits are scores, not log-probabilities; act by mode",)
    elif settings.flag("squash_output", default=not _is_linear(settings, layers)):
        found = require_bounds(bounds, sizes[-1], settings)
        actor = [*layers, nn.Tanh(), Rescale(*found.tensors())]
        head = DeterministicHead(found.low, found.high)
    else:
        found = fit_bounds(bounds, sizes[-1], settings) or unbounded(sizes[-1])
        actor = [*layers, Clip(*found.tensors())]
        head = DeterministicHead(found.low, found.high)
    return Networks(
        algorithm="ARS",
        actor=actor,
        head=head,
        critic=None,
        sizes=sizes,
        activation=activation_name if len(sizes) > 2 else "linear",
        notes=notes,
    )


def _is_linear(settings: Settings, layers: list[nn.Module]) -> bool:
    """Whether the class is ARSLinearPolicy, which squashes nothing unless told to."""
    if settings.policy_text:
        return "ARSLinearPolicy" in settings.policy_text
    return len(widths(layers)) == 2
