"""Two runs against each other: paired by seed where their episodes allow it, else said to be not.

Runs of one task are compared by return, of several by the fraction of their teacher's return. The
episodes are those that a run measured after its test had ended: they chose nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, final

import numpy as np

from rldistill.errors import SettingError
from rldistill.evaluation.evidence import STUDENT, RunEvidence
from rldistill.maths import comparison
from rldistill.maths.comparison import PairedDifference
from rldistill.maths.stats import Estimate, FloatArray, fraction
from rldistill.reports.evidence_sections import NO_EVIDENCE, read_evidence
from rldistill.reports.record import RunRecord, read_run
from rldistill.runs import RunFolder

FEWEST_PAIRS = 20  # seeds that two runs must share to be paired
MOST_RUNS = 20
RESAMPLES = 2000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the episodes of two runs say of A - B.

    Attributes:
        a, b: names of the runs.
        unit: "return" or "fraction".
        paired: episodes with equal starts were compared one by one.
        why: why not, where not; "" where they were.
        episodes: pairs, or the smaller number of episodes.
        difference: mean of A minus that of B, with its 95 % bootstrap interval.
        improvement: chance that an episode of A returns more than one of B, ties half.
        pairs: wins, ties, losses and the exact sign test; None where unpaired.
    """

    a: str
    b: str
    unit: str
    paired: bool
    why: str
    episodes: int
    difference: Estimate
    improvement: float
    pairs: PairedDifference | None

    @property
    def said(self) -> str:
        """The answer in a sentence: better is said only where the interval leaves 0 out."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None:
            return "one episode says nothing of another"
        if low > 0:
            return f"{self.a} has the higher mean {self.unit}"
        if high < 0:
            return f"{self.b} has the higher mean {self.unit}"
        return f"no difference of the mean {self.unit} is shown"

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        pairs = self.pairs
        return {
            "a": self.a, "b": self.b, "unit": self.unit, "paired": self.paired,
            "why_unpaired": self.why or None, "episodes": self.episodes,
            "difference": self.difference.value, "difference_low": self.difference.low,
            "difference_high": self.difference.high, "improvement": self.improvement,
            "wins": pairs and pairs.wins, "ties": pairs and pairs.ties,
            "losses": pairs and pairs.losses, "sign_test_p": pairs and pairs.p_value,
            "said": self.said,
        }  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class Contestant:
    """A run that can be compared: what it says, and its measured episodes."""

    run: RunRecord
    evidence: RunEvidence

    @property
    def task(self) -> tuple[str, str]:
        """The task as it was played: its id and settings."""
        played = self.run.student.get("task")
        settings = dict(played) if isinstance(played, dict) else {}
        # Seeds mean the same start on one backend alone: that is asked where runs are paired.
        settings.pop("backend", None)
        return self.evidence.task, str(sorted(settings.items(), key=str))

    @property
    def returns(self) -> FloatArray:
        """Of the student [n]."""
        return self.evidence.episodes.returns[STUDENT]


def compare_runs(folders: Sequence[RunFolder], *, normalised: bool = False) -> list[Comparison]:
    """Every pair of these runs.

    Args:
        folders: 2 to 20.
        normalised: compare fractions of the teacher's return, so that tasks may differ.

    Raises:
        SettingError: fewer than 2 runs or more than 20, one without measured episodes, or runs of
            different tasks without `normalised`.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise SettingError(
            f"compare takes 2 to {MOST_RUNS} runs; got {len(folders):,}; rldistill report compares "
            "groups of many"
        )
    sides = [open_side(folder) for folder in folders]
    if not normalised:
        require_one_task(sides)
    return [compare_two(a, b, normalised=normalised) for a, b in combinations(sides, 2)]


def open_side(folder: RunFolder) -> Contestant:
    """A run with the episodes that it measured.

    Raises:
        SettingError: it kept none.
    """
    run = read_run(folder, with_curve=False)
    evidence, trouble = read_evidence(folder)
    if evidence is None:
        if trouble == NO_EVIDENCE:
            trouble = (
                "it kept no evidence (it is older, was cut off, or learnt from data alone); distil "
                "it again, or continue it with rldistill distill --resume if it was cut off"
            )
        raise SettingError(f"{run.name} cannot be compared: {trouble}")
    return Contestant(run, evidence)


def require_one_task(sides: Sequence[Contestant]) -> None:
    """Returns of different tasks have no common scale.

    Raises:
        SettingError: the tasks differ.
    """
    if len({side.task for side in sides}) > 1:
        named = ", ".join(f"{side.run.name} on {side.evidence.task}" for side in sides[:6])
        same_id = len({side.task[0] for side in sides}) == 1
        how = " with different settings" if same_id else ""
        raise SettingError(
            f"the runs are of different tasks{how}, whose returns have no common scale: {named}; "
            "--normalised compares fractions of their teachers' returns"
        )


def compare_two(a: Contestant, b: Contestant, *, normalised: bool) -> Comparison:
    """A minus B: over pairs of equal starts where there are enough of them."""
    names = {"a": a.run.name, "b": b.run.name}
    if normalised:
        value = _fraction_difference(a, b)
        x, y = (_scaled(side) for side in (a, b))
        why = "fractions of teachers' returns are compared, not episodes"
        found = {"difference": value, "pairs": None, "paired": False, "why": why}
        return _made(names | {"unit": "fraction"} | found, x, y)
    rows, why = shared_starts(a, b)
    if why:
        value = comparison.mean_difference(a.returns, b.returns)
        found = {"difference": value, "pairs": None, "paired": False, "why": why}
        return _made(names | {"unit": "return"} | found, a.returns, b.returns)
    x, y = a.returns[rows[0]], b.returns[rows[1]]
    pairs = comparison.paired_difference(x, y)
    found = {"difference": pairs.difference, "pairs": pairs, "paired": True, "why": ""}
    return _made(names | {"unit": "return"} | found, x, y)


def _made(found: dict[str, Any], x: FloatArray, y: FloatArray) -> Comparison:
    improvement = comparison.probability_of_improvement([x], [y])
    return Comparison(episodes=min(x.size, y.size), improvement=improvement, **found)


def shared_starts(a: Contestant, b: Contestant) -> tuple[tuple[Any, Any], str]:
    """Which episodes of the two had equal starts: rows of each; else why they are not paired."""
    none = (np.zeros(0, int), np.zeros(0, int))
    if not (a.evidence.episodes.paired and b.evidence.episodes.paired):
        return none, "a seed does not fix the start of an episode in this task"
    if a.evidence.backend != b.evidence.backend:
        return none, f"one was played on {a.evidence.backend}, the other on {b.evidence.backend}"
    _, ours, theirs = np.intersect1d(
        a.evidence.episodes.seeds, b.evidence.episodes.seeds, return_indices=True
    )
    if len(ours) < FEWEST_PAIRS:
        return none, (
            f"they share {len(ours)} seeds of episodes, fewer than {FEWEST_PAIRS}: runs of one "
            "--seed that took as many looks share them"
        )
    return (ours, theirs), ""


def _scaled(side: Contestant) -> FloatArray:
    """Returns of the student in units of what its teacher gains over the random policy."""
    student, teacher, random = side.evidence.episodes.returns
    if fraction(student, teacher, random) is None:
        raise SettingError(
            f"{side.run.name}: the teacher returns no more than the random policy, so there is no "
            "fraction to compare"
        )
    return (student - random.mean()) / (teacher.mean() - random.mean())


def _fraction_difference(a: Contestant, b: Contestant) -> Estimate:
    """Difference of the fractions; each run's three policies are resampled by episode."""
    generator = np.random.default_rng(0)
    drawn: list[FloatArray] = []
    values: list[float] = []
    for side in (a, b):
        values.append(float(_scaled(side).mean()))
        returns, paired = side.evidence.episodes.returns, side.evidence.episodes.paired
        count = returns.shape[1]
        if count < 2:
            return Estimate(values[0] - float(_scaled(b).mean()), None, None)
        picks = generator.integers(0, count, (1 if paired else 3, RESAMPLES, count))
        means = [returns[i][picks[0 if paired else i]].mean(-1) for i in range(3)]
        drawn.append((means[0] - means[2]) / (means[1] - means[2]))
    gaps = drawn[0] - drawn[1]
    low, high = np.quantile(gaps[np.isfinite(gaps)], [0.025, 0.975])
    return Estimate(values[0] - values[1], float(low), float(high))
