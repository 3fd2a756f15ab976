"""What a step is worth: returns and advantages over T steps of B environments.

Every function takes Outcomes [T, B] and values [T + 1, B], in units of reward:

- values[t] is V of the observation that action t was chosen on; values[T] that of the observations
  after the last step. So values[t + 1] is V of what step t led to.
- A step that terminated is followed by nothing: the value after it is 0, whatever values says.
- A step that was truncated (a time limit) bootstraps from the value of the real last observation
  of its episode, and so does step T - 1 where the data stop.
- After the end of an episode comes a phantom step (valid is False) in which the environment starts
  over. Its row holds that real last observation, which is why values[t + 1] is right for a
  truncated step t too. It is worth 0 itself, its reward is ignored, NaN included, and nothing
  passes through it from one episode to the one before.

Data with no phantom step after a truncated one have lost the last observation of the episode: row
t + 1 then belongs to the next one, and Outcomes refuses them rather than bootstrap from there.
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rldistill.errors import DatasetError, SettingError, ShapeError


@final
@dataclass(frozen=True, slots=True)
class Outcomes:
    """What each step gave, and how it ended.

    Args:
        rewards: [T, B] float, T >= 1, any unit: raw rewards or those of a method. Ignored where
            valid is False.
        terminated: [T, B] bool: the task ended here; it wins where truncated is set too.
        truncated: [T, B] bool: the episode was cut here, and would have gone on.
        valid: [T, B] bool: False for phantom steps, and for padding after the end of an episode.

    Raises:
        ShapeError: the four are not one shape [T, B], or T is 0.
        DatasetError: a truncated step is not followed by a phantom step, or a phantom step
            follows a step that ended nothing.

    >>> no = torch.zeros(2, 1, dtype=torch.bool)
    >>> Outcomes(torch.ones(2, 1), no, no, ~no).rewards.sum().item()
    2.0
    """

    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor

    def __post_init__(self) -> None:
        shapes = [
            tuple(t.shape) for t in (self.rewards, self.terminated, self.truncated, self.valid)
        ]
        if len(set(shapes)) != 1 or len(shapes[0]) != 2 or shapes[0][0] == 0:
            raise ShapeError(
                "rewards, terminated, truncated and valid must have one shape [T, B] with T >= 1; "
                f"got {', '.join(map(str, shapes))}"
            )
        flags = {t.dtype for t in (self.terminated, self.truncated, self.valid)}
        if flags != {torch.bool}:
            raise ShapeError(f"terminated, truncated and valid must be bool; got {flags}")
        ended = self.terminated | self.truncated
        followed = self.valid[1:]
        lost = (self.valid & self.truncated & ~self.terminated)[:-1] & followed
        stray = (self.valid & ~ended)[:-1] & ~followed
        # One question, so that an accelerator is made to wait only once per trajectory.
        if (lost | stray).any():
            step, env = (int(i) for i in (lost | stray).nonzero()[0])
            wrong = (
                "was truncated, but the next one is valid"
                if lost[step, env]
                else "ended nothing, but the next one has valid=False"
            )
            raise DatasetError(
                f"step {step} of environment {env} {wrong}; the next-step autoreset layout is "
                "required: after each end, one step with valid=False holding the last observation"
            )


def return_to_go(outcomes: Outcomes, values: Tensor, gamma: float) -> Tensor:
    """G_t = r_t + gamma * (0 if terminated, values[t + 1] if truncated or t = T - 1, else G_{t+1}).

    Args:
        outcomes: [T, B].
        values: [T + 1, B], units of reward, used only where the data stop or are truncated; zeros
            count nothing after those.
        gamma: discount per environment step, 0 to 1.

    Returns:
        [T, B] in units of reward; 0 at phantom steps.

    Raises:
        ShapeError: values is not [T + 1, B].
        SettingError: gamma is outside 0 to 1.

    Source: Sutton and Barto 2018, equation 3.9; truncation after Pardo et al. 2018
    (arXiv:1712.00378), partial-episode bootstrapping.

    >>> no = torch.zeros(2, 1, dtype=torch.bool)
    >>> outcomes = Outcomes(torch.ones(2, 1), no, no, ~no)
    >>> return_to_go(outcomes, torch.tensor([[0.0], [0.0], [4.0]]), gamma=0.5).T
    tensor([[2.5000, 3.0000]])
    """
    _check_values("return_to_go", outcomes, values)
    _check_share("gamma", gamma)
    rewards = outcomes.rewards
    after, goes_on = _sequel(outcomes, values)
    total, totals = values[-1], list[Tensor]()
    for t in reversed(range(len(rewards))):
        total = rewards[t] + gamma * torch.where(goes_on[t], total, after[t])
        totals.append(total)
    return _zero_phantoms(outcomes, torch.stack(totals[::-1]))


def n_step(outcomes: Outcomes, values: Tensor, gamma: float, n: int) -> Tensor:
    """G_t = r_t + ... + gamma^(n-1) r_{t+n-1} + gamma^n values[t + n].

    Where the episode ends or the data stop sooner, the sum stops there: with 0 if terminated, with
    the value of the last observation otherwise.

    Args:
        outcomes: [T, B].
        values: [T + 1, B], units of reward.
        gamma: discount per environment step, 0 to 1.
        n: number of rewards summed, >= 1; from T on the result is return_to_go.

    Returns:
        [T, B] in units of reward; 0 at phantom steps.

    Raises:
        ShapeError: values is not [T + 1, B].
        SettingError: gamma is outside 0 to 1, or n below 1.

    Source: Sutton and Barto 2018, equation 7.1; truncation after Pardo et al. 2018
    (arXiv:1712.00378), partial-episode bootstrapping.

    >>> no = torch.zeros(2, 1, dtype=torch.bool)
    >>> outcomes = Outcomes(torch.ones(2, 1), no, no, ~no)
    >>> n_step(outcomes, torch.tensor([[0.0], [8.0], [4.0]]), gamma=0.5, n=1).T
    tensor([[5., 3.]])
    """
    _check_values("n_step", outcomes, values)
    _check_share("gamma", gamma)
    if n < 1:
        raise SettingError(f"n must be at least 1 step; got {n}")
    rewards = outcomes.rewards
    after, goes_on = _sequel(outcomes, values)
    total = values[:-1]
    for _ in range(min(n, len(rewards))):
        # The sum from t is one reward and the sum, one step shorter, from t + 1.
        shorter = torch.cat([total[1:], values[-1:]])
        total = rewards + gamma * torch.where(goes_on, shorter, after)
    return _zero_phantoms(outcomes, total)


def gae(outcomes: Outcomes, values: Tensor, gamma: float, lam: float) -> Tensor:
    """A_t = sum_k (gamma lam)^k delta_{t+k}, delta_t = r_t + gamma values[t + 1] - values[t].

    The sum stops with the episode; values[t + 1] counts as 0 where step t terminated. The target
    of the critic is A + values[:-1].

    Args:
        outcomes: [T, B].
        values: [T + 1, B], units of reward. Detach them where they must not be learnt through.
        gamma: discount per environment step, 0 to 1.
        lam: lambda, 0 (one step, least variance) to 1 (return_to_go - values[:-1], least bias).

    Returns:
        [T, B] in units of reward; 0 at phantom steps. Not normalised.

    Raises:
        ShapeError: values is not [T + 1, B].
        SettingError: gamma or lam is outside 0 to 1.

    Source: Schulman et al. 2016 (arXiv:1506.02438), equation 16; truncation after Pardo et al. 2018
    (arXiv:1712.00378), partial-episode bootstrapping.

    >>> no = torch.zeros(2, 1, dtype=torch.bool)
    >>> outcomes = Outcomes(torch.ones(2, 1), no, no, ~no)
    >>> gae(outcomes, torch.tensor([[0.0], [8.0], [4.0]]), gamma=0.5, lam=0.5).T
    tensor([[ 3.7500, -5.0000]])
    """
    _check_values("gae", outcomes, values)
    _check_share("gamma", gamma)
    _check_share("lam", lam)
    rewards = outcomes.rewards
    after, goes_on = _sequel(outcomes, values)
    delta = rewards + gamma * after - values[:-1]
    advantage, advantages = torch.zeros_like(values[-1]), list[Tensor]()
    for t in reversed(range(len(delta))):
        advantage = delta[t] + gamma * lam * torch.where(goes_on[t], advantage, 0.0)
        advantages.append(advantage)
    return _zero_phantoms(outcomes, torch.stack(advantages[::-1]))


def _sequel(outcomes: Outcomes, values: Tensor) -> tuple[Tensor, Tensor]:
    """The value after each step, and whether step t + 1 goes on from it."""
    after = torch.where(outcomes.terminated, 0.0, values[1:])
    return after, outcomes.valid & ~(outcomes.terminated | outcomes.truncated)


def _zero_phantoms(outcomes: Outcomes, result: Tensor) -> Tensor:
    # Only here, at the end: no valid step goes on into a phantom, so none has used its result. By
    # where, since 0 times NaN is NaN.
    return torch.where(outcomes.valid, result, 0.0)


def _check_values(caller: str, outcomes: Outcomes, values: Tensor) -> None:
    num_steps, num_envs = outcomes.rewards.shape
    if values.shape != (num_steps + 1, num_envs):
        raise ShapeError(
            f"{caller}: values must be [T + 1, B] = {(num_steps + 1, num_envs)}, one row more than "
            f"the rewards, for the observations after the last step; got {tuple(values.shape)}"
        )


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise SettingError(f"{name} must be between 0 and 1; got {value}")
