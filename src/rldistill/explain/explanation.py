"""What an explanation holds, and how it is written to a folder."""

from dataclasses import dataclass
from typing import Any, final

from rldistill.envs.naming import TaskNames
from rldistill.explain.counterfactuals import Counterfactual
from rldistill.explain.importance import Importance
from rldistill.explain.regions import Region, estimate_json
from rldistill.explain.saliency import Saliency
from rldistill.explain.surrogate import Surrogate
from rldistill.maths.stats import Estimate
from rldistill.students.tree import TreeArrays


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """How near the policy is to doing something else.

    Attributes:
        exact: the distances are exact, and not upper bounds of a search.
        states: how many states were looked at.
        quantiles: of their distances in standard deviations, at 5, 25, 50, 75 and 95 %; null where
            no change of what varies changes the action.
        examples: some of them.
    """

    exact: bool
    states: int
    quantiles: tuple[float, ...]
    examples: tuple[Counterfactual, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """A policy in words and numbers.

    Attributes:
        policy: its name.
        source: where it is from.
        task: the task's id.
        discrete: whether it chooses among actions; else fidelity counts action dimensions.
        is_tree: whether the policy is the tree that is shown; else that is a surrogate.
        surrogate: the tree that stands for a policy which is none; None for trees and pixels.
        tree: the tree that is shown, leaves of one action under one node merged; None for pixels.
        num_leaves: of the tree before leaves were merged.
        names: of features and actions.
        returns: of the policy, mean of the episodes played.
        episodes: how many.
        states: in these episodes.
        against: who the regions' fidelity is about; None for nobody.
        agreement: how often the policy does what the teacher does; None without one.
        regions: one per leaf.
        importance: of features, or groups of them; empty for pixels.
        changes: counterfactuals; None for pixels.
        saliency: for pixels; else None.
        notes: one line each for what the reader should know.
        svg: the tree drawn; None for pixels.
    """

    policy: str
    source: str
    task: str
    discrete: bool
    is_tree: bool
    surrogate: Surrogate | None
    tree: TreeArrays | None
    num_leaves: int
    names: TaskNames
    returns: Estimate
    episodes: int
    states: int
    against: str | None
    agreement: Estimate | None
    regions: tuple[Region, ...]
    importance: tuple[Importance, ...]
    changes: Changes | None
    saliency: Saliency | None
    notes: tuple[str, ...]
    svg: str | None

    @property
    def counted(self) -> str:
        """What fidelity and agreement are shares of."""
        return "steps" if self.discrete else "action dimensions (within 5 % of their range)"

    @property
    def ordered(self) -> list[Region]:
        """The regions, the most used first."""
        return sorted(self.regions, key=lambda one: -one.share.value)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; everything but the pictures."""
        return {
            "policy": self.policy,
            "source": self.source,
            "task": self.task,
            "is_tree": self.is_tree,
            "surrogate": None if self.surrogate is None else _surrogate(self.surrogate),
            "return": estimate_json(self.returns),
            "episodes": self.episodes,
            "states": self.states,
            "against": self.against,
            "agreement": None if self.agreement is None else estimate_json(self.agreement),
            "features": [one.heading for one in self.names.features],
            "actions": list(self.names.actions),
            "leaves_in_tree": self.num_leaves,
            "leaves": [
                one.to_json() | {"rule": one.rule.words(self.names)} for one in self.regions
            ],
            "nodes": None if self.tree is None else _nodes(self.tree),
            "importance": [one.to_json() for one in self.importance],
            "counterfactuals": None if self.changes is None else self._changes(self.changes),
            "saliency": None
            if self.saliency is None
            else {"unit": "nats", "mean_heat": self.saliency.mean_heat.tolist()},
            "notes": list(self.notes),
        }

    def _changes(self, changes: Changes) -> dict[str, Any]:
        return {
            "exact": changes.exact,
            "states": changes.states,
            "unit": "standard deviations, Euclidean",
            "quantiles": dict(zip(("5", "25", "50", "75", "95"), changes.quantiles, strict=True)),
            "examples": [one.to_json(self.names) for one in changes.examples],
        }


def _surrogate(surrogate: Surrogate) -> dict[str, Any]:
    return {
        "leaves": surrogate.tree.num_leaves,
        "fidelity": estimate_json(surrogate.fidelity),
        "return": estimate_json(surrogate.returns),
        "fitted_to_states": surrogate.fitted,
    }


def _nodes(tree: TreeArrays) -> dict[str, Any]:
    """The numbers of the tree as they are, unrounded."""
    coefficients = tree.coefficients
    return {
        "feature": tree.feature.tolist(),
        "threshold": tree.threshold.tolist(),
        "left": tree.left.tolist(),
        "right": tree.right.tolist(),
        "values": tree.values.tolist(),
        "coefficients": None if coefficients is None else coefficients.tolist(),
    }
