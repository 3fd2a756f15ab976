"""Zips that stable-baselines3 loads and goes on training with, written by stable-baselines3 itself.

Our acting network goes into a fresh model of the algorithm whose actions are of its family; value
networks are new, as is everything else that training needs.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import SettingError
from rldistill.exporters.acting import Output, Precision
from rldistill.exporters.lower import lower
from rldistill.exporters.steps import (
    Activation,
    Affine,
    Append,
    Clip,
    Dense,
    Fork,
    Normalise,
    Squash,
    Step,
    Steps,
)
from rldistill.exporters.target import Runner, Subject, Target

Array = np.ndarray[Any, Any]
# A replay buffer is made when a model is set up, and is no part of the zip.
BUFFER_SIZE = 1_000_000
ALGORITHMS: dict[type[Head], str] = {
    CategoricalHead: "PPO",
    GaussianHead: "PPO",
    QValueHead: "DQN",
    SquashedGaussianHead: "SAC",
    DeterministicHead: "TD3",
}
ACTIVATIONS: dict[tuple[str, float], type[nn.Module]] = {
    ("tanh", 0.0): nn.Tanh,
    ("relu", 0.0): nn.ReLU,
    ("elu", 1.0): nn.ELU,
    ("gelu", 0.0): nn.GELU,
    ("silu", 0.0): nn.SiLU,
    ("leaky_relu", 0.01): nn.LeakyReLU,
    ("sigmoid", 0.0): nn.Sigmoid,
    ("softplus", 0.0): nn.Softplus,
    ("softsign", 0.0): nn.Softsign,
    ("mish", 0.0): nn.Mish,
}


@final
@dataclass(frozen=True, slots=True)
class Layers:
    """A network as stable-baselines3 has them.

    Attributes:
        hidden: layers with an activation behind each.
        activation: its class.
        outputs: the last layers: of logits, Q-values or means, then of log deviations, if any.
        log_std: log deviations that do not see the state; None where there are none.
    """

    hidden: tuple[Dense, ...]
    activation: type[nn.Module]
    outputs: tuple[Dense, ...]
    log_std: Array | None


def build(subject: Subject) -> bytes:
    """The bytes of the zip.

    Raises:
        SettingError: the network has layers that the algorithm's policies cannot have.
        MissingExtraError: stable-baselines3 is not installed.
    """
    layers = _layers(lower(subject.policy), subject.policy.info.head)
    with torch.random.fork_rng():
        model = _fresh(subject, layers)
    _fill(model.policy, layers, ALGORITHMS[type(subject.policy.info.head)])
    buffer = io.BytesIO()
    model.save(buffer)
    return buffer.getvalue()


def run(data: bytes, subject: Subject) -> Runner:
    """The zip as stable-baselines3 loads it."""
    from rldistill.integrations.sb3 import stable_baselines3

    algorithm = getattr(stable_baselines3, ALGORITHMS[type(subject.policy.info.head)])
    model = algorithm.load(io.BytesIO(data), device="cpu", buffer_size=1)

    def decide(observations: Array, noise: Array | None) -> Mapping[str, Array]:
        del noise
        return {"action": model.predict(observations, deterministic=True)[0]}

    return decide


def _describe(data: bytes, subject: Subject) -> Mapping[str, Any]:
    del data
    bounds = "of the task" if subject.observation_space is not None else "unbounded"
    return {
        "algorithm": ALGORITHMS[type(subject.policy.info.head)],
        "observation_space": bounds,
        "value_network": "new: it has learnt nothing yet",
    }


TARGET = Target(
    name="sb3",
    suffix=".zip",
    precisions=(Precision.FP32,),
    build=build,
    run=run,
    describe=_describe,
    outputs=(Output.ACTION,),
)


def _layers(steps: Steps, head: Head) -> Layers:
    """The steps as layers of stable-baselines3.

    Raises:
        SettingError: they are others.
    """
    body, outputs, log_std = _ends(steps, head)
    hidden: list[Dense] = []
    kinds: set[tuple[str, float]] = set()
    for index, step in enumerate(body):
        if index % 2 == 0 and isinstance(step, Dense):
            hidden.append(step)
        elif index % 2 == 1 and isinstance(step, Activation):
            kinds.add((step.name, round(step.parameter, 6)))
        else:
            raise SettingError(_refused(step))
    if len(kinds) > 1 or not kinds <= ACTIVATIONS.keys() or len(body) % 2:
        raise SettingError(
            "--to sb3 needs hidden layers with one activation for all, among "
            f"{', '.join(cls.__name__ for cls in ACTIVATIONS.values())}"
        )
    activation = ACTIVATIONS[kinds.pop()] if kinds else nn.Tanh
    return Layers(tuple(hidden), activation, outputs, log_std)


def _ends(steps: Steps, head: Head) -> tuple[Steps, tuple[Dense, ...], Array | None]:
    """What comes before the last layers, these, and a constant log standard deviation."""
    match head, steps:
        case GaussianHead(), (*body, Dense() as mean, Append() as last):
            return tuple(body), (mean,), last.values
        case SquashedGaussianHead(), (*body, Dense() as both, Clip()):
            size = len(head.low)
            parts = (slice(0, size), slice(size, 2 * size))
            halves = tuple(Dense(both.weight[part], both.bias[part]) for part in parts)
            return tuple(body), halves, None
        case SquashedGaussianHead(), (
            *body,
            Fork((Dense() as mean,), (Dense() as log_std, Clip())),
        ):
            return tuple(body), (mean, log_std), None
        case DeterministicHead(), (*body, Dense() as last, Squash() as squash) if np.isfinite(
            [squash.low, squash.high]
        ).all():
            return tuple(body), (last,), None
        case DeterministicHead(), (*body, Dense() as last, Activation("tanh"), Affine()):
            return tuple(body), (last,), None
        case CategoricalHead() | QValueHead(), (*body, Dense() as last):
            return tuple(body), (last,), None
        case _:
            raise SettingError(_refused(steps[-1]))


def _refused(step: Step) -> str:
    name = type(step).__name__
    if isinstance(step, Normalise):
        return (
            "--to sb3: this policy's observation normaliser clips, or cannot be folded into its "
            "first layer, and the networks of stable-baselines3 have none; distil a student "
            "without clip="
        )
    return (
        f"--to sb3: the MLP policies of stable-baselines3 have no place for a {name} step here; "
        "nearest is an MLP student such as mlp:32,32"
    )


def _fresh(subject: Subject, layers: Layers) -> Any:
    """A model of the right size that has learnt nothing."""
    from rldistill.integrations.sb3 import stable_baselines3

    info = subject.policy.info
    name = ALGORITHMS[type(info.head)]
    widths = [len(layer.bias) for layer in layers.hidden]
    others = {"PPO": "vf", "SAC": "qf", "TD3": "qf"}
    arch: Any = widths if name == "DQN" else {"pi": widths, others[name]: widths or [64, 64]}
    kwargs = {"net_arch": arch, "activation_fn": layers.activation}
    buffer: dict[str, Any] = {} if name == "PPO" else {"buffer_size": 1}
    if isinstance(info.head, SquashedGaussianHead):
        buffer["target_entropy"] = -float(len(info.head.low))  # what "auto" asks an environment for
    model = getattr(stable_baselines3, name)(
        "MlpPolicy", None, policy_kwargs=kwargs, device="cpu", _init_setup_model=False, **buffer
    )
    seen = subject.observation_space
    free = spaces.Box(-np.inf, np.inf, info.observation_shape, np.float32)
    model.observation_space = free if seen is None else seen
    model.action_space = _action_space(info.head)
    model.n_envs = 1
    model._setup_model()
    if buffer:
        model.buffer_size, model.replay_buffer = BUFFER_SIZE, None
    return model


def _action_space(head: Head) -> spaces.Space[Any]:
    if isinstance(head, (CategoricalHead, QValueHead)):
        return spaces.Discrete(head.num_actions)
    return spaces.Box(np.array(head.low, np.float32), np.array(head.high, np.float32))


def _fill(policy: Any, layers: Layers, name: str) -> None:
    """Copy the layers into the acting network, and into its target network where there is one."""
    bodies, ends = {
        "PPO": (["mlp_extractor.policy_net"], [["action_net"]]),
        "DQN": (["q_net.q_net", "q_net_target.q_net"], []),
        "SAC": (["actor.latent_pi"], [["actor.mu"], ["actor.log_std"]]),
        "TD3": (["actor.mu", "actor_target.mu"], []),
    }[name]
    hidden = layers.hidden if ends else (*layers.hidden, *layers.outputs)
    with torch.no_grad():
        for body in bodies:
            for index, layer in enumerate(hidden):
                _copy(policy.get_submodule(f"{body}.{2 * index}"), layer)
        for (place,), layer in zip(ends, layers.outputs if ends else (), strict=True):
            _copy(policy.get_submodule(place), layer)
        if layers.log_std is not None:
            policy.log_std.copy_(torch.from_numpy(layers.log_std))


def _copy(module: nn.Module, layer: Dense) -> None:
    assert isinstance(module, nn.Linear)
    module.weight.copy_(torch.from_numpy(layer.weight))
    module.bias.copy_(torch.from_numpy(layer.bias))
