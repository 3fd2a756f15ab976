"""Evidence: what a finished run keeps of the episodes it was judged by, to be looked at.

Nothing is played for it: the episodes are those that were measured after the stop, and the states
those on which agreement was measured. What is kept is bounded, whatever the task observes.
"""

from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from rldistill.core import CategoricalHead, Head, NetworkPolicy, QValueHead
from rldistill.envs.naming import Feature, TaskNames
from rldistill.envs.spec import TaskInfo
from rldistill.evaluation.agreement import Comparison
from rldistill.evaluation.evaluate import latency, size_in_bytes
from rldistill.evaluation.prove import Measured
from rldistill.evaluation.scores import Round

Array = NDArray[Any]

STATES = 1024  # of each policy, drawn uniformly from those of one round
EXTREMES = 32  # of each policy: the state of an episode on which the two differ most
STATE_BYTES = 1_200_000  # of all states together; fewer are kept where one is large
PICTURE_SHARE = 0.6  # of these bytes, for pictures; what is seen of the other states is projected
PROJECTION = 32  # numbers that stand for a picture
MOST_KL = 1e4  # nats; where one policy rules out what the other does, KL is infinite
LARGE = 1024  # numbers of an observation that are kept as they are

# Rows of the first axis of Episodes, and what `visitor` says of a state.
STUDENT, TEACHER, RANDOM = 0, 1, 2


@final
@dataclass(frozen=True, slots=True, eq=False)
class Episodes:
    """Episodes of student, teacher and random policy: row 0, 1 and 2.

    Attributes:
        seeds: [n] int64, of each episode's start.
        returns: [3, n] float64, raw reward.
        lengths: [3, n] int64, environment steps.
        paired: episode i of the three had the same start.
    """

    seeds: Array
    returns: Array
    lengths: Array
    paired: bool


@final
@dataclass(frozen=True, slots=True, eq=False)
class States:
    """N states that were visited, and what both policies say of them.

    The extremes come first. Only the rest is a fair sample.

    Attributes:
        visitor: [N] int64, who was there: 0 the student, 1 the teacher.
        extreme: [N] bool, kept because no state of its episode divides the two more.
        episode: [N] int64, of this visitor, from 0.
        step: [N] int64, environment steps before it.
        observations: [M, ...] float32 or uint8, of the first M <= N states.
        features: [N, F] float32: the observations flat, or where they are pictures 32 random
            projections of them, which keep distances roughly.
        teacher_raw, student_raw: [N, outputs] float32 of each, as its head reads them.
        same: [N] float32, share of the action's components chosen alike; 0 or 1 where discrete.
        kl: [N] float32, KL(teacher || student) in nats, at most 10,000; NaN: it is not defined.
    """

    visitor: Array
    extreme: Array
    episode: Array
    step: Array
    observations: Array
    features: Array
    teacher_raw: Array
    student_raw: Array
    same: Array
    kl: Array

    def __len__(self) -> int:
        return len(self.visitor)

    @property
    def difference(self) -> Array:
        """[N], how much the two differ: KL where it is defined, else the share chosen unlike."""
        return np.where(np.isnan(self.kl), 1.0 - self.same, self.kl)


@final
@dataclass(frozen=True, slots=True)
class PolicyCost:
    """What one policy takes to act.

    Attributes:
        parameters: numbers needed to choose an action.
        num_bytes: memory of these numbers.
        latency_seconds: median of single decisions, on one thread of the machine that measured it.
    """

    parameters: int
    num_bytes: int
    latency_seconds: float

    @classmethod
    def of(cls, policy: NetworkPolicy) -> Self:
        """Counted and timed."""
        return cls(policy.info.acting_parameters, size_in_bytes(policy), latency(policy))


@final
@dataclass(frozen=True, slots=True, eq=False)
class RunEvidence:
    """All that is kept.

    Attributes:
        task: id of the task.
        backend: that stepped it.
        episodes: that were measured.
        states: that were compared.
        teacher_head, student_head: what the raw outputs mean.
        teacher_cost, student_cost: what each takes to act.
        temperatures: of teacher and student: logits are divided by them before the softmax.
        feature_names: one per number of an observation; empty where it is a picture.
        action_names: one per action, or per component of a continuous one.
    """

    task: str
    backend: str
    episodes: Episodes
    states: States
    teacher_head: Head
    student_head: Head
    teacher_cost: PolicyCost
    student_cost: PolicyCost
    temperatures: tuple[float, float]
    feature_names: tuple[Feature, ...] = field(default=())
    action_names: tuple[str, ...] = field(default=())

    @property
    def is_discrete(self) -> bool:
        """Whether an action is one of a few, and not a vector."""
        return isinstance(self.teacher_head, CategoricalHead | QValueHead)


def take_evidence(
    measured: Measured,
    info: TaskInfo,
    names: TaskNames,
    teacher: NetworkPolicy,
    student: NetworkPolicy,
) -> RunEvidence:
    """What is to be kept of the measured episodes; plays nothing, and times some decisions.

    Args:
        measured: what Prover.measure gave.
        info: the task.
        names: of what it shows and takes.
        teacher, student: who played.
    """
    rounds = measured.rounds
    seeds = [three[0].seed + np.arange(len(three[0].returns)) for three in rounds]
    episodes = Episodes(
        seeds=np.concatenate(seeds),
        returns=np.stack([np.concatenate([t[i].returns for t in rounds]) for i in range(3)]),
        lengths=np.stack([np.concatenate([t[i].lengths for t in rounds]) for i in range(3)]),
        paired=info.equal_starts,
    )
    sides = [
        _picked(who, rounds[0][who], measured.compared[who], info) for who in (STUDENT, TEACHER)
    ]
    return RunEvidence(
        task=info.id,
        backend=info.backend,
        episodes=episodes,
        states=_joined(sides, info),
        teacher_head=teacher.info.head,
        student_head=student.info.head,
        teacher_cost=PolicyCost.of(teacher),
        student_cost=PolicyCost.of(student),
        temperatures=measured.compared[STUDENT].temperatures,
        feature_names=() if is_picture(info.observation_space.shape) else names.features,
        action_names=names.actions,
    )


def _picked(who: int, played: Round, compared: Comparison, info: TaskInfo) -> States:
    """The states that are kept of one policy's round, all their observations included."""
    same = compared.same.cpu().numpy()
    kl = np.full(len(same), np.nan) if compared.kl is None else compared.kl.cpu().numpy()
    kl = np.where(np.isnan(kl), np.nan, np.minimum(kl, MOST_KL))
    difference = np.where(np.isnan(kl), 1.0 - same, kl)
    most = _most_states(info, compared)
    extremes = _worst_of_each(played.episodes, difference)[: min(EXTREMES, most // 4)]
    # Of a seed of its own, so that keeping evidence changes nothing else.
    draw = np.random.default_rng([played.seed, who]).permutation(len(same))
    sample = draw[: min(STATES, most - len(extremes))]
    rows = np.concatenate([extremes, sample])
    seen = played.observations[rows]
    return States(
        visitor=np.full(len(rows), who, np.int64),
        extreme=np.arange(len(rows)) < len(extremes),
        episode=played.episodes[rows].astype(np.int64),
        step=played.steps[rows].astype(np.int64),
        observations=seen,
        features=_features(seen, info),
        teacher_raw=compared.teacher_raw.cpu().numpy()[rows].astype(np.float32),
        student_raw=compared.student_raw.cpu().numpy()[rows].astype(np.float32),
        same=same[rows].astype(np.float32),
        kl=kl[rows].astype(np.float32),
    )


def _most_states(info: TaskInfo, compared: Comparison) -> int:
    """How many states of one policy fit into the bytes, observations of pictures left out."""
    space = info.observation_space
    numbers = PROJECTION if is_picture(space.shape) else int(np.prod(space.shape))
    numbers += compared.teacher_raw.shape[-1] + compared.student_raw.shape[-1] + 10
    return max(8, STATE_BYTES // (2 * 4 * numbers))


def _worst_of_each(episodes: Array, difference: Array) -> Array:
    """Of each episode the state of the greatest difference, greatest first: rows [E]."""
    order = np.argsort(-difference, kind="stable")
    _, first = np.unique(episodes[order], return_index=True)
    rows = order[np.sort(first)]
    return rows[difference[rows] > 0.0]


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether observations are too large to be kept one by one."""
    return len(shape) > 1 or int(np.prod(shape)) > LARGE


def _features(seen: Array, info: TaskInfo) -> Array:
    """[N, F]: what the states are compared by."""
    flat = seen.reshape(len(seen), -1)
    if not is_picture(info.observation_space.shape):
        return flat.astype(np.float32)
    # The same directions for every run of a task. In parts: pictures take much memory as floats.
    directions = np.random.default_rng(0).standard_normal((flat.shape[1], PROJECTION), np.float32)
    parts = np.array_split(flat, -(-len(flat) // 64))
    seen_from = [part.astype(np.float32) @ directions for part in parts]
    return np.concatenate(seen_from) / np.sqrt(np.float32(flat.shape[1]))


def _joined(sides: list[States], info: TaskInfo) -> States:
    """Extremes of both first, then the samples in turn; pictures for as many as fit."""
    parts = {
        name: np.concatenate([getattr(side, name) for side in sides]) for name in States.__slots__
    }
    rank = np.concatenate([np.arange(len(side)) for side in sides])
    order = np.lexsort((rank, ~parts["extreme"]))
    parts = {name: values[order] for name, values in parts.items()}
    seen = parts["observations"]
    if is_picture(info.observation_space.shape):
        bytes_each = max(1, seen[0].nbytes)
        seen = seen[: int(PICTURE_SHARE * STATE_BYTES) // bytes_each]
    return States(**(parts | {"observations": seen}))
