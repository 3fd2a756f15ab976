"""The policy that is explained, and the tree in it where it is one."""

import dataclasses
import math
from pathlib import Path
from typing import final

from torch import Tensor, nn

from rldistill.core import NetworkPolicy, PolicyInfo, require_memoryless
from rldistill.envs.spec import TaskInfo
from rldistill.errors import TaskError, between
from rldistill.students.tree import TreeArrays
from rldistill.students.tree_module import TreeModule, count
from rldistill.students.tree_specs import GROWTHS, TreeSpec
from rldistill.teachers.load import load_teacher


def load_subject(
    policy: object, info: TaskInfo, vecnormalize: Path | None = None, role: str = "policy"
) -> NetworkPolicy:
    """Load a policy that fits a task.

    Raises:
        TaskError: it does not fit, or is recurrent.
        TeacherFileError: it cannot be read.
    """
    with between(role, "task"):
        loaded = load_teacher(
            policy,
            vecnormalize=vecnormalize,
            observation_shape=info.teacher_shape
            if role == "teacher"
            else info.observation_space.shape,
            action_space=info.action_space,
            announce=None,
        )
    require_memoryless(loaded.info, "an explanation")
    return loaded


def tree_of(policy: NetworkPolicy) -> TreeArrays | None:
    """The arrays of a policy that is a tree; None where it is none."""
    return policy.module.tree if isinstance(policy.module, TreeModule) else None


def require_tree(policy: NetworkPolicy, info: TaskInfo) -> TreeArrays:
    """The arrays of a policy that must be a tree.

    Raises:
        TaskError: it is none.
    """
    tree = tree_of(policy)
    if tree is None:
        raise TaskError(
            f"only trees can be verified, and {policy.info.name} ({policy.info.source}) is none; "
            f"distil it first: rldistill distill ... --task {info.id} --student tree:32"
        )
    return tree


def policy_of_tree(tree: TreeArrays, like: PolicyInfo) -> NetworkPolicy:
    """A tree as a policy with the spaces and the head of another."""
    spec = TreeSpec(GROWTHS["tree"], max(tree.num_leaves, 2))
    module = TreeModule(spec, math.prod(like.observation_shape), tree)
    info = PolicyInfo(
        name=str(spec),
        framework="rldistill",
        observation_shape=like.observation_shape,
        head=like.head,
        acting_parameters=count(module),
        parameters=count(module),
        source=f"a surrogate of {like.name}",
    )
    return NetworkPolicy(module, info)


@final
class _Reshaped(nn.Module):
    """A network that takes its observations flat, or as they are."""

    def __init__(self, inner: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.inner, self.shape = inner, shape

    def forward(self, observations: Tensor) -> Tensor:
        return self.inner(observations.reshape(len(observations), *self.shape))


def flat(policy: NetworkPolicy) -> NetworkPolicy:
    """The same policy with its observation as one row of numbers."""
    shape = policy.info.observation_shape
    if len(shape) == 1:
        return policy
    info = dataclasses.replace(policy.info, observation_shape=(math.prod(shape),))
    return NetworkPolicy(_Reshaped(policy.module, shape), info)
