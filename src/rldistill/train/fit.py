"""The learner of trees and rule lists: grows one anew from all labelled states in each round."""

import copy
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from rldistill.core import Categorical, Head, NetworkPolicy
from rldistill.data.replay import Replay
from rldistill.methods.learner_settings import Growing
from rldistill.methods.terms import Alignment
from rldistill.runs import atomic_write, to_json
from rldistill.students.pruning import pruning_curve
from rldistill.students.tree import ARRAYS, TreeArrays, tree_from_arrays
from rldistill.students.tree_module import TreeModule
from rldistill.students.tree_targets import Targets, targets_of
from rldistill.train.learners import Memory

# States on which the loss of a new tree is measured.
LOSS_ROWS = 8192
PRUNING = "pruning.json"


@final
class GrowingLearner:
    """Grows the student from the memory, and keeps the trees of the rounds before.

    Only playing tells which is best: what a tree errs by on the states that it comes to says little
    of its return (docs/trees.md has the numbers).

    Attributes:
        alignment: measures the loss; the tree is grown by its own criterion.
        loss_weight: of no effect: a tree does not depend on it.
        kept: trees of the rounds before, the oldest first.
        chosen: whether the latest tree was found best by playing.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        settings: Growing,
        alignment: Alignment,
        generator: torch.Generator,
    ) -> None:
        assert isinstance(student.module, TreeModule), "with_method() refuses others"
        self._student, self._module = student, student.module
        self._settings = settings
        self._generator = generator
        self.alignment = alignment
        self.loss_weight = 1.0
        self.updates = 0
        self.kept: list[TreeArrays] = []
        self.chosen = False

    @property
    def student(self) -> NetworkPolicy:
        """The latest tree."""
        return self._student

    @property
    def acting(self) -> NetworkPolicy:
        """The latest tree."""
        return self._student

    @property
    def tested(self) -> NetworkPolicy:
        """The latest tree, or the one that was chosen."""
        return self._student

    @property
    def is_finite(self) -> bool:
        """Always: a tree of other numbers cannot be made."""
        return True

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Grow a new tree; num_updates, a number of gradient steps, does not matter.

        Returns:
            The mean loss of the new tree on states of the memory.

        Raises:
            NotFiniteError: an observation is NaN or infinite.
        """
        del num_updates
        assert isinstance(memory, Replay)
        if self.updates > 0:
            self.kept.append(self._module.tree)
            del self.kept[: max(len(self.kept) + 1 - self._settings.kept, 0)]
        observations, raw = (rows.cpu().numpy() for rows in memory.rows())
        x = observations.reshape(len(observations), -1)
        targets = targets_of(self.alignment.teacher_head, raw, self._settings.weighted)
        x, targets = self._drawn(x, targets)
        spec = self._module.spec
        self._module.grow(spec.growth.grow(x, targets, spec.size))
        self.updates += 1
        self.chosen = False
        return self._loss(*memory.sample(LOSS_ROWS, self._generator))

    def _drawn(self, x: np.ndarray[Any, Any], targets: Targets) -> tuple[Any, Targets]:
        """All states, each with its weight; of too many, a sample in which each counts by how often
        it was drawn."""
        if len(x) <= self._settings.rows:
            return x, targets
        weights = torch.from_numpy(targets.weights).cumsum(0)
        draws = torch.rand(self._settings.rows, dtype=torch.float64, generator=self._generator)
        drawn = torch.searchsorted(weights, draws * weights[-1], right=True)
        times = torch.bincount(drawn.clamp(max=len(x) - 1), minlength=len(x)).numpy()
        index = np.flatnonzero(times)
        counts = times[index].astype(np.float64)
        return x[index], targets.rows(index, counts / counts.mean())

    @torch.no_grad()
    def _loss(self, observations: Tensor, raw: Tensor) -> float:
        return float(self.alignment(raw, self._module(observations)).mean())

    def candidates(self) -> list[NetworkPolicy]:
        """The latest tree and those kept, as policies of their own; one where it was chosen."""
        if self.chosen:
            return [self._student]
        trees = [self._module.tree, *self.kept]
        return [self._policy(tree) for tree in trees]

    def choose(self, policy: NetworkPolicy) -> None:
        """Go on with one of the candidates alone."""
        assert isinstance(policy.module, TreeModule)
        self._module.grow(policy.module.tree)
        self.kept.clear()
        self.chosen = True

    def _policy(self, tree: TreeArrays) -> NetworkPolicy:
        module = copy.deepcopy(self._module)
        module.grow(tree)
        return NetworkPolicy(module, self._student.info)

    def fit_normaliser(self, observations: Tensor) -> None:
        """Comparisons need no scale: nothing to do."""
        del observations

    def state_dict(self) -> dict[str, Any]:
        """The latest tree, those kept, and the counters."""
        return {
            "latest": _tensors(self._module.tree),
            "kept": {i: _tensors(tree) for i, tree in enumerate(self.kept)},
            "numbers": [self.updates, int(self.chosen)],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict.

        Raises:
            ShapeError, NotFiniteError: arrays that are no trees of this task.
        """
        self._module.grow(_tree(state["latest"]))
        self.kept = [_tree(state["kept"][i]) for i in range(len(state["kept"]))]
        self.updates, chosen = (int(n) for n in state["numbers"])
        self.chosen = bool(chosen)


def one_action(head: Head, raw: Tensor) -> str:
    """A warning where a discrete teacher takes one action in all states; "" elsewhere.

    >>> from rldistill.core import QValueHead
    >>> one_action(QValueHead(2), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    ''
    """
    distribution = head(raw)
    if not isinstance(distribution, Categorical) or len(raw) == 0:
        return ""
    actions = distribution.mode()
    if bool((actions != actions[0]).any()):
        return ""
    return (
        f"warning  the teacher took action {int(actions[0])} in all {len(actions):,} states of the "
        "first round: a tree of these is a single leaf. Is it the right teacher and task?"
    )


def write_pruning_curve(student: NetworkPolicy, folder: Path) -> None:
    """Write pruning.json, the pruning curve of a tree with constant leaves; nothing for others.

    Raises:
        RunFolderError: the folder is not writable.
    """
    if not isinstance(student.module, TreeModule) or student.module.tree.coefficients is not None:
        return
    curve = [
        {"alpha": step.alpha, "leaves": step.leaves, "cost": step.cost}
        for step in pruning_curve(student.module.tree)
    ]
    atomic_write(folder / PRUNING, to_json(curve, indent=1) + "\n")


def _tensors(tree: TreeArrays) -> dict[str, Tensor]:
    arrays = {name: getattr(tree, name) for name in ARRAYS}
    return {name: torch.from_numpy(x) for name, x in arrays.items() if x is not None}


def _tree(tensors: dict[str, Tensor]) -> TreeArrays:
    return tree_from_arrays({name: tensor.numpy() for name, tensor in tensors.items()})
