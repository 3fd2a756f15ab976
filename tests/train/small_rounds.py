"""One round of two environments with every kind of end, and tabular policies of three states.

Environment 0 terminates at t = 1 and starts over in the phantom step t = 2; environment 1 is cut at
t = 2 and starts over at t = 3, whose row holds the real last observation. Both go on when the data
stop at t = 5.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tabular import Table, tabular

from rldistill.core import NetworkPolicy, Trajectory
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import Learning, Method
from rldistill.methods.terms import Alignment, align
from rldistill.train.experience import Appraiser, Experience

T, B, NAN = 6, 2, float("nan")
STATES = torch.tensor([[0, 1, 2, 0, 1, 2, 0], [1, 2, 0, 2, 1, 0, 1]]).T  # [T + 1, B]
ACTIONS = torch.tensor([[0, 1, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1]]).T
REWARDS = torch.tensor(
    [[1.0, 2.0, NAN, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, NAN, 11.0, 12.0]], dtype=torch.float64
).T
TEACHER_VALUES = np.array([10.0, 20.0, 30.0])
VALUES = np.array([[1.0, -1.0], [2.0, 25.0], [3.0, 29.0]])  # [S, columns]


def flags(*places: tuple[int, int]) -> torch.Tensor:
    marked = torch.zeros(T, B, dtype=torch.bool)
    for place in places:
        marked[place] = True
    return marked


TERMINATED, TRUNCATED = flags((1, 0)), flags((2, 1))
VALID = ~flags((2, 0), (3, 1))


def the_teacher(values: np.ndarray | None = TEACHER_VALUES) -> NetworkPolicy:
    return tabular(np.log([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]]), values)


def the_student() -> NetworkPolicy:
    return tabular(np.log([[0.4, 0.6], [0.7, 0.3], [0.25, 0.75]]))


def critic_of(num_columns: int) -> Table | None:
    return Table(VALUES[:, :num_columns]) if num_columns else None


def the_round(**changes: Any) -> Trajectory:
    seen = torch.eye(3)[STATES]
    raw = the_teacher().raw(seen[:-1]).detach()
    trajectory = Trajectory(
        seen[:-1], ACTIONS, REWARDS, TERMINATED, TRUNCATED, VALID, raw, seen[-1]
    )
    return replace(trajectory, **changes)


def row(name: str, /, **settings: Any) -> Method:
    """A row in raw units, gamma 1/2 and, where it has an effect, lambda 1 unless told otherwise."""
    method = get_method(name)
    plain: dict[str, Any] = {"gamma": 0.5, "scale_rewards": False}
    one_step = method.credit is not None and method.credit.one_step
    if not one_step and "n_step" not in settings:
        plain["lam"] = 1.0
    actor_critic = replace(method.actor_critic, **(plain | settings))
    learning = Learning(learning_rate=0.01, batch_size=4, reuse=1.0)
    return replace(method, actor_critic=actor_critic, learning=learning)


def alignment_of(method: Method) -> Alignment:
    return align(method, the_teacher().info.head, the_student().info.head, None)


def appraised(
    method: Method, trajectory: Trajectory | None = None, loss_weight: float = 1.0
) -> Experience:
    appraiser = Appraiser(the_teacher(), method)
    networks = (the_student(), critic_of(appraiser.num_columns))
    given = the_round() if trajectory is None else trajectory
    return appraiser.appraise(given, alignment_of(method), networks, loss_weight)


def at(column: torch.Tensor, t: int, b: int) -> float:
    """The entry of a valid step in a column of an Experience."""
    return float(column[int(VALID.flatten()[: t * B + b].sum())])
