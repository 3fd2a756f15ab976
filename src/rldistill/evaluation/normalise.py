"""Scores of several games in one number: percent of the teacher, of a human, and their means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rldistill.envs.atari import is_atari
from rldistill.envs.atari_settings import game_of
from rldistill.errors import SettingError
from rldistill.evaluation.atari_scores import HUMAN_STARTS, NO_OP_STARTS, SOURCE, Published
from rldistill.maths import stats

RAW = "raw ratios"
FRACTIONS = "fractions (S - R) / (T - R)"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GameScore:
    """Mean returns in one task.

    Attributes:
        task: its id.
        student: S.
        teacher: T.
        random: R, of the uniform policy; None where it was not played.
    """

    task: str
    student: float
    teacher: float
    random: float | None = None

    @property
    def percent(self) -> float | None:
        """100 S / T, as Rusu et al. (2016) write it; None where T is 0."""
        return 100.0 * self.student / self.teacher if self.teacher else None

    @property
    def fraction(self) -> float | None:
        """(S - R) / (T - R); None where R is unknown or T is not above it."""
        if self.random is None or self.teacher <= self.random:
            return None
        return (self.student - self.random) / (self.teacher - self.random)


@final
@dataclass(frozen=True, slots=True)
class GeometricMean:
    """A geometric mean of students over teachers, and of what it was taken.

    Attributes:
        value: exp(mean log ratio); None where it does not exist.
        of: RAW or FRACTIONS, or why there is none.
    """

    value: float | None
    of: str

    def __str__(self) -> str:
        """For people.

        >>> print(GeometricMean(0.9, RAW))
        90.0 % (geometric mean of raw ratios)
        """
        if self.value is None:
            return f"no geometric mean: {self.of}"
        return f"{100 * self.value:.1f} % (geometric mean of {self.of})"


def geometric_mean(scores: Sequence[GameScore]) -> GeometricMean:
    """exp(mean_i log S_i / T_i) where all S and T are positive, else of fractions over random play.

    Args:
        scores: one per game, at least one.

    Raises:
        SettingError: there are none.
    Source: Rusu et al. (2016), section 4.1.

    >>> games = [GameScore(task=str(i), student=s, teacher=100.0) for i, s in enumerate((50, 200))]
    >>> print(geometric_mean(games))
    100.0 % (geometric mean of raw ratios)
    """
    if not scores:
        raise SettingError("a geometric mean needs the scores of at least one game")
    if all(score.student > 0 and score.teacher > 0 for score in scores):
        logs = [math.log(score.student) - math.log(score.teacher) for score in scores]
        return GeometricMean(math.exp(sum(logs) / len(logs)), RAW)
    fractions = [score.fraction for score in scores]
    lacking = [
        score.task
        for score, fraction in zip(scores, fractions, strict=True)
        if fraction is None or fraction <= 0
    ]
    if lacking:
        return GeometricMean(
            None,
            f"not every score is positive, and in {', '.join(lacking)} student and teacher are not "
            "both known to be better than random play",
        )
    logs = [math.log(fraction) for fraction in fractions if fraction is not None]
    return GeometricMean(math.exp(sum(logs) / len(logs)), FRACTIONS)


def human_normalised(task_id: str, score: float, *, human_starts: bool = False) -> float | None:
    """(score - random) / (human - random) with published scores; None for tasks without them.

    Args:
        task_id: an Atari id, or a game such as "MsPacman".
        score: mean return, raw.
        human_starts: compare with scores from human starts instead of no-op starts.

    >>> human_normalised("ALE/Breakout-v5", 30.5), human_normalised("CartPole-v1", 500.0)
    (1.0, None)
    """
    published = published_scores(task_id, human_starts=human_starts)
    if published is None:
        return None
    return (score - published.random) / (published.human - published.random)


def published_scores(task_id: str, *, human_starts: bool = False) -> Published | None:
    """Random and human score of a game; None for other tasks, and for games without them."""
    table = HUMAN_STARTS if human_starts else NO_OP_STARTS
    if task_id in table:
        return table[task_id]
    game = game_of(task_id) if is_atari(task_id) else None
    return None if game is None else table.get(game)


def summarise_games(scores: Sequence[GameScore], human_starts: bool = False) -> Mapping[str, Any]:
    """What is said of one student in several games; None where something does not apply.

    Returns:
        games (one record each: task, student, teacher, random, percent, fraction,
        human_normalised), geometric_mean and geometric_mean_of, iqm_fraction and
        iqm_human_normalised (interquartile means over games), human_source.

    Raises:
        SettingError: there are no scores.
    """
    mean = geometric_mean(scores)
    humans = [human_normalised(x.task, x.student, human_starts=human_starts) for x in scores]
    fractions = [score.fraction for score in scores]
    games = [
        {
            "task": score.task,
            "student": score.student,
            "teacher": score.teacher,
            "random": score.random,
            "percent": score.percent,
            "fraction": score.fraction,
            "human_normalised": human,
        }
        for score, human in zip(scores, humans, strict=True)
    ]
    return {
        "games": games,
        "geometric_mean": mean.value,
        "geometric_mean_of": mean.of,
        "iqm_fraction": _iqm(fractions),
        "iqm_human_normalised": _iqm(humans),
        "human_source": None if None in humans else f"{SOURCE}, {_kind(human_starts)} starts",
    }


def _iqm(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(stats.iqm(np.array(known))) if len(known) == len(values) else None


def _kind(human_starts: bool) -> str:
    return "human" if human_starts else "no-op"
