"""A task that takes microseconds, teachers for it, and runs that last a fraction of a second.

Follow-v0 shows two numbers; action 1 is right where their sum is above 0. An episode has eight
steps and returns how many were right: a perfect policy has 8, the random one about 4. Track-v0 is
the same for a continuous action, which should equal the first number.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rldistill.core import CategoricalHead, DeterministicHead, NetworkPolicy, PolicyInfo
from rldistill.envs.spec import TaskSpec
from rldistill.methods.catalogue import get_method
from rldistill.students.build import make_student
from rldistill.students.store import save_student
from rldistill.train.job import Job
from rldistill.train.prepare import prepare
from rldistill.train.request import Request
from rldistill.train.settings import Settings

LENGTH = 8
SHIPPED = Path(__file__).parents[2] / "src" / "rldistill" / "teachers" / "shipped"
OBSERVATIONS = spaces.Box(-1.0, 1.0, (2,), np.float32)


class Follow(gymnasium.Env[Any, Any]):
    """See above. `raise_at` and `nan_at` count steps over all episodes of one environment."""

    observation_space = OBSERVATIONS
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(
        self, raise_at: int = 0, nan_at: int = 0, endless: bool = False, scale: float = 1.0
    ) -> None:
        self.raise_at, self.nan_at, self.endless, self.scale = raise_at, nan_at, endless, scale
        self.total = 0

    def _observe(self) -> Any:
        self.seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return np.full(2, np.nan, np.float32) if self.total == self.nan_at > 0 else self.seen

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self._observe(), {}

    def reward(self, action: Any) -> float:
        return float((self.seen.sum() > 0) == bool(action))

    def step(self, action: Any) -> Any:
        reward = self.scale * self.reward(action)
        self.t += 1
        self.total += 1
        if self.total == self.raise_at:
            raise ZeroDivisionError("the pole is gone")
        return self._observe(), reward, self.t >= LENGTH and not self.endless, False, {}


class Track(Follow):
    """The continuous one."""

    def __init__(self, bound: float = 1.0) -> None:
        super().__init__()
        self.action_space = spaces.Box(-bound, bound, (1,), np.float32)

    def reward(self, action: Any) -> float:
        return 1.0 - abs(float(action[0]) - float(self.seen[0]))


def register(task_id: str, env: type[Follow], **kwargs: Any) -> None:
    if task_id not in gymnasium.registry:
        gymnasium.register(task_id, entry_point=env, kwargs=kwargs)


register("Follow-v0", Follow)
register("Track-v0", Track)


class Half(gymnasium.RewardWrapper):
    """Half the reward."""

    def reward(self, reward: Any) -> float:
        return reward / 2


def halve(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """A wrapper function, as a user would write it."""
    return Half(env)


def follower(
    threshold: float = 0.0, sharpness: float = 8.0, name: str = "by hand"
) -> NetworkPolicy:
    """Chooses 1 where the sum is above a threshold; perfect at 0, all zeros at 2 or more."""
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0], [sharpness, sharpness]]))
        layer.bias.copy_(torch.tensor([0.0, -sharpness * threshold]))
    return by_hand(layer, CategoricalHead(2), name)


def tracker() -> NetworkPolicy:
    """Returns the first number."""
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0]]))
        layer.bias.zero_()
    return by_hand(layer, DeterministicHead((-1.0,), (1.0,)), "tracker")


def by_hand(module: torch.nn.Module, head: Any, name: str) -> NetworkPolicy:
    module.requires_grad_(False)
    info = PolicyInfo(
        name=name,
        framework="test",
        observation_shape=(2,),
        head=head,
        acting_parameters=1000,
        parameters=1000,
        fingerprint=f"sha of {name}",
        source=name,
    )
    return NetworkPolicy(module, info)


def follower_folder(path: Path, threshold: float = 0.0) -> Path:
    """A teacher on disk: the same, as a student of ours in a folder."""
    path.mkdir(parents=True, exist_ok=True)
    policy = make_student("mlp:linear", OBSERVATIONS, spaces.Discrete(2))
    layer: Any = policy.module
    with torch.no_grad():
        layer.layers[0].weight.copy_(torch.tensor([[0.0, 0.0], [8.0, 8.0]]))
        layer.layers[0].bias.copy_(torch.tensor([0.0, -8.0 * threshold]))
    save_student(policy, path, {})
    return path


FOLLOW = TaskSpec(factory=Follow, id="Follow-v0")
DAGGER = get_method("dagger")
QUICK = replace(DAGGER, round_steps=512, learning=replace(DAGGER.learning, batch_size=64))


def quick_settings(**changes: Any) -> Settings:
    """Small rounds, 16 environments, 1,536 steps."""
    return Settings(**({"method": QUICK, "steps": 1536, "num_envs": 16} | changes))


def quick_job(out: Path, resume: bool = False, **changes: Any) -> Job:
    """A job on Follow-v0; teacher, task and student may be given among the settings."""
    given = {"teacher": follower(), "task": FOLLOW, "student": "mlp:8"}
    given = {name: changes.pop(name, value) for name, value in given.items()}
    settings = quick_settings(**changes)
    return prepare(Request(**given, out=out, resume=resume, settings=settings))
