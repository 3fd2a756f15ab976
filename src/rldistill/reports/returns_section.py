"""What the measured episodes returned, and what the two policies cost."""

import numpy as np

from rldistill.evaluation.evidence import RANDOM, STUDENT, TEACHER, PolicyCost, RunEvidence
from rldistill.maths.stats import estimate, iqm
from rldistill.reports.plots import costs_plot, paired_plot, returns_plot
from rldistill.reports.plots.returns import REWARD
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Chart, Column, Section, Table

POLICIES = {"student": STUDENT, "teacher": TEACHER, "random policy": RANDOM}
BOOTSTRAP = "95 % percentile bootstrap over episodes (Efron and Tibshirani 1993, section 13.3)"


def returns_section(evidence: RunEvidence) -> Section:
    """Returns of student, teacher and random policy, and their differences where paired."""
    episodes = evidence.episodes
    count = len(episodes.seeds)
    words = [
        f"{count} episodes of each policy on {evidence.task} ({evidence.backend}), from "
        "starts that are used for nothing else: they chose neither the student nor the word."
    ]
    charts = [_distribution(evidence)]
    if episodes.paired:
        charts.append(_differences(evidence))
    else:
        words.append(
            "Starts are not equal by seed in this task, so the policies cannot be compared "
            "start by start."
        )
    return Section("Returns", tuple(words), tuple(charts), (_summary(evidence),))


def _distribution(evidence: RunEvidence) -> Chart:
    episodes = evidence.episodes
    samples = {name: episodes.returns[row] for name, row in POLICIES.items()}
    means = ", ".join(f"{name} {values.mean():.4g}" for name, values in samples.items())
    columns = (
        Column("episode"), Column("seed"), *(Column(name, REWARD) for name in POLICIES),
        *(Column(f"length of {name}", "env steps") for name in POLICIES),
    )  # fmt: skip
    rows = tuple(
        (i, int(seed), *map(float, episodes.returns[:, i]), *map(int, episodes.lengths[:, i]))
        for i, seed in enumerate(episodes.seeds)
    )
    return Chart(
        figure=returns_plot(samples),
        title="Return of every episode",
        alt=f"Returns of {len(rows)} episodes of each policy; means: {means}.",
        caption="Points: episodes. Box: quartiles and median, whiskers at most 1.5 times as far. "
        f"Diamond and bar: mean and its interval ({BOOTSTRAP}).",
        data=Table(columns, rows),
    )


def _differences(evidence: RunEvidence) -> Chart:
    episodes = evidence.episodes
    differences = episodes.returns[STUDENT] - episodes.returns[TEACHER]
    mean = estimate(differences)
    ends = "" if mean.low is None else f", 95 % interval {mean.low:.4g} to {mean.high:.4g}"
    better, equal = int((differences > 0).sum()), int((differences == 0).sum())
    order = np.argsort(differences, kind="stable")
    rows = tuple((int(episodes.seeds[i]), float(differences[i])) for i in order)
    return Chart(
        figure=paired_plot(differences, mean),
        title="Student minus teacher from the same start",
        alt=f"Differences from {len(rows)} equal starts, sorted; mean {mean.value:.4g}{ends}.",
        caption=f"Mean difference {mean.value:.4g}{ends}; paired by seed, {BOOTSTRAP}. The student "
        f"returned more from {better} of {len(rows)} starts, the same from {equal}.",
        data=Table((Column("seed"), Column("student minus teacher", REWARD)), rows),
    )


def _summary(evidence: RunEvidence) -> Table:
    columns = (
        Column("policy"), Column("mean return", "reward"), Column("95 % low", "reward"),
        Column("95 % high", "reward"), Column("IQM", "reward"), Column("deviation", "reward"),
        Column("worst", "reward"), Column("best", "reward"), Column("mean length", "env steps"),
    )  # fmt: skip
    rows: list[tuple[str | float | None, ...]] = []
    for name, row in POLICIES.items():
        returns, lengths = evidence.episodes.returns[row], evidence.episodes.lengths[row]
        mean = estimate(returns)
        rows.append(
            (
                name, mean.value, mean.low, mean.high, float(iqm(returns)), float(returns.std()),
                float(returns.min()), float(returns.max()), float(lengths.mean()),
            )
        )  # fmt: skip
    return Table(columns, tuple(rows), title="Returns in numbers")


def costs_section(record: RunRecord, evidence: RunEvidence | None) -> Section:
    """Sizes and latency of both policies, and what the run took."""
    tables = [table for table in (_training(record),) if table is not None]
    if evidence is None:
        return Section("Size, latency, cost", (), (), tuple(tables))
    teacher, student = evidence.teacher_cost, evidence.student_cost
    sides = {"teacher": teacher, "student": student}
    costs = {
        "parameters": {name: float(cost.parameters) for name, cost in sides.items()},
        "memory [bytes]": {name: float(cost.num_bytes) for name, cost in sides.items()},
        "latency [µs per decision]": {n: 1e6 * cost.latency_seconds for n, cost in sides.items()},
    }
    # A policy that is a function has no numbers that could be counted.
    drawn = {title: numbers for title, numbers in costs.items() if min(numbers.values()) > 0.0}
    charts = (_costs_chart(drawn, teacher, student),) if drawn else ()
    return Section("Size, latency, cost", (), charts, tuple(tables))


def _costs_chart(
    drawn: dict[str, dict[str, float]], teacher: PolicyCost, student: PolicyCost
) -> Chart:
    rows = tuple((title, *numbers.values()) for title, numbers in drawn.items())
    share = f"{100 * student.parameters / max(teacher.parameters, 1):.3g} %"
    return Chart(
        figure=costs_plot(drawn),
        title="What a decision takes",
        alt=f"Teacher against student: {teacher.parameters:,} against {student.parameters:,} "
        f"parameters, {1e6 * teacher.latency_seconds:.3g} against "
        f"{1e6 * student.latency_seconds:.3g} microseconds per decision.",
        caption=f"The student has {share} of the teacher's parameters (critics not counted). "
        "Latency: median of 300 single decisions in Python on one thread of the machine of the "
        "run; most of it is the call, not the arithmetic.",
        data=Table((Column("cost"), Column("teacher"), Column("student")), rows),
    )


def _training(record: RunRecord) -> Table | None:
    costs = (
        ("training", "env steps", record.number("env_steps")),
        ("training, without tests", "s", record.number("train_seconds")),
        ("everything, imports left out", "s", record.number("total_seconds")),
    )
    rows = tuple((what, number, unit) for what, unit, number in costs if number is not None)
    columns = (Column("what it took"), Column("amount"), Column("unit"))
    return Table(columns, rows, title="What the run took") if rows else None
