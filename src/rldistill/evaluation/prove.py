"""Prove: screen students cheaply, nominate a frozen candidate, confirm it on fresh seeds.

Screening and confirming never share an episode, and no seed is played twice in a run, so what
judges a candidate has not chosen it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, final

import numpy as np
import torch

from rldistill.core import Acting, NetworkPolicy, Policy
from rldistill.evaluation.agreement import AgreementPair, Comparison, compare
from rldistill.evaluation.halving import halve
from rldistill.evaluation.looks import Halving, Look, Reference, look_at
from rldistill.evaluation.scores import (
    Actor,
    Arena,
    Round,
    policy_actor,
    random_actor,
    require_acting,
)
from rldistill.evaluation.sequential import SequentialVerdict
from rldistill.evaluation.verdict import LEVEL, Verdict
from rldistill.maths import stats

# Episodes after the stop, from which the printed fraction comes.
MEASURE_EPISODES = 128
# Standard errors by which a teacher must beat the random policy to be called better than it.
BETTER = 2.0


@final
@dataclass(frozen=True, slots=True)
class Contestants:
    """The teacher and how it and its students act."""

    teacher: NetworkPolicy
    teacher_act: Acting
    student_act: Acting
    device: torch.device

    def __post_init__(self) -> None:
        require_acting(self.teacher, self.teacher_act, "teacher_act")


class Measured(NamedTuple):
    """What fresh episodes after the stop showed.

    Attributes:
        verdict: the word, and numbers of these episodes.
        alike: agreement on the states of the first round.
        rounds: of student, teacher and random policy, round by round; the states visited by the
            first two are kept in the first round.
        compared: the two policies on the student's states of that round, and on the teacher's.
    """

    verdict: Verdict
    alike: AgreementPair
    rounds: tuple[tuple[Round, Round, Round], ...]
    compared: tuple[Comparison, Comparison]


@final
class Prover:
    """Holds the state of the proof: which seeds are spent, which candidate is next.

    Attributes:
        reference: teacher and random policy, once compared.
        trial: the sequential test of the candidate.
        paired: the three policies play from equal starts.
    """

    def __init__(
        self, arena: Arena, contestants: Contestants, floor: float, error_rate: float = LEVEL
    ) -> None:
        self.arena = arena
        self.contestants = contestants
        self.floor = floor
        self.trial = SequentialVerdict(floor=floor, error_rate=error_rate)
        self.reference: Reference | None = None
        self.paired = arena.info.equal_starts

    def change_teacher(self, teacher: Policy) -> None:
        """Judge against another version of the teacher from here on.

        What was played against the one before says nothing of this one, so no candidate may have
        been tested yet.
        """
        assert self.trial.episodes == 0, "a run whose teacher moves is judged at its end alone"
        self.contestants = replace(self.contestants, teacher=teacher)
        self.reference = None

    def compare_teacher(self) -> Reference:
        """Teacher and random policy over one round; played once per run."""
        if self.reference is None:
            seed = self.arena.next_seed()
            teacher = self.arena.play(self._teacher(seed), seed, as_teacher=True).returns
            random = self.arena.play(self._random(seed), seed).returns
            error = np.sqrt((teacher.var() + random.var()) / len(teacher))
            self.reference = Reference(
                float(teacher.mean()), float(random.mean()), BETTER * float(error)
            )
        return self.reference

    def describe_teacher(self) -> str:
        """One line: what teacher and random policy returned, and what is odd about it."""
        reference = self.compare_teacher()
        line = (
            f"returns  teacher {reference.teacher:.4g}, random policy {reference.random:.4g} "
            f"({self.arena.num_envs} episodes each)"
        )
        if reference.is_useful:
            return line
        return line + (
            "\nwarning  the teacher plays no better than random, and then there is no verdict: is "
            "it the right task,\n         does it need --teacher-act sample, or is its "
            "VecNormalize file missing (--vecnormalize PATH)?"
        )

    def screen(self, student: Policy) -> Look:
        """One round of the student alone; nominates it where its fraction reaches the floor."""
        reference = self.compare_teacher()
        seed = self.arena.next_seed()
        returns = self.arena.play(self._student(student, seed), seed).returns
        fraction = reference.fraction(float(returns.mean()))
        nominate = fraction is not None and fraction >= self.floor
        return look_at("screening", returns, fraction, 0, "nominate" if nominate else "reject")

    def confirm(self, student: Policy) -> Iterator[Look]:
        """Look at the candidate round by round until the trial decides.

        The caller saves state_dict() at each look: a run that is cut off has spent this candidate.
        """
        while self.trial.decision == "continue":
            student_round, teacher_round, random_round = self.play_three(student)
            self.trial = self.trial.add_round(
                student_round.returns, teacher_round.returns, random_round.returns
            )
            returns = [
                np.array(x) for x in (self.trial.student, self.trial.teacher, self.trial.random)
            ]
            fraction = stats.fraction(*returns)
            yield look_at(
                "confirming", returns[0], fraction, self.trial.candidate, self.trial.decision
            )

    def halve(self, students: Sequence[Policy]) -> Halving:
        """The best of some students, by successive halving on episodes that judge nobody."""
        return halve(self.arena, students, self._student)

    def next_candidate(self) -> None:
        """Go on to the next candidate, with half the error rate, unless this one is untouched."""
        if self.trial.episodes > 0:
            self.trial = self.trial.next_candidate()

    def measure(self, student: Policy) -> Measured:
        """Play fresh episodes after the stop and conclude: the printed numbers come from these."""
        rounds = -(-MEASURE_EPISODES // self.arena.num_envs)
        played = tuple(self.play_three(student, keep=not i) for i in range(rounds))
        s, t, r = (np.concatenate([three[i].returns for three in played]) for i in range(3))
        verdict = self.trial.conclude(s, t, r, paired=self.paired, seed=self.arena.base_seed)
        who = self.contestants
        on_student, on_teacher = (
            compare(who.teacher, student, *one.seen(who.device), one.order) for one in played[0][:2]
        )
        alike = AgreementPair(on_student.summary(), on_teacher.summary())
        return Measured(verdict, alike, played, (on_student, on_teacher))

    def play_three(self, student: Policy, keep: bool = False) -> tuple[Round, Round, Round]:
        """One round each of student, teacher and random policy, from the same fresh seeds."""
        seed = self.arena.next_seed()
        return (
            self.arena.play(self._student(student, seed), seed, keep),
            self.arena.play(self._teacher(seed), seed, keep, as_teacher=True),
            self.arena.play(self._random(seed), seed),
        )

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "rounds_played": self.arena.rounds_played,
            "reference": None if self.reference is None else asdict(self.reference),
            "trial": self.trial.as_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where a run was cut off.

        A candidate that was shown to hold is still that; one that was being confirmed is spent.
        """
        self.arena.rounds_played = int(state["rounds_played"])
        reference = state["reference"]
        self.reference = None if reference is None else Reference(**reference)
        self.trial = SequentialVerdict.restore(state["trial"])
        if self.trial.decision != "holds":
            self.next_candidate()

    def _student(self, student: Policy, seed: int) -> Actor:
        return policy_actor(student, self.contestants.student_act, self.contestants.device, seed)

    def _teacher(self, seed: int) -> Actor:
        who = self.contestants
        return policy_actor(who.teacher, who.teacher_act, who.device, seed)

    def _random(self, seed: int) -> Actor:
        return random_actor(self.arena.info.action_space, seed)
