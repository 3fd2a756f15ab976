"""The tasks and teachers of the table of methods, and how one run of it is played."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rldistill import load_teacher
from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.evaluation.scores import Arena, policy_actor, random_actor, task_info
from rldistill.train.distill import distilling
from rldistill.train.prepare import prepare
from rldistill.train.request import Request
from rldistill.train.settings import Settings

EPISODES = 64
TEACHER_ROUNDS = 4
CPU = torch.device("cpu")
CARDS = Path(__file__).parents[1] / "examples" / "cards"


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


def breakout_teacher(folder: Path) -> NetworkPolicy:
    """A PPO policy of gymnax: flat board, 256, 256, logits; and its critic."""
    return by_card(folder / "minatar-gymnax-ppo" / "breakout_ppo0.001.npz", "breakout")


def hopper_teacher(folder: Path) -> NetworkPolicy:
    """The expert of a course, a Gaussian policy without a critic."""
    return by_card(folder / "mujoco-cs285-experts" / "hopper_expert.npz", "hopper")


def by_card(weights: Path, game: str) -> NetworkPolicy:
    """A teacher by its card, discounted by 0.99 as all tasks of the table are."""
    card = CARDS / f"{weights.parent.name}-{game}.toml"
    policy = load_teacher(weights, card=card, announce=None)
    return NetworkPolicy(policy.module, replace(policy.info, gamma=0.99), policy.critic)


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
    """The policy with N(0, deviation^2) added to every weight, critic included (Spigler 2025)."""
    generator = torch.Generator().manual_seed(10_000 + seed)
    critic = () if policy.critic is None else policy.critic.parameters()
    with torch.no_grad():
        for parameter in (*policy.module.parameters(), *critic):
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
