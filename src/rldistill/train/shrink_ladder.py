"""Ladder: the students that a sweep tries, from a tenth of the teacher down."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from gymnasium import spaces

from rldistill.core import PolicyInfo, require_memoryless
from rldistill.errors import SettingError, TaskError
from rldistill.students.build import make_student
from rldistill.students.cnn_specs import CnnSpec
from rldistill.students.defaults import default_student
from rldistill.students.families import parse_spec
from rldistill.students.specs import MlpSpec
from rldistill.train.shrink_settings import Budget

TREES = ("tree:64", "tree:32", "tree:16", "tree:8", "tree:4")
CNN_SHARES = (1.0, 0.71, 0.5, 0.35, 0.25)
SMALLEST_WIDTH = 2


def default_ladder(space: spaces.Box, teacher: PolicyInfo, budget: Budget) -> tuple[str, ...]:
    """Specs by family and falling size.

    Numbers: MLPs of two equal layers from a tenth of the teacher's acting parameters, half as wide
    from one to the next, mlp:linear, and trees where scikit-learn is installed; for latency MLPs of
    one layer too. Pixels: convolutions from a tenth of the teacher's on, with fewer channels.

    >>> from rldistill.train.shrink_ladder import widths
    >>> widths(18)
    [18, 9, 4, 2]
    """
    largest = default_student(space, teacher.head, teacher.acting_parameters)
    if isinstance(largest, CnnSpec):
        return tuple(dict.fromkeys(str(narrower(largest, share)) for share in CNN_SHARES))
    if not isinstance(largest, MlpSpec):
        raise TaskError(f"no ladder is known from a {largest}: name the students with --ladder")
    width = largest.hidden[0]
    specs = [str(replace(largest, hidden=(w, w))) for w in widths(width)]
    if budget is Budget.LATENCY:
        specs += [str(replace(largest, hidden=(w,))) for w in widths(width)]
    specs.append("mlp:linear")
    return (*specs, *(TREES if find_spec("sklearn") else ()))


def widths(largest: int) -> list[int]:
    """The largest width, and half of the one before, down to 2."""
    found = [largest]
    while found[-1] // 2 >= SMALLEST_WIDTH:
        found.append(found[-1] // 2)
    return found


def narrower(spec: CnnSpec, share: float) -> CnnSpec:
    """The same convolutions with a share of the channels and of the widths after them."""

    def scaled(count: int) -> int:
        return max(1, round(count * share))

    layers = tuple(replace(one, channels=scaled(one.channels)) for one in spec.convolutions)
    return replace(spec, convolutions=layers, hidden=tuple(map(scaled, spec.hidden)))


def check_ladder(
    ladder: Sequence[str],
    space: spaces.Box,
    action_space: spaces.Space[object],
    teacher: PolicyInfo,
) -> tuple[str, ...]:
    """The ladder with each spec as its family writes it, each of them made once to see that it can.

    Raises:
        SettingError, TaskError: a spec cannot be read or does not fit, or two are the same student.
    """
    infos = [
        make_student(parse_spec(spec), space, action_space, teacher.head).info for spec in ladder
    ]
    for info in infos:
        require_memoryless(info, "a sweep, whose students share labelled states,")
    names = tuple(info.name for info in infos)
    if len(set(names)) < len(names):
        raise SettingError(f"the ladder names a student twice: {', '.join(names)}")
    return names
