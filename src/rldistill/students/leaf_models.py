"""The linear model of one leaf: least squares for actions, softmax regression for classes."""

from typing import Any

import numpy as np
import torch

from rldistill.core import SquashedGaussianHead
from rldistill.students.tree_targets import Targets

Array = np.ndarray[Any, Any]
RIDGE = 1e-4
SOFTMAX_STEPS = 30
SQUASHED_STEPS = 8
# A saturated tanh counts as this steep, so that no step is huge.
LEAST_SLOPE = 0.2


def fit_leaf(z: Array, targets: Targets) -> Array:
    """Coefficients [outputs, 1 + O], the constant first, of the raw outputs on inputs z [N, O]."""
    inputs = np.concatenate([np.ones((len(z), 1)), z], 1)
    if targets.classes is not None:
        return _softmax(inputs, targets.classes, targets.num_actions, targets.weights)
    assert targets.columns is not None
    raw = targets.to_raw(targets.columns).astype(np.float64)
    model = _least_squares(inputs, raw, targets.weights)
    if isinstance(targets.head, SquashedGaussianHead):
        for d in range(targets.num_actions):
            actions = targets.columns[:, d].astype(np.float64)
            model[d] = _squashed(inputs, actions, targets.weights, model[d])
    return model


def _least_squares(inputs: Array, told: Array, weights: Array) -> Array:
    """Ridged weighted least squares: coefficients [K, P] of told [N, K] on inputs [N, P]."""
    weighted = inputs * weights[:, None]
    moments = inputs.T @ weighted
    # The constant is hardly ridged: just enough for states without any weight.
    size = RIDGE * max(float(weights.sum()), 1e-12)
    ridge = size * np.diag([1e-9, *np.ones(inputs.shape[1] - 1)])
    return np.linalg.solve(moments + ridge, weighted.T @ told).T


def _squashed(inputs: Array, actions: Array, weights: Array, start: Array) -> Array:
    """Least squares of tanh(inputs @ b) against actions: damped Gauss-Newton, the best b seen."""
    best, model = (np.inf, start), start
    for _ in range(SQUASHED_STEPS):
        squashed = np.tanh(inputs @ model)
        error = float((weights * (squashed - actions) ** 2).sum())
        best = min(best, (error, model), key=lambda pair: pair[0])
        slope = np.maximum(1.0 - squashed**2, LEAST_SLOPE)
        told = inputs @ model + (actions - squashed) / slope
        model = _least_squares(inputs, told[:, None], weights * slope**2)[0]
    return best[1]


def _softmax(inputs: Array, classes: Array, num_actions: int, weights: Array) -> Array:
    """Weighted maximum likelihood with a ridge, by L-BFGS."""
    x, y = torch.from_numpy(inputs), torch.from_numpy(classes)
    w = torch.from_numpy(weights / max(float(weights.sum()), 1e-12))
    beta = torch.zeros(num_actions, inputs.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [beta], max_iter=SOFTMAX_STEPS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimiser.zero_grad()
        apart = torch.nn.functional.cross_entropy(x @ beta.T, y, reduction="none")
        total = (w * apart).sum() + RIDGE * beta.square().sum()
        total.backward()
        return float(total.detach())

    with torch.enable_grad():
        optimiser.step(loss)
    return beta.detach().numpy()
