"""The Q-networks of CleanRL: DQN, C51 and Q-Dagger, of rows of numbers and of pictures."""

from typing import final

from torch import Tensor, nn

from rldistill.core import QValueHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.card_modules import Pixels
from rldistill.teachers.convolutions import Flatten, Shape, impala, nature, picture_shape
from rldistill.teachers.layers import GreedyValue, frozen
from rldistill.teachers.networks import Networks
from rldistill.teachers.weights import Weights, widths

WHITE = 255.0


@final
class AtomsMean(nn.Module):
    """Q(s, a) = sum of atoms times softmax of logits [..., A * N], laid out action by action.

    Source: Bellemare et al. 2017 (arXiv:1707.06887), algorithm 1.
    """

    def __init__(self, atoms: Tensor, num_actions: int) -> None:
        super().__init__()
        self.atoms = frozen(atoms)
        self.num_actions = num_actions

    def forward(self, logits: Tensor) -> Tensor:
        shaped = logits.unflatten(-1, (self.num_actions, self.atoms.numel()))
        return (shaped.softmax(-1) * self.atoms).sum(-1)


def read_q(weights: Weights, task_shape: Shape | None) -> Networks:
    """Rebuild a QNetwork of dqn.py, dqn_atari.py or qdagger_dqn_atari_impalacnn.py. V = max_a Q.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        MisfitError: pictures of the task do not fit.
    """
    is_impala = bool(weights.names("network.0.conv."))
    layers, shape = trunk(weights, task_shape)
    return _networks("Q-Dagger" if is_impala else "DQN", layers, widths(layers), shape)


def read_c51(weights: Weights, task_shape: Shape | None) -> Networks:
    """Rebuild a QNetwork of c51.py or c51_atari.py: Q is the mean of its distribution.

    Raises:
        TeacherFileError: tensors are missing, or outputs are no multiple of the atoms.
        MisfitError: pictures of the task do not fit.
    """
    atoms = weights.take("atoms").flatten()
    layers, shape = trunk(weights, task_shape)
    sizes = widths(layers)
    if atoms.numel() == 0 or sizes[-1] % atoms.numel():
        raise TeacherFileError(
            f"{weights.what}: {sizes[-1]} outputs are no multiple of {atoms.numel()} atoms"
        )
    actions = sizes[-1] // atoms.numel()
    return _networks("C51", [*layers, AtomsMean(atoms, actions)], (*sizes[:-1], actions), shape)


def _networks(name: str, layers: list[nn.Module], sizes: Shape, shape: Shape) -> Networks:
    return Networks(
        algorithm=name,
        actor=layers,
        head=QValueHead(sizes[-1]),
        critic=GreedyValue(nn.Sequential(*layers)),
        sizes=sizes,
        activation="relu",
        shape=shape,
    )


def trunk(weights: Weights, task_shape: Shape | None) -> tuple[list[nn.Module], Shape]:
    """The layers called network.N, and the shape of its pictures, () for a row of numbers.

    A network that ends in a hidden layer, because actor and critic follow, ends without its ReLU.

    Raises:
        TeacherFileError: tensors are missing or do not fit each other.
        MisfitError: pictures of the task do not fit.
    """
    if weights.names("network.0.conv."):
        pictures = impala(weights, "network")
        first = 2 + sum(isinstance(layer, nn.MaxPool2d) for layer in pictures)
        between: list[nn.Module] = [Flatten(), nn.ReLU()]
    elif len(weights.shape("network.0.weight")) == 4:
        positions = [at for at in (0, 2, 4) if len(weights.shape(f"network.{at}.weight")) == 4]
        pictures = nature(weights, "network", positions)
        first = 2 * len(positions) + 1
        between = [Flatten()]
    else:
        return weights.network("network", nn.ReLU), ()
    full = behind(weights, "network", first)
    shape = picture_shape(pictures, widths(full)[0], task_shape, weights.what)
    return [Pixels(WHITE, channels_last=False), *pictures, *between, *full], shape


def behind(weights: Weights, prefix: str, first: int) -> list[nn.Module]:
    """Linear layers prefix.first, prefix.first+2, ... with a ReLU between them.

    Raises:
        TeacherFileError: there is none, or sizes do not chain.
    """
    layers: list[nn.Module] = []
    position = first
    while weights.names(f"{prefix}.{position}."):
        layer = weights.linear(f"{prefix}.{position}")
        if layers:
            weights.require_inputs(layer, widths(layers)[-1], f"{prefix}.{position}")
        layers += [layer, nn.ReLU()]
        position += 2
    if not layers:
        raise TeacherFileError(f"{weights.what}: tensor {prefix}.{first}.weight is missing")
    return layers[:-1]
