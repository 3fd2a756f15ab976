"""Whether a policy and a task belong together."""

from gymnasium import spaces

from rldistill.core import CategoricalHead, Head, Policy, QValueHead
from rldistill.envs.spec import TaskInfo
from rldistill.errors import TaskError


def check_fit(policy: Policy, task: TaskInfo) -> None:
    """Raise unless the policy can play the task.

    Raises:
        TaskError: the observation shapes or the action spaces differ; both are named.
    """
    who = f"{policy.info.name} ({policy.info.source})" if policy.info.source else policy.info.name
    seen, given = policy.info.observation_shape, task.observation_space.shape
    if seen != given:
        raise TaskError(
            f"{who} expects observations of shape {seen}; {task.id} gives {given}: is it the "
            "right task, and the right wrapper?"
        )
    if _actions(policy.info.head) != _task_actions(task):
        raise TaskError(
            f"{who} has {_actions(policy.info.head)}; {task.id} has {_task_actions(task)}: is it "
            "the right task?"
        )


def _actions(head: Head) -> str:
    if isinstance(head, (CategoricalHead, QValueHead)):
        return f"{head.num_actions} discrete actions"
    return f"{len(head.low)} continuous actions"


def _task_actions(task: TaskInfo) -> str:
    space = task.action_space
    if isinstance(space, spaces.Discrete):
        return f"{int(space.n)} discrete actions"
    return f"{space.shape[0]} continuous actions"
