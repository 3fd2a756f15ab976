"""The last hidden layer of a policy's network: what its last linear layer is given."""

from typing import final

import torch
from torch import Tensor, nn

from rldistill.core.policies import NetworkPolicy
from rldistill.errors import SettingError


@final
class HiddenLayer:
    """Gives raw outputs and the last hidden layer of a policy in one forward pass.

    Attributes:
        width: H, numbers in the layer.
    """

    def __init__(self, policy: NetworkPolicy) -> None:
        """Find the layer by one forward pass of a zero observation.

        Raises:
            SettingError: the network calls no nn.Linear, or only one that sees the observation.
        """
        self._module = policy.module
        self._last, self.width = _last_linear(policy)

    def __call__(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Raw outputs [N, outputs] and the hidden layer [N, H], of observations [N, ...]."""
        seen: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del module
            seen.append(inputs[0])

        handle = self._last.register_forward_pre_hook(keep)
        try:
            raw = self._module(observations)
        finally:
            handle.remove()
        return raw, seen[-1].flatten(1)


def _last_linear(policy: NetworkPolicy) -> tuple[nn.Linear, int]:
    """The linear layer that is called last, and the width of what it is given."""
    calls: list[tuple[nn.Module, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs:
            calls.append((module, inputs[0]))

    # Layers with weights: the observation itself is what the first of them sees.
    leaves = [m for m in policy.module.modules() if not list(m.children())]
    weighted = [m for m in leaves if next(m.parameters(), None) is not None]
    handles = [m.register_forward_pre_hook(note) for m in weighted]
    try:
        with torch.no_grad():
            policy.module(torch.zeros(1, *policy.info.observation_shape, device=policy.device))
    finally:
        for handle in handles:
            handle.remove()
    linear = [(m, x) for m, x in calls if isinstance(m, nn.Linear)]
    if not linear or linear[-1][1] is calls[0][1]:
        raise SettingError(
            f"a hidden layer was required; {policy.info.name} has none (its outputs are a linear "
            "function of the observation, or no nn.Linear gives them). Choose a network with one, "
            "or a row without feature regression, such as on-policy-distill"
        )
    module, given = linear[-1]
    assert isinstance(module, nn.Linear)
    return module, given.flatten(1).shape[-1]
