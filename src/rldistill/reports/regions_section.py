"""Where the two policies go, and how alike they act there, by region of the space of states."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldistill.evaluation.agreement import CLOSE
from rldistill.evaluation.evidence import STUDENT, TEACHER, RunEvidence, States
from rldistill.maths.clusters import cluster_mean
from rldistill.maths.components import Components, principal_components
from rldistill.reports.plots import Region, map_plot, regions_plot, visitation_plot
from rldistill.reports.plots.regions import GRID_CELLS, grid_means
from rldistill.reports.section import Chart, Column, Section, Table

Array = NDArray[Any]
RANGES = 5  # of one number, with about as many states each
FEATURES_SHOWN = 2
FEWEST_STATES = 20


def agreement_section(evidence: RunEvidence) -> Section:
    """How often the two choose alike where the student goes: by number, and over a map."""
    states = evidence.states
    rows = np.flatnonzero(~states.extreme & (states.visitor == STUDENT))
    title = "Agreement by region"
    if len(rows) < FEWEST_STATES:
        return Section(title, ("Too few states were kept to say where the two agree.",))
    mean = cluster_mean(states.same[rows], states.episode[rows])
    ends = "" if mean.low is None else f" (95 % interval {mean.low:.3f} to {mean.high:.3f})"
    alike = (
        ""
        if evidence.is_discrete
        else f" Alike are components of an action within {100 * CLOSE:g} % of their range."
    )
    words = (
        f"On {len(rows):,} states that the student visits both choose alike in {mean.value:.3f} of "
        f"them{ends}.{alike} Intervals resample whole episodes, since states of one episode are "
        "alike (Davison and Hinkley 1997, section 3.8).",
    )
    if states.same[rows].std() == 0.0:
        return Section(title, (*words, "It is the same in every region."))
    charts = [_along(evidence, rows, column) for column in dividing_features(evidence, rows)]
    return Section(title, words, (*charts, _map(evidence, rows)))


def dividing_features(evidence: RunEvidence, rows: Array) -> list[int]:
    """The numbers along which agreement varies most: by the share of its variance between ranges.

    Empty where observations are pictures.
    """
    if not evidence.feature_names:
        return []
    states, shares = evidence.states, []
    for column in range(states.features.shape[1]):
        place = _ranges(states.features[rows, column])[0]
        sizes = np.bincount(place)
        means = np.bincount(place, states.same[rows]) / np.maximum(sizes, 1)
        between = float((sizes * (means - states.same[rows].mean()) ** 2).sum())
        shares.append(between if (sizes > 0).sum() > 1 else -1.0)
    order = np.argsort(-np.array(shares), kind="stable")[:FEATURES_SHOWN]
    return [int(column) for column in order if shares[column] > 0.0]


def _ranges(values: Array) -> tuple[Array, Array, Array]:
    """Which of at most RANGES ranges each value is in, and their lower and upper ends.

    A number of a few values, such as a flag, has one range per value.
    """
    found = np.unique(values)
    if len(found) <= RANGES:
        return np.searchsorted(found, values), found, found
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, RANGES + 1)))
    return np.searchsorted(edges[1:-1], values, side="right"), edges[:-1], edges[1:]


def _along(evidence: RunEvidence, rows: Array, column: int) -> Chart:
    states, name = evidence.states, evidence.feature_names[column].heading
    values = states.features[rows, column]
    place, low, high = _ranges(values)
    regions = [
        Region(
            float(low[i]),
            float(high[i]),
            cluster_mean(states.same[rows][place == i], states.episode[rows][place == i]),
            int((place == i).sum()),
        )
        for i in range(len(low))
        if (place == i).any()
    ]
    worst = min(regions, key=lambda region: region.agreement.value)
    single = all(region.low == region.high for region in regions)
    how = "One point per value." if single else "Ranges hold about as many states each."
    columns = (
        Column("from"), Column("to"), Column("same choice", "share of states"),
        Column("95 % low"), Column("95 % high"), Column("states"),
    )  # fmt: skip
    table = tuple(
        (r.low, r.high, r.agreement.value, r.agreement.low, r.agreement.high, r.states)
        for r in regions
    )
    return Chart(
        figure=regions_plot(regions, name),
        title=f"Along {evidence.feature_names[column].name}",
        alt=f"Share of equal choices in {len(regions)} ranges of {name}; lowest, "
        f"{worst.agreement.value:.3f}, between {worst.low:.3g} and {worst.high:.3g}.",
        caption=f"{how} This number is shown because agreement "
        "varies more along it than along most others, which makes the contrast look large.",
        data=Table(columns, table),
    )


def _plane(evidence: RunEvidence) -> tuple[Components, Array, tuple[str, str]]:
    """The two widest directions of the fair sample: scores, its rows, titles."""
    rows = np.flatnonzero(~evidence.states.extreme)
    found = principal_components(evidence.states.features[rows])
    first, second = (
        f"component {i + 1}, {100 * found.explained[i]:.0f} % of variance [deviations]"
        for i in range(2)
    )
    return found, rows, (first, second)


def describe_directions(evidence: RunEvidence, found: Components) -> str:
    """What the two directions are made of, for the caption."""
    if not evidence.feature_names:
        return "The directions are the principal components of random projections of the pictures."
    parts: list[str] = []
    for i in range(2):
        largest = np.argsort(-np.abs(found.loadings[i]), kind="stable")[:3]
        named = ", ".join(
            f"{evidence.feature_names[j].name} ({found.loadings[i, j]:+.2f})"
            for j in largest
            if abs(found.loadings[i, j]) > 0.01
        )
        parts.append(f"component {i + 1}: {named or 'nothing'}")
    return f"Principal components of the standardised numbers; {'; '.join(parts)}."


def _map(evidence: RunEvidence, rows: Array) -> Chart:
    found, all_rows, titles = _plane(evidence)
    mine = np.isin(all_rows, rows)
    points, same = found.scores[mine], evidence.states.same[rows].astype(np.float64)
    means, x_edges, y_edges = grid_means(points, same, GRID_CELLS)
    table = tuple(
        (float(x_edges[i]), float(x_edges[i + 1]), float(y_edges[j]), float(y_edges[j + 1]),
         float(means[i, j]))
        for i in range(GRID_CELLS)
        for j in range(GRID_CELLS)
        if np.isfinite(means[i, j])
    )  # fmt: skip
    columns = (
        Column("component 1 from"), Column("component 1 to"), Column("component 2 from"),
        Column("component 2 to"), Column("same choice", "share of states"),
    )  # fmt: skip
    return Chart(
        figure=map_plot(points, same, titles),
        title="Over the states that the student visits",
        alt=f"Map of {len(table)} cells: the share of equal choices is between "
        f"{min(row[-1] for row in table):.2f} and {max(row[-1] for row in table):.2f}.",
        caption=f"{describe_directions(evidence, found)} Cells hold a few states only: read "
        "regions, not single cells.",
        data=Table(columns, table),
    )


def visitation_section(evidence: RunEvidence) -> Section:
    """Which states the teacher and the student visit, in one picture."""
    title = "Where the two go"
    states = evidence.states
    if (~states.extreme).sum() < FEWEST_STATES:
        return Section(title, ("Too few states were kept to draw where the two go.",))
    found, rows, titles = _plane(evidence)
    who = states.visitor[rows]
    clouds = {
        name: found.scores[who == code]
        for name, code in (("teacher", TEACHER), ("student", STUDENT))
        if (who == code).any()
    }
    columns = (
        Column("visited by"), Column("episode"), Column("step", "env steps"),
        Column("component 1", "deviations"), Column("component 2", "deviations"),
    )  # fmt: skip
    table = tuple(
        (
            "teacher" if states.visitor[row] == TEACHER else "student",
            int(states.episode[row]),
            int(states.step[row]),
            float(score[0]),
            float(score[1]),
        )
        for row, score in zip(rows, found.scores, strict=True)
    )
    chart = Chart(
        figure=visitation_plot(clouds, titles),
        title="States visited by teacher and student",
        alt=_apart(states, rows, found),
        caption=f"A fair sample of the states of one round of episodes. "
        f"{describe_directions(evidence, found)}",
        data=Table(columns, table),
    )
    return Section(title, (), (chart,))


def _apart(states: States, rows: Array, found: Components) -> str:
    """One sentence: how far apart the two clouds lie, in deviations."""
    who = states.visitor[rows]
    centres = [found.scores[who == code].mean(0) for code in (STUDENT, TEACHER)]
    gap = float(np.linalg.norm(centres[0] - centres[1]))
    spread = float(np.sqrt(found.scores.var(0).sum()))
    return (
        f"Two clouds of states in two directions; their centres are {gap:.2f} apart, where states "
        f"deviate by {spread:.2f} from their mean."
    )
