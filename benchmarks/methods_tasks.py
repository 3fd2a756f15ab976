"""The tasks and teachers of the table of methods, and how one run of it is played."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rldistill import load_teacher
from rldistill.core import Acting, CategoricalHead, GaussianHead, NetworkPolicy, PolicyInfo
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.evaluation.scores import Arena, policy_actor, random_actor, task_info
from rldistill.train.distill import distilling
from rldistill.train.prepare import prepare
from rldistill.train.request import Request
from rldistill.train.settings import Settings

EPISODES = 64
TEACHER_ROUNDS = 4
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """One column of the table.

    Attributes:
        source: what is played.
        teacher: loads the teacher from the folder of teachers.
        act: how teacher and student act when they are judged.
        student: a spec; None: a tenth of the teacher.
        fit_critic: steps to learn the teacher's value from, where it has none and a row needs it.
    """

    source: TaskSource
    teacher: Callable[[Path], NetworkPolicy]
    act: Acting = Acting()
    student: str | None = None
    fit_critic: int | None = None


def lunar_teacher(folder: Path) -> NetworkPolicy:
    """A PPO policy of stable-baselines3."""
    return load_teacher(folder / "sb3" / "ppo-LunarLander-v2" / "model.zip")


class Transposed(nn.Linear):
    """A linear layer from a kernel [inputs, outputs]."""

    def __init__(self, kernel: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]) -> None:
        super().__init__(*kernel.shape)
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(kernel.T.copy()))
            self.bias.copy_(torch.from_numpy(bias.copy()))


class Column(nn.Module):
    """[N, 1] to [N]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze(-1)


def breakout_teacher(folder: Path) -> NetworkPolicy:
    """A PPO policy of gymnax: flat board, 256, 256, logits; and its critic."""
    data = np.load(folder / "minatar-gymnax-ppo" / "breakout_ppo0.001.npz", allow_pickle=False)

    def layers(*names: str) -> list[nn.Module]:
        parts: list[nn.Module] = []
        for name in names:
            parts += [Transposed(data[f"{name}.kernel"], data[f"{name}.bias"]), nn.ReLU()]
        return parts[:-1]

    actor = nn.Sequential(*layers("Dense_0", "Dense_1", "Dense_2"))
    critic = nn.Sequential(*layers("critic_fc_1", "critic_fc_2", "critic_fc_v"), Column())
    return policy_of(actor, "PPO", (400,), CategoricalHead(3), critic)


class WithDeviation(nn.Module):
    """A Gaussian policy's mean network with its constant log standard deviations."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.register_buffer("shift", torch.from_numpy(data["obs_mean"]))
        self.register_buffer("scale", torch.from_numpy(data["obs_std"] + 1e-6))
        self.net = nn.Sequential(
            Transposed(data["W0"], data["b0"]), nn.Tanh(),
            Transposed(data["W1"], data["b1"]), nn.Tanh(),
            Transposed(data["W_out"], data["b_out"]),
        )  # fmt: skip
        self.log_std = nn.Parameter(torch.from_numpy(data["log_std"].copy()))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        mean = self.net((observations - self.shift) / self.scale)
        return torch.cat([mean, self.log_std.expand_as(mean)], -1)


def hopper_teacher(folder: Path) -> NetworkPolicy:
    """The expert of a course, a Gaussian policy without a critic."""
    data = np.load(folder / "mujoco-cs285-experts" / "hopper_expert.npz", allow_pickle=False)
    head = GaussianHead((-1.0,) * 3, (1.0,) * 3)
    return policy_of(WithDeviation(data), "expert", (11,), head, None)


def policy_of(
    module: nn.Module,
    name: str,
    shape: tuple[int, ...],
    head: CategoricalHead | GaussianHead,
    critic: nn.Module | None,
) -> NetworkPolicy:
    """A policy from modules."""
    count = sum(p.numel() for p in module.parameters())
    info = PolicyInfo(
        name=name,
        framework="numpy",
        observation_shape=shape,
        head=head,
        acting_parameters=count,
        parameters=count,
        gamma=0.99,
        value_units="none" if critic is None else "raw",
        fingerprint=name,
    )
    return NetworkPolicy(module.requires_grad_(False), info, critic)


def breakout() -> Any:
    """MinAtar Breakout as gymnax plays it: no sticky actions; a flat board; at most 2,000 steps."""
    import gymnasium
    import minatar.gym
    from gymnasium.wrappers import FlattenObservation, TimeLimit, TransformObservation

    if "MinAtar/Breakout-v1" not in gymnasium.registry:
        minatar.gym.register_envs()
    env = FlattenObservation(
        gymnasium.make("MinAtar/Breakout-v1", sticky_action_prob=0.0, disable_env_checker=True)
    )
    flat = gymnasium.spaces.Box(0.0, 1.0, (400,), np.float32)
    return TimeLimit(TransformObservation(env, lambda x: x.astype(np.float32), flat), 2000)


TASKS = {
    "LunarLander": Task("LunarLander-v3", lunar_teacher),
    "MinAtar-Breakout": Task(breakout, breakout_teacher, act=Acting(mode=False)),
    "Hopper": Task("Hopper-v4", hopper_teacher, fit_critic=100_000),
}


def with_noise(policy: NetworkPolicy, deviation: float, seed: int) -> NetworkPolicy:
    """The policy with N(0, deviation^2) added to every weight that acts (Spigler 2025, 4.3)."""
    generator = torch.Generator().manual_seed(10_000 + seed)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * deviation)
    info = replace(policy.info, fingerprint=f"{policy.info.fingerprint}+{deviation:g}:{seed}")
    return NetworkPolicy(policy.module, info, policy.critic)


def arena_of(task: Task, seed: int) -> Arena:
    """Where a run's student is played."""
    spec = task_spec(task.source)
    return Arena(spec, task_info(spec), EPISODES, 1_000 + seed)


def play_teacher(task: Task, policy: NetworkPolicy) -> dict[str, Any]:
    """Mean returns of teacher and random policy over 256 episodes each."""
    torch.set_num_threads(1)
    teacher, random = [], []
    with arena_of(task, 0) as arena:
        for _ in range(TEACHER_ROUNDS):
            seed = arena.next_seed()
            teacher.append(arena.play(policy_actor(policy, task.act, CPU, seed), seed).returns)
            actor = random_actor(arena.info.action_space, seed)
            random.append(arena.play(actor, seed).returns)
    t, r = np.concatenate(teacher), np.concatenate(random)
    return {
        "teacher": float(t.mean()),
        "teacher_sd": float(t.std()),
        "random": float(r.mean()),
        "episodes": len(t),
    }


def train(
    task: Task, policy: NetworkPolicy, row: str, seed: int, budgets: tuple[int, ...], out: Path
) -> list[float]:
    """Train by a row; the mean return of the tested student at each budget."""
    settings = settings_of(task, policy, row, seed, budgets[-1])
    request = Request(
        teacher=policy,
        task=task.source,
        student=task.student,
        out=out,
        resume=False,
        settings=settings,
    )
    job = prepare(request)
    # Only this script plays: no look, no verdict.
    prover, job.prover = job.prover, None
    if prover is not None and row == "kickstarting-performance":
        job.prover = prover
    returns: list[float] = []
    with arena_of(task, seed) as arena:
        progress = distilling(job)
        for record in progress:
            if record.env_steps >= budgets[len(returns)]:
                block = arena.next_seed()
                actor = policy_actor(job.learner.tested, task.act, CPU, block)
                returns.append(float(arena.play(actor, block).returns.mean()))
            if len(returns) == len(budgets):
                break
        progress.close()
    return returns


def settings_of(task: Task, policy: NetworkPolicy, row: str, seed: int, steps: int) -> Settings:
    """As a user would ask for it."""
    from rldistill.methods.catalogue import get_method

    given: dict[str, Any] = {}
    if get_method(row).needs_teacher_value and policy.info.value_units != "raw":
        given["fit_critic"] = task.fit_critic
    return Settings(
        method=row, steps=steps, seed=seed, teacher_act=task.act, student_act=task.act, **given
    )
