"""Specs of recurrent students: "gru:64", "lstm:64,64", "gru:64:mlp:32", "lstm:128:nature:7%"."""

import re
from dataclasses import dataclass
from typing import final

from rldistill.errors import SettingError, did_you_mean
from rldistill.students.cnn_specs import CnnSpec, parse_cnn
from rldistill.students.specs import LARGEST_WIDTH, MOST_LAYERS, MlpSpec, parse_mlp, split_words

KINDS = ("gru", "lstm")
CNN_NAMES = ("nature", "cnn", "minatar")
_SIZE = re.compile(r"[0-9]{1,9}")


@final
@dataclass(frozen=True, slots=True)
class RecurrentSpec:
    """Layers of gated units that remember, behind an encoder of single observations.

    Attributes:
        kind: "gru" or "lstm".
        sizes: units of each layer.
        encoder: its hidden layers (and convolutions) read the observation first; None: the first
            layer of units does.

    Raises:
        SettingError: a setting is unknown or out of range.
    """

    kind: str = "gru"
    sizes: tuple[int, ...] = (64,)
    encoder: MlpSpec | CnnSpec | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r:.40}")
        if not 1 <= len(self.sizes) <= MOST_LAYERS:
            raise SettingError(f"give 1 to {MOST_LAYERS} sizes, for example {self.kind}:64")
        for size in self.sizes:
            if not 1 <= size <= LARGEST_WIDTH:
                raise SettingError(f"a size must be 1 to {LARGEST_WIDTH:,}, got {size}")
        if isinstance(self.encoder, MlpSpec) and not self.encoder.hidden:
            raise SettingError("an encoder without hidden layers has no effect; leave it out")

    def __str__(self) -> str:
        text = f"{self.kind}:" + ",".join(str(size) for size in self.sizes)
        return text if self.encoder is None else f"{text}:{self.encoder}"


def parse_recurrent(name: str, rest: str) -> RecurrentSpec:
    """Read gru:SIZE[,SIZE...][:ENCODER], without its "gru:"; the encoder is a spec of its own.

    Raises:
        SettingError: a size is no number in range, or the encoder is none of an MLP or a CNN.

    >>> parse_recurrent("gru", "64,32")
    RecurrentSpec(kind='gru', sizes=(64, 32), encoder=None)
    >>> str(parse_recurrent("lstm", " 64 : mlp: 32 , relu"))
    'lstm:64:mlp:32,relu'
    """
    sizes, colon, encoder = rest.partition(":")
    words = split_words(sizes)
    if not words:
        raise SettingError(f"give the number of units, for example {name}:64")
    for word in words:
        if not _SIZE.fullmatch(word):
            raise SettingError(
                f"{word!r:.40} is no size; sizes come first, then a colon and what reads the "
                f"observation before, for example {name}:64 or {name}:64:mlp:32"
            )
    own = tuple(int(word) for word in words)
    return RecurrentSpec(name, own, _encoder(encoder) if colon else None)


def _encoder(text: str) -> MlpSpec | CnnSpec:
    kind, _, rest = text.strip().partition(":")
    kind = kind.strip()
    if kind == "mlp":
        return parse_mlp(kind, rest)
    if kind in CNN_NAMES:
        return parse_cnn(kind, rest.strip())
    known = ("mlp", *CNN_NAMES)
    raise SettingError(
        f"unknown encoder {kind!r:.40}; known: {', '.join(known)}." + did_you_mean(kind[:40], known)
    )
