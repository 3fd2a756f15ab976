"""Several teachers as one: the mean of what they say, or the surest of them in each state."""

import hashlib
from typing import final

import torch
from torch import Tensor, nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
    SquashedGaussianHead,
    require_memoryless,
)
from rldistill.errors import MisfitError, SettingError

# The logarithm of a probability is not taken below this one.
LEAST = 1e-12


def make_ensemble(members: tuple[NetworkPolicy, ...], *, is_confident: bool) -> NetworkPolicy:
    """One policy of several that see and do the same.

    The mean of categorical policies is that of their probabilities; of Q-values and actions, that
    of the numbers. Of Gaussians it is the Gaussian with the mean and variance of their mixture
    (before tanh, where they are squashed).

    Args:
        members: at least two, with heads of one kind.
        is_confident: per state take the outputs of the surest instead: the lowest entropy, for
            Gaussians the smallest product of deviations.

    Raises:
        MisfitError: they do not see and do the same.
        TaskError: one of them is recurrent.
        SettingError: their kind of head has no confidence: actions without a deviation, and
            Q-values, whose scales differ.
    """
    first = members[0].info
    for other in members[1:]:
        info = other.info
        if info.observation_shape != first.observation_shape or info.head != first.head:
            raise MisfitError(
                info.source,
                f"takes {info.observation_shape} and gives {_said(info.head)}",
                f"takes {first.observation_shape} and gives {_said(first.head)}",
                ("member", f"ensemble's first ({first.source})"),
            )
    for member in members:
        require_memoryless(member.info, "an ensemble")
    if is_confident and isinstance(first.head, (DeterministicHead, QValueHead)):
        raise SettingError(
            f"confident: needs probabilities; {_said(first.head)} has none. Take ensemble:"
        )
    modules = [member.module for member in members]
    module = EnsembleModule(modules, first.head, is_confident=is_confident).eval()
    units = {member.info.value_units for member in members}
    critics = [member.critic for member in members if member.critic is not None]
    critic = None
    if units == {"raw"} and not is_confident and len({m.info.gamma for m in members}) == 1:
        critic = MeanValue(critics)
    count = sum(member.info.acting_parameters for member in members)
    names = " + ".join(member.info.name for member in members)
    how = "the surest per state" if is_confident else "their mean"
    line = f"ensemble of {len(members)}, {how}: {names}, {count:,} acting parameters"
    digest = hashlib.sha256(how.encode())
    for member in members:
        digest.update(member.info.fingerprint.encode())
    info = PolicyInfo(
        name="ensemble",
        framework="ensemble",
        observation_shape=first.observation_shape,
        head=first.head,
        acting_parameters=count,
        parameters=sum(member.info.parameters for member in members),
        gamma=None if critic is None else first.gamma,
        value_units="none" if critic is None else "raw",
        fingerprint=digest.hexdigest(),
        source="ensemble",
        notes=(line, *(note for member in members for note in member.info.notes)),
    )
    return NetworkPolicy(module, info, critic)


def _said(head: Head) -> str:
    return f"{head.num_outputs} outputs of {type(head).__name__.removesuffix('Head')}"


@final
class EnsembleModule(nn.Module):
    """Raw outputs of several modules with one head, as raw outputs of that head."""

    def __init__(self, members: list[nn.Module], head: Head, *, is_confident: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.head = head
        self.is_confident = is_confident

    def forward(self, observations: Tensor) -> Tensor:
        said = torch.stack([member(observations) for member in self.members])
        if self.is_confident:
            surest = self._doubt(said).argmin(0)
            return said.gather(0, surest[None, ..., None].expand(1, *said.shape[1:]))[0]
        if isinstance(self.head, CategoricalHead):
            return said.softmax(-1).mean(0).clamp(min=LEAST).log()
        if isinstance(self.head, (GaussianHead, SquashedGaussianHead)):
            mean, log_std = said.chunk(2, -1)
            # Var[mixture] = E[variance] + Var[mean]; biased, as the members are all there are.
            variance = (2.0 * log_std).exp().mean(0) + mean.var(0, unbiased=False)
            return torch.cat([mean.mean(0), 0.5 * variance.log()], -1)
        return said.mean(0)

    def _doubt(self, said: Tensor) -> Tensor:
        """[members, B]: entropy in nats, up to a constant for Gaussians."""
        if isinstance(self.head, CategoricalHead):
            log_p = said.log_softmax(-1)
            return -(log_p.exp() * log_p).sum(-1)
        return said.chunk(2, -1)[1].sum(-1)


@final
class MeanValue(nn.Module):
    """The mean of several critics."""

    def __init__(self, critics: list[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, observations: Tensor) -> Tensor:
        return torch.stack([critic(observations) for critic in self.critics]).mean(0)
