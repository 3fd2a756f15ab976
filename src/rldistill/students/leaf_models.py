"""The linear model of one leaf: least squares for actions, softmax regression for classes."""

from typing import Any

import numpy as np
import torch

from rldistill.core import SquashedGaussianHead
from rldistill.students.tree_targets import Targets

Array = np.ndarray[Any, Any]
RIDGE = 1e-4
SOFTMAX_STEPS = 30


def fit_leaf(z: Array, targets: Targets) -> Array:
    """Coefficients [outputs, 1 + O], the constant first, of the raw outputs on inputs z [N, O]."""
    inputs = np.concatenate([np.ones((len(z), 1)), z], 1)
    if targets.classes is not None:
        return _softmax(inputs, targets.classes, targets.num_actions, targets.weights)
    assert targets.columns is not None
    weights = targets.weights
    if isinstance(targets.head, SquashedGaussianHead):
        # An error in u moves the action by tanh'(u) = 1 - a^2 of it.
        actions = targets.columns[:, : targets.num_actions].astype(np.float64)
        weights = weights * np.maximum((1.0 - actions**2) ** 2, 1e-3).mean(1)
    raw = targets.to_raw(targets.columns).astype(np.float64)
    weighted = inputs * weights[:, None]
    moments = inputs.T @ weighted
    ridge = RIDGE * max(float(weights.sum()), 1e-12) * np.eye(inputs.shape[1])
    ridge[0, 0] = 0.0 if weights.sum() > 0 else 1e-12
    return np.linalg.solve(moments + ridge, weighted.T @ raw).T


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
