"""What an exported policy takes and gives, and the same as a torch module: the reference."""

import enum
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import SettingError, did_you_mean
from rldistill.maths import gaussian

Array = np.ndarray[Any, Any]


class Output(enum.StrEnum):
    """What an exported policy gives for an observation."""

    ACTION = "action"
    SAMPLE = "sample"
    DISTRIBUTION = "distribution"


class Precision(enum.StrEnum):
    """How the numbers of an export are held."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT8_DYNAMIC = "int8-dynamic"


def parse(kind: type[enum.StrEnum], text: str, what: str) -> Any:
    """The member of an enumeration that a word stands for.

    Raises:
        SettingError: it stands for none; near ones are named.

    >>> parse(Output, "sample", "output")
    <Output.SAMPLE: 'sample'>
    """
    known = [str(member) for member in kind]
    if text not in known:
        raise SettingError(
            f"{what} must be one of {', '.join(known)}; got {text!r:.40}."
            + did_you_mean(text, known)
        )
    return kind(text)


@final
@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of an exported policy.

    Attributes:
        name: how it is called in the file.
        dtype: "float32", "int64" or "uint8".
        shape: of one row; the batch stands before it.
        meaning: one sentence.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    meaning: str


@final
@dataclass(frozen=True, slots=True)
class Ports:
    """Inputs and outputs; the first input is the observation, the second, if any, the noise."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def noise(self) -> Port | None:
        """The input that sampling draws from, None where nothing is sampled."""
        return self.inputs[1] if len(self.inputs) > 1 else None


def ports(policy: NetworkPolicy, output: Output, dtype: str) -> Ports:
    """What a policy exported with this output takes and gives, on observations of a type.

    Raises:
        SettingError: the policy gives one action and no distribution.
    """
    head = policy.info.head
    if isinstance(head, DeterministicHead) and output is not Output.ACTION:
        raise SettingError(
            f"--output {output} has no effect: {policy.info.name} gives one action per state and "
            "no distribution; leave it out"
        )
    seen = Port("observation", dtype, policy.info.observation_shape, "as the environment gives it")
    noise = () if output is not Output.SAMPLE else (_noise(head),)
    outputs = _distribution(head) if output is Output.DISTRIBUTION else ()
    return Ports((seen, *noise), (_action(head, output), *outputs))


def _action(head: Head, output: Output) -> Port:
    how = "drawn with the noise given" if output is Output.SAMPLE else "the likeliest"
    if isinstance(head, (CategoricalHead, QValueHead)):
        return Port("action", "int64", (), f"index of the action, {how}; the lowest wins a tie")
    return Port(
        "action", "float32", (len(head.low),), f"{how}, in the environment's units, in bounds"
    )


def _noise(head: Head) -> Port:
    if isinstance(head, (CategoricalHead, QValueHead)):
        return Port("uniform", "float32", (), "one number in [0, 1), drawn anew for each decision")
    assert isinstance(head, (GaussianHead, SquashedGaussianHead))
    return Port("normal", "float32", (len(head.low),), "standard normals, drawn anew each time")


def _distribution(head: Head) -> tuple[Port, ...]:
    if isinstance(head, (CategoricalHead, QValueHead)):
        raw = "Q-values" if isinstance(head, QValueHead) else "unnormalised log-probabilities"
        return (
            Port("probabilities", "float32", (head.num_actions,), "softmax of the logits"),
            Port("logits", "float32", (head.num_actions,), raw),
        )
    assert isinstance(head, (GaussianHead, SquashedGaussianHead))
    of = "of the action before tanh" if isinstance(head, SquashedGaussianHead) else "of the action"
    size = (len(head.low),)
    return (Port("mean", "float32", size, of), Port("std", "float32", size, f"deviation {of}"))


@final
class ActingModule(nn.Module):
    """Raw observations [B, ...] (and noise) to the outputs of the ports, in their order."""

    def __init__(self, policy: NetworkPolicy, output: Output) -> None:
        super().__init__()
        self.module = policy.module
        self.head = policy.info.head
        self.output = output
        # One number where actions are an index: torch.export cannot save empty tensors.
        low, high = (x if len(x) else np.zeros(1, np.float32) for x in bounds_of(self.head))
        self.register_buffer("low", torch.from_numpy(low), persistent=False)
        self.register_buffer("high", torch.from_numpy(high), persistent=False)
        self.eval()

    low: Tensor
    high: Tensor

    def forward(self, observation: Tensor, noise: Tensor | None = None) -> tuple[Tensor, ...]:
        raw = self.module(observation)
        if isinstance(self.head, (CategoricalHead, QValueHead)):
            return self._discrete(raw, noise)
        return self._continuous(raw, noise)

    def _discrete(self, logits: Tensor, uniform: Tensor | None) -> tuple[Tensor, ...]:
        probabilities = logits.softmax(-1)
        if uniform is not None:
            # The first action at which the running sum of probabilities is above the number drawn.
            passed = (probabilities.cumsum(-1) <= uniform.unsqueeze(-1)).sum(-1)
            return (passed.clamp(max=logits.shape[-1] - 1),)
        action = logits.argmax(-1)
        return (action, probabilities, logits) if self.output is Output.DISTRIBUTION else (action,)

    def _continuous(self, raw: Tensor, normal: Tensor | None) -> tuple[Tensor, ...]:
        if isinstance(self.head, DeterministicHead):
            return (raw.clamp(self.low, self.high),)
        mean, log_std = raw.chunk(2, -1)
        std = log_std.exp()
        chosen = mean if normal is None else mean + std * normal
        if isinstance(self.head, SquashedGaussianHead):
            chosen = gaussian.squash(chosen, self.low, self.high)
        action = chosen.clamp(self.low, self.high)
        return (action, mean, std) if self.output is Output.DISTRIBUTION else (action,)


def bounds_of(head: Head) -> tuple[Array, Array]:
    """(low, high) float32 [D] of continuous actions; empty for discrete ones."""
    if isinstance(head, (CategoricalHead, QValueHead)):
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return np.array(head.low, np.float32), np.array(head.high, np.float32)
