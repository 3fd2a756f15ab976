"""A tree that stands for a policy which is none, and how faithfully it does."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from rldistill.core import Head, NetworkPolicy
from rldistill.errors import SettingError
from rldistill.explain.actions import BATCH, acts, sameness
from rldistill.explain.played import Played, Stage
from rldistill.explain.regions import overall
from rldistill.explain.subject import policy_of_tree
from rldistill.maths import stats
from rldistill.maths.stats import Estimate
from rldistill.students.cart import fit_cart
from rldistill.students.tree import TreeArrays
from rldistill.students.tree_targets import targets_of

Array = np.ndarray[Any, Any]
# Every so many-th episode is kept out of the fit, to measure fidelity on.
HELD_OUT = 4


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surrogate:
    """A tree fitted to what a policy did.

    Attributes:
        tree: its arrays.
        head: what its values mean: the policy's own head.
        fidelity: how often it does what the policy does, on episodes that it was not fitted to.
        returns: what it earns when it plays itself, on the episodes that the policy played.
        fitted: states that it was fitted to.
    """

    tree: TreeArrays
    head: Head
    fidelity: Estimate
    returns: Estimate
    fitted: int


def fit_surrogate(policy: NetworkPolicy, played: Played, leaves: int, where: Stage) -> Surrogate:
    """Fit a CART tree of at most `leaves` leaves to the policy's own states and actions.

    Raises:
        SettingError: fewer than two episodes: there is nothing to measure fidelity on.
        MissingExtraError: scikit-learn is not installed.
    """
    if played.num_episodes < 2:
        raise SettingError(
            "a surrogate tree is fitted to some episodes and measured on others: at least 2 "
            f"episodes are needed, got {played.num_episodes}"
        )
    held_out = played.episode % HELD_OUT == min(HELD_OUT, played.num_episodes) - 1
    fitted, other = played.rows(~held_out), played.rows(held_out)
    head = policy.info.head
    targets = targets_of(head, raw_outputs(policy, fitted.observations), weighted=False)
    tree = fit_cart(fitted.observations, targets, leaves)
    stand_in = policy_of_tree(tree, policy.info)
    same = sameness(head, acts(stand_in, other.observations), other.actions)
    returns = where.play(stand_in).returns
    return Surrogate(
        tree=tree,
        head=head,
        fidelity=overall(same, other),
        returns=stats.estimate(returns),
        fitted=len(fitted.episode),
    )


@torch.no_grad()
def raw_outputs(policy: NetworkPolicy, observations: Array) -> Array:
    """Raw outputs [N, outputs] of the policy's head."""
    parts = torch.from_numpy(observations).split(BATCH)
    return torch.cat([policy.raw(part) for part in parts]).numpy()
