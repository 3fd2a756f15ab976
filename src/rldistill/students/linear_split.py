"""The split of a node that lets two linear models, one per side, err least."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

Array = np.ndarray[Any, Any]
CANDIDATES = 16
MOST_STATES = 20_000
# Added to the diagonal of the moments, per state: inputs have unit deviation.
RIDGE = 1e-4
# Gains below this share of a node's error are rounding.
LEAST_GAIN = 1e-9


@final
@dataclass(frozen=True, slots=True)
class LinearSplit:
    """One split.

    Attributes:
        gain: by how much the summed weighted squared error falls.
        feature: which input is compared.
        threshold: a float32; go left where x <= threshold.
    """

    gain: float
    feature: int
    threshold: float


def best_split(x: Array, z: Array, told: Array, weights: Array) -> LinearSplit | None:
    """The best of CANDIDATES quantiles of each feature; None where no split helps.

    Each side keeps at least twice as many states as a linear model has numbers.

    Args:
        x: float32 [N, O], what is compared.
        z: float64 [N, O], the same standardised, what the models see.
        told: float64 [N, K], what they predict.
        weights: float64 [N].
    """
    step = -(-len(x) // MOST_STATES)
    whole = len(x)
    x, z, told, weights = x[::step], z[::step], told[::step], weights[::step]
    least = 2 * (z.shape[1] + 1)
    if len(x) < 2 * least:
        return None
    inputs = np.concatenate([np.ones((len(z), 1)), z], 1)
    rows = _Rows(np.concatenate([inputs, told], 1), weights, inputs.shape[1])
    before = float(_error(rows.moments(np.arange(len(x)))[None], inputs.shape[1])[0])
    best: LinearSplit | None = None
    for feature in range(x.shape[1]):
        column = x[:, feature]
        quantiles = np.linspace(0, 1, CANDIDATES + 2)[1:-1]
        thresholds = np.unique(np.quantile(column, quantiles, method="lower"))
        bins = np.searchsorted(thresholds, column, side="left")
        counts = np.bincount(bins, minlength=len(thresholds) + 1).cumsum()[:-1]
        fair = (counts >= least) & (counts <= len(x) - least)
        if not fair.any():
            continue
        order = np.argsort(bins, kind="stable")
        edges = np.searchsorted(bins[order], np.arange(1, len(thresholds) + 1))
        per_bin = np.stack([rows.moments(part) for part in np.split(order, edges)])
        left = per_bin.cumsum(0)[:-1]
        after = _error(left, rows.width) + _error(per_bin.sum(0) - left, rows.width)
        after = np.where(fair, after, np.inf)
        at = int(after.argmin())
        gain = (before - float(after[at])) * (whole / len(x))
        if gain > LEAST_GAIN * max(before, 1e-12) and (best is None or gain > best.gain):
            best = LinearSplit(gain, feature, float(thresholds[at]))
    return best


@final
@dataclass(frozen=True, slots=True)
class _Rows:
    """Inputs and what they predict side by side [N, P + K], with weights [N]."""

    both: Array
    weights: Array
    width: int

    def moments(self, index: Array) -> Array:
        """Weighted sums of products [P + K, P + K] over some rows."""
        some = self.both[index]
        return (some * self.weights[index, None]).T @ some


def _error(moments: Array, width: int) -> Array:
    """Squared error [T] of ridged least squares, from moments [T, P + K, P + K]."""
    inputs, cross = moments[:, :width, :width], moments[:, :width, width:]
    ridge = RIDGE * np.maximum(inputs[:, :1, :1], 1e-12) * np.eye(width)
    solved = np.linalg.solve(inputs + ridge, cross)
    total = np.trace(moments[:, width:, width:], axis1=1, axis2=2)
    # |y - x b|^2 = yy - 2 b xy + b xx b
    explained = 2 * (solved * cross).sum((1, 2)) - (solved * (inputs @ solved)).sum((1, 2))
    return np.maximum(total - explained, 0.0)
