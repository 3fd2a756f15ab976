"""The modules that a card may ask for besides those of torch; fixed, as a teacher is."""

from typing import final

from torch import Tensor, nn


@final
class Standardise(nn.Module):
    """(x - shift) / divide, clipped to [-clip, clip] where there is a clip; as a card says it."""

    shift: Tensor
    divide: Tensor

    def __init__(self, shift: Tensor, divide: Tensor, clip: float | None) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("shift", shift)
        self.register_buffer("divide", divide)

    def forward(self, x: Tensor) -> Tensor:
        normal = (x - self.shift) / self.divide
        return normal if self.clip is None else normal.clamp(-self.clip, self.clip)


@final
class Affine(nn.Module):
    """x * factor + add."""

    factor: Tensor
    add: Tensor

    def __init__(self, factor: Tensor, add: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)
        self.register_buffer("add", add)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.add


@final
class FlattenRows(nn.Module):
    """[B, ...] to [B, N]; channels_last takes [B, C, H, W] in the order H, W, C, as jax does."""

    def __init__(self, channels_last: bool = False) -> None:
        super().__init__()
        self.channels_last = channels_last

    def forward(self, x: Tensor) -> Tensor:
        return (x.permute(0, 2, 3, 1) if self.channels_last else x).flatten(1)


@final
class Pixels(nn.Module):
    """Observations of any number type to floats, divided by scale; channels moved first if last."""

    def __init__(self, scale: float, channels_last: bool) -> None:
        super().__init__()
        self.scale = scale
        self.channels_last = channels_last

    def forward(self, observations: Tensor) -> Tensor:
        x = observations.float()
        x = x.permute(0, 3, 1, 2) if self.channels_last else x
        return x if self.scale == 1.0 else x / self.scale


@final
class Dueling(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean over actions of A(s, .).

    Source: Wang et al. 2016 (arXiv:1511.06581), equation 9.
    """

    def __init__(self, advantage: nn.Module, value: nn.Module) -> None:
        super().__init__()
        self.advantage = advantage
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        advantage = self.advantage(x)
        return self.value(x) + (advantage - advantage.mean(-1, keepdim=True))
