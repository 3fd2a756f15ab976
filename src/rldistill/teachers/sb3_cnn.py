"""NatureCNN of stable-baselines3: the convolutions before a policy of pictures."""

from dataclasses import dataclass, replace
from typing import final

from torch import nn

from rldistill.errors import TeacherFileError
from rldistill.teachers.card_modules import Pixels
from rldistill.teachers.convolutions import Flatten, Shape, nature, picture_shape
from rldistill.teachers.networks import Networks
from rldistill.teachers.settings import Settings
from rldistill.teachers.weights import Weights

WHITE = 255.0
EXTRACTOR = "features_extractor"
# Where the actor's extractor lies: since 1.8 (shared or not), before, and in networks of their own.
ACTORS = (
    f"pi_{EXTRACTOR}",
    EXTRACTOR,
    *(f"{name}.{EXTRACTOR}" for name in ("q_net", "quantile_net", "actor")),
)


@final
@dataclass(frozen=True, slots=True)
class Extractors:
    """From pictures to features: the actor's, the critic's, and the shape of a picture.

    critic is None where the critic looks through an extractor that its value cannot be made with.
    """

    actor: list[nn.Module]
    critic: list[nn.Module] | None
    shape: Shape


def take_cnn(weights: Weights, settings: Settings, task_shape: Shape | None) -> Extractors | None:
    """The convolutions of a policy, taken out of its weights; None where it has none.

    Args:
        weights: the state dict of its policy.
        settings: what the file says of the pictures.
        task_shape: of the task's observations; channels may be last in it, as the environments have
            them that stable-baselines3 transposes.

    Raises:
        TeacherFileError: tensors are missing, or do not fit each other or the pictures.
        MisfitError: the pictures are the task's alone, and do not fit.
    """
    name = next((prefix for prefix in ACTORS if weights.names(f"{prefix}.cnn.")), None)
    if name is None:
        return None
    actor, features = _extractor(weights, name)
    critic: list[nn.Module] | None = actor
    if weights.names(f"vf_{EXTRACTOR}.cnn."):
        critic, _ = _extractor(weights, f"vf_{EXTRACTOR}")
    elif name.startswith("actor."):
        critic = None
    weights.drop(f"{EXTRACTOR}.", f"critic.{EXTRACTOR}.")
    said = settings.observation.shape
    last = said is not None and len(said) == 3 and task_shape == (*said[1:], said[0])
    shape = picture_shape(actor, features, said or task_shape, settings.what)
    is_byte = settings.observation.dtype in ("", "uint8")
    scale = WHITE if is_byte and settings.flag("normalize_images", default=True) else 1.0
    door = Pixels(scale, channels_last=last)
    return Extractors(
        [door, *actor],
        None if critic is None else [door, *critic],
        task_shape if last and task_shape is not None else shape,
    )


def _extractor(weights: Weights, name: str) -> tuple[list[nn.Module], int]:
    """Its layers, and the number of features that its convolutions give."""
    layers = nature(weights, f"{name}.cnn", (0, 2, 4))
    full = weights.linear(f"{name}.linear.0")
    return [*layers, Flatten(), full, nn.ReLU()], full.in_features


def before(networks: Networks, extractors: Extractors) -> Networks:
    """Networks of features as networks of pictures.

    Raises:
        TeacherFileError: they take another number of features.
    """
    features = next(x.out_features for x in extractors.actor if isinstance(x, nn.Linear))
    if networks.sizes[0] != features:
        raise TeacherFileError(
            f"the features extractor gives {features} numbers, the network takes "
            f"{networks.sizes[0]}"
        )
    critic, notes = networks.critic, networks.notes
    if critic is not None and extractors.critic is not None:
        critic = nn.Sequential(*extractors.critic, critic)
    elif critic is not None:
        critic, notes = None, ("its critics have convolutions of their own: no value",)
    return replace(
        networks,
        actor=[*extractors.actor, *networks.actor],
        critic=critic,
        notes=notes,
        shape=extractors.shape,
        activation=f"NatureCNN, {networks.activation}",
    )
