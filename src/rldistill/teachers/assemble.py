"""Networks of a file made into a policy, with the line that says what was found."""

from dataclasses import dataclass
from typing import final

from torch import nn

from rldistill.core import NetworkPolicy, PolicyInfo
from rldistill.teachers.networks import Networks


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where networks come from.

    Attributes:
        framework: who wrote the file.
        source: the file, for messages.
        fingerprint: sha256 of all that makes the policy.
        gamma: the discount, None if unknown.
        value_units: "raw" or "normalised", where there is a value.
        notes: what had to be assumed about the file.
    """

    framework: str
    source: str
    fingerprint: str
    gamma: float | None = None
    value_units: str = "raw"
    notes: tuple[str, ...] = ()


def assemble(networks: Networks, origin: Origin) -> NetworkPolicy:
    """A frozen policy of these networks."""
    module = nn.Sequential(*networks.actor)
    critic = networks.critic
    every = nn.ModuleList([module] if critic is None else [module, critic])
    every.requires_grad_(False).eval()
    acting = sum(parameter.numel() for parameter in module.parameters())
    shape = networks.shape or networks.sizes[:1]
    sizes = ["x".join(map(str, shape)), *map(str, networks.sizes[1:])]
    gamma = "unknown" if origin.gamma is None else f"{origin.gamma:g}"
    found = (
        f"{networks.algorithm} ({origin.framework}): {' -> '.join(sizes)} {networks.activation}, "
        f"{acting:,} acting parameters, value {'no' if critic is None else 'yes'}, gamma {gamma}"
    )
    info = PolicyInfo(
        name=networks.algorithm,
        framework=origin.framework,
        observation_shape=shape,
        head=networks.head,
        acting_parameters=acting,
        parameters=sum(parameter.numel() for parameter in every.parameters()),
        gamma=origin.gamma,
        value_units="none" if critic is None else origin.value_units,
        fingerprint=origin.fingerprint,
        source=origin.source,
        notes=(found, *origin.notes, *networks.notes),
    )
    return NetworkPolicy(module, info, critic)
