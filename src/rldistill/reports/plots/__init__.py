"""Plots as plain functions: arrays in, a matplotlib Figure out; nothing global is touched.

Every axis has a title, with its unit where it has one. Colours differ for every kind of
colour vision, and no two policies differ by colour alone.

    from rldistill.reports import plots
    figure = plots.returns_plot({"student": returns, "teacher": more})
    figure.savefig("returns.svg")
"""

from rldistill.reports.plots.costs import costs_plot
from rldistill.reports.plots.curves import Curve, Level, curve_plot
from rldistill.reports.plots.frontier import frontier_plot
from rldistill.reports.plots.regions import Region, map_plot, regions_plot
from rldistill.reports.plots.returns import paired_plot, returns_plot
from rldistill.reports.plots.states import Choice, choices_plot, visitation_plot

__all__ = [
    "Choice",
    "Curve",
    "Level",
    "Region",
    "choices_plot",
    "costs_plot",
    "curve_plot",
    "frontier_plot",
    "map_plot",
    "paired_plot",
    "regions_plot",
    "returns_plot",
    "visitation_plot",
]
