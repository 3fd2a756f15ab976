"""What a tree can do inside a box of observations, proved leaf by leaf."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.core import NetworkPolicy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.naming import TaskNames, task_names
from rldistill.errors import SettingError
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.scores import task_info
from rldistill.explain.boxes import LARGEST, Box, leaf_boxes
from rldistill.explain.claims import Claim, read_claim
from rldistill.explain.conditions import box_of, read_conditions
from rldistill.explain.leaf_actions import LeafActions, leaf_actions
from rldistill.explain.subject import load_subject, require_tree

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a tree; every field has a default.

    Attributes:
        box: conditions on observations, all of which hold: "pole angle < -0.1".
        never: actions, by name or index, that it must not take; for continuous actions conditions:
            "torque > 0.5".
        always: actions of which it must take one; for continuous actions conditions.
        in_space: also stay inside the bounds that the task declares for its observations.
        names: a TOML file of feature and action names.
    """

    box: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    in_space: bool = False
    names: Path | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found.

    Attributes:
        claim: in words; None where none was made.
        holds: True: proved for every float32 observation of the box. False: there is a
            counterexample. None: no claim, or one that hangs on the rounding of linear leaves.
        box: the box.
        box_words: the box in the words of the question.
        leaves: what each leaf that can be reached in the box can do there.
        num_leaves: of the whole tree.
        counterexample: float32 [O], an observation of the box where the policy, run, breaks the
            claim.
        action: what the policy does there.
        outside_space: whether the counterexample lies outside the bounds that the task declares.
        names: of features and actions.
    """

    claim: str | None
    holds: bool | None
    box: Box
    box_words: str
    leaves: tuple[LeafActions, ...]
    num_leaves: int
    counterexample: Array | None
    action: Array | None
    outside_space: bool
    names: TaskNames

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; bounds that are none are null."""
        example = None
        if self.counterexample is not None and self.action is not None:
            values = zip(self.names.features, self.counterexample, strict=True)
            example = {
                "words": [
                    f"{feature.name} {value + 0!s}" + (f" {feature.unit}" if feature.unit else "")
                    for feature, value in values
                ],
                "observation": self.counterexample.tolist(),
                "action": self.action.tolist(),
                "action_name": self._action_name(),
                "outside_space": self.outside_space,
            }
        return {
            "claim": self.claim,
            "holds": self.holds,
            "answer": self.answer,
            "box_words": self.box_words,
            "box": _bounds(self.box, self.names),
            "leaves": [_leaf(leaf, self.names) for leaf in self.leaves],
            "leaves_reached": len(self.leaves),
            "leaves_in_tree": self.num_leaves,
            "counterexample": example,
        }

    @property
    def answer(self) -> str:
        """In one word: yes, no, open, or none where no claim was made."""
        if self.claim is None:
            return "none"
        return "open" if self.holds is None else "yes" if self.holds else "no"

    def _action_name(self) -> str | None:
        index = self.action
        return None if index is None or index.ndim else self.names.actions[int(index)]


def verify_tree(policy: object, task: TaskSource, question: Question = Question()) -> Proof:
    """Prove what a tree does everywhere inside a box of observations, or show where it does not.

    Every leaf whose box meets the given one is looked at, so the answer is about all float32
    observations in it and not about a sample. Linear leaves: differences of two actions are
    bounded at their corners; what only rounding can decide is left open, and said to be.

    Args:
        policy: a tree student: a run folder, a file, or a live policy.
        task: as in distill; gives the names and the declared bounds.
        question: the box and the claim.

    Returns:
        The proof; without a claim, what the tree can do in the box.

    Raises:
        TaskError: the policy is no tree, or does not fit the task.
        SettingError: unknown names, infinities, a box with no inside, a claim that cannot fail.
    """
    spec = with_own_views(task_spec(task), policy).seen_by_student()
    info = task_info(spec)
    subject = load_subject(policy, info)
    tree = require_tree(subject, info)
    names = task_names(spec, info, question.names)
    space = Box(
        *(
            np.clip(bound, -LARGEST, LARGEST)
            for bound in (info.observation_space.low, info.observation_space.high)
        )
    )
    box = _box(question, names, space)
    claim = read_claim(question.never, question.always, names, subject.info.head)
    whole = leaf_boxes(tree, len(names.features))
    reached = whole.within(box)
    leaves = leaf_actions(subject, tree, reached, claim)
    words = " and ".join(question.box) or "all observations"
    words += ", within the declared bounds" if question.in_space else ""
    return _proof(subject, claim, leaves, (box, words), (len(whole.leaves), space, names))


def _box(question: Question, names: TaskNames, space: Box) -> Box:
    """The box of a question.

    Raises:
        SettingError: it has no inside.
    """
    given = [one for text in question.box for one in read_conditions(text, names.feature)]
    whole = Box.everything(len(names.features))
    box = box_of(given, whole.meet(space) if question.in_space else whole)
    if box.is_empty:
        index = int(np.flatnonzero(box.low > box.high)[0])
        words = " and ".join(one.words for one in given if one.index == index)
        declared = (
            f" within its declared bounds [{space.low[index]:g}, {space.high[index]:g}]"
            if question.in_space
            else ""
        )
        raise SettingError(
            f"the box has no inside: no {names.features[index].name} fulfils {words!r}{declared}"
        )
    return box


def _proof(
    subject: NetworkPolicy,
    claim: Claim | None,
    leaves: Sequence[LeafActions],
    asked: tuple[Box, str],
    about: tuple[int, Box, TaskNames],
) -> Proof:
    num_leaves, space, names = about
    holds, example, action = None, None, None
    broken = [leaf for leaf in leaves if leaf.counterexample is not None]
    if claim is not None:
        holds = None if any(leaf.is_open for leaf in leaves) else True
    if broken:
        # The one nearest to 0 is the easiest to look at.
        holds = False
        points = [leaf.counterexample for leaf in broken if leaf.counterexample is not None]
        inside = [not bool(space.contains(point[None])[0]) for point in points]
        sizes = [float(np.abs(point.astype(np.float64)).sum()) for point in points]
        example = points[min(range(len(points)), key=lambda i: (inside[i], sizes[i]))]
        action = subject.predict(example)[0]
    return Proof(
        claim=None if claim is None else claim.words,
        holds=holds,
        box=asked[0],
        box_words=asked[1],
        leaves=tuple(leaves),
        num_leaves=num_leaves,
        counterexample=example,
        action=action,
        outside_space=example is not None and not bool(space.contains(example[None])[0]),
        names=names,
    )


def _bounds(box: Box, names: TaskNames) -> dict[str, list[float | None]]:
    """The bounds of a box by feature; features without any are left out."""
    found: dict[str, list[float | None]] = {}
    for feature, low, high in zip(names.features, box.low, box.high, strict=True):
        if low > -LARGEST or high < LARGEST:
            found[feature.name] = [
                float(low) if low > -LARGEST else None,
                float(high) if high < LARGEST else None,
            ]
    return found


def _leaf(leaf: LeafActions, names: TaskNames) -> dict[str, Any]:
    record: dict[str, Any] = {"leaf": leaf.leaf, "box": _bounds(leaf.region, names)}
    if leaf.low is None or leaf.high is None:
        record["actions"] = [names.actions[index] for index in leaf.actions]
        record["open"] = [names.actions[index] for index in leaf.open_actions]
    else:
        record["low"], record["high"] = leaf.low.tolist(), leaf.high.tolist()
    return record
