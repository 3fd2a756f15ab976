"""The picture of an explanation: words and colours for every node."""

import dataclasses
import re
from typing import Any

import numpy as np

from rldistill.explain.drawing import Picture, draw_tree
from rldistill.explain.explanation import Explanation
from rldistill.explain.regions import Region
from rldistill.explain.rules import Bound, short_thresholds
from rldistill.maths.stats import Estimate
from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]
# Continuous actions of more dimensions are drawn as numbers alone.
MOST_NAMED = 2
LONGEST_LABEL = 64
_NUMBER = re.compile(r".* (-?\d[^ ]*)")


def picture_of(explanation: Explanation, tree: TreeArrays, observations: Array) -> Explanation:
    """The explanation with its tree drawn.

    Args:
        explanation: without a picture.
        tree: what is drawn.
        observations: [N, O], the states that thresholds are rounded for.
    """
    names = explanation.names
    numbers = short_thresholds(tree, observations)
    conditions = {
        node: Bound(feature, None, numbers[node]).words(names.features[feature])
        for node, feature in enumerate(tree.feature.tolist())
        if feature != LEAF
    }
    regions = {one.rule.leaf: one for one in explanation.regions}
    shares = _shares(tree, regions)
    notes = {node: f"{100 * shares[node]:.3g} % of steps" for node in conditions}
    notes |= {leaf: _leaf_note(region) for leaf, region in regions.items()}
    actions = {leaf: _label(region.rule.action) for leaf, region in regions.items()}
    known = {name: index for index, name in enumerate(names.actions)}
    colours = {leaf: known.get(region.rule.action) for leaf, region in regions.items()}
    used = sorted({colour for colour in colours.values() if colour is not None})
    picture = Picture(
        tree=tree,
        conditions=conditions,
        notes=notes,
        actions=actions,
        colours=colours,
        shares=shares,
        legend=[(names.actions[index], index) for index in used],
        order="" if explanation.discrete else f"[{', '.join(names.actions)}]",
        title=_title(explanation),
        subtitle=_subtitle(explanation),
    )
    return dataclasses.replace(explanation, svg=draw_tree(picture))


def _shares(tree: TreeArrays, regions: dict[int, Region]) -> list[float]:
    """Share of the states that pass each node."""
    shares = [0.0] * tree.num_nodes
    for node in reversed(range(tree.num_nodes)):
        if tree.feature[node] == LEAF:
            shares[node] = regions[node].share.value
        else:
            shares[node] = shares[int(tree.left[node])] + shares[int(tree.right[node])]
    return shares


def _leaf_note(region: Region) -> str:
    if region.visits == 0:
        return f"{region.number}: never visited"
    return (
        f"{region.number}: {100 * region.share.value:.3g} % of steps, return "
        f"{region.return_after.value:.4g} follows"
    )


def _label(action: str) -> str:
    """The words of an action, shortened to what a node can hold."""
    parts = action.split(", ")
    if len(parts) > MOST_NAMED and " = " not in action:
        numbers = [_NUMBER.search(part) for part in parts]
        action = f"[{', '.join(number[1] for number in numbers if number)}]"
    return action if len(action) <= LONGEST_LABEL else f"{action[: LONGEST_LABEL - 3]}..."


def _title(explanation: Explanation) -> str:
    if explanation.surrogate is None:
        return f"{explanation.policy} on {explanation.task}"
    leaves = explanation.surrogate.tree.num_leaves
    return f"{explanation.policy} on {explanation.task}, by a surrogate tree of {leaves} leaves"


def _subtitle(explanation: Explanation) -> str:
    if explanation.surrogate is not None:
        faithful = (
            f"it does what {explanation.policy} does in {percent(explanation.surrogate.fidelity)}"
        )
        parts = [f"{faithful} of {explanation.counted}"]
        parts.append(f"left to play it returns {explanation.surrogate.returns.value:.4g}")
    else:
        merged = explanation.num_leaves - len(explanation.regions)
        parts = [f"{explanation.num_leaves} leaves"]
        parts += [f"{merged} of them merged into neighbours that do the same"] if merged else []
    returns = explanation.returns
    of = "" if explanation.surrogate is None else f"{explanation.policy}'s "
    parts.append(f"{of}return {returns.value:.4g} over {explanation.episodes} episodes")
    return "; ".join(parts)


def percent(found: Estimate) -> str:
    """A share with its interval.

    >>> percent(Estimate(0.5, 0.25, 0.75)), percent(Estimate(1.0, None, None))
    ('50.0 % [25.0, 75.0]', '100.0 %')
    """
    words = f"{100 * found.value:.1f} %"
    if found.low is None or found.high is None:
        return words
    return f"{words} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
