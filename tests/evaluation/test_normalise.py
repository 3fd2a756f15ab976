"""Percent of the teacher, of a human, and the means over games that the papers print."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.envs import ale
from rldistill.errors import SettingError
from rldistill.evaluation.atari_scores import HUMAN_STARTS, NO_OP_STARTS
from rldistill.evaluation.normalise import (
    FRACTIONS,
    RAW,
    GameScore,
    geometric_mean,
    human_normalised,
    summarise_games,
)

# Rusu et al. (2016): tables 1 (KL) and B2 (the multi-task student by KL) against DQN.
TABLE_B2 = [("Freeway", 26.3, 25.8), ("Pong", 16.9, 16.2), ("Qbert", 6890.3, 4589.8)]


def games(rows: list[tuple[str, float, float]], random: float | None = None) -> list[GameScore]:
    return [GameScore(task=n, student=s, teacher=t, random=random) for n, s, t in rows]


def test_geometric_mean_of_the_paper() -> None:
    """The three games of table B2 give 116.9 %, as printed there."""
    mean = geometric_mean(games(TABLE_B2))
    assert mean.of == RAW
    assert mean.value == pytest.approx(1.169, abs=0.001)
    assert str(mean) == "116.9 % (geometric mean of raw ratios)"


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=8), st.floats(0.1, 10.0))
def test_geometric_mean_scales_with_the_student(ratios: list[float], factor: float) -> None:
    """Twice the scores, twice the mean; between the smallest and the largest ratio."""
    rows = [(str(i), 7.0 * ratio, 7.0) for i, ratio in enumerate(ratios)]
    more = [(name, factor * student, teacher) for name, student, teacher in rows]
    first, second = geometric_mean(games(rows)).value, geometric_mean(games(more)).value
    assert first is not None
    assert second == pytest.approx(factor * first)
    assert min(ratios) * 0.999 <= first <= max(ratios) * 1.001


def test_scores_below_zero_are_compared_with_random_play() -> None:
    """A raw ratio of -20 to -19 would look like a success: fractions are taken, and it is said."""
    rows = [("Pong", -10.0, 20.0), ("Qbert", 4000.0, 4000.0)]
    mean = geometric_mean(
        [
            GameScore(task="Pong", student=-10.0, teacher=20.0, random=-20.0),
            GameScore(task="Qbert", student=4000.0, teacher=4000.0, random=100.0),
        ]
    )
    assert mean.of == FRACTIONS
    assert mean.value == pytest.approx(0.5)
    without = geometric_mean(games(rows))
    assert without.value is None
    assert "in Pong, Qbert student and teacher" in without.of


def test_a_student_no_better_than_random_has_no_geometric_mean() -> None:
    """Its logarithm does not exist; which game it is, is said."""
    mean = geometric_mean(games([("Pong", -20.0, 20.0)], random=-20.0))
    assert mean.value is None
    assert str(mean).startswith("no geometric mean: not every score is positive, and in Pong")


def test_a_fraction_needs_a_teacher_above_random() -> None:
    """Otherwise it means nothing."""
    assert GameScore(task="X", student=1.0, teacher=2.0, random=2.0).fraction is None
    assert GameScore(task="X", student=1.0, teacher=0.0).percent is None
    assert GameScore(task="X", student=1.0, teacher=2.0, random=0.0).fraction == 0.5


@pytest.mark.parametrize("table", [NO_OP_STARTS, HUMAN_STARTS])
def test_tables_have_the_57_games_of_the_emulator(table: dict[str, tuple[float, float]]) -> None:
    """Names are those of task ids; a human beats random play, but not where the source says so."""
    assert len(table) == 57
    assert set(table) <= set(ale.games())
    below = {name for name, scores in table.items() if scores[1] <= scores[0]}
    assert below <= {"VideoPinball"}


@pytest.mark.parametrize(
    ("game", "random", "human"),
    [("Breakout", 1.7, 30.5), ("Pong", -20.7, 14.6), ("Skiing", -17098.1, -4336.9)],
)
def test_random_play_is_0_and_a_human_is_1(game: str, random: float, human: float) -> None:
    """Values by hand, for every form of id."""
    for task in (game, f"ALE/{game}-v5", f"{game}NoFrameskip-v4", f"{game}-v4"):
        assert human_normalised(task, random) == 0.0
        assert human_normalised(task, human) == 1.0
    assert human_normalised("Breakout", 27.9, human_starts=True) == 1.0


@pytest.mark.parametrize("task", ["CartPole-v1", "ALE/Tetris-v5", "MinAtar/Breakout-v1"])
def test_other_tasks_have_no_human_score(task: str) -> None:
    """None, and not a guess: MinAtar's Breakout is another game."""
    assert human_normalised(task, 10.0) is None


def test_summary_of_a_suite() -> None:
    """Every key is there; IQM is the mean of the middle half."""
    rows = [("ALE/Pong-v5", 10.0, 20.0), ("ALE/Breakout-v5", 15.0, 20.0)]
    rows += [("ALE/Qbert-v5", 20.0, 20.0), ("ALE/Freeway-v5", 30.0, 20.0)]
    record = summarise_games(games(rows, random=0.0))
    assert record["iqm_fraction"] == pytest.approx(np.mean([0.75, 1.0]))
    assert record["geometric_mean_of"] == RAW
    assert [game["percent"] for game in record["games"]] == [50.0, 75.0, 100.0, 150.0]
    assert "no-op starts" in record["human_source"]
    mixed = summarise_games(games([*rows, ("CartPole-v1", 1.0, 2.0)]))
    assert (mixed["iqm_human_normalised"], mixed["human_source"]) == (None, None)
    with pytest.raises(SettingError, match="at least one game"):
        summarise_games([])
