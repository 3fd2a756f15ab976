"""The proof inside a run: nothing judges a candidate that chose it, and the levels halve."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from small_runs import FOLLOW, follower

from rldistill.core import Acting
from rldistill.evaluation.looks import Reference
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import Arena, Round, task_info

CPU = torch.device("cpu")
Draw = Callable[[np.random.Generator, int], Any]


class ScriptedArena:
    """Gives each policy the returns of a script; tells them apart by how they act."""

    def __init__(self, student: Draw, teacher: Draw, random: Draw) -> None:
        self.draws = {"student": student, "teacher": teacher, "random": random}
        self.info = type("Info", (), {"equal_starts": True, "action_space": spaces.Discrete(2)})
        self.num_envs, self.base_seed, self.rounds_played = 64, 0, 0
        self.played: list[tuple[str, int]] = []
        self.generator = np.random.default_rng(0)

    def next_seed(self) -> int:
        self.rounds_played += 1
        return self.rounds_played

    def play(self, actor: Any, seed: int, keep: bool = False, as_teacher: bool = False) -> Round:
        # Right of its threshold of 0 the teacher says 1; the student's threshold is 2: always 0.
        actions = set(actor(np.ones((64, 2), np.float32), np.zeros(64, bool)).tolist())
        who = "random" if len(actions) > 1 else "teacher" if actions == {1} else "student"
        self.played.append((who, seed))
        returns = np.asarray(self.draws[who](self.generator, 64), np.float64)
        seen = np.zeros((64 if keep else 0, 2), np.float32)
        return Round(returns, np.full(64, 8), seen)


def always(value: float) -> Draw:
    return lambda generator, n: np.full(n, value)


def noisy(value: float, deviation: float = 1.0) -> Draw:
    return lambda generator, n: value + deviation * generator.standard_normal(n)


STUDENT = follower(threshold=2.0, name="student")


def scripted(
    student: Draw, teacher: Draw | None = None, random: Draw | None = None, floor: float = 0.95
) -> tuple[Prover, ScriptedArena]:
    arena: Any = ScriptedArena(student, teacher or always(10.0), random or always(0.0))
    who = Contestants(follower(), Acting(), Acting(), CPU)
    return Prover(arena, who, floor), arena


def real(floor: float = 0.95, seed: int = 0) -> Prover:
    arena = Arena(FOLLOW, task_info(FOLLOW), 64, seed)
    return Prover(arena, Contestants(follower(), Acting(), Acting(), CPU), floor)


def test_screening_nominates_at_the_floor_and_not_below() -> None:
    for value, decision in ((9.5, "nominate"), (9.49, "reject")):
        look = scripted(always(value))[0].screen(STUDENT)
        assert look.decision == decision
        assert look.fraction == pytest.approx(value / 10)
        assert (look.phase, look.candidate, look.episodes) == ("screening", 0, 64)


def test_the_teacher_is_compared_once() -> None:
    """Its round is played once per run; screening costs the student's episodes alone."""
    prover, arena = scripted(always(9.0))
    for _ in range(3):
        prover.screen(STUDENT)
    assert [who for who, _ in arena.played] == ["teacher", "random", *["student"] * 3]


def test_no_seed_serves_twice() -> None:
    """Comparing, screening, confirming and measuring each play on seeds of their own."""
    prover, arena = scripted(noisy(9.6), noisy(10.0))
    prover.screen(STUDENT)
    list(prover.confirm(STUDENT))
    prover.next_candidate()
    prover.screen(STUDENT)
    list(prover.confirm(STUDENT))
    prover.measure(STUDENT)
    by_policy = [seed for who, seed in arena.played if who == "student"]
    assert len(by_policy) == len(set(by_policy)) > 5


def test_confirming_plays_all_three_from_the_same_seeds() -> None:
    prover, arena = scripted(always(10.0))
    looks = list(prover.confirm(STUDENT))
    rounds = [arena.played[i : i + 3] for i in range(0, len(arena.played), 3)]
    for played in rounds:
        assert [who for who, _ in played] == ["student", "teacher", "random"]
        assert len({seed for _, seed in played}) == 1
    assert len(looks) == len(rounds)


def test_a_perfect_student_holds_after_at_least_64_episodes() -> None:
    """Also where no return deviates."""
    prover, _ = scripted(always(10.0))
    looks = list(prover.confirm(STUDENT))
    assert looks[-1].decision == "holds"
    assert looks[-1].episodes >= 64
    assert all(look.decision == "continue" for look in looks[:-1])
    assert list(prover.confirm(STUDENT)) == []


def test_a_student_below_the_floor_is_given_up_after_128_episodes() -> None:
    looks = list(scripted(always(9.0))[0].confirm(STUDENT))
    assert [look.decision for look in looks] == ["continue", "give-up"]
    assert looks[-1].episodes == 128


def test_no_candidate_takes_more_than_1024_episodes() -> None:
    """A student just above the floor is neither shown nor refuted."""
    alternating: Draw = lambda generator, n: np.tile([4.0, 16.2], n // 2)  # noqa: E731
    looks = list(scripted(alternating)[0].confirm(STUDENT))
    assert looks[-1].decision == "give-up"
    assert looks[-1].episodes == 1024
    assert len(looks) == 16


def test_the_level_halves_with_each_candidate() -> None:
    prover, _ = scripted(always(9.0))
    levels = []
    for number in range(1, 5):
        assert prover.trial.candidate == number
        levels.append(prover.trial.level)
        list(prover.confirm(STUDENT))
        prover.next_candidate()
    assert levels == [0.025, 0.0125, 0.00625, 0.003125]


def test_a_candidate_that_was_not_looked_at_costs_nothing() -> None:
    prover, _ = scripted(always(9.0))
    prover.next_candidate()
    assert prover.trial.candidate == 1


def test_the_printed_numbers_come_from_after_the_stop() -> None:
    """A student that was lucky while it was tested is measured as it is."""
    values = iter([10.0] * 2 + [9.6] * 10)
    prover, arena = scripted(lambda generator, n: np.full(n, next(values)))
    looks = list(prover.confirm(STUDENT))
    assert looks[-1].decision == "holds"
    told, alike, *_ = prover.measure(STUDENT)
    assert told.verdict == "holds"
    assert told.student_return == pytest.approx(9.6)
    assert told.fraction == pytest.approx(0.96)
    assert told.episodes == looks[-1].episodes
    assert len(arena.played) == 3 * (len(looks) + 2)
    assert alike.student_states.states == 64


def test_a_teacher_like_random_has_no_verdict_and_a_hint() -> None:
    """Two equal policies of noisy returns: the difference between two means is not enough."""
    for teacher, random in ((noisy(0.1, 10.0), noisy(0.0, 10.0)), (always(1.0), always(1.0))):
        prover, _ = scripted(noisy(0.0, 10.0), teacher, random)
        said = prover.describe_teacher()
        assert "plays no better than random" in said
        assert "--vecnormalize" in said
        assert "--teacher-act sample" in said
        list(prover.confirm(STUDENT))
        told = prover.measure(STUDENT).verdict
        assert told.verdict is None
        assert told.fraction is None


def test_a_good_teacher_gets_no_hint() -> None:
    said = scripted(always(1.0))[0].describe_teacher()
    assert said == "returns  teacher 10, random policy 0 (64 episodes each)"


def test_a_reference_that_is_upside_down_has_no_fraction() -> None:
    assert Reference(1.0, 2.0, 0.1).fraction(1.5) is None
    assert Reference(2.0, 1.0, 0.1).fraction(1.5) == 0.5
    assert not Reference(2.0, 1.0, 1.5).is_useful
    look = scripted(always(1.0), always(0.0), always(1.0))[0].screen(STUDENT)
    assert (look.fraction, look.decision) == (None, "reject")


def test_the_state_survives_json() -> None:
    """Seeds, comparison and candidate; one that was looked at is spent."""
    prover, arena = scripted(noisy(9.6), noisy(10.0))
    prover.screen(STUDENT)
    next(iter(prover.confirm(STUDENT)))
    state = json.loads(json.dumps(prover.state_dict()))
    again, new_arena = scripted(noisy(9.6), noisy(10.0))
    again.load_state_dict(state)
    assert new_arena.rounds_played == arena.rounds_played
    assert again.reference == prover.reference
    assert again.trial.candidate == 2
    again.compare_teacher()
    assert new_arena.played == []


def test_a_candidate_that_was_shown_to_hold_stays_shown() -> None:
    prover, _ = scripted(always(10.0))
    list(prover.confirm(STUDENT))
    again, _ = scripted(always(10.0))
    again.load_state_dict(json.loads(json.dumps(prover.state_dict())))
    assert again.trial == prover.trial
    assert again.measure(STUDENT).verdict.verdict == "holds"


def test_the_teacher_against_itself_in_a_real_task() -> None:
    """Fraction 1, agreement 1, paired: from equal starts the two do the same."""
    prover = real()
    with prover.arena:
        looks = list(prover.confirm(follower()))
        told, alike, *_ = prover.measure(follower())
    assert looks[-1].decision == "holds"
    assert (told.fraction, told.fraction_low, told.fraction_high) == (1.0, 1.0, 1.0)
    assert told.paired
    assert alike.student_states.top_action == alike.teacher_states.top_action == 1.0
    assert alike.student_states.kl == pytest.approx(0.0, abs=1e-6)


def test_returns_do_not_depend_on_when_a_round_is_played() -> None:
    """Round n of a run is the same whatever was played before: seeds decide alone."""
    one, other = real(seed=5), real(seed=5)
    with one.arena, other.arena:
        one.screen(follower(threshold=0.3))
        other.compare_teacher()
        a = one.play_three(follower(threshold=0.3))
        other.arena.rounds_played = one.arena.rounds_played - 1
        b = other.play_three(follower(threshold=0.3))
    for first, second in zip(a, b, strict=True):
        assert first.returns.tolist() == second.returns.tolist()


def test_halving_spends_rounds_that_judge_nobody() -> None:
    """Five students: 5, 3 and 2 of them play, each halving on seeds that no other round had."""
    prover = real()
    students = [follower(threshold=t) for t in (1.5, 0.9, 0.05, 0.5, 1.2)]
    halving = prover.halve(students)
    assert halving.best == 2
    assert prover.arena.rounds_played == 3
    assert 7.0 < halving.mean <= 8.0
    assert prover.trial.episodes == 0


def test_one_student_needs_no_halving() -> None:
    prover = real()
    assert prover.halve([follower()]).episodes == 0
    assert prover.arena.rounds_played == 0
