"""The verdict inside a run: many candidates, many looks, one error rate for all of them.

Every candidate is judged on fresh episodes by the test of rldistill.evaluation.verdict, at a level
that halves from one candidate to the next.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike

from rldistill.errors import SettingError, ShapeError
from rldistill.evaluation.verdict import (
    LEVEL,
    Evidence,
    Samples,
    Verdict,
    check_equal_lengths,
    check_floor,
    report,
    samples_of,
)

FUTILITY_EPISODES = 128  # after so many, a candidate below the floor is given up
MOST_EPISODES = 1024  # spent on one candidate
FORECAST_MARGIN = 4  # a forecast of more than this many times as many is hopeless

Decision = Literal["holds", "continue", "give-up"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialVerdict:
    """The test inside a run: candidates 1, 2, ... each on fresh episodes, looked at every round.

    Candidate m is confirmed at level error_rate * 2^-m, so that the chance of ever saying `holds`
    of a student below the floor is error_rate over the whole run, however many candidates it
    tries. A state is frozen: add_round and next_candidate return the next one.

    Attributes:
        floor: fraction to be held, in (0, 1].
        candidate: m >= 1.
        decision: `holds`; `give-up` (after 128 episodes, where it is below the floor or a forecast
            says that it will hardly be settled; or after 1,024); else
            `continue`. A decision is final: only next_candidate and conclude go on from it.
        student, teacher, random: returns of this candidate's rounds, of equal length.
        error_rate: chance of ever saying `holds` of a student below the floor, over all candidates;
            a sweep of many runs gives each a part of the 5 %.

    >>> state = SequentialVerdict(floor=0.95).add_round([500] * 80, [500] * 80, [22, 9] * 40)
    >>> state.decision, state.level
    ('holds', 0.025)
    """

    floor: float
    candidate: int = 1
    decision: Decision = "continue"
    student: tuple[float, ...] = ()
    teacher: tuple[float, ...] = ()
    random: tuple[float, ...] = ()
    error_rate: float = LEVEL

    def __post_init__(self) -> None:
        check_floor(self.floor)
        if not 0.0 < self.error_rate <= LEVEL:
            raise SettingError(f"error_rate must lie in (0, {LEVEL:g}]; got {self.error_rate:g}")
        if self.candidate < 1:
            raise SettingError(f"candidates are counted from 1; got {self.candidate}")
        if len({len(self.student), len(self.teacher), len(self.random)}) > 1:
            raise ShapeError(
                "a SequentialVerdict needs as many returns of each of the three policies"
            )

    @property
    def level(self) -> float:
        """Chance of saying `holds` of this candidate if it is below the floor."""
        return self.error_rate * 2.0**-self.candidate

    @property
    def episodes(self) -> int:
        """Episodes of each policy in this candidate's rounds."""
        return len(self.student)

    def add_round(
        self, student_returns: ArrayLike, teacher_returns: ArrayLike, random_returns: ArrayLike
    ) -> "SequentialVerdict":
        """Look at one more complete round, on seeds used for nothing else.

        Args:
            student_returns, teacher_returns, random_returns: [n] each, raw reward per episode; the
                same number from every environment, so that short episodes are not favoured.

        Raises:
            SettingError: this candidate is decided.
            ShapeError, NotFiniteError: unequal lengths, no episodes, or no finite numbers.
        """
        if self.decision != "continue":
            raise SettingError(
                f"candidate {self.candidate} is decided ({self.decision}); a round added now would "
                "undo its error rate; go on with next_candidate() or conclude()"
            )
        samples = self._with(samples_of(student_returns, teacher_returns, random_returns))
        evidence = Evidence.of(samples, self.floor)
        hopeless = evidence.episodes >= FUTILITY_EPISODES and self._is_hopeless(evidence)
        decision: Decision = "continue"
        if evidence.shows_holds(self.level):
            decision = "holds"
        elif hopeless or evidence.episodes >= MOST_EPISODES:
            decision = "give-up"
        student, teacher, random = (tuple(sample.tolist()) for sample in samples)
        return replace(self, decision=decision, student=student, teacher=teacher, random=random)

    def _is_hopeless(self, evidence: Evidence) -> bool:
        """A teacher like random, or a student below the floor or too little above it to be shown.

        Giving up early cannot raise the chance of a wrong `holds`; it costs a little power.
        """
        if evidence.contrast.values.mean() < 0 or not evidence.teacher_shown:
            return True
        needed = evidence.episodes_to_settle(self.level)
        return needed is None or needed > FORECAST_MARGIN * MOST_EPISODES

    def next_candidate(self) -> "SequentialVerdict":
        """The state in which candidate m + 1 has no episodes yet."""
        return SequentialVerdict(
            floor=self.floor, candidate=self.candidate + 1, error_rate=self.error_rate
        )

    def conclude(
        self,
        student_returns: ArrayLike,
        teacher_returns: ArrayLike,
        random_returns: ArrayLike,
        *,
        paired: bool = False,
        seed: int = 0,
    ) -> Verdict:
        """The run's verdict on its final candidate, with numbers from episodes after the stop.

        `holds` stays. Otherwise the fresh episodes are added to those of the rounds, and this may
        still show `holds` at the candidate's level or `fails` at 0.05. The means and the fraction
        come from the fresh episodes alone: those that ended the test are the lucky ones.

        Args:
            student_returns, teacher_returns, random_returns: [n] each, n >= 1, on fresh seeds;
                their number must not depend on what they are.
            paired, seed: as in verdict, for the fresh episodes.

        Raises:
            ShapeError, NotFiniteError: unequal lengths, no episodes, or no finite numbers.
        """
        fresh = samples_of(student_returns, teacher_returns, random_returns)
        joined = self._with(fresh)
        if self.decision == "holds":
            joined = samples_of(self.student, self.teacher, self.random)
        evidence = Evidence.of(joined, self.floor)
        word = "holds" if self.decision == "holds" else evidence.word(self.level)
        told = report(evidence, word, fresh, self.level, (paired, seed))
        source = f"the means are those of {fresh[0].size} episodes after the test"
        return replace(told, reason=f"{told.reason}; {source}")

    def as_dict(self) -> dict[str, Any]:
        """The whole state in plain JSON types; restore reads it."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "SequentialVerdict":
        """The state that as_dict gave, also after a journey through JSON.

        Raises:
            SettingError: a key is missing or unknown.
        """
        state = {"error_rate": LEVEL, **state}  # older states do not name it
        known, given = {field.name for field in fields(cls)}, set(state)
        if known != given:
            raise SettingError(
                f"the verdict's state needs the keys {sorted(known)}; got {sorted(given)}; "
                "it was written by another version or is damaged"
            )
        return cls(
            floor=state["floor"],
            candidate=state["candidate"],
            decision=state["decision"],
            student=tuple(state["student"]),
            teacher=tuple(state["teacher"]),
            random=tuple(state["random"]),
            error_rate=state["error_rate"],
        )

    def _with(self, more: Samples) -> Samples:
        check_equal_lengths(more, "a round")
        s, t, r = zip((self.student, self.teacher, self.random), more, strict=True)
        return np.concatenate(s), np.concatenate(t), np.concatenate(r)
