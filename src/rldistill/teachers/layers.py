"""The few modules that files of others need besides nn.Linear and activations.

Each maps [..., inputs] to [..., outputs] and is fixed: a teacher never learns.
"""

from typing import final

import torch
from torch import Tensor, nn

# The constants of stable-baselines3 (sac/policies.py and common/distributions.py).
LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
EPSILON = 1e-6
HALF_LOG_TWO_PI = 0.9189385332046727


@final
class Normaliser(nn.Module):
    """clip((x - mean) / sqrt(var + epsilon), -clip, clip), as stable-baselines3's VecNormalize.

    In float64 and rounded to float32 at the end, as there: where a feature hardly varies, the
    difference x - mean would lose its digits in float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, clip: float) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", mean.double())
        self.register_buffer("std", std.double())

    def forward(self, observations: Tensor) -> Tensor:
        normal = (observations.double() - self.mean) / self.std
        return normal.clamp(-self.clip, self.clip).float()


@final
class ConstantStd(nn.Module):
    """[mean(x), log_std]: the Gaussian of PPO, A2C and TRPO; log_std [D] does not see the state."""

    def __init__(self, mean: nn.Module, log_std: Tensor) -> None:
        super().__init__()
        self.mean = mean
        self.log_std = frozen(log_std)

    def forward(self, latent: Tensor) -> Tensor:
        mean = self.mean(latent)
        return torch.cat([mean, self.log_std.expand_as(mean)], -1)


@final
class StateStd(nn.Module):
    """[mean(x), log_std(x) clipped to [-20, 2]]: the squashed Gaussian of SAC and TQC."""

    def __init__(self, mean: nn.Module, log_std: nn.Module) -> None:
        super().__init__()
        self.mean = mean
        self.log_std = log_std

    def forward(self, latent: Tensor) -> Tensor:
        log_std = self.log_std(latent).clamp(LOG_STD_MIN, LOG_STD_MAX)
        return torch.cat([self.mean(latent), log_std], -1)


@final
class ExplorationStd(nn.Module):
    """[mean(x), log sigma(x)] with sigma^2 = x^2 @ std^2 + 1e-6: gSDE's marginal per state.

    gSDE holds its noise for several steps; each single action is distributed as given here.

    Source: Raffin, Kober, Stulp 2020 (arXiv:2005.05719), equation 5.
    """

    def __init__(self, mean: nn.Module, log_std: Tensor, use_expln: bool) -> None:
        """Keep the parameter as in the file.

        Args:
            mean: latent [..., L] to mean [..., D].
            log_std: [L, D], or [L, 1] where all dimensions share it.
            use_expln: log_std holds the inverse of expln instead of a logarithm.
        """
        super().__init__()
        self.mean = mean
        self.log_std = frozen(log_std)
        self.use_expln = use_expln

    def forward(self, latent: Tensor) -> Tensor:
        mean = self.mean(latent)
        variance = latent.square() @ self.std().square() + EPSILON
        return torch.cat([mean, 0.5 * variance.log().expand_as(mean)], -1)

    def std(self) -> Tensor:
        """[L, D] or [L, 1], the standard deviation of each weight of the noise."""
        if not self.use_expln:
            return self.log_std.exp()
        above = (self.log_std.clamp(min=0.0) + EPSILON).log1p() + 1.0
        return torch.where(self.log_std <= 0.0, self.log_std.exp(), above)


@final
class Rescale(nn.Module):
    """low + (x + 1) / 2 * (high - low): from [-1, 1] to the action's own units."""

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, scaled: Tensor) -> Tensor:
        return self.low + 0.5 * (scaled + 1.0) * (self.high - self.low)


@final
class Clip(nn.Module):
    """x clipped to [low, high], the action that an unsquashed deterministic policy performs."""

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, action: Tensor) -> Tensor:
        return action.clamp(self.low, self.high)


@final
class QuantileMean(nn.Module):
    """Q(s, a) = mean over quantiles of quantiles [..., N * A], laid out quantile by quantile."""

    def __init__(self, num_quantiles: int, num_actions: int) -> None:
        super().__init__()
        self.shape = (num_quantiles, num_actions)

    def forward(self, quantiles: Tensor) -> Tensor:
        return quantiles.unflatten(-1, self.shape).mean(-2)


@final
class Squeeze(nn.Module):
    """[..., 1] to [...]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(-1)


@final
class GreedyValue(nn.Module):
    """V(s) = max_a Q(s, a)."""

    def __init__(self, q_network: nn.Module) -> None:
        super().__init__()
        self.q_network = q_network

    def forward(self, observations: Tensor) -> Tensor:
        return self.q_network(observations).amax(-1)


@final
class Scale(nn.Module):
    """x times a constant: undoes a reward normaliser."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@final
class Critics(nn.Module):
    """Q(s, a) from several critics of (s, a scaled to [-1, 1]): min, or TQC's truncated mean.

    With drop None each critic gives one number and the least counts. Otherwise the quantiles of all
    critics are pooled and sorted, the `drop` largest are left out, and the rest is averaged.

    Source: Fujimoto et al. 2018 (arXiv:1802.09477); Kuznetsov et al. 2020 (arXiv:2005.04269).
    """

    def __init__(self, critics: list[nn.Module], drop: int | None = None) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.drop = drop

    def forward(self, observations: Tensor, scaled_actions: Tensor) -> Tensor:
        inputs = torch.cat([observations, scaled_actions], -1)
        outputs = torch.cat([critic(inputs) for critic in self.critics], -1)
        if self.drop is None:
            return outputs.amin(-1)
        kept = outputs.shape[-1] - self.drop
        return outputs.sort(-1).values[..., :kept].mean(-1)


@final
class DeterministicValue(nn.Module):
    """V(s) = Q(s, mu(s)) with mu in [-1, 1]."""

    def __init__(self, actor: nn.Module, critics: Critics) -> None:
        super().__init__()
        self.actor = actor
        self.critics = critics

    def forward(self, observations: Tensor) -> Tensor:
        return self.critics(observations, self.actor(observations))


@final
class SoftValue(nn.Module):
    """V(s) = E_a[Q(s, a) - alpha log pi(a | s)], the mean over K fixed draws of the noise.

    The draws [K, D] are the same for every state and every call, so V is a function of the state.
    log pi counts actions in [-1, 1], with the 1e-6 of stable-baselines3 inside the logarithm.

    Source: Haarnoja et al. 2018 (arXiv:1801.01290), equation 3.
    """

    noise: Tensor

    def __init__(self, actor: nn.Module, critics: Critics, alpha: float, noise: Tensor) -> None:
        super().__init__()
        self.actor = actor
        self.critics = critics
        self.alpha = alpha
        self.register_buffer("noise", noise)

    def forward(self, observations: Tensor) -> Tensor:
        mean, log_std = self.actor(observations).chunk(2, -1)
        # [..., 1, D] against [K, D]: all draws in one batch.
        mean, log_std = mean.unsqueeze(-2), log_std.unsqueeze(-2)
        u = mean + log_std.exp() * self.noise
        action = u.tanh()
        normal = -0.5 * self.noise.square() - log_std - HALF_LOG_TWO_PI
        # 1 - tanh(u)^2 = 4 e / (1 + e)^2 with e = exp(-2 |u|) keeps its digits where |u| is large.
        tail = (-2.0 * u.abs()).exp()
        slope = 4.0 * tail / (1.0 + tail).square()
        log_pi = (normal - (slope + EPSILON).log()).sum(-1)
        repeated = observations.unsqueeze(-2).expand(*action.shape[:-1], -1)
        return (self.critics(repeated, action) - self.alpha * log_pi).mean(-1)


def frozen(tensor: Tensor) -> nn.Parameter:
    """A parameter that no optimiser moves."""
    return nn.Parameter(tensor, requires_grad=False)
