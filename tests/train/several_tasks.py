"""Tasks beside Follow-v0 for students of several: one that contradicts it, one of other sizes."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from small_runs import Follow, register

from rldistill.core import CategoricalHead, NetworkPolicy, PolicyInfo
from rldistill.train.parallel_q import ParallelQ
from rldistill.train.train_teacher import TrainSettings


class Opposite(Follow):
    """Action 0 is right where the sum is above 0: what Follow-v0 teaches is wrong here."""

    def reward(self, action: Any) -> float:
        return 1.0 - super().reward(action)


class Wide(gymnasium.Env[Any, Any]):
    """Three numbers and three actions: the place of the largest is right. Five steps."""

    observation_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
    action_space = spaces.Discrete(3)

    def _observe(self) -> Any:
        self.seen = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.seen

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        reward = float(int(action) == int(self.seen.argmax()))
        self.t += 1
        return self._observe(), reward, self.t >= 5, False, {}


register("Opposite-v0", Opposite)
register("Wide-v0", Wide)  # type: ignore[arg-type]

# A teacher of Follow-v0 in a second.
NETWORK = "mlp:32,relu,layernorm"
LEARNING = ParallelQ(
    gamma=0.5, num_envs=16, horizon=8, num_minibatches=4, learning_rate=5e-3, epsilon_share=0.3
)
TRAINING = TrainSettings(steps=8_000, learning=LEARNING, episodes=32)


def module_teacher(weight: list[list[float]], name: str) -> NetworkPolicy:
    layer = torch.nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.zero_()
    info = PolicyInfo(
        name=name,
        framework="test",
        observation_shape=(len(weight[0]),),
        head=CategoricalHead(len(weight)),
        acting_parameters=100,
        parameters=100,
        fingerprint=f"sha of {name}",
        source=name,
    )
    return NetworkPolicy(layer.requires_grad_(False), info)


def opposite() -> NetworkPolicy:
    return module_teacher([[8.0, 8.0], [0.0, 0.0]], "opposite")


def wide() -> NetworkPolicy:
    return module_teacher([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]], "wide")
