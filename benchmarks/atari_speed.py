"""How fast frames are collected and learnt from, and what they take in memory: atari_speed.md.

Everything is measured in one run, so that limits and what is held against them saw one machine:

    python benchmarks/atari_speed.py

Bare stepping is AtariVectorEnv alone with random actions; bare inference is the teacher's forward
alone on batches of as many frames; bare learning is forward, backward and step of the same
student on one batch in memory. Against these: Collector.collect, and PerStateLearner.learn out of a
full FrameReplay. The memory is filled with real frames, repeated; resident memory is that of the
whole process.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rldistill.core import Acting, NetworkPolicy
from rldistill.data.frames import FrameReplay
from rldistill.envs.backends import make
from rldistill.envs.minatar import GAMES
from rldistill.envs.spec import TaskSpec
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import TEACHER
from rldistill.methods.terms import align
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness
from rldistill.students.build import make_student
from rldistill.train.learners import PerStateLearner

TASK = TaskSpec(id="BreakoutNoFrameskip-v4", env_kwargs={"fire_after_life": True})
NUM_ENVS = 64
STEPS = 540_000
CPU = torch.device("cpu")


def per_second(work: Callable[[], int], seconds: float) -> float:
    """How many of what `work` counts are done in a second, over at least so many seconds."""
    work()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        count += work()
    return count / (time.perf_counter() - started)


def resident() -> float:
    """Resident memory of this process in GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e9


def networks() -> tuple[NetworkPolicy, NetworkPolicy]:
    """A teacher of the paper's full size and a student of a quarter of it."""
    with make(TASK, 1, 0) as env:
        spaces = env.info.observation_space, env.info.action_space
    return make_student("nature:100%", *spaces), make_student("nature:25%", *spaces)


@torch.no_grad()
def measure_collecting(seconds: float) -> list[tuple[str, float]]:
    """Environment steps per second: bare stepping, bare inference, both together."""
    teacher, student = networks()
    with make(TASK, NUM_ENVS, 0) as env:
        observations, rng = torch.from_numpy(env.reset()), np.random.default_rng(0)

        def step() -> int:
            env.step(rng.integers(0, 4, NUM_ENVS))
            return NUM_ENVS

        def infer() -> int:
            teacher.raw(observations)
            return NUM_ENVS

        bare = [("bare stepping", per_second(step, seconds))]
        bare.append(("bare teacher inference", per_second(infer, seconds)))
        randomness = Randomness.seeded(0, CPU)
        controller = Controller(
            TEACHER, teacher, student, Acting(), env.info.action_space, randomness
        )
        collector = Collector(env, controller, CPU)
        both = per_second(lambda: collector.collect(NUM_ENVS * 8, 0).num_steps, seconds)
    return [*bare, ("collecting, labels included", both)]


def real_frames() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Stacks of random play, labels, and which rows are valid."""
    with make(TASK, NUM_ENVS, 0) as env:
        seen, rng = [env.reset()], np.random.default_rng(0)
        valid = [np.ones(NUM_ENVS, bool)]
        for _ in range(31):
            step = env.step(rng.integers(0, 4, NUM_ENVS))
            seen.append(step.observations)
            valid.append(step.valid)
    observations = torch.from_numpy(np.concatenate(seen))
    keep = torch.from_numpy(np.concatenate(valid))
    return observations, torch.zeros(len(observations), 18), keep


def fill(replay: FrameReplay, rows: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    """Add the same rows until the memory is full."""
    while len(replay) < replay.capacity:
        replay.add(*rows, NUM_ENVS)


def measure_learning(replay: FrameReplay, seconds: float) -> list[tuple[str, float]]:
    """Updates per second of the 25 % student on batches of 32: bare, and out of the memory."""
    _, student = networks()
    row = get_method("rusu-kl")
    generator = torch.Generator().manual_seed(0)
    learner = PerStateLearner(
        student, align(row, student.info.head, student.info.head, None), row.learning, generator
    )
    size = row.learning.batch_size
    observations, _ = replay.sample(size, generator)
    labels = torch.randn(size, student.info.head.num_outputs)
    optimiser = torch.optim.Adam(student.module.parameters(), 1e-4)
    loss_of = align(row, student.info.head, student.info.head, None)

    def bare() -> int:
        optimiser.zero_grad(set_to_none=True)
        loss_of(labels, student.module(observations)).mean().backward()
        optimiser.step()
        return 1

    narrow = FrameReplay(8192, (4, 84, 84), student.info.head.num_outputs)
    narrow.add(*first_rows(replay, student.info.head.num_outputs))
    limit = per_second(bare, seconds)
    own = per_second(lambda: 20 * (learner.learn(narrow, 20) is not None), seconds)
    return [(f"bare updates at batch {size}", limit), ("updates out of the memory", own)]


def first_rows(replay: FrameReplay, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Some rows of a memory, with labels of another width."""
    stacks, _ = replay.sample(4096, torch.Generator().manual_seed(1))
    return stacks, torch.randn(4096, width), torch.ones(4096, dtype=torch.bool)


def measure_minatar(seconds: float) -> list[tuple[str, float]]:
    """Steps per second of each game: 64 of them behind the vector API, random actions."""
    found = []
    for game in GAMES:
        with make(f"MinAtar/{game}-v1", NUM_ENVS, 0) as env:
            env.reset()
            rng, count = np.random.default_rng(0), int(env.info.action_space.n)

            def step(env=env, rng=rng, count=count) -> int:
                env.step(rng.integers(0, count, NUM_ENVS))
                return NUM_ENVS

            found.append((f"MinAtar {game}, steps", per_second(step, seconds)))
    return found


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--steps", type=int, default=STEPS, help="that the memory holds")
    arguments = parser.parse_args()
    rows = measure_collecting(arguments.seconds) + measure_minatar(arguments.seconds)
    frames = real_frames()
    before = resident()
    replay = FrameReplay(arguments.steps, (4, 84, 84), 18)
    started = time.perf_counter()
    fill(replay, frames)
    grown = resident() - before
    rows.append(("stored stacks", replay.num_added / (time.perf_counter() - started)))
    generator = torch.Generator().manual_seed(0)
    sampled = per_second(lambda: len(replay.sample(32, generator)[0]), arguments.seconds)
    rows.append(("sampled stacks, batches of 32", sampled))
    rows += measure_learning(replay, arguments.seconds)
    print(f"{torch.get_num_threads()} torch threads, {NUM_ENVS} environments\n")
    print("| what | per second |\n|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value:,.0f} |")
    limit = min(value for name, value in rows[:2])
    print(f"\ncollecting: {100 * rows[2][1] / limit:.0f} % of the slower of the two")
    print(f"learning: {100 * rows[-1][1] / rows[-2][1]:.0f} % of bare updates")
    print(
        f"memory: {len(replay):,} stacks took {grown:.2f} GB, to {before:.2f} GB before them, "
        f"{NUM_ENVS} emulators included"
    )


if __name__ == "__main__":
    main()
