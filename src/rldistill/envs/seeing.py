"""A view at work on a simulator: its source, and the stages behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rldistill.envs.eyes import (
    ChangeEye,
    Eye,
    Moment,
    NoiseEye,
    PickEye,
    PreviousActionEye,
    StackEye,
)
from rldistill.envs.features import Feature, ObservationPart, named_parts
from rldistill.envs.naming import known_objects, memory_features
from rldistill.envs.seen import Seen
from rldistill.envs.view_stages import (
    Change,
    Code,
    Drop,
    Keys,
    Noise,
    Objects,
    Pick,
    Pixels,
    PreviousAction,
    Ram,
    Stack,
    Stage,
)
from rldistill.envs.views import STAGES, View
from rldistill.envs.wrappers import parse_function
from rldistill.errors import EnvironmentFailure, SettingError, did_you_mean

Array = np.ndarray[Any, Any]
PIXELS, RAM = "pixels", "ram"  # what a backend can show beside its observations
MEMORY_BYTES = 128
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Reader(Protocol):
    """Raw observations of a simulator -> one batch."""

    space: spaces.Box
    parts: tuple[ObservationPart, ...]

    def __call__(self, batch: Any) -> Any: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A simulator as views look at it.

    Attributes:
        task_id: of the task.
        num_envs: B.
        reader: of all that the task observes.
        features: of that; empty for pixels.
        read_keys: a reader of some entries of a Dict or Tuple observation.
        shows: what else the backend can show: PIXELS [B, H, W, 3] or RAM [B, 128], uint8.
        action_space: as policies act.
    """

    task_id: str
    num_envs: int
    reader: Reader
    features: tuple[Feature, ...]
    read_keys: Callable[[tuple[str, ...]], Reader]
    shows: Mapping[str, Callable[[], Any]]
    action_space: spaces.Space[Any]

    def show(self, what: str, stage: Stage) -> Callable[[], Any]:
        """What the backend shows under this name.

        Raises:
            SettingError: it does not.
        """
        if what not in self.shows:
            why = {
                PIXELS: "does not draw its states one by one; its backend must be gymnasium or "
                "minatar (Atari observes pixels without a view)",
                RAM: "has no memory to read: that is for Atari, such as ALE/Pong-v5",
            }
            raise SettingError(f"view {stage}: {self.task_id} {why[what]}")
        return self.shows[what]


@final
class Viewer:
    """One view at work on one simulator; None sees what the task gives."""

    def __init__(self, view: View | None, scene: Scene) -> None:
        self._scene = scene
        self._source, seen = _source(view, scene)
        self._eyes: list[Eye] = []
        for stage in () if view is None else view.stages:
            if not isinstance(stage, (Keys, Pixels, Ram, Objects)):
                eye = _eye(stage, seen, scene, str(view))
                self._eyes.append(eye)
                seen = eye.seen
        self.seen = seen

    def look(self, raw: Any, moment: Moment) -> Tensor:
        """What is seen of raw observations of B environments: [B, ...]."""
        found = self._source(raw)
        seen = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
        for eye in self._eyes:
            seen = eye.look(seen, moment)
        return seen


def _source(view: View | None, scene: Scene) -> tuple[Callable[[Any], Any], Seen]:
    """What the first stage looks at."""
    first = None if view is None else view.stages[0]
    match first:
        case Keys():
            reader = scene.read_keys(first.names)
            return reader, _named(reader)
        case Pixels():
            show = scene.show(PIXELS, first)
            channels = 3 if first.colours else 1
            shape = (channels, first.side, first.side)
            return lambda raw: _picture(show(), first), Seen(spaces.Box(0, 255, shape, np.uint8))
        case Ram():
            show = scene.show(RAM, first)
            return lambda raw: show().astype(np.float32), Seen(
                spaces.Box(0, 255, (MEMORY_BYTES,), np.float32), memory_features(scene.task_id)
            )
        case Objects():
            show, where = scene.show(RAM, first), known_objects(scene.task_id)
            places = np.array(list(where))
            return lambda raw: show()[:, places].astype(np.float32), Seen(
                spaces.Box(0, 255, (len(places),), np.float32),
                tuple(Feature(name) for name in where.values()),
            )
        case _:
            return scene.reader, Seen(scene.reader.space, scene.features)


def _named(reader: Reader) -> Seen:
    """What a reader gives, with the names of the parts that it has."""
    flat = len(reader.space.shape) == 1
    return Seen(reader.space, named_parts(reader.parts, reader.space.shape[0]) if flat else ())


def _eye(stage: Stage, before: Seen, scene: Scene, text: str) -> Eye:
    match stage:
        case Pick() | Drop():
            return PickEye(stage, before)
        case Stack():
            return StackEye(stage, before)
        case Change():
            return ChangeEye(stage, before)
        case PreviousAction():
            return PreviousActionEye(stage, before, scene.action_space)
        case Noise():
            return NoiseEye(stage, before, text)
        case Code():
            return CodeEye(stage, before, scene)
        case _:
            raise AssertionError("View allows sources as first stages alone")


@final
class CodeEye:
    """The user's function: a batch of observations -> a batch of observations, as numpy arrays."""

    def __init__(self, stage: Code, before: Seen, scene: Scene) -> None:
        self._function = _found(stage)
        self._name = stage.function
        zeros = np.clip(0.0, before.space.low, before.space.high).astype(before.space.dtype)
        batch = torch.from_numpy(np.stack([zeros] * scene.num_envs))
        try:
            shown = self._call(batch)
        except EnvironmentFailure as error:
            raise SettingError(f"{error} (tried on zeros)") from error
        shape, is_bytes = tuple(shown.shape[1:]), shown.dtype == torch.uint8
        bounds = (0, 255) if is_bytes else (-np.inf, np.inf)
        space = spaces.Box(*bounds, shape, np.uint8 if is_bytes else np.float32)
        names = tuple(Feature(f"{stage.function} {i}") for i in range(shape[0]))
        self.seen = Seen(space, names if len(shape) == 1 else ())
        self._shape = tuple(shown.shape)

    def look(self, observations: Tensor, moment: Moment) -> Tensor:
        del moment
        shown = self._call(observations)
        if tuple(shown.shape) != self._shape:
            raise EnvironmentFailure(
                f"view {self._name} gave {tuple(shown.shape)}, before it gave {self._shape}"
            )
        return shown

    def _call(self, observations: Tensor) -> Tensor:
        try:
            shown = torch.as_tensor(self._function(observations.numpy()))
        except Exception as error:
            raise EnvironmentFailure(
                f"view {self._name} raised: {type(error).__name__}: {error}"
            ) from error
        if shown.ndim < 2 or len(shown) != len(observations) or not shown[0].numel():
            raise EnvironmentFailure(
                f"view {self._name} must give [{len(observations)}, ...] as it is given; "
                f"it gave {tuple(shown.shape)}"
            )
        pixels = shown.dtype == torch.uint8 and shown.ndim > 2
        return shown if pixels else shown.float()


def _found(stage: Code) -> Callable[[Any], Any]:
    """The user's function; a misspelt stage looks like the name of one."""
    try:
        return parse_function(stage.function, "view")
    except SettingError as error:
        near = did_you_mean(stage.function.partition(":")[0], STAGES)
        stages = near and f" If a stage is meant:{near.lower()}"
        raise SettingError(f"{error}{stages}") from error


def _picture(frames: Any, stage: Pixels) -> Tensor:
    """Frames [B, H, W, 3] uint8 as [B, 1 or 3, side, side]: each pixel the mean of an area."""
    channels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    if not stage.colours:
        channels = (channels * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    size = (stage.side, stage.side)
    small = torch.nn.functional.interpolate(channels, size, mode="area")
    return small.round().clamp(0, 255).to(torch.uint8)
