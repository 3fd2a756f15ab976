"""The actors of CleanRL: PPO's agents; SAC, TD3 and DDPG with bounds in the file."""

from typing import final

import torch
from torch import Tensor, nn

from rldistill.core import CategoricalHead, DeterministicHead, GaussianHead, SquashedGaussianHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.card_modules import Affine, Pixels
from rldistill.teachers.cleanrl_q import WHITE, trunk
from rldistill.teachers.convolutions import Flatten, Shape, nature, picture_shape
from rldistill.teachers.layers import ConstantStd, Critics, DeterministicValue, Squeeze
from rldistill.teachers.networks import Bounds, Networks, fit_bounds, unbounded
from rldistill.teachers.settings import Settings
from rldistill.teachers.weights import Weights, widths

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0  # of sac_continuous_action.py
UNNORMALISED = (
    "ppo_continuous_action.py trains on normalised observations and saves no statistics: without "
    "them (vecnormalize=PATH, an npz with mean and var) it plays like random"
)


@final
class TanhStd(nn.Module):
    """[mean(x), log_std(x)], the latter squashed by tanh into [-5, 2]."""

    def __init__(self, mean: nn.Module, log_std: nn.Module) -> None:
        super().__init__()
        self.mean = mean
        self.log_std = log_std

    def forward(self, latent: Tensor) -> Tensor:
        share = 0.5 * (self.log_std(latent).tanh() + 1.0)
        log_std = LOG_STD_MIN + share * (LOG_STD_MAX - LOG_STD_MIN)
        return torch.cat([self.mean(latent), log_std], -1)


def read_agent(weights: Weights, bounds: Bounds | None, task_shape: Shape | None) -> Networks:
    """Rebuild an Agent of ppo.py, ppo_atari.py, ppo_procgen.py or ppo_continuous_action.py.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        MisfitError: what the task shows or takes does not fit.
    """
    if weights.names("actor_mean."):
        return _gaussian(weights, bounds)
    if not weights.names("network."):
        actor = weights.network("actor", nn.Tanh)
        sizes = widths(actor)
        critic = _value(weights, sizes[0])
        return _categorical(actor, critic, sizes, "tanh")
    layers, shape = trunk(weights, task_shape)
    layers = [*layers, nn.ReLU()]
    action, value = weights.linear("actor"), weights.linear("critic")
    for layer, name in ((action, "actor"), (value, "critic")):
        weights.require_inputs(layer, widths(layers)[-1], name)
    _require_one(weights, value.out_features)
    critic = nn.Sequential(*layers, value, Squeeze())
    sizes = (*widths(layers), action.out_features)
    return _categorical([*layers, action], critic, sizes, "relu", shape)


def _categorical(
    actor: list[nn.Module], critic: nn.Module, sizes: Shape, activation: str, shape: Shape = ()
) -> Networks:
    return Networks(
        algorithm="PPO",
        actor=actor,
        head=CategoricalHead(sizes[-1]),
        critic=critic,
        sizes=sizes,
        activation=activation,
        shape=shape,
    )


def _value(weights: Weights, inputs: int) -> nn.Module:
    layers = weights.network("critic", nn.Tanh)
    sizes = widths(layers)
    if sizes[0] != inputs:
        raise TeacherFileError(
            f"{weights.what}: the actor takes {inputs} numbers, the critic {sizes[0]}"
        )
    _require_one(weights, sizes[-1])
    return nn.Sequential(*layers, Squeeze())


def _require_one(weights: Weights, outputs: int) -> None:
    if outputs != 1:
        raise TeacherFileError(f"{weights.what}: a critic gives one number, this one {outputs}")


def _gaussian(weights: Weights, bounds: Bounds | None) -> Networks:
    layers = weights.network("actor_mean", nn.Tanh)
    sizes = widths(layers)
    log_std = weights.take("actor_logstd").flatten()
    if log_std.numel() != sizes[-1]:
        raise TeacherFileError(
            f"{weights.what}: actor_logstd has {log_std.numel()} numbers, actor_mean {sizes[-1]}"
        )
    found = fit_bounds(bounds, sizes[-1], Settings(what=weights.what)) or unbounded(sizes[-1])
    return Networks(
        algorithm="PPO continuous",
        actor=[ConstantStd(nn.Sequential(*layers), log_std)],
        head=GaussianHead(found.low, found.high),
        critic=_value(weights, sizes[0]),
        sizes=sizes,
        activation="tanh",
        notes=(UNNORMALISED,),
    )


def _chain(weights: Weights, prefix: str, names: tuple[str, ...]) -> list[nn.Module]:
    """Linear layers of these names, a ReLU after each."""
    layers: list[nn.Module] = []
    for name in names:
        layer = weights.linear(f"{prefix}.{name}")
        if layers:
            weights.require_inputs(layer, widths(layers)[-1], f"{prefix}.{name}")
        layers += [layer, nn.ReLU()]
    return layers


def read_continuous(weights: Weights) -> Networks:
    """Rebuild the Actor of sac_, td3_ or ddpg_continuous_action.py; its bounds are in the file.

    TD3 and DDPG: V = min Q(s, mu(s)). SAC has no value: its entropy coefficient is not saved.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
    """
    is_sac = bool(weights.names("actor.fc_mean."))
    hidden = _chain(weights, "actor", ("fc1", "fc2"))
    mean = weights.linear("actor.fc_mean" if is_sac else "actor.fc_mu")
    weights.require_inputs(mean, widths(hidden)[-1], "actor: its last layer")
    size = mean.out_features
    scale, bias = (weights.take(f"actor.action_{n}").flatten() for n in ("scale", "bias"))
    if scale.numel() != size or bias.numel() != size or bool((scale <= 0.0).any()):
        raise TeacherFileError(
            f"{weights.what}: action_scale and action_bias must have {size} numbers, scales > 0"
        )
    low, high = tuple((bias - scale).tolist()), tuple((bias + scale).tolist())
    sizes = (*widths(hidden), size)
    if is_sac:
        log_std = weights.linear("actor.fc_logstd")
        if log_std.weight.shape != mean.weight.shape:
            raise TeacherFileError(f"{weights.what}: fc_mean and fc_logstd differ in shape")
        weights.drop("qf1.", "qf2.")
        return Networks(
            algorithm="SAC",
            actor=[*hidden, TanhStd(mean, log_std)],
            head=SquashedGaussianHead(low, high),
            critic=None,
            sizes=sizes,
            activation="relu",
            notes=("CleanRL saves no entropy coefficient: no value",),
        )
    actor = [*hidden, mean, nn.Tanh(), Affine(scale, bias)]
    critics = [_critic(weights, name, sizes[0] + size) for name in _critics(weights)]
    value = DeterministicValue(nn.Sequential(*actor), Critics(critics)) if critics else None
    return Networks(
        algorithm="DDPG" if len(critics) == 1 else "TD3",
        actor=actor,
        head=DeterministicHead(low, high),
        critic=value,
        sizes=sizes,
        activation="relu",
    )


def _critics(weights: Weights) -> list[str]:
    return [name for name in ("qf1", "qf2") if weights.names(f"{name}.")]


def _critic(weights: Weights, name: str, inputs: int) -> nn.Module:
    """Q(s, a) of actions in the environment's units."""
    layers = _chain(weights, name, ("fc1", "fc2", "fc3"))[:-1]
    sizes = widths(layers)
    if sizes[0] != inputs:
        raise TeacherFileError(f"{weights.what}: {name} takes {sizes[0]} numbers, {inputs} come in")
    _require_one(weights, sizes[-1])
    return nn.Sequential(*layers)


def read_discrete_sac(weights: Weights, task_shape: Shape | None) -> Networks:
    """Rebuild the Actor of sac_atari.py: logits from pictures.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        MisfitError: pictures of the task do not fit.
    """
    pictures = nature(weights, "actor.conv", (0, 2, 4))
    full = _chain(weights, "actor", ("fc1", "fc_logits"))[:-1]
    weights.drop("qf1.", "qf2.")
    sizes = widths(full)
    shape = picture_shape(pictures, sizes[0], task_shape, weights.what)
    return Networks(
        algorithm="SAC",
        actor=[Pixels(WHITE, channels_last=False), *pictures, Flatten(), *full],
        head=CategoricalHead(sizes[-1]),
        critic=None,
        sizes=sizes,
        activation="relu",
        notes=("CleanRL saves no entropy coefficient: no value",),
        shape=shape,
    )
