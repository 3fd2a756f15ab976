"""Teachers from a file of weights and a card: torch modules built from what the card names."""

import copy
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from gymnasium import spaces
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
)
from rldistill.errors import TaskError, TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import safe_text
from rldistill.teachers.card import Card, bounds_of, find_card, read_card
from rldistill.teachers.card_layers import Builder
from rldistill.teachers.card_modules import FlattenRows, Pixels
from rldistill.teachers.layers import ConstantStd, GreedyValue, Squeeze, StateStd, frozen
from rldistill.teachers.spaces import record_of_space
from rldistill.teachers.weight_files import SUFFIXES, WeightFile, read_weight_file
from rldistill.teachers.weights import Weights

# Numbers of one observation, and of what any layer makes of one.
MOST_INPUTS = 1 << 22
MOST_LATENT = 1 << 26
DISCRETE = ("categorical", "q-values")
CONTINUOUS = {
    "gaussian": GaussianHead,
    "squashed-gaussian": SquashedGaussianHead,
    "deterministic": DeterministicHead,
}


def is_weight_file(path: Path) -> bool:
    """Whether a file's name says that it holds weights and needs a card."""
    return path.suffix.lower() in SUFFIXES


def load_module(
    path: Path,
    card_path: Path | None,
    observation_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
) -> NetworkPolicy:
    """Build the teacher that a card describes from the weights in a file.

    Args:
        path: npz, safetensors, a state_dict of torch.save, or HDF5.
        card_path: the card; None takes the one beside the weights.
        observation_shape: of the task; a network that takes one row of numbers takes any shape of
            as many.
        action_space: of the task, for action bounds that the card does not tell.

    Raises:
        TeacherFileError: no card, or card and weights do not fit each other.
        UnsafeFileError: sizes that no policy has.
        NotFiniteError: a weight is NaN or infinite.
        TaskError: a squashed policy whose action bounds are unknown.
    """
    found = card_path or find_card(path)
    if found is None:
        raise TeacherFileError(
            f"{path} holds weights, which do not say what network they are of: lay a teacher card "
            f"beside it ({path.with_suffix('.toml').name}) or give one (--card FILE, card=FILE). "
            "docs/cards.md says how to write one; examples/cards has some"
        )
    card, file = read_card(found), read_weight_file(path)
    kept = {
        name: tensor
        for name, tensor in file.tensors.items()
        if not name.startswith(tuple(card.weights.ignore))
    }
    what = f"{path} with card {found}"
    loader = _Loader(card, Weights(kept, what), what)
    return loader.policy(file, str(path), observation_shape, action_space)


@final
@dataclass(frozen=True, slots=True)
class _Loader:
    card: Card
    weights: Weights
    what: str

    def policy(
        self,
        file: WeightFile,
        source: str,
        task_shape: tuple[int, ...] | None,
        action_space: spaces.Space[Any] | None,
    ) -> NetworkPolicy:
        """All tensors used, all sizes checked by passing shapes through."""
        builder = Builder(self.weights, self.card.weights.layout)
        trunk = builder.layers(self.card.network.trunk, "network.trunk")
        outputs = builder.layers(self.card.network.actor, "network.actor")
        if not outputs:
            raise TeacherFileError(f"{self.what}: network.actor has no layers")
        shape = self._shape([*trunk, *outputs], task_shape)
        pictures, scale = self._moves_channels(shape), self.card.observations.scale
        door = [Pixels(scale, pictures)] if len(shape) > 1 or scale != 1.0 else []
        seen = torch.zeros((1, *shape), device="meta")
        given = self._pass(seen, [*door, *trunk], "network.trunk")
        size = self._size(self._pass(given, outputs, "network.actor"), "network.actor")
        head = self._head(size, action_space)
        last = self._deviations(nn.Sequential(*outputs), builder, given, size)
        module = nn.Sequential(*door, *trunk, *last)
        critic = self._critic(builder, [*door, *trunk], given, module)
        self.weights.finish()
        return self._assemble(file, source, module, critic, (shape, head))

    def _shape(
        self, layers: list[nn.Module], task_shape: tuple[int, ...] | None
    ) -> tuple[int, ...]:
        """Of one observation: the card's, else what the first linear layer takes."""
        said = self.card.observations.shape
        every = [part for layer in layers for part in layer.modules()]
        first = next((x for x in every if isinstance(x, (nn.Linear, nn.Conv2d))), None)
        if said is None and not isinstance(first, nn.Linear):
            raise TeacherFileError(
                f"{self.what}: the weights do not tell how large the pictures are: give "
                "observations.shape"
            )
        inputs = first.in_features if isinstance(first, nn.Linear) else 0
        shape = (inputs,) if said is None else tuple(said)
        if math.prod(shape) > MOST_INPUTS:
            raise UnsafeFileError(f"{self.what}: observations of {math.prod(shape):,} numbers")
        # To a network that begins with one row of numbers, all shapes of as many are the same.
        is_row = isinstance(layers[0], FlattenRows) and not self._moves_channels(shape)
        if task_shape and is_row and math.prod(task_shape) == math.prod(shape):
            return task_shape
        return shape

    def _moves_channels(self, shape: tuple[int, ...]) -> bool:
        if self.card.observations.channels == "last" and len(shape) != 3:
            raise TeacherFileError(
                f"{self.what}: channels are last in pictures, of three axes; observations.shape is "
                f"{list(shape)}"
            )
        return self.card.observations.channels == "last"

    def _pass(self, x: Tensor, layers: Sequence[nn.Module], where: str) -> Tensor:
        """What comes out, on the meta device: sizes alone, no memory.

        Raises:
            TeacherFileError: a layer does not take what comes in.
            UnsafeFileError: what comes out is larger than any policy needs.
        """
        for layer in layers:
            given = tuple(x.shape[1:])
            try:
                x = _without_memory(layer)(x)
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                raise TeacherFileError(
                    f"{self.what}: {where}: {safe_text(str(layer), 60)} does not take numbers of "
                    f"shape {given}: {safe_text(str(error), 200)}"
                ) from error
            if x.numel() > MOST_LATENT:
                raise UnsafeFileError(f"{self.what}: {where}: {x.numel():,} numbers for one state")
        return x

    def _size(self, x: Tensor, where: str) -> int:
        if x.ndim != 2:
            raise TeacherFileError(
                f"{self.what}: {where} must give one row of numbers for each state, it gives shape "
                f"{tuple(x.shape[1:])}"
            )
        return x.shape[1]

    def _head(self, size: int, action_space: spaces.Space[Any] | None) -> Head:
        actions = self.card.actions
        if actions.head in DISCRETE:
            if (actions.low, actions.high, actions.log_std) != (None, None, None):
                raise TeacherFileError(
                    f"{self.what}: actions.low, high and log_std have no effect with discrete "
                    f"actions ({actions.head})"
                )
            return CategoricalHead(size) if actions.head == "categorical" else QValueHead(size)
        task = record_of_space(action_space)
        own = task.low is not None and len(task.low) == size
        low = bounds_of(actions.low, size, -math.inf, self.what)
        high = bounds_of(actions.high, size, math.inf, self.what)
        if actions.low is None and own and task.low is not None:
            low = task.low
        if actions.high is None and own and task.high is not None:
            high = task.high
        if any(a > b for a, b in zip(low, high, strict=True)):
            raise TeacherFileError(f"{self.what}: actions.low is above actions.high")
        if actions.head == "squashed-gaussian" and not all(map(math.isfinite, (*low, *high))):
            raise TaskError(
                f"{self.what}: this policy squashes its actions into bounds that the card does not "
                "tell: give actions.low and actions.high, or name the task"
            )
        return CONTINUOUS[actions.head](low, high)

    def _deviations(
        self, mean: nn.Sequential, builder: Builder, given: Tensor, size: int
    ) -> list[nn.Module]:
        """The actor's layers, with the log standard deviations beside the means."""
        log_std, head = self.card.actions.log_std, self.card.actions.head
        if head not in ("gaussian", "squashed-gaussian"):
            if log_std is not None:
                raise TeacherFileError(f"{self.what}: actions.log_std has no effect with {head}")
            return list(mean)
        if log_std is None:
            raise TeacherFileError(
                f"{self.what}: a {head} policy needs actions.log_std: the name of a tensor, a "
                'number or layers; a policy without deviations has head = "deterministic"'
            )
        if isinstance(log_std, list):
            layers = builder.layers(log_std, "actions.log_std")
            found = self._size(self._pass(given, layers, "actions.log_std"), "actions.log_std")
            beside = StateStd(mean, nn.Sequential(*layers))
        else:
            fixed = self.weights.take(log_std) if isinstance(log_std, str) else None
            constant = torch.full((size,), 0.0 if isinstance(log_std, str) else log_std)
            constant = constant if fixed is None else fixed.flatten()
            found, beside = len(constant), ConstantStd(mean, constant)
        if found != size:
            raise TeacherFileError(
                f"{self.what}: actions.log_std gives {found} numbers, the actor {size}"
            )
        return [beside]

    def _critic(
        self, builder: Builder, before: list[nn.Module], given: Tensor, actor: nn.Module
    ) -> nn.Module | None:
        entries = self.card.network.critic
        if entries is None:
            return GreedyValue(actor) if self.card.actions.head == "q-values" else None
        layers = builder.layers(entries, "network.critic")
        size = self._size(self._pass(given, layers, "network.critic"), "network.critic")
        if size != 1:
            raise TeacherFileError(f"{self.what}: a critic gives one number, this one {size}")
        return nn.Sequential(*before, *layers, Squeeze())

    def _assemble(
        self,
        file: WeightFile,
        source: str,
        module: nn.Module,
        critic: nn.Module | None,
        told: tuple[tuple[int, ...], Head],
    ) -> NetworkPolicy:
        card, (shape, head) = self.card, told
        every = nn.ModuleList([module] if critic is None else [module, critic])
        every.requires_grad_(False).eval()
        acting = sum(parameter.numel() for parameter in module.parameters())
        framework = card.origin.framework or file.kind
        gamma = "unknown" if card.value.gamma is None else f"{card.value.gamma:g}"
        found = (
            f"{safe_text(card.algorithm)} ({safe_text(framework)}, by card): "
            f"{'x'.join(map(str, shape))} -> {head.num_outputs} ({card.actions.head}), "
            f"{acting:,} acting parameters, value {'no' if critic is None else 'yes'}, "
            f"gamma {gamma}"
        )
        info = PolicyInfo(
            name=safe_text(card.algorithm),
            framework=safe_text(framework),
            observation_shape=shape,
            head=head,
            acting_parameters=acting,
            parameters=sum(parameter.numel() for parameter in every.parameters()),
            gamma=card.value.gamma,
            value_units="none" if critic is None else card.value.units,
            fingerprint=hashlib.sha256(f"{file.sha256} {card.digest}".encode()).hexdigest(),
            source=source,
            notes=(found, *card.task.notes),
        )
        return NetworkPolicy(module, info, critic)


def _without_memory(layer: nn.Module) -> nn.Module:
    """A copy on the meta device; torch.func.functional_call would import a compiler first."""
    tensors = (*layer.parameters(), *layer.buffers())
    memo: dict[int, Any] = {
        id(x): frozen(x.to("meta")) if isinstance(x, nn.Parameter) else x.to("meta")
        for x in tensors
    }
    return copy.deepcopy(layer, memo)
