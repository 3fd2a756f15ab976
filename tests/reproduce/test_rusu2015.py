"""Policy Distillation reproduced: the paper's numbers, the cells, the tables, the claims."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rusu2015
import rusu2015_cells
import rusu2015_claims
import rusu2015_running
import rusu2015_suites
import rusu2015_tables
from rusu2015_claims import FAILS, HOLDS, UNKNOWN, answer, claims
from rusu2015_paper import DQN, TABLE_1, TABLE_2, TABLE_B1, TABLE_B2
from rusu2015_running import failures, run_missing
from rusu2015_suites import SUITES, Cell, Suite, cells
from rusu2015_tables import all_tables, columns_1, kept, scores, with_interval
from several_tasks import NETWORK, TRAINING

from rldistill.evaluation.combined import geometric_mean
from rldistill.students.build import make_student
from rldistill.train.prepare_training import TrainRequest, train_teacher

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
    monkeypatch.setattr(rusu2015_running, "RESULTS", tmp_path)
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
    references = rusu2015.chosen(TINY, ["reference_*"])
    assert len(references) == 4
    run_missing(TINY, references)
    out = capsys.readouterr().out
    assert "reference_Follow_seed0: not run: NoTeacherError: no teacher of Follow" in out
    assert not list(results.rglob("*.json"))
    page = "\n".join(rusu2015.page_lines(TINY))
    assert "| `reference_Opposite_seed1` | NoTeacherError: no teacher of Opposite |" in page


def broken(suite: Suite, cell: Cell, scratch: Path) -> dict[str, Any]:
    """A cell in which anything goes wrong, kills its process, or goes on for ever, by its seed."""
    if cell.method == "mse":
        raise ZeroDivisionError("of all things")
    if cell.method == "nll":
        os._exit(3)
    if cell.method == "kl":
        time.sleep(60)
    return {"returns": {"Follow": [1.0]}}


def test_what_goes_wrong_in_a_cell_is_named_and_the_others_run(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of any kind, a process that dies, and one over time; a second try can mend it."""
    monkeypatch.setitem(rusu2015_cells.KINDS, "scratch", broken)
    methods = ("mse", "nll", "kl", "fine")
    planned = [Cell("scratch", ("Follow",), "", method) for method in methods]
    started = time.monotonic()
    run_missing(TINY, planned, jobs=4, limit=0.05)
    assert time.monotonic() - started < 30
    out = capsys.readouterr().out
    assert "4 of 4 cells are missing" in out
    assert "scratch_Follow_fine_seed0: Follow 1.00" in out
    assert failures(TINY) == {
        "scratch_Follow_mse_seed0": "ZeroDivisionError: of all things",
        "scratch_Follow_nll_seed0": "its process ended with 3",
        "scratch_Follow_kl_seed0": "not done after 0.05 minutes",
    }
    monkeypatch.setitem(rusu2015_cells.KINDS, "scratch", lambda *_: {"returns": {"Follow": [2.0]}})
    run_missing(TINY, planned)
    assert not failures(TINY)
    assert "3 of 4 cells are missing" in capsys.readouterr().out


def test_after_the_minutes_no_cell_is_begun(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_missing(TINY, rusu2015.chosen(TINY, ["*"]), minutes=0.0)
    assert "time is up" in capsys.readouterr().out
    assert not list(results.rglob("*.*"))


def test_a_pattern_that_no_cell_is_like_is_refused() -> None:
    with pytest.raises(SystemExit, match="no cell of tiny is like distil_x"):
        rusu2015.chosen(TINY, ["distil_x"])


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
    follow = chosen["follow"]
    looks = rusu2015_cells.run(suite, follow)["looks"]
    last = int(looks[-1]["version"].removesuffix(" steps"))
    rusu2015.write_page(suite, results)
    assert "](tiny-Follow-seed0.svg)" in (results / "tiny.md").read_text()
    assert (results / "tiny-Follow-seed0.svg").stat().st_size > 1_000
    assert last >= suite.teacher_steps  # the teacher learnt to its end while it was followed
    run_missing(suite, rusu2015.chosen(suite, ["reference_*"]))
    assert "1 of 2 cells are missing" in capsys.readouterr().out
    kl = Cell("distill", ("Follow",), "mlp:32", "kl", 0)
    rusu2015_cells.run(suite, kl)
    (value,) = scores(suite, "Follow", columns_1(suite)[2].cell)
    assert 4.0 < value <= 8.0
    assert kept(suite, "Follow", [value], raw=True)[0] == pytest.approx(
        value
        / np.mean(rusu2015_cells.run(suite, Cell("reference", ("Follow",)))["returns"]["Follow"])
    )
    assert any("| Follow | " in line and "(1 seed)" in line for line in all_tables(suite))


def test_clipped_rewards_reach_every_teacher_that_is_trained_here(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of follow too; a result made otherwise does not count."""
    seen: list[bool] = []

    def watched(request: TrainRequest) -> None:
        seen.append(request.settings.learning.clip_rewards)
        raise ZeroDivisionError

    monkeypatch.setattr(rusu2015_cells, "prepare_training", watched)
    clipped = replace(TINY, clip_rewards=True)
    for suite in (TINY, clipped):
        for kind in rusu2015_cells.OWN_TEACHERS:
            cell = Cell(kind, ("Follow",), "mlp:16", "kl" if kind == "follow" else "")
            with pytest.raises(ZeroDivisionError):
                rusu2015_cells.run(suite, cell)
            assert rusu2015_cells.made_with(suite, cell)["clip_rewards"] == suite.clip_rewards
    assert seen == [False] * 3 + [True] * 3


def test_joint_learning_is_compared_with_the_teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's order is KL, NLL, teachers, Multi-DQN: the teachers' claim is about them."""

    def made_up(suite: Suite, cell: Cell) -> dict[str, Any]:
        mean = {"reference": 10.0, "multi-dqn": 8.0, "merge": 6.0}.get(cell.kind, 9.0)
        returns = {game: [mean + 0.01 * cell.seed] for game in cell.games}
        return {"returns": returns, "random": {key: [1.0] for key in cell.games}, "looks": [],
                "teacher_variance": None}  # fmt: skip

    for module in (rusu2015_tables, rusu2015_claims):
        monkeypatch.setattr(module, "result", made_up)
    answers = {claim.text: claim.answer for claim in claims(TINY)}
    teachers = "Several games: teachers are better than joint Q-learning (Multi-DQN, 84 %)"
    assert answers[teachers] == HOLDS
    assert answers["Several games: KL is better than joint Q-learning (117 against 84 %)"] == FAILS


def test_a_result_of_other_settings_does_not_count(results: Path) -> None:
    make_teachers()
    cell = Cell("reference", ("Follow",))
    rusu2015_cells.run(TINY, cell)
    assert rusu2015_cells.result(TINY, cell) is not None
    assert rusu2015_cells.result(replace(TINY, episodes=17), cell) is None
