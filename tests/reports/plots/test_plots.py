"""Every figure: titled axes, data that is drawn, and nothing global that changes."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from rldistill.errors import NotFiniteError, ShapeError
from rldistill.maths.stats import Estimate
from rldistill.reports import plots
from rldistill.reports.plots.regions import grid_means
from rldistill.reports.plots.style import LOOKS, look_of

POINTS = np.random.default_rng(0).standard_normal((60, 2))
HALF = Estimate(0.5, 0.4, 0.6)
STUDENTS = [
    {
        "name": name, "fraction": fraction, "fraction_low": fraction - 0.1,
        "fraction_high": fraction + 0.1, "verdict": word, "bytes": size,
    }
    for name, fraction, word, size in (
        ("large", 1.0, "holds", 900), ("waste", 0.6, "unsure", 500), ("small", 0.7, "fails", 90),
    )
]  # fmt: skip
FIGURES: dict[str, Callable[[], Figure]] = {
    "returns": lambda: plots.returns_plot({"student": [1.0, 2.0], "teacher": [2.0, 3.0]}),
    "paired": lambda: plots.paired_plot([1.0, -1.0, 0.5]),
    "curve": lambda: plots.curve_plot(
        [plots.Curve("student", [0.0, 1.0], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5])],
        "training [s]", "return [reward]", [plots.Level("teacher", 3.0, 2.9, 3.1)],
    ),
    "regions": lambda: plots.regions_plot([plots.Region(0.0, 1.0, HALF, 9)], "angle [rad]"),
    "map": lambda: plots.map_plot(POINTS, np.full(60, 0.5), ("one [m]", "two [m]")),
    "choices": lambda: plots.choices_plot(
        [plots.Choice("A", [0.2, 0.8], [0.7, 0.3])], ["left", "right"], "probability"
    ),
    "visitation": lambda: plots.visitation_plot({"teacher": POINTS}, ("one [m]", "two [m]")),
    "frontier": lambda: plots.frontier_plot(STUDENTS, {"bytes": "flash [bytes]"}, 0.95),
    "costs": lambda: plots.costs_plot({"memory [bytes]": {"teacher": 9.0, "student": 2.0}}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_every_visible_axis_is_titled_and_something_is_drawn(name: str) -> None:
    figure = FIGURES[name]()
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert shown
    for axes in shown:
        assert axes.get_ylabel()
        is_colour_bar = axes is not shown[0] and name == "map"
        assert axes.get_xlabel() or is_colour_bar
        assert axes.lines or axes.patches or axes.collections
        assert axes.get_facecolor()[3] == 0.0 or is_colour_bar


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_no_figure_leaves_a_trace(name: str) -> None:
    """The user's own style stays, and pyplot knows of no figure."""
    before = dict(mpl.rcParams)
    figure = FIGURES[name]()
    figure.savefig("/dev/null", format="svg")
    assert dict(mpl.rcParams) == before
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_returns_are_drawn_where_they_are() -> None:
    """Points at the returns, the diamond at their mean."""
    figure = plots.returns_plot({"student": [1.0, 2.0, 6.0], "own": [4.0]})
    (axes,) = figure.axes
    offsets = [c.get_offsets()[:, 0].tolist() for c in axes.collections]
    assert offsets == [[1.0, 2.0, 6.0], [4.0]]
    diamonds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == [3.0, 4.0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["student", "own"]


def test_paired_differences_are_sorted_and_their_interval_is_the_one_given() -> None:
    figure = plots.paired_plot([3.0, -2.0, 1.0], Estimate(0.7, -1.5, 2.5))
    (axes,) = figure.axes
    (points,) = [line for line in axes.lines if line.get_label() == "one start"]
    assert points.get_ydata().tolist() == [-2.0, 1.0, 3.0]
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((-1.5, 2.5))
    bare = plots.paired_plot([3.0])
    assert not bare.axes[0].patches


def test_curves_have_their_intervals_and_levels() -> None:
    figure = FIGURES["curve"]()
    (axes,) = figure.axes
    (line,) = [line for line in axes.lines if line.get_label() == "student"]
    assert line.get_ydata().tolist() == [1.0, 2.0]
    ends = [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()]
    assert ends == [[0.5, 1.5], [1.5, 2.5]]
    assert "teacher" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_single_look_has_room_around_it() -> None:
    figure = plots.curve_plot([plots.Curve("student", [9.0], [1.0])], "t [s]", "return")
    low, high = figure.axes[0].get_xlim()
    assert low == 0.0
    assert high > 9.0


def test_a_map_is_the_mean_of_each_cell() -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.1], [1.0, 1.0]])
    means, x_edges, _ = grid_means(points, np.array([0.0, 1.0, 0.25]), 2)
    assert means[0, 0] == 0.5
    assert means[1, 1] == 0.25
    assert np.isnan(means[0, 1])
    assert x_edges.tolist() == [0.0, 0.5, 1.0]


def test_bars_are_the_probabilities() -> None:
    heights = [bar.get_height() for bar in FIGURES["choices"]().axes[0].patches]
    assert heights == [0.2, 0.8, 0.7, 0.3]


def test_continuous_choices_have_their_deviations() -> None:
    choice = plots.Choice("A", [0.5], [0.1], ([0.2], [0.3]))
    figure = plots.choices_plot([choice], ["force"], "force [N]")
    ends = [c.get_segments()[0][:, 1].tolist() for c in figure.axes[0].collections]
    assert ends == [pytest.approx([0.3, 0.7]), pytest.approx([-0.2, 0.4])]


def test_clouds_are_thinned_evenly() -> None:
    many = np.stack([np.arange(5000.0)] * 2, 1)
    (drawn,) = plots.visitation_plot({"student": many}, ("a", "b")).axes[0].collections
    offsets = drawn.get_offsets()[:, 0]
    assert len(offsets) == 500
    assert (offsets[0], offsets[-1]) == (0.0, 4999.0)


def test_teacher_and_student_differ_by_more_than_colour() -> None:
    looks = list(LOOKS.values())
    for kind in ("colour", "marker", "line"):
        assert len({getattr(look, kind) for look in looks}) == len(looks)
    assert look_of("student") is LOOKS["student"]


def test_names_are_no_formulas() -> None:
    """A dollar sign in a name is drawn, and not taken for mathematics."""
    figure = plots.regions_plot([plots.Region(0.0, 1.0, HALF, 9)], "$\\frac{bad$")
    figure.savefig("/dev/null", format="svg")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ShapeError):
        plots.returns_plot({})
    with pytest.raises(ShapeError):
        plots.returns_plot({"student": []})
    with pytest.raises(NotFiniteError):
        plots.paired_plot([np.nan])
    with pytest.raises(ShapeError, match="at least one curve"):
        plots.curve_plot([], "x", "y")
    with pytest.raises(ShapeError, match="as many values"):
        plots.Curve("a", [1.0], [1.0, 2.0])
    with pytest.raises(ShapeError, match="both ends"):
        plots.Curve("a", [1.0], [1.0], [0.5])
    with pytest.raises(ShapeError):
        plots.regions_plot([], "x")
    with pytest.raises(ShapeError):
        plots.map_plot(np.zeros((3, 3)), [1.0] * 3, ("a", "b"))
    with pytest.raises(ShapeError):
        plots.choices_plot([plots.Choice("A", [1.0], [1.0])], ["a", "b"], "p")
    with pytest.raises(ShapeError):
        plots.visitation_plot({"student": np.zeros((0, 2))}, ("a", "b"))
    with pytest.raises(ShapeError):
        plots.costs_plot({"bytes": {"teacher": 0.0}})


def test_the_frontier_names_and_joins_what_no_other_beats() -> None:
    axes = FIGURES["frontier"]().axes[0]
    assert {text.get_text() for text in axes.texts} == {"large", "small"}
    joined = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_zorder() == 0]
    assert [float(x) for x in joined[0].get_xdata()] == [90, 900]
    assert axes.get_xscale() == "log"


def test_a_frontier_of_nothing_is_refused() -> None:
    with pytest.raises(ShapeError, match="a fraction and a cost above 0"):
        plots.frontier_plot([{**STUDENTS[0], "bytes": None}], {"bytes": "bytes"}, 0.95)
