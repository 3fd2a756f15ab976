"""Groups: runs that differ in their seed alone; scores by task; never the best of seeds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run, seeds_of

from rldistill.reports.groups import common_scores, group_runs, task_scores
from rldistill.reports.record import RunRecord, read_run
from rldistill.reports.several import frontier_section, improvement_section, several_sections
from rldistill.runs import RunFolder


def record(path: Path, **changes: Any) -> RunRecord:
    return read_run(RunFolder.open(made_run(path, **changes)))


@pytest.fixture
def runs(tmp_path: Path) -> list[RunRecord]:
    return [read_run(RunFolder.open(path)) for path in seeds_of(tmp_path)]


def test_seeds_of_one_method_are_a_group(runs: list[RunRecord]) -> None:
    """Named by what differs; the run that was cut off has no score."""
    groups = group_runs(runs)
    assert [(g.name, len(g.runs)) for g in groups] == [("dagger", 7), ("rusu-kl", 6)]
    assert groups[0].scores.keys() == {"Made-v0", "Other-v0"}
    np.testing.assert_allclose(groups[0].scores["Made-v0"], [0.93, 0.96, 0.99])


def test_students_of_two_teachers_of_one_task_are_two_groups(tmp_path: Path) -> None:
    """But one teacher per task makes no groups."""

    def of(name: str, teacher: str, task: str) -> RunRecord:
        told = {"teacher": {"name": "PPO", "sha256": teacher}, "task": {"id": task}}
        return record(tmp_path / name, student=told)

    assert len(group_runs([of("a", "11", "A"), of("b", "22", "B")])) == 1
    split = group_runs([of("c", "11", "A"), of("d", "22", "A")])
    assert [group.name for group in split] == ["11", "22"]


def test_a_multi_task_run_has_a_score_per_task(tmp_path: Path) -> None:
    """What verdict.json lists under `tasks`; entries of other types are left out."""
    by_id = {"A-v0": {"fraction": 0.5, "verdict": "fails"}, "B-v0": {"fraction": 1.5}, "C": 3}
    merged = record(tmp_path / "merged", outcome={"tasks": by_id})
    assert (merged.state, merged.problems) == ("finished", ())
    assert [(s.task, s.fraction, s.word) for s in task_scores(merged)] == [
        ("A-v0", 0.5, "fails"), ("B-v0", 1.5, None),
    ]  # fmt: skip
    tasks = [{"task": "A-v0", "fraction": 0.5, "verdict": "fails"}, {"id": "B-v0", "fraction": 1.5},
             {"task": {"id": "C-v0"}, "fraction": True}, "D", {"fraction": 1.0}]  # fmt: skip
    found = task_scores(record(tmp_path / "run", outcome={"tasks": tasks}))
    assert [(s.task, s.fraction, s.word) for s in found] == [
        ("A-v0", 0.5, "fails"), ("B-v0", 1.5, None), ("C-v0", None, None),
    ]  # fmt: skip


def test_the_matrix_has_a_column_per_task_of_a_multi_task_run(tmp_path: Path) -> None:
    tasks = [{"task": f"{name}-v0", "fraction": 0.5} for name in "AB"]
    both = [
        record(tmp_path / f"run{i}", outcome={"tasks": tasks}, student={"seed": i})
        for i in range(2)
    ]
    (matrix,) = [s for s in several_sections(both) if s.title == "By task"]
    assert [column.name for column in matrix.tables[0].columns] == ["group", "A-v0", "B-v0"]
    assert matrix.tables[0].rows == (("dagger · mlp:8", 0.5, 0.5),)


def test_groups_are_compared_on_the_tasks_that_all_have(runs: list[RunRecord]) -> None:
    kept = [run for run in runs if not (run.method == "rusu-kl" and run.task == "Other-v0")]
    tasks, scores = common_scores(group_runs(kept))
    assert tasks == ["Made-v0"]
    assert [len(matrix) for matrix in scores] == [1, 1]
    assert common_scores([]) == ([], [])


def test_every_run_of_one_method_beats_every_run_of_the_other(runs: list[RunRecord]) -> None:
    """Probability 1, and a p-value of all splits of both tasks: 2 / 20 ** 2."""
    section = improvement_section(group_runs(runs))
    (row,) = section.tables[0].rows
    assert row[:2] == ("dagger > rusu-kl", 1.0)
    assert row[4] == pytest.approx(2 / 400)


def test_the_frontier_takes_means_and_not_the_best_seed(runs: list[RunRecord]) -> None:
    section = frontier_section(group_runs(runs))
    points = {row[0]: row[1:3] for row in section.charts[0].data.rows}
    assert points["dagger"][0] == 100
    assert points["dagger"][1] == pytest.approx(0.96)
    assert points["rusu-kl"][1] == pytest.approx(0.73)


def test_several_runs_have_all_sections(runs: list[RunRecord]) -> None:
    titles = [section.title for section in several_sections(runs)]
    assert titles == [
        "Runs", "Learning curves", "Groups", "Return against size", "Which is better?", "By task",
    ]  # fmt: skip


def test_every_axis_has_a_title(runs: list[RunRecord]) -> None:
    charts = [chart for section in several_sections(runs) for chart in section.charts]
    assert len(charts) == 6
    for chart in charts:
        for axes in chart.figure.axes:
            assert axes.get_xlabel()
            assert axes.get_ylabel()


def test_each_task_may_have_its_own_student(tmp_path: Path) -> None:
    """Then methods are compared over all tasks; two students of one task are two groups."""

    def of(name: str, method: str, task: str, student: str) -> RunRecord:
        told = {"method": method, "task": {"id": task}, "architecture": student}
        return record(tmp_path / name, student=told)

    runs = [
        of(f"{m}{t}", m, t, s) for m in ("dagger", "rusu-kl") for t, s in (("A", "x"), ("B", "y"))
    ]
    assert [group.name for group in group_runs(runs)] == ["dagger", "rusu-kl"]
    assert common_scores(group_runs(runs))[0] == ["A", "B"]
    more = [*runs, of("more", "dagger", "A", "z")]
    assert [group.name for group in group_runs(more)] == [
        "dagger · x", "dagger · y", "dagger · z", "rusu-kl · x", "rusu-kl · y",
    ]  # fmt: skip


def test_runs_of_other_settings_are_no_seeds_of_one_group(tmp_path: Path) -> None:
    """Nor are those of one task with other settings of the environment scores of one task."""
    one, other = record(tmp_path / "a"), record(tmp_path / "b", student={"seed": 1})
    longer = replace(other, recipe={**other.recipe, "steps": 8192})
    assert len(group_runs([one, other])) == 1
    assert [g.name for g in group_runs([one, longer])] == ["steps 4096", "steps 8192"]
    windy = {"task": {"id": "Made-v0", "env_kwargs": {"wind": 2}}, "seed": 2}
    (group,) = group_runs([one, other, record(tmp_path / "c", student=windy)])
    assert {task: scores.size for task, scores in group.scores.items()} == {
        "Made-v0": 2, "Made-v0 (wind=2)": 1,
    }  # fmt: skip


def test_a_copy_of_a_run_counts_once(tmp_path: Path) -> None:
    """It would make the interval of seeds too narrow."""
    runs = [record(tmp_path / name, student={"seed": 3}) for name in ("a", "copy")]
    (group,) = group_runs(runs)
    assert group.scores["Made-v0"].tolist() == [0.98]
