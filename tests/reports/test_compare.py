"""compare: paired by seed where that can be, and said to be not where it cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_evidence import made_evidence
from made_runs import made_run

from rldistill.errors import SettingError
from rldistill.evaluation.evidence import RunEvidence
from rldistill.evaluation.evidence_file import save_evidence
from rldistill.maths import comparison
from rldistill.reports.compare import compare_runs
from rldistill.runs import RunFolder


def folder_of(path: Path, evidence: RunEvidence, **student: Any) -> RunFolder:
    """A run with this evidence."""
    run = RunFolder.open(made_run(path, student=student))
    save_evidence(run.evidence, evidence)
    return run


def moved(evidence: RunEvidence, by: int) -> RunEvidence:
    """The same, its episodes on later seeds."""
    episodes = evidence.episodes
    return replace(evidence, episodes=replace(episodes, seeds=episodes.seeds + by))


def test_equal_seeds_are_paired(tmp_path: Path) -> None:
    """Student A returns exactly 1 more from each start: an interval without width, 40 wins."""
    a = folder_of(tmp_path / "a", made_evidence(shift=0.0))
    b = folder_of(tmp_path / "b", made_evidence(shift=-1.0))
    (found,) = compare_runs([a, b])
    assert (found.paired, found.episodes, found.why) == (True, 40, "")
    assert found.difference.value == pytest.approx(1.0)
    assert found.difference.high - found.difference.low < 1e-9
    assert (found.pairs.wins, found.pairs.losses) == (40, 0)
    assert found.said == "a has the higher mean return"


def test_only_shared_seeds_are_paired(tmp_path: Path) -> None:
    """30 of 40 seeds are shared: episode i + 10 of A with episode i of B."""
    one, two = made_evidence(shift=0.0), moved(made_evidence(shift=-1.0), 10)
    a, b = folder_of(tmp_path / "a", one), folder_of(tmp_path / "b", two)
    (found,) = compare_runs([a, b])
    assert found.episodes == 30
    expected = one.episodes.returns[0, 10:] - two.episodes.returns[0, :30]
    assert found.difference.value == pytest.approx(expected.mean())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda e: moved(e, 1000), "share 0 seeds"),
        (lambda e: moved(e, 30), "share 10 seeds of episodes, fewer than 20"),
        (lambda e: replace(e, backend="envpool"), "one was played on gymnasium, the other on envp"),
        (lambda e: replace(e, episodes=replace(e.episodes, paired=False)), "a seed does not fix"),
    ],
)
def test_what_cannot_be_paired_is_said(tmp_path: Path, change: Any, why: str) -> None:
    """And compared as two samples that have nothing to do with each other."""
    one, two = made_evidence(shift=0.0), change(made_evidence(shift=-1.0))
    a, b = folder_of(tmp_path / "a", one), folder_of(tmp_path / "b", two)
    (found,) = compare_runs([a, b])
    assert not found.paired
    assert found.pairs is None
    assert why in found.why
    x, y = one.episodes.returns[0], two.episodes.returns[0]
    assert found.difference == comparison.mean_difference(x, y)


def test_no_difference_is_no_winner(tmp_path: Path) -> None:
    """Better is said only where the interval leaves 0 out."""
    a = folder_of(tmp_path / "a", made_evidence(shift=0.0))
    b = folder_of(tmp_path / "b", moved(made_evidence(shift=0.1), 1000))
    (found,) = compare_runs([a, b])
    assert found.difference.low < 0 < found.difference.high
    assert found.said == "no difference of the mean return is shown"


def test_different_tasks_are_refused(tmp_path: Path) -> None:
    """Also one task with different settings."""
    a = folder_of(tmp_path / "a", made_evidence())
    b = folder_of(tmp_path / "b", replace(made_evidence(), task="Other-v0"))
    with pytest.raises(SettingError, match=r"different tasks, whose returns.*--normalised"):
        compare_runs([a, b])
    windy = {"id": "Made-v0", "env_kwargs": {"enable_wind": True}}
    c = folder_of(tmp_path / "c", made_evidence(), task=windy)
    with pytest.raises(SettingError, match="different tasks with different settings"):
        compare_runs([a, c])


def test_normalised_compares_fractions(tmp_path: Path) -> None:
    """Returns of 10 times the size change nothing; A's student has 97 %, B's 87 %."""
    one, two = made_evidence(shift=-1.0), made_evidence(shift=-11.0)
    large = replace(two.episodes, returns=10 * two.episodes.returns)
    a = folder_of(tmp_path / "a", one)
    b = folder_of(tmp_path / "b", replace(two, task="Other-v0", episodes=large))
    (found,) = compare_runs([a, b], normalised=True)
    shares = [e.episodes.returns[0].mean() / e.episodes.returns[1].mean() for e in (one, two)]
    assert found.unit == "fraction"
    assert found.difference.value == pytest.approx(shares[0] - shares[1])
    assert found.difference.low < found.difference.value < found.difference.high
    assert "fractions" in found.why


def test_fractions_of_equal_starts_are_resampled_together(tmp_path: Path) -> None:
    """A student that is its teacher has the fraction 1 in every resample: no width."""
    evidence = made_evidence()
    returns = evidence.episodes.returns.copy()
    returns[0] = returns[1]
    for paired in (True, False):
        episodes = replace(evidence.episodes, returns=returns, paired=paired)
        one = folder_of(tmp_path / f"a{paired}", replace(evidence, episodes=episodes))
        two = folder_of(tmp_path / f"b{paired}", replace(evidence, episodes=episodes))
        (found,) = compare_runs([one, two], normalised=True)
        assert found.difference.value == 0.0
        assert (found.difference.high - found.difference.low < 1e-9) == paired


def test_a_teacher_like_random_has_no_fraction(tmp_path: Path) -> None:
    evidence = made_evidence()
    returns = evidence.episodes.returns.copy()
    returns[2] = 1000.0
    a = folder_of(
        tmp_path / "a", replace(evidence, episodes=replace(evidence.episodes, returns=returns))
    )
    b = folder_of(tmp_path / "b", made_evidence())
    with pytest.raises(SettingError, match="a: the teacher returns no more than the random"):
        compare_runs([a, b], normalised=True)


def test_runs_without_episodes_and_wrong_numbers_of_runs(tmp_path: Path) -> None:
    bare, full = (
        RunFolder.open(made_run(tmp_path / "bare")),
        folder_of(tmp_path / "full", made_evidence()),
    )
    with pytest.raises(
        SettingError, match=r"bare cannot be compared: it kept no evidence.*distil it again"
    ):
        compare_runs([full, bare])
    with pytest.raises(SettingError, match="2 to 20 runs; got 1"):
        compare_runs([full])


def test_three_runs_are_three_pairs(tmp_path: Path) -> None:
    runs = [folder_of(tmp_path / name, made_evidence(shift=-i)) for i, name in enumerate("abc")]
    found = compare_runs(runs)
    assert [(f.a, f.b) for f in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert np.allclose([f.difference.value for f in found], [1, 2, 1])
