"""Which student is made where none is asked for."""

import math
from collections.abc import Callable

from gymnasium import spaces

from rldistill.core import Head
from rldistill.students.cnn_specs import PRESETS, CnnSpec, Convolution
from rldistill.students.families import StudentSpec
from rldistill.students.outputs import output_sizes
from rldistill.students.pixels import PixelLayout
from rldistill.students.specs import MlpSpec

# The default student has at most one part in this many of its teacher's acting parameters.
SHARE_OF_TEACHER = 10
SMALLEST_WIDTH = 4
# Without a teacher there is no size to take a tenth of.
MLP_OF_DATA = MlpSpec(hidden=(64, 64))
CNN_OF_DATA = CnnSpec(*PRESETS["nature:25%"])
SMALL_CNN_OF_DATA = CnnSpec(*PRESETS["minatar"])


def default_student(space: spaces.Box, head: Head, teacher_parameters: int) -> StudentSpec:
    """A network with at most a tenth of the teacher's acting parameters; convolutions for pixels.

    Args:
        space: what it sees.
        head: what it gives.
        teacher_parameters: acting parameters of the teacher; 0 where there is none to take a tenth
            of: then two layers of 64, "nature:25%" or "minatar".

    >>> from rldistill.core import CategoricalHead
    >>> str(default_student(spaces.Box(0, 255, (4, 84, 84), "uint8"), CategoricalHead(4), 864_900))
    'cnn:16x8s4,16x4s2,16x3,fc96'
    """
    convolutions = _convolutions_for(space)
    if not convolutions:
        num_inputs = math.prod(space.shape)
        known = teacher_parameters > 0
        return default_spec(num_inputs, head, teacher_parameters) if known else MLP_OF_DATA
    if teacher_parameters == 0:
        return CNN_OF_DATA if len(convolutions) > 1 else SMALL_CNN_OF_DATA
    most = teacher_parameters // SHARE_OF_TEACHER

    def size(width: int) -> int:
        return _num_weights(convolutions, PixelLayout.of(space), width, head)

    return CnnSpec(convolutions, (max(_largest(size, most), SMALLEST_WIDTH),))


def default_spec(num_inputs: int, head: Head, teacher_parameters: int) -> MlpSpec:
    """Two equal hidden layers with at most a tenth of the teacher's acting parameters.

    The largest width w with w (O + 1) + w (w + 1) + n (w + 1) + s <= teacher_parameters / 10,
    where n is the width of the last layer and s counts the parameters beside the layers (a
    Gaussian policy's log standard deviations). Never below 4 wide, whatever the teacher.

    >>> from rldistill.core import CategoricalHead
    >>> str(default_spec(8, CategoricalHead(4), 4996))
    'mlp:16,16'
    """
    n, s = output_sizes(head)
    b, c = num_inputs + 2 + n, n + s - teacher_parameters // SHARE_OF_TEACHER
    # Exact in integers: w = floor((-b + sqrt(b^2 - 4 c)) / 2), and b >= 0.
    width = (math.isqrt(max(b * b - 4 * c, 0)) - b) // 2
    return MlpSpec(hidden=(max(width, SMALLEST_WIDTH),) * 2)


def _convolutions_for(space: spaces.Box) -> tuple[Convolution, ...]:
    """Those of nature:7% for large pictures, those of minatar for small ones, none for numbers."""
    if len(space.shape) != 3:
        return ()
    _, *size = PixelLayout.of(space).size
    for name in ("nature:7%", "minatar"):
        convolutions = PRESETS[name][0]
        if min(_after(convolutions, n) for n in size) >= 1:
            return convolutions
    return ()


def _after(convolutions: tuple[Convolution, ...], size: int) -> int:
    for layer in convolutions:
        size = layer.output(size)
    return size


def _num_weights(
    convolutions: tuple[Convolution, ...], pixels: PixelLayout, width: int, head: Head
) -> int:
    channels, *size = pixels.size
    weights = 0
    for layer in convolutions:
        weights += layer.channels * (channels * layer.kernel**2 + 1)
        channels = layer.channels
    flat = channels * math.prod(_after(convolutions, n) for n in size)
    n, s = output_sizes(head)
    return weights + width * (flat + 1) + n * (width + 1) + s


def _largest(size: Callable[[int], int], most: int) -> int:
    """The largest width with size(width) <= most, where size is linear; may be below 1."""
    return (most - size(0)) // (size(1) - size(0))
