"""The reproduction of Czarnecki et al. 2019: it runs, it resumes, and its rule for claims."""

import doctest
import json
import math
from dataclasses import replace
from functools import partial

import czarnecki2019
import czarnecki2019_cells as cells
import czarnecki2019_claims as claims
import czarnecki2019_intervals as intervals
import czarnecki2019_page as page
import czarnecki2019_panels as panels
import numpy as np
import pytest
from czarnecki2019_intervals import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNSURE,
    Interval,
    NotRunError,
    Results,
    first_crossing,
    judge,
    mean_interval,
    ratio_interval,
    together,
)

from rldistill.lab.solve import expected_return

GOOD = claims.as_good_as_teacher(partial(claims.Curve, 5, "td"), "baseline")
POINTS = (0, 30, 100, 300, 1000, 2000, 3000, 5000, 10_000, 20_000, 30_000)


@pytest.fixture
def plan(tmp_path):
    return cells.Plan(mdps=2, iterations=30, threads=1, folder=tmp_path / "results")


@pytest.fixture
def small(monkeypatch):
    """Worlds of six cells a side, a short Q-learning, two learning rates."""
    from rldistill.lab.grid import GridSettings, random_grid

    def grid(number):
        return random_grid(np.random.default_rng(number), GridSettings(side=6, kill=0.1))

    monkeypatch.setattr(panels, "Q_LEARNING_STEPS", 300)
    monkeypatch.setattr(cells, "RATES", (0.01, 0.1))
    tiny = [
        replace(panel, world=grid if panel.figure in (3, 5) else panel.world, num_tuning=1)
        for panel in panels.PANELS
        if panel.figure != 4
    ]
    monkeypatch.setattr(czarnecki2019, "PANELS", tiny)
    return tiny


def keep(folder, panel, arm, table, teacher=0.0):
    """A cell with made-up returns [N, C]."""
    record = {
        "made_with": {"checkpoints": list(POINTS[: table.shape[1]])},
        "seconds": 1.0,
        "teacher": [teacher] * len(table),
        "returns": table.tolist(),
    }
    cells.write_json(folder / "figure5" / f"{panel}.{arm}.json", record)


def rising(count, end, noise, seed=0):
    """N curves from -1 to an end, each with an offset of its own."""
    rng = np.random.default_rng(seed)
    way = np.linspace(0, 1, len(POINTS))
    return -1 + (end + 1) * way + noise * rng.standard_normal((count, 1)) * (way > 0)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (1.0, 2.0, HOLDS),
        (-2.0, -1.0, FAILS),
        (-0.5, 0.5, UNSURE),
        (0.0, 0.1, UNSURE),
        (0.0, 0.0, FAILS),
    ],
)
def test_a_claim_is_decided_by_the_whole_interval(low, high, word):
    """Above 0: holds, does not hold, or cannot be told where the interval crosses 0."""
    assert judge(Interval((low + high) / 2, low, high, 9), 0.0, math.inf) == word


def test_a_claim_with_several_parts_needs_them_all():
    assert together([HOLDS, HOLDS]) == HOLDS
    assert together([HOLDS, UNSURE]) == UNSURE
    assert together([HOLDS, UNSURE, FAILS]) == FAILS
    assert together([HOLDS, FAILS, NOT_RUN]) == FAILS
    assert together([HOLDS, UNSURE, NOT_RUN]) == NOT_RUN


def test_intervals_of_means_cover_as_often_as_they_say():
    """1,000 samples of 10 from a normal distribution: 95 % of the intervals hold its mean."""
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(3.0, 2.0, size=10)) for _ in range(1000)]
    assert np.mean([i.low <= 3.0 <= i.high for i in found]) == pytest.approx(0.95, abs=0.02)
    with pytest.raises(NotRunError):
        mean_interval(np.ones(1))


def test_differences_are_paired_over_worlds(tmp_path):
    """A lead of 0.1 in every world is seen through differences of 10 between worlds."""
    base = rising(20, 5.0, noise=10.0)
    shift = 0.1 + 0.01 * np.random.default_rng(1).standard_normal((20, 1))
    keep(tmp_path, "td", "baseline", base)
    keep(tmp_path, "td", "td-v0", base + shift)
    first, second = claims.Curve(5, "td", "td-v0"), claims.Curve(5, "td", "baseline")
    results = Results(tmp_path)
    assert claims.above("lead", first, second).run(results)[0] == HOLDS
    assert claims.below("lead", first, second).run(results)[0] == FAILS
    # Against another sample of worlds the same lead cannot be told.
    keep(tmp_path, "td", "td-v0", rising(20, 5.1, noise=10.0, seed=7))
    assert claims.above("lead", first, second).run(results)[0] == UNSURE


def test_unequal_numbers_of_worlds_are_cut_to_what_both_have(tmp_path):
    keep(tmp_path, "td", "baseline", rising(20, 5.0, 1.0))
    keep(tmp_path, "td", "td-v0", rising(12, 4.0, 1.0))
    first, second = claims.Curve(5, "td", "td-v0"), claims.Curve(5, "td", "baseline")
    assert claims.difference(first, second)(Results(tmp_path)).count == 12


def test_as_good_as_the_teacher_allows_a_twentieth_of_the_way(tmp_path):
    """Way from -1 to 9: an end of 8.7 is good enough, 8.3 is not."""
    for end, word in ((8.7, HOLDS), (8.3, FAILS)):
        keep(tmp_path, "td", "baseline", rising(30, end, 0.05), teacher=9.0)
        assert GOOD.run(Results(tmp_path))[0] == word


def test_what_was_not_run_says_so(tmp_path):
    word, evidence = GOOD.run(Results(tmp_path))
    assert word == NOT_RUN
    assert "not run" in evidence
    keep(tmp_path, "td", "baseline", rising(5, 3.0, 1.0)[:, :4])  # 300 iterations of 30,000
    assert GOOD.run(Results(tmp_path))[0] == NOT_RUN


def test_a_method_that_is_three_times_slower_is_measured_so(tmp_path):
    """exp(-n / 100) against exp(-n / 300), down to a tenth."""
    points = np.array(POINTS)

    def reached(curve):
        return first_crossing(curve, POINTS, 0.1)

    rng = np.random.default_rng(0)
    scale = rng.uniform(0.9, 1.1, size=(30, 1))
    slow, fast = (np.exp(-points / (rate * scale)) for rate in (3000.0, 1000.0))
    found = ratio_interval(slow, fast, reached, 30_000)
    # Between checkpoints the curve is taken for linear in log(1 + n).
    assert found.estimate == pytest.approx(3.0, abs=0.3)
    assert found.low < found.estimate < found.high < found.low + 0.5


def test_a_method_that_has_not_arrived_is_at_least_so_much_slower():
    """One needs 10,000 iterations, the other more than 30,000: a ratio of 3 or more."""

    def reached(curve):
        return first_crossing(curve, POINTS, 0.1)

    fast = np.repeat(np.where(np.array(POINTS) < 10_000, 1.0, 0.1)[None], 5, axis=0)
    slow = np.ones((5, 11))
    found = ratio_interval(slow, fast, reached, 30_000)
    assert found.low == pytest.approx(3.0)
    assert found.estimate == found.high == math.inf
    assert judge(found, 2.0, 4.5) == UNSURE
    assert judge(found, 0.5, 2.0) == FAILS
    assert judge(found, 2.0, math.inf) == HOLDS
    assert ratio_interval(fast, slow, reached, 30_000).low == 0.0


def test_the_peak_is_found_on_other_worlds_than_it_is_measured_on(tmp_path):
    """Pure noise has no peak, though its best checkpoint lies above its last."""
    rng, estimates = np.random.default_rng(0), []
    for number in range(60):
        folder = tmp_path / str(number)
        keep(folder, "td", "baseline", rng.standard_normal((40, len(POINTS))))
        found = claims.fall_from_peak(claims.Curve(5, "td", "baseline"))(Results(folder))
        estimates.append(found.estimate)
    # Looked for and measured on the same worlds it would be 0.35 on average.
    assert abs(np.mean(estimates)) < 0.13
    humped = rising(40, 5.0, 0.1)
    humped[:, 5] = 8.0
    keep(tmp_path, "td", "baseline", humped)
    found = claims.fall_from_peak(claims.Curve(5, "td", "baseline"))(Results(tmp_path))
    assert found.estimate == pytest.approx(3.0, abs=0.1)


def test_worlds_and_teachers_depend_on_their_number_alone():
    """World 1 is the same whether it is made first or after world 0; noise is nested."""
    both = cells.pupils_of(panels.panel_of(5, "noise-15"), range(2))
    alone = cells.pupils_of(panels.panel_of(5, "noise-15"), [1])[0]
    np.testing.assert_array_equal(both[1].world.rewards, alone.world.rewards)
    np.testing.assert_array_equal(both[1].teacher.policy, alone.teacher.policy)
    more = cells.pupils_of(panels.panel_of(5, "noise-25"), [1])[0].teacher.policy
    best = panels.best_teacher(alone.world, 1).policy
    few_wrong, more_wrong = (
        (policy != best).any(axis=1) for policy in (alone.teacher.policy, more)
    )
    assert 0.05 < few_wrong.mean() < more_wrong.mean() < 0.3
    assert not (few_wrong & ~more_wrong).any()


def test_the_adversary_is_as_bad_as_the_corridor_allows():
    pupil = cells.pupils_of(panels.panel_of(6, "adversarial"), [0])[0]
    best = panels.best_teacher(pupil.world, 0)
    worst = expected_return(pupil.world, pupil.teacher.policy)
    assert worst == pytest.approx(-expected_return(pupil.world, best.policy))


def test_a_tiny_run_writes_page_and_pictures_and_resumes(small, plan, tmp_path, capsys):
    """Two worlds, 30 episodes; then one world more, and the first two stay as they were."""
    short = ["--iterations", "30", "--threads", "1", "--results", str(plan.folder)]
    out = tmp_path / "out"
    czarnecki2019.main(["--mdps", "2", "--figures", "2", "3", *short, "--out", str(out)])
    cell = plan.folder / "figure3" / "temperature-0.student.json"
    before = json.loads(cell.read_text())
    assert len(before["returns"]) == len(before["kl_uniform"]) == 2
    for name in ("figure2", "figure3", "figure4", "figure5", "figure6"):
        assert (out / "docs" / "czarnecki2019" / f"{name}.svg").stat().st_size > 5000
    text = (out / "reproduce" / "czarnecki2019.html").read_text()
    assert "not run" in text
    assert "http" not in text.replace("http://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("https://matplotlib.org", "").replace("http://creativecommons.org", "")

    cells.run_panel(next(p for p in small if p.figure == 3), replace(plan, mdps=3))
    after = json.loads(cell.read_text())
    assert after["returns"][:2] == before["returns"]
    assert len(after["returns"]) == 3
    assert "3 worlds" in capsys.readouterr().out


def test_rates_are_chosen_on_worlds_that_are_not_shown(small, plan):
    panel = next(panel for panel in small if panel.file == "td-best-rates")
    numbers = []
    watched = replace(panel, world=lambda number: numbers.append(number) or panel.world(number))
    rates = cells.rates_of(watched, plan)
    assert set(rates) == set(panel.arms)
    assert min(numbers) >= panels.FIRST_TUNING_WORLD
    with pytest.raises(NotRunError):
        cells.rates_of(replace(panel, figure=6, name="optimal"), plan, choose=False)


def test_other_settings_do_not_continue_a_cell(small, plan):
    panel = next(panel for panel in small if panel.figure == 3)
    cell = cells.Cell(panel, "student", 0.1)
    cell.extend(plan, cells.pupils_of(panel, range(2)))
    assert len(cell.load(plan)["teacher"]) == 2
    assert len(replace(cell, rate=0.2).load(plan)["teacher"]) == 0
    assert len(cell.load(replace(plan, iterations=100))["teacher"]) == 0


def test_a_short_run_must_not_mix_with_the_kept_results(capsys):
    with pytest.raises(SystemExit):
        czarnecki2019.main(["--iterations", "30"])
    assert "--results" in capsys.readouterr().err


def test_tables_in_the_documentation_are_replaced_between_their_marks():
    begin, end = (mark.format("claims") for mark in page.MARKS)
    text = f"before\n{begin}\nold\n{end}\nafter"
    assert page.between(text, "claims", "new") == f"before\n{begin}\n\nnew\n\n{end}\nafter"
    assert page.between("nothing here", "claims", "new") == "nothing here"


def test_the_examples_in_the_docstrings():
    for module in (cells, intervals):
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert found.attempted
        assert not found.failed


def test_every_claim_is_about_curves_that_are_run():
    """Figures 2 to 6 each have claims, and none asks for a panel or method that is not there."""
    found = [claim for claims in page.all_claims().values() for claim in claims]
    assert {claim.figure for claim in found} == {2, 3, 4, 5, 6}
    everything = {(p.figure, p.file, arm) for p in panels.PANELS for arm in p.arms}
    asked = set()

    class Asking(Results):
        def record(self, figure, panel, arm):
            asked.add((figure, panel, arm))
            raise NotRunError

    for claim in found:
        claim.run(Asking(None))
    assert asked <= everything
    assert len(asked) > 50
