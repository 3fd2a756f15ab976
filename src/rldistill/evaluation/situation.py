"""What advise() asks, measured: the numbers, and the answer that they suggest, if they can tell."""

import math
from dataclasses import dataclass
from typing import Any, final

import gymnasium
import numpy as np
import torch

from rldistill.core import Acting, Policy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.evaluation.agreement import Agreement, agreement
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.scores import (
    SEED_SPACE,
    Arena,
    Round,
    policy_actor,
    random_actor,
    task_info,
)
from rldistill.maths import stats
from rldistill.maths.stats import Estimate, FloatArray

# The paper draws neither line; these are ours. Strong: from this share of the best known return on,
# counted from the random policy. Drifted: the two choose differently in this many more of the
# student's own states than of the teacher's.
STRONG = 0.9
DRIFT = 0.02

Numbers = dict[str, float | int | str | None]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How to measure.

    Attributes:
        rounds: of episodes, >= 2: intervals come from resampling rounds or episodes.
        num_envs: episodes per round.
        seed: of everything.
        teacher_act: how the teacher acts.
        student_act: how the student acts.
    """

    rounds: int = 16
    num_envs: int = 8
    seed: int = 0
    teacher_act: Acting = Acting()
    student_act: Acting = Acting()

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise SettingError(f"rounds must be at least 2, got {self.rounds}: one has no interval")
        if self.num_envs < 1 or self.seed < 0:
            raise SettingError(
                f"num_envs must be at least 1 and seed at least 0, got {self.num_envs} and "
                f"{self.seed}"
            )


@final
@dataclass(frozen=True, slots=True)
class Measured:
    """An answer and the numbers behind it.

    Attributes:
        question: a field of Answers.
        suggests: the answer; None where the numbers cannot tell.
        because: that in words, with the numbers.
        numbers: the same for programs; an interval is two entries, name_low and name_high.
    """

    question: str
    suggests: bool | None
    because: str
    numbers: Numbers

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; what is not finite is null."""
        numbers = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in self.numbers.items()
        }
        return {"suggests": self.suggests, "because": self.because, **numbers}


def measure_value(teacher: Policy) -> Measured:
    """Whether the teacher has a value function that counts raw reward.

    >>> from rldistill.students.build import make_student
    >>> from gymnasium import spaces
    >>> measure_value(make_student("mlp:4", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))).suggests
    False
    """
    units = teacher.info.value_units
    words = {
        "raw": "has a value function in units of raw reward",
        "normalised": "has a value function, but in the units of a reward normaliser whose scale "
        "is not known",
        "none": "has no value function",
    }
    because = f"{teacher.info.name} {words[units]}"
    return Measured("teacher_has_value", units == "raw", because, {"value_units": units})


def registered_best(task: TaskSource) -> float | None:
    """The return at which gymnasium's registry calls the task solved; None where it names none.

    It holds for the task as registered: with env_kwargs, a wrapper, a limit on steps or a live
    object, None. Modules that register tasks must have been imported.
    """
    spec = task_spec(task)
    changed = spec.env_kwargs or spec.wrapper or spec.max_episode_steps is not None
    if spec.is_live or changed or spec.id not in gymnasium.registry:
        return None
    threshold = gymnasium.spec(spec.id).reward_threshold
    return None if threshold is None else float(threshold)


def measure_strength(
    teacher: Policy, task: TaskSource, *, best: float | None = None, trial: Trial = Trial()
) -> Measured:
    """How strong the teacher is: (T - R) / (best - R), against the random policy and the best.

    Args:
        teacher: loaded for this task.
        task: as in evaluate.
        best: the best mean return known for the task, in units of raw reward; None: the one at
            which gymnasium's registry calls it solved, if it names one.
        trial: how to measure.

    Returns:
        Suggests yes where the whole 95 % interval of that share is at or above STRONG, no where it
        is below; without a best, no where the teacher is not shown to be above the random policy.

    Raises:
        SettingError: best is not finite, or not above the random policy's return.
        RldistillError: as of evaluate.
    """
    if best is not None and not math.isfinite(best):
        raise SettingError(f"best must be a finite return, got {best}")
    spec = task_spec(task)
    with one_thread(), _arena(spec, trial) as arena:
        returns, randoms = list[FloatArray](), list[FloatArray]()
        for _ in range(trial.rounds):
            seed = arena.next_seed()
            actor = policy_actor(teacher, trial.teacher_act, torch.device("cpu"), seed)
            returns.append(arena.play(actor, seed, as_teacher=True).returns)
            actor = random_actor(arena.info.action_space, seed)
            randoms.append(arena.play(actor, seed).returns)
    source = "given" if best is not None else "gymnasium's registry"
    known = registered_best(spec) if best is None else best
    return _strength(np.concatenate(returns), np.concatenate(randoms), known, source)


def _strength(
    returns: FloatArray, randoms: FloatArray, best: float | None, source: str
) -> Measured:
    ours, zero = stats.estimate(returns), stats.estimate(randoms)
    gain = stats.estimate(returns - randoms)
    numbers: Numbers = {
        "episodes": returns.size,
        **_entries("teacher_return", ours),
        **_entries("random_return", zero),
        **_entries("gain", gain),
        "best": best,
        "best_source": None if best is None else source,
        "strong_from": STRONG,
    }
    said = f"over {returns.size} episodes the teacher returns {_words(ours)}"
    said += f", the random policy {_words(zero)}"
    if best is None:
        above = gain.low is not None and gain.low > 0.0
        said += f": {'' if above else 'not '}shown to be above random"
        if above:
            said += "; how strong that is cannot be said without the best return known"
        return Measured("strong_teacher", None if above else False, said, numbers)
    if best <= zero.value:
        above = f"above the random policy's return, {zero.value:.4g}"
        raise SettingError(f"best must be {above}; got {best:g} ({source})")
    share = _share(returns, randoms, best)
    numbers |= _entries("share", share)
    said += f": {_words(share)} of the way to {best:g} ({source}); strong is from {STRONG:g} on"
    return Measured("strong_teacher", _decided(share, STRONG), said, numbers)


def _share(returns: FloatArray, randoms: FloatArray, best: float) -> Estimate:
    """(T - R) / (best - R) with its interval."""
    top = np.full(returns.size, best)
    value = stats.fraction(returns, top, randoms)
    assert value is not None, "best is above random"
    between = stats.fraction_interval((returns, top, randoms), paired=False)
    return Estimate(value, *(between or (None, None)))


def measure_drift(
    teacher: Policy, student: Policy, task: TaskSource, *, trial: Trial = Trial()
) -> Measured:
    """How much worse a student follows its teacher in its own states than in the teacher's.

    Drift = disagreement on the student's states - disagreement on the teacher's states, where
    disagreement is the share of states in which the two choose differently; and the same of
    KL(teacher || student).

    Args:
        teacher: loaded for this task.
        student: trained on the teacher's states, as `teacher-distill` trains it. One that was
            trained on its own states hides the drift.
        task: as in evaluate.
        trial: how to measure.

    Returns:
        Suggests yes where the whole 95 % interval of the drift is above DRIFT, no where it is
        below. Intervals resample rounds, since states of one episode are not independent.

    Raises:
        RldistillError: as of evaluate.
    """
    spec, device = task_spec(task), torch.device("cpu")
    own, theirs = list[Round](), list[Round]()
    with one_thread(), _arena(spec, trial) as arena:
        for _ in range(trial.rounds):
            seed = arena.next_seed()
            actor = policy_actor(student, trial.student_act, device, seed)
            own.append(arena.play(actor, seed, keep_observations=True))
            actor = policy_actor(teacher, trial.teacher_act, device, seed)
            theirs.append(arena.play(actor, seed, keep_observations=True, as_teacher=True))
        pairs = [[_alike(teacher, student, one) for one in side] for side in (own, theirs)]
    return _drift(pairs[0], pairs[1], _returns(theirs) - _returns(own))


def _drift(own: list[Agreement], theirs: list[Agreement], gap: FloatArray) -> Measured:
    """From agreement per round on the student's and on the teacher's states [rounds]."""
    here, there = (1.0 - np.array([one.top_action for one in side]) for side in (own, theirs))
    drift, lost = stats.estimate(here - there), stats.estimate(gap)
    numbers: Numbers = {
        "rounds": len(own),
        "episodes": gap.size,
        **_entries("disagreement_student_states", stats.estimate(here)),
        **_entries("disagreement_teacher_states", stats.estimate(there)),
        **_entries("drift", drift),
        **_entries("return_gap", lost),
        "drift_from": DRIFT,
    }
    kl = [np.array([math.nan if x.kl is None else x.kl for x in side]) for side in (own, theirs)]
    parting = ""
    if np.isfinite(kl).all():
        further = stats.estimate(kl[0] - kl[1])
        numbers |= _entries("kl_student_states", stats.estimate(kl[0]))
        numbers |= _entries("kl_teacher_states", stats.estimate(kl[1]))
        numbers |= _entries("kl_drift", further)
        parting = f" of KL {_words(further)} nats;"
    because = (
        f"teacher and student choose differently in {here.mean():.3g} of the student's states and "
        f"in {there.mean():.3g} of the teacher's: a drift of {_words(drift)};{parting} the student "
        f"returns {_words(lost)} less than the teacher ({gap.size} episodes); drift counts from "
        f"{DRIFT:g} on"
    )
    return Measured("off_teacher_states", _decided(drift, DRIFT), because, numbers)


def _arena(spec: TaskSpec, trial: Trial) -> Arena:
    """Seeds from another quarter than those on which a run of this seed chose its student."""
    live = spec.vector_env
    num_envs = trial.num_envs if live is None else int(live.num_envs)
    arena = Arena(spec, task_info(spec), num_envs, trial.seed)
    arena.rounds_played = SEED_SPACE // 4 // num_envs
    return arena


def _alike(teacher: Policy, student: Policy, played: Round) -> Agreement:
    return agreement(teacher, student, *played.seen(), played.order)


def _returns(rounds: list[Round]) -> FloatArray:
    return np.concatenate([one.returns for one in rounds])


def _decided(found: Estimate, limit: float) -> bool | None:
    """Whether the whole interval lies on one side of a limit."""
    if found.low is None or found.high is None:
        return None
    return True if found.low >= limit else False if found.high < limit else None


def _entries(name: str, found: Estimate) -> Numbers:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _words(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.4g}"
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
