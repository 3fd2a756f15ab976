"""The nouns that every layer shares: policies, their action distributions, trajectories.

Shape legend, used in every docstring: T time, B environments, A actions of a discrete space,
D size of a continuous action, S tabular states, K tasks, O size of a flat observation.

A network policy is a plain module whose last axis holds the raw outputs of a Head: logits or
Q-values [..., A]; mean and log standard deviation [..., 2 D]; an action [..., D]. The Head turns
them into a distribution. Actions are always those of the environment: an index in 0..A-1
(int64), or a vector [..., D] in the environment's own units (float32).
"""

from rldistill.core.distributions import (
    ACTING,
    Acting,
    Categorical,
    Deterministic,
    Distribution,
    Gaussian,
    SquashedGaussian,
)
from rldistill.core.heads import (
    DETERMINISTIC_STD,
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    QValueHead,
    SquashedGaussianHead,
    head_for,
    head_from_json,
    head_to_json,
)
from rldistill.core.policies import NetworkPolicy, Policy, PolicyInfo, require_memoryless
from rldistill.core.recurrent import Recurrent, State, Unrolled, restarted
from rldistill.core.trajectory import Carried, Trajectory

__all__ = [
    "ACTING",
    "DETERMINISTIC_STD",
    "Acting",
    "Carried",
    "Categorical",
    "CategoricalHead",
    "Deterministic",
    "DeterministicHead",
    "Distribution",
    "Gaussian",
    "GaussianHead",
    "Head",
    "NetworkPolicy",
    "Policy",
    "PolicyInfo",
    "QValueHead",
    "Recurrent",
    "SquashedGaussian",
    "SquashedGaussianHead",
    "State",
    "Trajectory",
    "Unrolled",
    "head_for",
    "head_from_json",
    "head_to_json",
    "require_memoryless",
    "restarted",
]
