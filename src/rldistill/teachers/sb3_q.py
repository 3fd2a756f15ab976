"""DQN of stable-baselines3 and QR-DQN of sb3-contrib: Q-values of discrete actions."""

from torch import nn

from rldistill.core import QValueHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.layers import GreedyValue, QuantileMean
from rldistill.teachers.networks import Networks
from rldistill.teachers.settings import Settings
from rldistill.teachers.weights import Weights, widths

DEFAULT_QUANTILES = 200


def read_dqn(weights: Weights, settings: Settings) -> Networks:
    """Rebuild a DQNPolicy; its target network is left out. V = max_a Q.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
    """
    weights.drop("q_net_target.")
    activation, activation_name = settings.activation(nn.ReLU)
    layers = weights.network("q_net.q_net", activation)
    return _networks("DQN", layers, widths(layers)[-1], activation_name)


def read_qrdqn(weights: Weights, settings: Settings) -> Networks:
    """Rebuild a QRDQNPolicy: Q is the mean over its quantiles. V = max_a Q.

    Raises:
        TeacherFileError: tensors are missing, or outputs are no multiple of the quantiles.
    """
    weights.drop("quantile_net_target.")
    activation, activation_name = settings.activation(nn.ReLU)
    layers = weights.network("quantile_net.quantile_net", activation)
    outputs, quantiles = widths(layers)[-1], settings.count("n_quantiles", DEFAULT_QUANTILES)
    if quantiles < 1 or outputs % quantiles:
        raise TeacherFileError(
            f"{weights.what}: {outputs} outputs are not a multiple of {quantiles} quantiles"
        )
    num_actions = outputs // quantiles
    actor = [*layers, QuantileMean(quantiles, num_actions)]
    return _networks("QRDQN", actor, num_actions, activation_name)


def _networks(name: str, layers: list[nn.Module], num_actions: int, activation: str) -> Networks:
    return Networks(
        algorithm=name,
        actor=layers,
        head=QValueHead(num_actions),
        critic=GreedyValue(nn.Sequential(*layers)),
        sizes=widths(layers),
        activation=activation,
    )
