"""Specs of multi-task students: "multi:nature:100%,fc128"."""

import re
from dataclasses import dataclass
from typing import final

from rldistill.errors import SettingError, did_you_mean
from rldistill.students.cnn_specs import CnnSpec, check_words, parse_cnn
from rldistill.students.specs import MlpSpec, parse_mlp, split_words

# What stands before the colon of a trunk.
TRUNKS = ("nature", "cnn", "minatar", "mlp")
_FULL = re.compile(r"fc([0-9]{1,9})")


@final
@dataclass(frozen=True, slots=True)
class MultiSpec:
    """A trunk that all tasks share, without its last layer, and what each task has behind it.

    Attributes:
        trunk: of pixels or numbers; activation, layer_norm and init hold for the heads too.
        hidden: width of each task's own full layer; None: outputs alone.
        masked: one set of outputs for all tasks instead, of which each uses its own.
    """

    trunk: CnnSpec | MlpSpec
    hidden: int | None = None
    masked: bool = False

    def __post_init__(self) -> None:
        if self.hidden is not None:
            check_words((self.hidden,), self.trunk.activation, self.trunk.init)

    def __str__(self) -> str:
        words = [f"multi:{self.trunk}"]
        # For a trunk of its own words, the last full layer is that of the tasks: none is fc0.
        if self.hidden is not None or str(self.trunk).startswith("cnn:"):
            words.append(f"fc{self.hidden or 0}")
        return ",".join([*words, *(["masked"] if self.masked else [])])


def parse_multi(name: str, rest: str) -> MultiSpec:
    """Read multi:TRUNK[,fcWIDTH][,masked], TRUNK a spec of pixels or numbers.

    The last full layer is each task's own; fc0 gives them none.

    Raises:
        SettingError: an unknown trunk or word, or a size out of range.

    >>> parse_multi("multi", "nature:100%,fc128").hidden
    128
    >>> str(parse_multi("multi", "cnn:64x8s4,64x4s2,64x3,fc1500,fc128"))
    'multi:cnn:64x8s4,64x4s2,64x3,fc1500,fc128'
    """
    first, *more = split_words(rest) or [""]
    trunk_name, _, word = first.partition(":")
    words = [word, *more] if word else more
    if trunk_name not in TRUNKS:
        raise SettingError(
            f"{name} is followed by a trunk, one of {', '.join(TRUNKS)}, such as "
            f"{name}:nature:100%,fc128; got {trunk_name!r:.40}."
            + did_you_mean(trunk_name[:40], TRUNKS)
        )
    masked = "masked" in words
    if words.count("masked") > 1:
        raise SettingError("masked is given twice")
    words = [word for word in words if word != "masked"]
    full = [index for index, word in enumerate(words) if _FULL.fullmatch(word)]
    hidden = None
    if full:
        hidden = int(words.pop(full[-1])[2:]) or None
    parse = parse_mlp if trunk_name == "mlp" else parse_cnn
    return MultiSpec(parse(trunk_name, ",".join(words)), hidden, masked)
