"""Policy Distillation reproduced: the paper's numbers, the cells, the tables, the claims."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rusu2015
import rusu2015_cells
import rusu2015_suites
from rusu2015_claims import FAILS, HOLDS, UNKNOWN, answer, claims
from rusu2015_paper import DQN, TABLE_1, TABLE_2, TABLE_B1, TABLE_B2
from rusu2015_suites import SUITES, Cell, Suite, cells
from rusu2015_tables import all_tables, columns_1, kept, scores, with_interval
from several_tasks import NETWORK, TRAINING

from rldistill.evaluation.combined import geometric_mean
from rldistill.students.build import make_student
from rldistill.train.prepare_training import train_teacher

TINY = Suite(
    name="tiny",
    tasks={"Follow": "Follow-v0", "Opposite": "Opposite-v0"},
    loss_games=("Follow", "Opposite"),
    merge_games=("Follow", "Opposite"),
    follow_games=("Follow",),
    nets={"100%": "mlp:32", "25%": "mlp:16", "7%": "mlp:8", "4%": "mlp:4"},
    multi="multi:mlp:16,fc16",
    multi_all="multi:mlp:32,fc16",
    steps=2_000,
    teacher_steps=5_000,
    episodes=16,
    seeds=2,
)


@pytest.mark.parametrize(
    ("rows", "name", "mean"),
    [
        (TABLE_1, "mse", 79.0), (TABLE_1, "nll", 102.5), (TABLE_1, "kl", 111.3),
        (TABLE_B1, "25%", 108.3), (TABLE_B1, "7%", 101.7), (TABLE_B1, "4%", 83.9),
        (TABLE_B2, "multi-dqn", 83.5), (TABLE_B2, "multi-nll", 105.1),
        (TABLE_B2, "multi-kl", 116.9), (TABLE_2, "all-kl", 89.3),
    ],
)  # fmt: skip
def test_the_papers_numbers_make_the_papers_means(
    rows: dict[str, dict[str, float]], name: str, mean: float
) -> None:
    """Geometric means that the paper prints, or that follow from its rows, to its rounding."""
    shares = [100 * values[name] / DQN[game] for game, values in rows.items()]
    assert geometric_mean(shares) == pytest.approx(mean, abs=0.15)


@pytest.mark.parametrize("suite", [*SUITES.values(), SUITES["minatar"].quick()])
def test_every_cell_has_a_file_of_its_own(suite: Suite) -> None:
    files = [cell.file for cell in cells(suite)]
    assert len(set(files)) == len(files)


def test_the_small_nets_are_as_small_as_the_papers() -> None:
    """25, 7 and 4 % of the largest, on every game, within a percentage point."""
    from gymnasium import spaces

    shapes = {"Breakout": (4, 3), "Asterix": (4, 5), "Freeway": (7, 3), "Seaquest": (10, 6)}
    for channels, actions in shapes.values():
        sizes = [
            make_student(
                net, spaces.Box(0, 1, (10, 10, channels), np.uint8), spaces.Discrete(actions)
            ).info.parameters
            for net in SUITES["minatar"].nets.values()
        ]
        shares = [100 * size / sizes[0] for size in sizes]
        assert shares == pytest.approx([100, 25.3, 6.7, 3.7], abs=0.6)


def test_what_can_be_told_from_differences() -> None:
    assert answer([0.1, 0.2, 0.15])[0] == HOLDS
    assert answer([-0.1, -0.2, -0.15])[0] == FAILS
    assert answer([-0.1, 0.1])[0] == UNKNOWN
    assert answer([0.5]) == (UNKNOWN, "+50.0 points, one seed")
    assert answer([]) == (UNKNOWN, "not run")


def test_intervals_are_over_seeds() -> None:
    assert with_interval([]) == "not run"
    assert with_interval([0.5], percent=True) == "50.0 (1 seed)"
    assert with_interval([1.0, 1.0]) == "1.00 [1.00, 1.00]"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of results."""
    monkeypatch.setattr(rusu2015_suites, "RESULTS", tmp_path)
    monkeypatch.setattr(rusu2015_cells, "RESULTS", tmp_path)
    return tmp_path


def make_teachers() -> None:
    for game, task in TINY.tasks.items():
        train_teacher(task, NETWORK, out=TINY.teacher(game), settings=TRAINING)


def test_nothing_run_is_shown_as_that(results: Path) -> None:
    page = "\n".join(rusu2015.page_lines(TINY))
    assert "0 of " in page
    assert "| Follow | not run |" in page
    assert {claim.answer for claim in claims(TINY)} == {UNKNOWN}


def test_without_teachers_cells_are_passed_over(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rusu2015.run_missing(TINY, None, ["reference", "distill"])
    out = capsys.readouterr().out
    assert "reference_Follow_seed0: not run: no teacher of Follow" in out
    assert not list(results.rglob("*.json"))


def chosen_reference(suite: Suite) -> dict[str, Any]:
    found = rusu2015_cells.result(suite, Cell("reference", ("Follow",)))
    assert found is not None
    return found


def test_one_cell_of_each_kind(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each gives returns of all its games; the tables and a second look find them."""
    make_teachers()
    suite = replace(TINY, seeds=1)
    chosen = {cell.kind: cell for cell in cells(suite)}
    for cell in chosen.values():
        record = rusu2015_cells.run(suite, cell)
        assert set(record["returns"]) == set(cell.games)
        assert all(len(values) == 16 for values in record["returns"].values())
        assert rusu2015_cells.result(suite, cell) == record
    assert len(chosen) == 6
    rusu2015.run_missing(suite, None, ["reference"])
    assert "0 of 2 cells" not in capsys.readouterr().out  # one more reference was missing
    kl = Cell("distill", ("Follow",), "mlp:32", "kl", 0)
    rusu2015_cells.run(suite, kl)
    (value,) = scores(suite, "Follow", columns_1(suite)[2].cell)
    assert 4.0 < value <= 8.0
    assert kept(suite, "Follow", [value], raw=True)[0] == pytest.approx(
        value
        / np.mean(rusu2015_cells.run(suite, Cell("reference", ("Follow",)))["returns"]["Follow"])
    )
    assert any("| Follow | " in line and "(1 seed)" in line for line in all_tables(suite))


def test_a_result_of_other_settings_does_not_count(results: Path) -> None:
    make_teachers()
    cell = Cell("reference", ("Follow",))
    rusu2015_cells.run(TINY, cell)
    assert rusu2015_cells.result(TINY, cell) is not None
    assert rusu2015_cells.result(replace(TINY, episodes=17), cell) is None
