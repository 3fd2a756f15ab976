"""Policies of every kind that is exported, with weights at random."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.exporters.acting import Output, Precision
from rldistill.exporters.target import Subject
from rldistill.students.build import make_student
from rldistill.students.multitask import TaskPart, make_multitask_student
from rldistill.students.tree import TreeArrays
from rldistill.students.tree_module import TreeModule
from rldistill.students.tree_specs import parse_tree
from rldistill.teachers import layers as fixed

INPUTS = 5
LOW, HIGH = (-2.0, -0.5, -1.0), (2.0, 0.5, 3.0)
HEADS: dict[str, Head] = {
    "logits": CategoricalHead(4),
    "q": QValueHead(4),
    "gaussian": GaussianHead(LOW, HIGH),
    "squashed": SquashedGaussianHead(LOW, HIGH),
    "deterministic": DeterministicHead(LOW, HIGH),
}
POLICY_SPACE = spaces.Box(np.array(LOW, np.float32), np.array(HIGH, np.float32))
FLAT = spaces.Box(-np.inf, np.inf, (INPUTS,), np.float32)
FRAMES = spaces.Box(0, 255, (3, 20, 16), np.uint8)
BOARD = spaces.Box(0, 1, (10, 10, 4), np.uint8)


def student(spec: str, head: str, space: spaces.Box = FLAT) -> NetworkPolicy:
    """An untrained student with a normaliser that was fitted, and outputs that differ by state."""
    torch.manual_seed(len(spec))
    actions: Any = POLICY_SPACE
    if head in ("logits", "q"):
        actions = spaces.Discrete(4)
    policy = make_student(spec, space, actions, HEADS[head])
    with torch.no_grad():
        for parameter in policy.module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    if head == "q":  # a student of a Q-network has logits; a network of Q-values looks the same
        policy = replace(policy, info=replace(policy.info, head=HEADS[head]))
    normaliser = getattr(policy.module, "normaliser", None)
    if normaliser is not None:
        scale = torch.tensor([1.0, 20.0, 0.05, 3.0, 1.0])
        normaliser.fit(scale * torch.randn(500, INPUTS) + torch.tensor([0.0, 5.0, 0.0, 1.0, -2.0]))
    return policy


def by_layers(layers: list[nn.Module], head: str, inputs: int = INPUTS) -> NetworkPolicy:
    """A policy as a teacher's loader makes it."""
    module = nn.Sequential(*layers).requires_grad_(False).eval()
    info = PolicyInfo(
        name="teacher",
        framework="test",
        observation_shape=(inputs,),
        head=HEADS[head],
        acting_parameters=100,
        parameters=100,
    )
    return NetworkPolicy(module, info)


def teachers() -> dict[str, NetworkPolicy]:
    """One of every kind of layer that teachers' loaders use."""
    torch.manual_seed(3)
    mean, var = torch.tensor([0.0, 5.0, 1000.0, 1.0, -2.0]), torch.tensor([1.0, 400, 1e-6, 9, 1])
    normaliser = fixed.Normaliser(mean.double(), var.double().sqrt(), 10.0)
    low, high = torch.tensor(LOW), torch.tensor(HIGH)
    body = [nn.Linear(INPUTS, 12), nn.Tanh()]
    explores = fixed.ExplorationStd(nn.Linear(12, 3), torch.randn(12, 3), use_expln=True)
    shared = fixed.ExplorationStd(
        nn.Sequential(nn.Linear(12, 3), nn.Hardtanh(-2.0, 2.0)), torch.randn(12, 1), False
    )
    return {
        "ppo, normalised": by_layers(
            [normaliser, *body, fixed.ConstantStd(nn.Linear(12, 3), torch.randn(3))], "gaussian"
        ),
        "ppo, gSDE": by_layers([*body, explores], "gaussian"),
        "sac": by_layers([*body, fixed.StateStd(nn.Linear(12, 3), nn.Linear(12, 3))], "squashed"),
        "sac, gSDE": by_layers([*body, shared], "squashed"),
        "td3": by_layers(
            [*body, nn.Linear(12, 3), nn.Tanh(), fixed.Rescale(low, high)], "deterministic"
        ),
        "ars": by_layers([nn.Linear(INPUTS, 3), fixed.Clip(low, high)], "deterministic"),
        "qrdqn": by_layers(
            [nn.Linear(INPUTS, 12), nn.PReLU(), nn.Linear(12, 40), fixed.QuantileMean(10, 4)], "q"
        ),
    }


def stump(linear: bool) -> NetworkPolicy:
    """A tree of three leaves."""
    generator = np.random.default_rng(1)
    tree = TreeArrays(
        feature=np.array([1, -1, 2, -1, -1], np.int32),
        threshold=np.array([0.1, 0, -0.3, 0, 0], np.float32),
        left=np.array([1, -1, 3, -1, -1], np.int32),
        right=np.array([2, -1, 4, -1, -1], np.int32),
        values=generator.standard_normal((5, 4)).astype(np.float32),
        coefficients=generator.standard_normal((5, 4, INPUTS)).astype(np.float32)
        if linear
        else None,
        samples=np.ones(5, np.int64),
        impurity=np.zeros(5, np.float32),
    )
    policy = student("tree:8", "logits")
    module = TreeModule(parse_tree("tree", "8"), INPUTS, tree)
    return NetworkPolicy(module.eval(), replace(policy.info, name="tree"))


def pixel_students() -> dict[str, NetworkPolicy]:
    """Convolutional ones: padding, strides, layer norm, residuals, either order of axes."""
    return {
        "cnn": student("cnn:6x4s2,8x3,fc16", "logits", FRAMES),
        "cnn, layer norm": student("cnn:4x3,fc8,layernorm", "logits", BOARD),
        "impala": student("impala:4,fc8", "q", FRAMES),
    }


def tasks_of_several() -> dict[str, NetworkPolicy]:
    """One task each of multi-task students: pixels with a masked head, rows with heads apart."""
    torch.manual_seed(4)
    frames = [
        TaskPart(name=name, observation_space=FRAMES, action_space=spaces.Discrete(n), actions=a)
        for name, n, a in (("first", 2, (0, 3)), ("second", 3, (5, 1, 2)))
    ]
    rows = [
        TaskPart(name="discrete", observation_space=FLAT, action_space=spaces.Discrete(4)),
        TaskPart(name="continuous", observation_space=FLAT, action_space=POLICY_SPACE),
    ]
    masked = make_multitask_student("multi:cnn:6x4s2,8x3,fc16,masked", frames)
    apart = make_multitask_student("multi:mlp:8,6,fc7", rows)
    for network in (masked, apart):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.2 * torch.randn(parameter.shape)
    return {
        "masked task": masked.policy("second"),
        "own head": apart.policy("discrete"),
        "own continuous head": apart.policy("continuous"),
    }


def every_policy() -> dict[str, NetworkPolicy]:
    """All of the above, by name."""
    activations = ("tanh", "relu", "elu", "gelu", "silu", "leaky_relu")
    students = {f"mlp, {name}": student(f"mlp:7,6,{name}", "logits") for name in activations}
    shapes = {
        f"mlp, {head}": student(spec, head)
        for head, spec in {
            "q": "mlp:8",
            "gaussian": "mlp:8,layernorm",
            "squashed": "mlp:8,clip=3",
            "deterministic": "mlp:linear",
        }.items()
    }
    trees = {"tree": stump(False), "linear tree": stump(True)}
    return students | shapes | teachers() | trees | pixel_students() | tasks_of_several()


def observations_of(policy: NetworkPolicy, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Observations [count, ...] as a task would give them."""
    generator = np.random.default_rng(seed)
    shape = (count, *policy.info.observation_shape)
    if len(shape) == 4:
        return generator.integers(0, 256 if shape[-1] > 4 else 2, shape, np.uint8)
    x = generator.standard_normal(shape) * [1, 20, 0.05, 3, 1] + [0, 5, 0, 1, -2]
    if isinstance(next(policy.module.children(), None), fixed.Normaliser):
        # The statistics of teachers() have a feature that hardly varies around 1,000.
        x[:, 2] = 1000.0 + 0.02 * x[:, 2]
    return x.astype(np.float32)


def subject(
    policy: NetworkPolicy, output: str = "action", precision: str = "fp32", count: int = 300
) -> Subject:
    """What is exported, with a few observations."""
    return Subject(
        policy=policy,
        name="small",
        output=Output(output),
        precision=Precision(precision),
        observations=observations_of(policy, count),
        heading=("a test",),
    )
