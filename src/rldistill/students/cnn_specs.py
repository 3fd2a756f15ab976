"""Specs of convolutional students: "nature:25%", "minatar", "cnn:16x8s4,32x4s2,fc256"."""

import re
from dataclasses import dataclass
from typing import Any, final

from rldistill.errors import SettingError, did_you_mean
from rldistill.students.specs import ACTIVATIONS, INITS, LARGEST_WIDTH, MOST_LAYERS, split_words

MOST_CHANNELS = 4096
LARGEST_KERNEL = 64
_CONVOLUTION = re.compile(r"([0-9]{1,9})x([0-9]{1,9})(?:s([0-9]{1,9}))?(?:p([0-9]{1,9}))?")
_FULL = re.compile(r"fc([0-9]{1,9})")


@final
@dataclass(frozen=True, slots=True)
class Convolution:
    """One square convolution: its channels, and kernel, stride and zero padding in pixels."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("channels", self.channels, 1, MOST_CHANNELS),
            ("kernel", self.kernel, 1, LARGEST_KERNEL),
            ("stride", self.stride, 1, LARGEST_KERNEL),
            ("padding", self.padding, 0, LARGEST_KERNEL),
        ):
            if not least <= value <= most:
                raise SettingError(
                    f"a convolution's {name} must be {least} to {most:,}, got {value}"
                )

    def __str__(self) -> str:
        stride = f"s{self.stride}" if self.stride > 1 else ""
        padding = f"p{self.padding}" if self.padding else ""
        return f"{self.channels}x{self.kernel}{stride}{padding}"

    def output(self, size: int) -> int:
        """Pixels along one axis after it; below 1 where it does not fit.

        >>> Convolution(32, 8, stride=4).output(84)
        20
        """
        return (size + 2 * self.padding - self.kernel) // self.stride + 1


@final
@dataclass(frozen=True, slots=True)
class CnnSpec:
    """Convolutions, then fully connected layers, with an activation behind each.

    Attributes:
        convolutions: from the pixels on.
        hidden: widths of the fully connected layers before the last.
        activation: a key of ACTIVATIONS.
        layer_norm: before each activation, all of a state's numbers are normalised together; with
            a factor and a shift of its own for each channel or feature.
        init: "orthogonal" (gain sqrt 2, last layer 0.01) or "torch" (PyTorch's default).

    Raises:
        SettingError: a setting is unknown or out of range.
    """

    convolutions: tuple[Convolution, ...]
    hidden: tuple[int, ...]
    activation: str = "relu"
    layer_norm: bool = False
    init: str = "orthogonal"

    def __post_init__(self) -> None:
        if not 1 <= len(self.convolutions) <= MOST_LAYERS or len(self.hidden) > MOST_LAYERS:
            raise SettingError(
                f"give 1 to {MOST_LAYERS} convolutions, such as 16x8s4 (channels x kernel, stride),"
                f" and at most {MOST_LAYERS} layers such as fc256"
            )
        check_words(self.hidden, self.activation, self.init)

    def __str__(self) -> str:
        layers, options = _layers_of(self), option_words(self, "relu")
        # A family without words of its own, as "minatar", is followed by its options at once.
        separator = "," if ":" in layers or not options else ":"
        return layers + separator * bool(options) + ",".join(options)


def _nature(*sizes: int) -> tuple[tuple[Convolution, ...], tuple[int, ...]]:
    one, two, three, full = sizes
    return (Convolution(one, 8, 4), Convolution(two, 4, 2), Convolution(three, 3)), (full,)


# Rusu et al. 2016, appendix A: the teacher, which is the net of Mnih et al. 2015, and net1 to net3.
PRESETS: dict[str, tuple[tuple[Convolution, ...], tuple[int, ...]]] = {
    "nature:100%": _nature(32, 64, 64, 512),
    "nature:25%": _nature(16, 32, 32, 256),
    "nature:7%": _nature(16, 16, 16, 128),
    "nature:4%": _nature(16, 16, 16, 64),
    # Young & Tian 2019 (arXiv:1903.03176), section 3: the DQN of the MinAtar paper.
    "minatar": ((Convolution(16, 3),), (128,)),
}


def parse_cnn(name: str, rest: str) -> CnnSpec:
    """Read cnn:CHANNELSxKERNEL[sSTRIDE][pPADDING],...[,fcWIDTH,...], nature:SHARE or minatar.

    Behind them may stand an activation, layernorm and init=NAME.

    Raises:
        SettingError: a share or word that is not known, or a size out of range.

    >>> str(parse_cnn("cnn", "16x8s4,32x4s2,fc256"))
    'cnn:16x8s4,32x4s2,fc256'
    >>> parse_cnn("nature", "7%").hidden
    (128,)
    """
    words = split_words(rest)
    if name == "cnn":
        convolutions, hidden, options = _own_layers(words)
        examples = ("16x8s4", "fc256")
    else:
        convolutions, hidden = _preset(name, words)
        options, examples = (words if name in PRESETS else words[1:]), ()
    return CnnSpec(convolutions, hidden, **read_options(options, examples))


def _own_layers(
    words: list[str],
) -> tuple[tuple[Convolution, ...], tuple[int, ...], list[str]]:
    """Convolutions, widths of full layers, and the words that are neither."""
    convolutions: list[Convolution] = []
    hidden: list[int] = []
    options: list[str] = []
    for word in words:
        if match := _CONVOLUTION.fullmatch(word):
            if hidden:
                raise SettingError(f"{word} stands behind a full layer; give convolutions first")
            channels, kernel, stride, padding = match.groups()
            convolutions.append(
                Convolution(int(channels), int(kernel), int(stride or 1), int(padding or 0))
            )
        elif match := _FULL.fullmatch(word):
            hidden.append(int(match[1]))
        else:
            options.append(word)
    return tuple(convolutions), tuple(hidden), options


def read_options(words: list[str], layers: tuple[str, ...]) -> dict[str, Any]:
    """The keyword arguments that activation, layernorm and init=NAME stand for.

    Args:
        words: what is left of a spec when its layers are read.
        layers: examples of words for layers, for the message.

    Raises:
        SettingError: a word is unknown or given twice.

    >>> read_options(["tanh", "layernorm"], ())
    {'activation': 'tanh', 'layer_norm': True}
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if word in ACTIVATIONS:
            key, setting = "activation", word
        elif word == "layernorm":
            key, setting = "layer_norm", True
        elif key == "init" and equals:
            setting = value
        else:
            known = [*layers, *ACTIVATIONS, "layernorm", "init="]
            raise SettingError(
                f"unknown word {word!r:.40}; known: {', '.join(known)}."
                + did_you_mean(word[:40], known)
            )
        if key in settings:
            raise SettingError(f"{key} is given twice")
        settings[key] = setting
    return settings


def option_words(spec: Any, usual_activation: str) -> list[str]:
    """The words for what differs from the defaults of a spec with activation, norm and init."""
    words = [] if spec.activation == usual_activation else [spec.activation]
    words += ["layernorm"] if spec.layer_norm else []
    return words if spec.init == "orthogonal" else [*words, f"init={spec.init}"]


def check_words(hidden: tuple[int, ...], activation: str, init: str) -> None:
    """Check widths of full layers and two names.

    Raises:
        SettingError: a width is out of range, or a name unknown.
    """
    for width in hidden:
        if not 1 <= width <= LARGEST_WIDTH:
            raise SettingError(f"a full layer must be 1 to {LARGEST_WIDTH:,} wide, got {width}")
    for name, value, known in (
        ("activation", activation, tuple(ACTIVATIONS)),
        ("init", init, INITS),
    ):
        if value not in known:
            raise SettingError(
                f"{name} must be one of {', '.join(known)}; got {value!r:.40}."
                + did_you_mean(value[:40], known)
            )


def _layers_of(spec: CnnSpec) -> str:
    """The name of the preset with these layers, else all of them."""
    layers = (spec.convolutions, spec.hidden)
    for name, preset in PRESETS.items():
        if layers == preset:
            return name
    full = [f"fc{width}" for width in spec.hidden]
    return "cnn:" + ",".join([*map(str, spec.convolutions), *full])


def _preset(name: str, words: list[str]) -> tuple[tuple[Convolution, ...], tuple[int, ...]]:
    if name in PRESETS:
        return PRESETS[name]
    shares = [known.partition(":")[2] for known in PRESETS if known.startswith(f"{name}:")]
    share = words[0] if words else ""
    if share not in shares:
        raise SettingError(
            f"{name} is followed by one of {', '.join(shares)}; got {share!r:.40}."
            + did_you_mean(share[:40], shares)
        )
    return PRESETS[f"{name}:{share}"]
