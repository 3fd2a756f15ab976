"""evaluate(): measure a policy, alone or against its teacher."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.envs.starts import Starts
from rldistill.errors import SettingError, between
from rldistill.evaluation.agreement import AgreementPair, agreement
from rldistill.evaluation.atari_scores import SOURCE
from rldistill.evaluation.normalise import human_normalised
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.scores import (
    SEED_SPACE,
    Arena,
    Round,
    count_envs,
    policy_actor,
    random_actor,
    require_acting,
    task_info,
)
from rldistill.evaluation.summary import Costs, Sides, summarise
from rldistill.evaluation.verdict import DEFAULT_FLOOR, verdict
from rldistill.maths import stats
from rldistill.runs import RunFolder
from rldistill.teachers.load import load_teacher

DECISIONS_TIMED = 300
EPISODES = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How to measure; every field has a default.

    Attributes:
        episodes: of each policy; rounded up to complete rounds.
        num_envs: episodes per round; None: 64, or fewer where fewer episodes are asked for.
        floor: the fraction that the verdict is about.
        seed: of everything.
        student_act: how POLICY acts.
        teacher_act: how the teacher acts.
        vecnormalize: statistics of the teacher's observation normaliser, where it is a file
            without them; of POLICY's, where it is measured alone or against itself.
        card: what network the teacher's weights are of, or POLICY's, as for vecnormalize; None
            looks beside them.
        head, trust: as for load_teacher, of the same policy.
        starts: file of start states; each is played from once, by each policy, on single
            environments. `episodes` and `num_envs` are then its number of states.
    """

    episodes: int = EPISODES
    num_envs: int | None = None
    floor: float = DEFAULT_FLOOR
    seed: int = 0
    student_act: Acting = Acting()
    teacher_act: Acting = Acting()
    vecnormalize: Path | None = None
    card: Path | None = None
    head: str | None = None
    trust: bool = False
    starts: Path | None = None

    def __post_init__(self) -> None:
        if self.starts is not None and (self.episodes, self.num_envs) != (EPISODES, None):
            raise SettingError(
                "episodes and num_envs have no effect with starts: each state is played from once"
            )
        Acting.require(self.teacher_act, "teacher_act")
        Acting.require(self.student_act, "student_act")
        if self.episodes < 1:
            raise SettingError(f"episodes must be at least 1, got {self.episodes}")
        if self.num_envs is not None and self.num_envs < 1:
            raise SettingError(f"num_envs must be at least 1, got {self.num_envs}")
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")
        if not 0.0 < self.floor <= 1.0:
            raise SettingError(f"floor must lie in (0, 1], got {self.floor:g}")


def evaluate(
    policy: Any,
    task: TaskSource,
    *,
    against: Any = None,
    settings: EvaluationSettings = EvaluationSettings(),
) -> dict[str, Any]:
    """Play complete rounds of episodes and say what they show.

    Args:
        policy: a file, a run folder, or a live object.
        task: as in distill.
        against: the teacher; None measures the policy alone, without a verdict.
        settings: everything else.

    Returns:
        The record of rldistill.evaluation.summary.summarise, and task, backend, notes (on the
        task), mean_length (of the policy's episodes, in steps); of student, teacher and random
        policy each NAME_iqm, NAME_low and NAME_high (95 % interval of the mean) and NAME_std; of
        student and teacher NAME_bytes and NAME_latency_seconds (median of single decisions).
        For Atari human_normalised and human_source.
        What does not apply is None: all of the teacher and of the random policy without `against`.

    Raises:
        RldistillError: one of its kinds.
    """
    if against is None and (settings.floor, settings.teacher_act) != (DEFAULT_FLOOR, Acting()):
        raise SettingError("floor and teacher_act have no effect without a teacher: give against")
    started = time.perf_counter()
    spec = with_own_views(task_spec(task), policy, against)
    spec = spec if against is not None else spec.seen_by_student()
    info = task_info(spec)
    alone = against is None or against == policy
    with between("policy", "task"):
        student = _load(policy, info, settings if alone else None)
    teacher = None if against is None else _load(against, info, settings, True)
    require_acting(student, settings.student_act, "student_act")
    if teacher is not None:
        require_acting(teacher, settings.teacher_act, "teacher_act")
    arena, num_rounds = make_arena(spec, info, settings)
    num_envs = arena.num_envs
    with one_thread(), arena:
        # A run of this seed chose its student on the seeds from 0 on: judge it on others.
        arena.rounds_played = SEED_SPACE // 4 // num_envs
        played = play(arena, student, teacher, settings, num_rounds)
    outcome, alike = None, None
    if teacher is not None:
        ours, theirs, randoms = (returns_of(rounds) for rounds in played)
        outcome = verdict(ours, theirs, randoms, settings.floor, paired=info.equal_starts)
        alike = compare(student, teacher, played[0][0], played[1][0])
    sides = Sides(
        student_act=str(settings.student_act),
        teacher_act=None if teacher is None else str(settings.teacher_act),
        student_parameters=student.info.acting_parameters,
        teacher_parameters=None if teacher is None else teacher.info.acting_parameters,
    )
    found = RunFolder.found(policy)
    run = None if found is None else str(found.root)
    costs = Costs(total_seconds=time.perf_counter() - started, run=run)
    record = summarise(outcome, alike, sides, costs)
    return (
        record
        | {"task": info.id, "backend": info.backend, "notes": list(arena.info.notes)}
        | {"mean_length": float(np.concatenate([one.lengths for one in played[0]]).mean())}
        | describe("student", played[0], student)
        | describe("teacher", played[1], teacher)
        | describe("random", played[2], None)
        | {"episodes": sum(len(one.returns) for one in played[0])}
        | against_human(info.id, float(returns_of(played[0]).mean()), settings.starts is not None)
    )


def make_arena(spec: TaskSpec, info: TaskInfo, settings: EvaluationSettings) -> tuple[Arena, int]:
    """Where episodes are played, and how many rounds of them.

    Raises:
        TaskError: the starts are of another task.
    """
    if settings.starts is None:
        num_envs = count_envs(spec, settings.num_envs, min(64, settings.episodes))
        return Arena(spec, info, num_envs, settings.seed), -(-settings.episodes // num_envs)
    starts = Starts.load(settings.starts)
    starts.require_task(spec)
    note = f"{len(starts.states)} start states of {starts.source}: each played to again, once"
    info = replace(info, notes=(*info.notes, note, "on single environments, one after the other"))
    arena = Arena(spec, info, len(starts.states), settings.seed, starts=starts.states)
    return arena, 1


Returns = np.ndarray[Any, np.dtype[np.float64]]
Played = tuple[list[Round], list[Round], list[Round]]


def play(
    arena: Arena,
    student: NetworkPolicy,
    teacher: NetworkPolicy | None,
    settings: EvaluationSettings,
    num_rounds: int,
) -> Played:
    """Rounds of student, teacher and random policy (the last two only with a teacher)."""
    device = torch.device("cpu")
    played: Played = ([], [], [])
    for index in range(num_rounds):
        seed = arena.next_seed()
        keep = index == 0
        actor = policy_actor(student, settings.student_act, device, seed)
        played[0].append(arena.play(actor, seed, keep and teacher is not None))
        if teacher is not None:
            actor = policy_actor(teacher, settings.teacher_act, device, seed)
            played[1].append(arena.play(actor, seed, keep, as_teacher=True))
            played[2].append(arena.play(random_actor(arena.info.action_space, seed), seed))
    return played


def returns_of(rounds: list[Round]) -> Returns:
    """The returns [n] of all episodes of these rounds."""
    return np.concatenate([one.returns for one in rounds])


def compare(
    student: NetworkPolicy, teacher: NetworkPolicy, student_round: Round, teacher_round: Round
) -> AgreementPair:
    """Agreement on the states of one round of each."""
    on_student, on_teacher = (
        agreement(teacher, student, *played.seen(), played.order)
        for played in (student_round, teacher_round)
    )
    return AgreementPair(on_student, on_teacher)


def against_human(task_id: str, mean_return: float, human_starts: bool) -> dict[str, Any]:
    """POLICY's share of a human tester's score above random play; None for most tasks."""
    value = human_normalised(task_id, mean_return, human_starts=human_starts)
    kind = "human" if human_starts else "no-op"
    source = None if value is None else f"published scores from {kind} starts ({SOURCE})"
    return {"human_normalised": value, "human_source": source}


def describe(name: str, rounds: list[Round], policy: NetworkPolicy | None) -> dict[str, Any]:
    """What is said of one of the three: of its episodes, and of its network if it has one.

    Every key is there whatever was played; what does not apply is None.
    """
    keys = ("return", "low", "high", "std", "iqm")
    found: dict[str, Any] = dict.fromkeys(keys)
    if rounds:
        returns = returns_of(rounds)
        mean = stats.estimate(returns)
        numbers = (mean.value, mean.low, mean.high, float(returns.std()), float(stats.iqm(returns)))
        found = dict(zip(keys, numbers, strict=True))
    if name != "random":
        found |= {
            "bytes": None if policy is None else size_in_bytes(policy),
            "latency_seconds": None if policy is None else latency(policy),
        }
    return {f"{name}_{key}": value for key, value in found.items()}


def size_in_bytes(policy: NetworkPolicy) -> int:
    """Memory of the numbers that choose an action (critics not counted)."""
    tensors = (*policy.module.parameters(), *policy.module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def latency(policy: NetworkPolicy) -> float:
    """Median seconds of one decision on one observation, by predict, on one thread."""
    observation = np.zeros(policy.info.observation_shape, np.float32)
    times: list[float] = []
    with one_thread():
        for _ in range(DECISIONS_TIMED):
            started = time.perf_counter()
            policy.predict(observation)
            times.append(time.perf_counter() - started)
    return float(np.median(times))


@contextmanager
def one_thread() -> Generator[None]:
    """Small networks are slower on several threads, far slower where other processes compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _load(
    source: Any, info: TaskInfo, settings: EvaluationSettings | None, as_teacher: bool = False
) -> NetworkPolicy:
    return load_teacher(
        source,
        vecnormalize=None if settings is None else settings.vecnormalize,
        card=None if settings is None else settings.card,
        head=None if settings is None else settings.head,
        trust=settings is not None and settings.trust,
        observation_shape=info.teacher_shape if as_teacher else info.observation_space.shape,
        action_space=info.action_space,
        announce=None,
    )
