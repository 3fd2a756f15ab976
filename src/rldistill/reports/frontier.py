"""The picture of a sweep, beside its numbers."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldistill.reports.plots.frontier import frontier_plot
from rldistill.runs import atomic_write

PICTURE = "frontier.svg"
COSTS = {
    "parameters": "weights that are not 0",
    "bytes": "bytes of the saved student, or of flash",
    "latency_us": "one decision in PyTorch [us]",
}


def save_frontier(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Draw the frontier of shrink.json into its folder; returns the file.

    Raises:
        ShapeError: it has no point.
        RunFolderError: the folder cannot be written.
    """
    figure = frontier_plot(summary["frontier"], COSTS, summary["identity"]["floor"])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    path = folder / PICTURE
    atomic_write(path, buffer.getvalue())
    return path
