"""Is the student as good as its teacher? A word with a known error rate, never a bare mean.

Fraction = (S - R) / (T - R), mean returns of student, teacher and random policy. At floor f the
contrast d = S - f T - (1 - f) R is tested by betting (rldistill.maths.betting): `holds` where
d >= 0 is shown at one-sided 95 %, `fails` where d < 0 is, else `unsure`. A teacher not shown to
beat the random policy has no verdict. docs/verdict.md explains it on half a page.
"""

import math
from dataclasses import asdict, dataclass
from typing import Literal, Self, final

from numpy.typing import ArrayLike

from rldistill.errors import SettingError, ShapeError
from rldistill.maths import betting, stats
from rldistill.maths.betting import Contrast
from rldistill.maths.stats import FloatArray

LEVEL = 0.05  # one-sided probability of a wrong word
DEFAULT_FLOOR = 0.95  # fraction of the teacher's return
FEWEST_EPISODES = 64  # before `holds` or `fails`

Word = Literal["holds", "fails", "unsure"]
Samples = tuple[FloatArray, FloatArray, FloatArray]  # of student, teacher, random policy


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer and what it rests on; what does not apply is None, never NaN.

    Attributes:
        verdict: None where the teacher is not shown to beat the random policy.
        reason: one sentence.
        floor: the fraction tested.
        fraction: (S - R) / (T - R); None without a verdict.
        fraction_low, fraction_high: its 95 % bootstrap interval. It describes the episodes seen and
            is blind to what none of them showed; the word is not taken from it.
        student_return, teacher_return, random_return: means, raw reward per episode.
        episodes: of each policy, behind the word.
        paired: episode i of the three policies had the same start.
        episodes_to_settle: how many episodes of each policy in all would be likely to settle it;
            None where it is settled or hopeless.
    """

    verdict: Word | None
    reason: str
    floor: float
    fraction: float | None
    fraction_low: float | None
    fraction_high: float | None
    student_return: float
    teacher_return: float
    random_return: float
    episodes: int
    paired: bool
    episodes_to_settle: int | None

    def as_dict(self) -> dict[str, str | float | int | bool | None]:
        """Plain JSON types, in the order of the attributes."""
        return asdict(self)


def verdict(
    student_returns: ArrayLike,
    teacher_returns: ArrayLike,
    random_returns: ArrayLike,
    floor: float = DEFAULT_FLOOR,
    *,
    paired: bool = False,
    seed: int = 0,
) -> Verdict:
    """Say whether a student holds a fraction of its teacher's return, from returns alone.

    Only for a student that was not picked by these same episodes. With equal lengths, looking again
    as more come is free: the chance of ever saying `holds` of one student below the floor stays at
    5 %, as long as no return lies outside the range of those seen.

    Args:
        student_returns: [n], raw reward per episode.
        teacher_returns: [m], on the same task. Unequal lengths are used whole.
        random_returns: [k], of the uniform policy.
        floor: fraction to be held, in (0, 1]. At 1 an equal student stays `unsure` for ever.
        paired: episode i of the three had the same start (the lengths are equal then).
        seed: of the bootstrap interval.

    Raises:
        SettingError: floor outside (0, 1].
        ShapeError: an empty or two-dimensional sample, or paired samples of unequal length.
        NotFiniteError: NaN or infinity.

    Source: docs/verdict.md; Waudby-Smith and Ramdas 2024 (arXiv:2010.09686).

    >>> verdict([500] * 64, [500] * 64, [22, 9] * 32).verdict
    'holds'
    """
    samples = samples_of(student_returns, teacher_returns, random_returns)
    check_floor(floor)
    if paired:
        check_equal_lengths(samples, "paired=True")
    evidence = Evidence.of(samples, floor)
    return report(evidence, evidence.word(LEVEL), samples, LEVEL, (paired, seed))


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """What all episodes so far say."""

    floor: float
    contrast: Contrast
    teacher_shown: bool  # to beat the random policy, one-sided 95 %

    @classmethod
    def of(cls, samples: Samples, floor: float) -> Self:
        _, teacher, random = samples
        # E[T] - E[R] is the contrast of the teacher with the random policy at fraction 1.
        advantage = betting.contrast(teacher, random, random, 1.0)
        shown = betting.log_wealth(advantage.values, advantage.depth) >= -math.log(LEVEL)
        return cls(floor, betting.contrast(*samples, floor), shown)

    @property
    def episodes(self) -> int:
        return self.contrast.values.size

    def shows_holds(self, level: float) -> bool:
        return self._shows(self.contrast.values, self.contrast.depth, level)

    def shows_fails(self, level: float) -> bool:
        return self._shows(-self.contrast.values, self.contrast.height, level)

    def _shows(self, values: FloatArray, bound: float, level: float) -> bool:
        enough = self.teacher_shown and self.episodes >= FEWEST_EPISODES
        return enough and betting.log_wealth(values, bound) >= -math.log(level)

    def word(self, holds_level: float) -> Word | None:
        if not self.teacher_shown:
            return None
        if self.shows_holds(holds_level):
            return "holds"
        return "fails" if self.shows_fails(LEVEL) else "unsure"

    def episodes_to_settle(self, holds_level: float) -> int | None:
        """In the direction in which the episodes point."""
        values, bound, level = self.contrast.values, self.contrast.depth, holds_level
        if values.mean() < 0:
            values, bound, level = -values, self.contrast.height, LEVEL
        needed = betting.episodes_to_settle(values, bound, level)
        return None if needed is None else max(needed, FEWEST_EPISODES)


def report(
    evidence: Evidence,
    word: Word | None,
    samples: Samples,
    level: float,
    pairing: tuple[bool, int],
) -> Verdict:
    """The word and its reason, with the numbers of the samples that the user is shown."""
    paired, seed = pairing
    student, teacher, random = (float(sample.mean()) for sample in samples)
    share = None if word is None else stats.fraction(*samples)
    interval = None
    if share is not None:
        interval = stats.fraction_interval(samples, paired=paired, level=0.95, seed=seed)
    low, high = interval or (None, None)
    return Verdict(
        verdict=word,
        reason=_reason(evidence, word, level),
        floor=evidence.floor,
        fraction=share,
        fraction_low=low,
        fraction_high=high,
        student_return=student,
        teacher_return=teacher,
        random_return=random,
        episodes=evidence.episodes,
        paired=paired,
        episodes_to_settle=evidence.episodes_to_settle(level) if word == "unsure" else None,
    )


def _reason(evidence: Evidence, word: Word | None, level: float) -> str:
    count, floor = evidence.episodes, f"{evidence.floor:g} of the teacher's return"
    if word is None:
        return (
            f"the teacher is not shown to beat the random policy at one-sided 95 % in {count} "
            "episodes, so a fraction of its return means nothing"
        )
    if word == "holds":
        sure = f"{100 * (1 - level):.4g} %"
        return f"{count} episodes of each policy show at one-sided {sure} at least {floor}"
    if word == "fails":
        return f"{count} episodes of each policy show at one-sided 95 % less than {floor}"
    if count < FEWEST_EPISODES:
        return f"{count} episodes are fewer than the {FEWEST_EPISODES} that a verdict needs"
    needed = evidence.episodes_to_settle(level)
    hint = "more like them would hardly settle it" if needed is None else f"about {needed} would do"
    return f"{count} episodes of each policy neither show nor refute {floor}: {hint}"


def samples_of(student: ArrayLike, teacher: ArrayLike, random: ArrayLike) -> Samples:
    return (
        stats.sample_of(student, "student_returns"),
        stats.sample_of(teacher, "teacher_returns"),
        stats.sample_of(random, "random_returns"),
    )


def check_floor(floor: float) -> None:
    if not 0 < floor <= 1:
        raise SettingError(
            f"floor must lie in (0, 1]: the fraction of the teacher's return to be held, for "
            f"example 0.95; got {floor}"
        )


def check_equal_lengths(samples: Samples, what: str) -> None:
    sizes = [sample.size for sample in samples]
    if len(set(sizes)) > 1:
        raise ShapeError(
            f"{what} needs as many episodes of each policy; got {sizes[0]} of the student, "
            f"{sizes[1]} of the teacher and {sizes[2]} of the random policy"
        )
