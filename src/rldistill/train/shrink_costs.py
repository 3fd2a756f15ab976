"""What a student costs: parameters, and seconds of one decision."""

import time
from pathlib import Path

import numpy as np
import torch

from rldistill.core import Acting, NetworkPolicy
from rldistill.runs import read_json

TIMED_DECISIONS, TIMED_BLOCKS = 200, 5


def saved_parameters(folder: Path) -> int:
    """Of the student in a run folder; a tree's are known once it is grown."""
    return int(read_json(folder / "student.json")["parameters"])


@torch.no_grad()
def latency(policy: NetworkPolicy) -> float:
    """Seconds of one decision in PyTorch, as little as other work on the machine lets be seen.

    The lowest of five medians of 200 decisions.
    """
    shape = (1, *policy.info.observation_shape)
    observation, act, state = torch.zeros(shape), Acting(), policy.initial_state(1)
    generator, medians = torch.Generator(), list[float]()
    for _ in range(TIMED_BLOCKS):
        times = list[float]()
        for _ in range(TIMED_DECISIONS):
            began = time.perf_counter()
            raw, _ = policy.step(observation, state)
            act.choose(policy.info.head(raw), generator)
            times.append(time.perf_counter() - began)
        medians.append(float(np.median(times)))
    return min(medians)
