"""The policy that is explained, and the tree in it where it is one."""

from pathlib import Path

from rldistill.core import NetworkPolicy
from rldistill.envs.spec import TaskInfo
from rldistill.errors import TaskError, between
from rldistill.students.tree import TreeArrays
from rldistill.students.tree_module import TreeModule
from rldistill.teachers.load import load_teacher


def load_subject(
    policy: object, info: TaskInfo, vecnormalize: Path | None = None, role: str = "policy"
) -> NetworkPolicy:
    """Load a policy that fits a task.

    Raises:
        TaskError: it does not fit.
        TeacherFileError: it cannot be read.
    """
    with between(role, "task"):
        return load_teacher(
            policy,
            vecnormalize=vecnormalize,
            observation_shape=info.observation_space.shape,
            action_space=info.action_space,
            announce=None,
        )


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
