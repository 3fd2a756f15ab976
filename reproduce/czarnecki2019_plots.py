"""The pictures: mean over worlds with 95 % bands, as SVG."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
from czarnecki2019_figure2 import LEARNING_RATE, METHODS, STEP, loss_of, path_of
from czarnecki2019_intervals import NotRunError, Results, mean_interval
from czarnecki2019_panels import BEST_VARIANT, PANELS, RATE_VARIANT, Panel
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Distinguishable with the common forms of colour blindness (Okabe and Ito), then two greys.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
ORDER = (
    "on-policy-distill",
    "entropy-regularised",
    "teacher-v-reward",
    "on-policy-distill+R",
    "value-gated+R",
    "exp-entropy-regularised",
    "baseline",
    "td-v0",
)
STYLE = {arm: (colour, "-") for arm, colour in zip(ORDER, COLOURS, strict=True)} | {
    "kl-regularised": ("#D55E00", "--"),
    "td-teacher-v": ("#999999", "--"),
    "student": ("#0072B2", "-"),
    "teacher": ("#D55E00", "-"),
    "uniform": ("#009E73", "-"),
}
MEASURES = {
    "kl_student": "KL where the student acts",
    "kl_teacher": "KL where the teacher acts",
    "kl_uniform": "KL where uniform acts",
    "returns": "return",
}


def new_figure(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Axes [rows][columns] on a figure that belongs to no window."""
    figure = Figure(figsize=(3.3 * columns, 2.7 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def draw_panel(axes: Axes, results: Results, panel: Panel, measure: str) -> list[int]:
    """Every method that has been run; returns its numbers of worlds."""
    counts: list[int] = []
    for arm in panel.arms:
        try:
            curves = results.curves(panel.figure, panel.file, arm, measure)
            found = [mean_interval(column) for column in curves.T]
        except NotRunError:
            continue
        # The start is drawn at 10: the axis is logarithmic.
        points = np.maximum(results.points(panel.figure, panel.file, arm), 10)
        colour, line = STYLE[arm]
        axes.plot(points, [i.estimate for i in found], line, color=colour, label=arm, lw=1.3)
        low, high = [i.low for i in found], [i.high for i in found]
        axes.fill_between(points, low, high, color=colour, alpha=0.18, lw=0)
        counts.append(len(curves))
        if measure == "returns" and len(counts) == 1:
            teacher = results.curves(panel.figure, panel.file, arm, "teacher")[:, 0].mean()
            axes.axhline(teacher, color="black", lw=0.8, ls=":")
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    if not counts:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center")
    return counts


def titled(panel: Panel, counts: list[int]) -> str:
    """Title with the number of worlds."""
    if not counts:
        return panel.title
    many = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"{panel.title} ({many} {'runs' if panel.figure == 6 else 'worlds'})"


def legend(figure: Figure, axes: Axes) -> None:
    """One for all panels, below."""
    lines, names = axes.get_legend_handles_labels()
    if lines:
        figure.legend(lines, names, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def figure_3(results: Results, variant: str) -> Figure:
    """Rows: what is measured. Columns: temperatures."""
    panels = [panel for panel in PANELS if (panel.figure, panel.variant) == (3, variant)]
    figure, axes = new_figure(len(MEASURES), len(panels))
    for column, panel in enumerate(panels):
        for row, (measure, words) in enumerate(MEASURES.items()):
            counts = draw_panel(axes[row][column], results, panel, measure)
            if row == 0:
                axes[row][column].set_title(titled(panel, counts), fontsize=9)
            if column == 0:
                axes[row][column].set_ylabel(words if row == 3 else f"{words}\n[nats per episode]")
    axes[-1][1].set_xlabel("iterations (episodes)")
    legend(figure, axes[-1][0])
    return figure


def figure_of_returns(results: Results, number: int, variant: str) -> Figure:
    """Figures 4, 5 and 6."""
    panels = [panel for panel in PANELS if (panel.figure, panel.variant) == (number, variant)]
    columns = 3 if len(panels) % 3 == 0 else 2
    figure, axes = new_figure(-(-len(panels) // columns), columns)
    flat = [axis for row in axes for axis in row]
    for axis, panel in zip(flat, panels, strict=True):
        counts = draw_panel(axis, results, panel, "returns")
        axis.set_title(titled(panel, counts), fontsize=9)
    for row in axes:
        row[0].set_ylabel("return")
    for axis in axes[-1]:
        axis.set_xlabel("iterations (episodes)")
    # The panel with the most methods names them all.
    legend(figure, max(flat, key=lambda axis: len(axis.get_legend_handles_labels()[1])))
    return figure


def figure_2() -> Figure:
    """The two methods in the plane of their probabilities, and over time."""
    figure, axes = new_figure(1, 3)
    plane, chances, losses = axes[0]
    for method, colour in zip(METHODS, COLOURS, strict=False):
        path = path_of(method)
        steps = np.arange(len(path)) * STEP / LEARNING_RATE
        plane.plot(path[:, 0], path[:, 1], color=colour, label=method)
        chances.plot(steps, path[:, 1], color=colour)
        losses.plot(steps, loss_of(path), color=colour)
    plane.set(xlabel="pi(R | s0)", ylabel="pi(R | sR)", xlim=(0, 1), ylim=(0, 1))
    chances.set(xlabel=f"steps at learning rate {LEARNING_RATE}", ylabel="pi(R | sR)")
    losses.set(xlabel="steps", ylabel="E[l]")
    for axis in axes[0]:
        axis.grid(alpha=0.25)
    legend(figure, plane)
    return figure


def all_figures(results: Results) -> dict[str, Figure]:
    """Every picture by its file name."""
    return {
        "figure2": figure_2(),
        "figure3": figure_3(results, ""),
        f"figure3{RATE_VARIANT}": figure_3(results, RATE_VARIANT),
        **{
            f"figure{number}{variant}": figure_of_returns(results, number, variant)
            for number in (4, 5, 6)
            for variant in ("", BEST_VARIANT)
        },
    }


def as_svg(figure: Figure) -> str:
    """The same bytes for the same picture: no date, fixed identifiers."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "rldistill", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def save_png(figure: Figure, path: Path) -> None:
    """For a look at it."""
    figure.savefig(path, dpi=110)
