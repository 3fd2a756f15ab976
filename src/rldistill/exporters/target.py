"""What a format is to the rest of the package: bytes made of a subject, and a way to run them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.core import GaussianHead, NetworkPolicy, SquashedGaussianHead
from rldistill.errors import SettingError
from rldistill.exporters.acting import Output, Ports, Precision, ports
from rldistill.exporters.lower import has_weights, lower, without_std
from rldistill.exporters.steps import Steps

Array = np.ndarray[Any, Any]
# Outputs by name for observations [B, ...] and, where something is sampled, noise [B, ...].
Runner = Callable[[Array, Array | None], Mapping[str, Array]]


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is exported.

    Attributes:
        policy: the policy.
        name: of the files, and in front of everything in C.
        output: what comes out.
        precision: of its numbers.
        observations: recorded ones [N, ...]; the ranges of int8 are taken from them.
        heading: lines that go into the file where it can hold comments.
        observation_space: of the task, where it is known.
    """

    policy: NetworkPolicy
    name: str
    output: Output
    precision: Precision
    observations: Array
    heading: tuple[str, ...] = ()
    observation_space: spaces.Box | None = None

    @cached_property
    def ports(self) -> Ports:
        """What it takes and gives."""
        return ports(self.policy, self.output, str(self.observations.dtype))

    @cached_property
    def steps(self) -> Steps:
        """Its network as steps; without standard deviations where it acts by mode.

        Raises:
            SettingError: a precision without effect: there is no weight to hold in it.
        """
        steps, head = lower(self.policy), self.policy.info.head
        if self.precision is not Precision.FP32 and not has_weights(steps):
            raise SettingError(
                f"{self.precision} has no effect on a {self.policy.info.name}, which multiplies "
                "nothing; leave it out"
            )
        if self.output is Output.ACTION and isinstance(head, (GaussianHead, SquashedGaussianHead)):
            return without_std(steps, head)
        return steps


@final
@dataclass(frozen=True, kw_only=True)
class Target:
    """A format.

    Attributes:
        name: as in --to.
        suffix: of its files.
        precisions: what it can hold.
        build: makes the bytes of a file.
        run: loads these bytes and gives a function that decides for a batch.
        describe: what else the contract says of the file.
        outputs: what it can give.
    """

    name: str
    suffix: str
    precisions: tuple[Precision, ...]
    build: Callable[[Subject], bytes]
    run: Callable[[bytes, Subject], Runner]
    describe: Callable[[bytes, Subject], Mapping[str, Any]] = field(
        default=lambda data, subject: {}
    )
    outputs: tuple[Output, ...] = tuple(Output)

    def require(self, output: Output, precision: Precision) -> None:
        """Check that the format has this output and this precision.

        Raises:
            SettingError: it has not; what it has is named.
        """
        if precision not in self.precisions:
            known = ", ".join(self.precisions)
            raise SettingError(f"--to {self.name} has no precision {precision}; it has {known}")
        if output not in self.outputs:
            known = ", ".join(self.outputs)
            raise SettingError(f"--to {self.name} has no output {output}; it has {known}")

    def file_name(self, name: str, precision: str) -> str:
        """What its file is called; fp32 is not named: it is what most will look for.

        >>> from rldistill.exporters.targets import TARGETS
        >>> TARGETS[0].file_name("lander", "int8")
        'lander.int8.onnx'
        """
        return f"{name}{'' if precision == Precision.FP32 else f'.{precision}'}{self.suffix}"
