"""Parallelised Q-learning: lambda returns over many environments, no replay, no target network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import Trajectory
from rldistill.errors import NotFiniteError, SettingError
from rldistill.maths import returns
from rldistill.maths.returns import Outcomes

# Updates over which the learning rate rises from 0: a young Adam knows no second moments.
WARM_UP = 500


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelQ:
    """How a Q-network is trained; the defaults are those published for MinAtar.

    Source: Gallici et al. 2024 (PQN, arXiv:2407.04811), and the MinAtar settings of its code.

    Attributes:
        gamma: discount per environment step.
        lam: lambda of the returns.
        num_envs: environments stepped together, summed over tasks.
        horizon: steps of each environment in a round.
        epochs: passes over a round.
        num_minibatches: of each task, per pass.
        learning_rate: of Adam, at the beginning.
        decays: whether it falls linearly to 0 over the run.
        epsilon_start: share of uniform actions in the first round.
        epsilon_end: after epsilon_share of the run.
        epsilon_share: of the run, over which epsilon falls linearly.
        max_grad_norm: gradients are scaled down to this norm.
        clip_rewards: learn from the signs of rewards; returns are still counted in raw reward.
        bfloat16: hidden layers compute in bfloat16.
    """

    gamma: float = 0.99
    lam: float = 0.65
    num_envs: int = 128
    horizon: int = 32
    epochs: int = 2
    num_minibatches: int = 32
    learning_rate: float = 5e-4
    decays: bool = True
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    epsilon_share: float = 0.1
    max_grad_norm: float = 10.0
    clip_rewards: bool = False
    bfloat16: bool = False

    def __post_init__(self) -> None:
        for name in ("gamma", "lam", "epsilon_start", "epsilon_end", "epsilon_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingError(f"{name} must lie in [0, 1], got {getattr(self, name):g}")
        for name in ("num_envs", "horizon", "epochs", "num_minibatches"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0.0:
                raise SettingError(f"{name} must be above 0, got {getattr(self, name):g}")

    def epsilon(self, done: float) -> float:
        """The share of uniform actions once a share `done` of the run is over.

        >>> ParallelQ(epsilon_end=0.0, epsilon_share=0.5).epsilon(0.25)
        0.5
        """
        part = 1.0 if self.epsilon_share == 0.0 else min(done / self.epsilon_share, 1.0)
        return self.epsilon_start + part * (self.epsilon_end - self.epsilon_start)


@final
@dataclass(frozen=True, slots=True)
class Targets:
    """What one round of one task says that Q should be.

    Attributes:
        observations: [N, ...].
        actions: [N] int64.
        values: [N] float32, lambda returns.
    """

    observations: Tensor
    actions: Tensor
    values: Tensor


@torch.no_grad()
def lambda_targets(trajectory: Trajectory, last_raw: Tensor, settings: ParallelQ) -> Targets:
    """G_t = r_t + gamma ((1 - lambda) max_a Q(s_{t+1}, a) + lambda G_{t+1}), 0 after a real end.

    Actions that exploration chose do not cut the return (Peng's Q(lambda)).

    Args:
        trajectory: [T, B], labelled with the Q-values of the network that acted.
        last_raw: [B, A], its Q-values of the states after the last step.
        settings: gamma, lambda, and whether rewards count by their sign.

    Returns:
        The valid steps as rows.

    Source: Gallici et al. 2024 (arXiv:2407.04811), equation 8; Peng and Williams 1994.
    """
    rewards = trajectory.rewards.sign() if settings.clip_rewards else trajectory.rewards
    ends = (trajectory.terminated, trajectory.truncated, trajectory.valid)
    values = torch.cat([trajectory.teacher_raw, last_raw[None]]).amax(-1)
    outcomes = Outcomes(rewards, *ends)
    targets = returns.gae(outcomes, values, settings.gamma, settings.lam) + values[:-1]
    keep = trajectory.valid
    return Targets(trajectory.observations[keep], trajectory.actions[keep], targets[keep])


@final
class ParallelQLearner:
    """Takes Adam steps on (Q_k(s, a) - G)^2 / 2, each on a minibatch of one task k.

    PQN's own optimiser is RAdam, which is Adam with a slow start; torch has Adam in one fused
    kernel, which halves the time of the step, and so the start is slow here by WARM_UP.

    Attributes:
        networks: one per task, from observations [N, ...] to Q-values [N, A_k]; they may share
            parameters, and then this is joint training (Multi-DQN).
        updates: optimiser steps taken so far.
    """

    def __init__(
        self, networks: Sequence[nn.Module], settings: ParallelQ, generator: torch.Generator
    ) -> None:
        self.networks = tuple(networks)
        self.settings = settings
        self.updates = 0
        self._generator = generator
        shared = {id(p): p for network in self.networks for p in network.parameters()}
        self._parameters = list(shared.values())
        self._optimiser = torch.optim.Adam(self._parameters, lr=settings.learning_rate, fused=True)

    def learn(self, rounds: Sequence[Targets], done: float) -> float:
        """All passes over a round of every task, minibatches of all tasks in random order.

        Args:
            rounds: one per task; a task without rows is passed over.
            done: share of the run that is over, for the learning rate.

        Returns:
            The mean loss per minibatch.

        Raises:
            NotFiniteError: it became NaN or infinite.
        """
        total, count = torch.zeros((), device=self._parameters[0].device), 0
        for _ in range(self.settings.epochs):
            for task, index in self._batches(rounds):
                self._set_rate(done)
                total += self._update(task, rounds[task], index)
                count += 1
        loss = float(total) / max(count, 1)
        if loss != loss or abs(loss) == float("inf"):
            raise NotFiniteError(
                f"the loss became {loss} after {self.updates} updates: lower the learning rate "
                f"(now {self.settings.learning_rate:g}), or use a network with LayerNorm"
            )
        return loss

    def _set_rate(self, done: float) -> None:
        rate = self.settings.learning_rate * min((self.updates + 1) / WARM_UP, 1.0)
        if self.settings.decays:
            rate *= max(1.0 - done, 0.0)
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def _batches(self, rounds: Sequence[Targets]) -> list[tuple[int, Tensor]]:
        """(task, rows) of one pass, each row of each task once."""
        pieces: list[tuple[int, Tensor]] = []
        for task, targets in enumerate(rounds):
            size = len(targets.values)
            rows = torch.randperm(size, generator=self._generator).to(targets.values.device)
            parts = min(self.settings.num_minibatches, size)
            pieces += [(task, part) for part in rows.tensor_split(parts)] if size else []
        if len(rounds) == 1:
            return pieces
        order = torch.randperm(len(pieces), generator=self._generator).tolist()
        return [pieces[i] for i in order]

    def _update(self, task: int, targets: Targets, index: Tensor) -> Tensor:
        device = targets.values.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.settings.bfloat16):
            raw = self.networks[task](targets.observations.index_select(0, index))
        taken = raw.float().gather(-1, targets.actions.index_select(0, index)[:, None]).squeeze(-1)
        loss = 0.5 * (taken - targets.values.index_select(0, index)).square().mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, self.settings.max_grad_norm)
        self._optimiser.step()
        self.updates += 1
        return loss.detach()

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return all(bool(p.isfinite().all()) for p in self._parameters)

    def state_dict(self) -> dict[str, Any]:
        """Optimiser and counters; the weights are the networks' own."""
        return {"optimiser": self._optimiser.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self._optimiser.load_state_dict(state["optimiser"])
        self.updates = int(state["updates"])


def atari_settings(settings: ParallelQ) -> ParallelQ:
    """The settings with what PQN changes for Atari: clipped rewards, less exploration, lower rate.

    >>> atari_settings(ParallelQ()).epsilon_end
    0.001
    """
    return replace(settings, clip_rewards=True, epsilon_end=0.001, learning_rate=2.5e-4)
