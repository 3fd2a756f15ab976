"""Several runs: one table of all, and what their scores show by group and task."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from rldistill.maths import comparison
from rldistill.reports.curves import curves_section
from rldistill.reports.groups import (
    MOST_GROUPS,
    Group,
    common_scores,
    group_runs,
    task_scores,
)
from rldistill.reports.page import Page
from rldistill.reports.plots import several as plots
from rldistill.reports.plots.several import Point
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Cell, Chart, Column, Section, Table
from rldistill.reports.svg import drawing

SEEDS = (
    "Intervals are 95 % stratified bootstrap intervals over runs: they speak of other seeds on "
    "these tasks. A group with a single run on some task has none, and with fewer than five runs "
    "of a task they are too narrow: of three they hold the truth 75 times in 100."
)
PLURALS = {"holds": "hold", "fails": "fail"}
FRACTION = "fraction of the teacher's return"


def several_page(runs: Sequence[RunRecord]) -> Page:
    """What stands around the sections of several runs."""
    words = Counter(
        run.word or ("no verdict" if run.state == "finished" else run.state) for run in runs
    )
    said = ", ".join(
        f"{count:,} {word if count == 1 else PLURALS.get(word, word)}"
        for word, count in words.most_common()
    )
    tasks = sorted({score.task for run in runs for score in task_scores(run)})
    problems = [f"{run.name}: {text}." for run in runs for text in run.problems]
    left_out = len(problems) - 5
    more = (
        [f"{left_out:,} more runs have such problems; the table says which."]
        if left_out > 0
        else []
    )
    on = f" on {tasks[0]}" if len(tasks) == 1 else f" on {len(tasks)} tasks" if tasks else ""
    return Page(
        title=f"{len(runs):,} runs{on}",
        sentence=f"{len(runs):,} runs{on}: {said}.",
        problems=(*problems[:5], *more),
        footer="Made by rldistill; all of it is in this file.",
    )


def several_sections(runs: Sequence[RunRecord]) -> tuple[Section, ...]:
    """All sections, the table of runs first."""
    with drawing():
        return tuple(part for part in _sections(runs) if part is not None)


def _sections(runs: Sequence[RunRecord]) -> list[Section | None]:
    groups = [group for group in group_runs(runs) if group.scores]
    drawn = groups[:MOST_GROUPS]
    parts = [runs_section(runs), curves_section(runs)]
    if drawn:
        parts += [aggregate_section(drawn, len(groups)), frontier_section(drawn)]
    if len(drawn) > 1:
        parts.append(improvement_section(drawn))
    if len({score.task for run in runs for score in task_scores(run)}) > 1:
        parts.append(matrix_section(groups))
    return parts


def summary_tables(runs: Sequence[RunRecord]) -> tuple[Table, ...]:
    """What Markdown has of several runs: their groups, if they can be compared, and the runs."""
    groups = [group for group in group_runs(runs) if group.scores][:MOST_GROUPS]
    section = aggregate_section(groups, len(groups)) if groups else None
    columns = ("run", "verdict", "fraction", "low", "high", "task", "method", "student")
    (full,) = runs_section(runs).tables
    picks = [[column.name for column in full.columns].index(name) for name in columns]
    rows = tuple(tuple(row[i] for i in picks) for row in full.rows)
    table = Table(tuple(full.columns[i] for i in picks), rows)
    return (*(section.tables if section is not None else ()), table)


def runs_section(runs: Sequence[RunRecord]) -> Section:
    """The table of all runs, which sorts and filters."""
    columns = (
        Column("run"), Column("made", "UTC"), Column("state"), Column("verdict"),
        Column("fraction"), Column("low", "95 %"), Column("high", "95 %"),
        Column("return", "reward"), Column("task"), Column("method"), Column("student"),
        Column("parameters"), Column("seed"), Column("steps", "env steps"), Column("time", "s"),
    )  # fmt: skip
    table = Table(columns, tuple(run_row(run) for run in runs), "All runs", interactive=True)
    words = ("A click on a header sorts; the box shows the rows that have all of its words.",)
    return Section("Runs", words if len(runs) > 1 else (), tables=(table,))


def run_row(run: RunRecord) -> tuple[Cell, ...]:
    """One run in the order of the columns."""
    size = run.number("student_parameters") or run.number("parameters")
    return (
        run.name, run.created[:16].replace("T", " ") or None, run.state, run.word,
        run.number("fraction"), run.number("fraction_low"), run.number("fraction_high"),
        run.number("student_return"), run.task, run.method, run.architecture,
        size, None if run.seed is None else str(run.seed), run.number("env_steps"),
        run.number("total_seconds"),
    )  # fmt: skip


def aggregate_section(groups: Sequence[Group], all_groups: int) -> Section:
    """Interquartile mean and performance profile of each group, on the tasks that all have."""
    tasks, matrices = common_scores(groups)
    words = [
        "Runs of one method with one kind of student are a group; they differ in their seed and "
        "their task. Scores are fractions of the teacher's return, so that tasks can be compared. "
        + SEEDS
    ]
    if all_groups > len(groups):
        words.append(f"Of {all_groups:,} groups the {len(groups)} with the most runs are drawn.")
    if not tasks:
        words.append("No task has a score of every group, so they cannot be compared as a whole.")
        return Section("Groups", tuple(words))
    points = [
        Point(group.name, comparison.aggregate_iqm(scores), *interval_of([scores]))
        for group, scores in zip(groups, matrices, strict=True)
    ]
    columns = (
        Column("group"), Column("tasks"), Column("runs"), Column("IQM", "fraction"),
        Column("low", "95 %"), Column("high", "95 %"),
    )  # fmt: skip
    rows = tuple(
        (point.label, len(tasks), sum(s.size for s in scores), point.value, point.low, point.high)
        for point, scores in zip(points, matrices, strict=True)
    )
    table = Table(columns, rows, "Interquartile means", interactive=True)
    named = ", ".join(tasks[:8]) + (" and others" if len(tasks) > 8 else "")
    words.append(f"Compared on: {named}.")
    chart = profile_chart(groups, matrices)
    return Section("Groups", tuple(words), charts=(chart,), tables=(table,))


def interval_of(matrices: Sequence[comparison.Scores]) -> tuple[float | None, float | None]:
    """The interval of the IQM of one matrix, or of the improvement between two."""
    one = len(matrices) == 1
    statistic = comparison.aggregate_iqm if one else comparison.probability_of_improvement
    between = comparison.stratified_interval(matrices, statistic, resamples=1000)
    return (None, None) if between is None else (float(between[0]), float(between[1]))


def profile_chart(groups: Sequence[Group], matrices: Sequence[comparison.Scores]) -> Chart:
    """Performance profiles, with bands where every task has several runs."""
    values = np.concatenate([sample for scores in matrices for sample in scores])
    low, high = min(0.0, float(values.min())), max(1.1, float(values.max()))
    thresholds = np.linspace(max(low, -1.0), min(high, 2.0) + 0.02, 121)
    names = [group.name for group in groups]
    profiles = {
        name: comparison.performance_profile(scores, thresholds)
        for name, scores in zip(names, matrices, strict=True)
    }
    bands = {
        name: band
        for name, scores in zip(names, matrices, strict=True)
        if (band := comparison.stratified_interval(
            [scores], lambda drawn: comparison.performance_profile(drawn, thresholds), resamples=300
        )) is not None
    }  # fmt: skip
    floor = next((f for g in groups for r in g.runs if (f := r.number("floor")) is not None), None)
    rows = tuple(
        (float(t), *(float(p[i]) for p in profiles.values())) for i, t in enumerate(thresholds)
    )
    best = ", ".join(f"{name}: {float(np.mean(p)):.2f}" for name, p in profiles.items())
    return Chart(
        figure=plots.performance_profiles(thresholds, profiles, bands, floor),
        title="Performance profiles",
        alt=f"Share of runs above each fraction of the teacher's return. Mean height, {best}.",
        caption="Share of runs whose fraction is above τ, each task counting alike; higher is "
        "better everywhere. The dotted line is the fraction asked for. Agarwal et al. 2021.",
        data=Table((Column("τ", "fraction"), *(Column(name, "share") for name in names)), rows),
    )


def improvement_section(groups: Sequence[Group]) -> Section | None:
    """Probability that a run of one group is better than one of another, for every pair."""
    tasks, matrices = common_scores(groups)
    if not tasks:
        return None
    points: list[Point] = []
    p_values: list[float] = []
    for (a, x), (b, y) in combinations(zip(groups, matrices, strict=True), 2):
        value = comparison.probability_of_improvement(x, y)
        p_values.append(comparison.improvement_p_value(x, y))
        points.append(Point(f"{a.name}\n> {b.name}", value, *interval_of([x, y])))
    named = [(point.label.replace("\n", " "), point) for point in points]
    rows = tuple(
        (name, point.value, point.low, point.high, p)
        for (name, point), p in zip(named, p_values, strict=True)
    )
    columns = (
        Column("X > Y"),
        Column("probability"),
        Column("low", "95 %"),
        Column("high", "95 %"),
        Column("p-value"),
    )
    said = "; ".join(f"{name}: {point.value:.2f}" for name, point in named)
    chart = Chart(
        figure=plots.forest(points, ("probability that X is better than Y", "X > Y"), 0.5),
        title="Probability of improvement",
        alt=f"Probability of improvement with its interval for every pair of groups. {said}.",
        caption="P(X > Y) + P(X = Y) / 2 of a random run of each on the same task, averaged over "
        "tasks; 0.5 says that neither is better. Agarwal et al. 2021.",
        data=Table(columns, rows),
    )
    words = (
        SEEDS,
        "The p-value is that of a permutation test of whether the two groups differ at all: it is "
        "exact however few the runs. It is not corrected for the number of pairs.",
    )
    return Section("Which is better?", words, charts=(chart,), tables=(Table(columns, rows),))


def frontier_section(groups: Sequence[Group]) -> Section | None:
    """Return against parameters: the mean over seeds of each group, averaged over tasks."""
    tasks, matrices = common_scores(groups)
    points = [
        Point(
            group.name,
            float(np.mean([sample.mean() for sample in scores])),
            *mean_interval(scores),
            group.parameters,
        )
        for group, scores in zip(groups, matrices or [[]] * len(groups), strict=True)
        if tasks and group.parameters
    ]
    if len(points) < 2:
        return None
    columns = (
        Column("group"), Column("parameters"), Column("fraction"), Column("low", "95 %"),
        Column("high", "95 %"),
    )  # fmt: skip
    rows = tuple((p.label, round(p.x), p.value, p.low, p.high) for p in points)
    said = "; ".join(f"{p.label}: {p.value:.3g} with {p.x:,.0f} parameters" for p in points)
    chart = Chart(
        figure=plots.size_frontier(points, FRACTION),
        title="Size frontier",
        alt=f"Fraction of the teacher's return against parameters. {said}.",
        caption="Each point is the mean over the runs of a group, never the best of them; the "
        "dotted line joins those that no smaller group reaches.",
        data=Table(columns, rows),
    )
    return Section("Return against size", charts=(chart,))


def mean_interval(scores: comparison.Scores) -> tuple[float | None, float | None]:
    """Of the mean over tasks of the mean over runs."""
    between = comparison.stratified_interval(
        [scores], lambda drawn: float(np.mean([s.mean() for s in drawn])), resamples=1000
    )
    return (None, None) if between is None else (float(between[0]), float(between[1]))


def matrix_section(groups: Sequence[Group]) -> Section:
    """Groups by tasks: mean fraction, and how many runs it comes from."""
    shown = groups[:200]
    tasks = sorted({task for group in shown for task in group.scores})[:60]
    columns = (Column("group"), *(Column(task, "mean fraction") for task in tasks))
    rows: list[tuple[Cell, ...]] = []
    for group in shown:
        scores = group.scores
        rows.append((
            group.name,
            *(float(scores[task].mean()) if task in scores else None for task in tasks),
        ))  # fmt: skip
    words = (
        "Mean fraction of the teacher's return over the runs of a group, by task. A multi-task "
        "student has a column for each of its tasks.",
    )
    return Section("By task", words, tables=(Table(columns, tuple(rows), interactive=True),))
