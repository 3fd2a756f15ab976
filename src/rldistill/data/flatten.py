"""Whole episodes of any gymnasium space as flat arrays, in the order of gymnasium's flatten."""

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from gymnasium import spaces

from rldistill.data.rows import Array


def is_pixels(space: spaces.Space[Any]) -> bool:
    """Whether observations are images, kept as uint8 [..., rows, columns, ...]."""
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) >= 2


def space_in_order(text: str, deserialize: Callable[[Any], Any]) -> spaces.Space[Any]:
    """The space that Minari described, the keys of each Dict in the order they were stored in.

    Minari itself sorts them; the environment may not have, and flattening follows their order.

    Args:
        text: JSON of the space.
        deserialize: minari's own reader, for the spaces that hold no others.
    """

    def build(found: dict[str, Any]) -> spaces.Space[Any]:
        if found["type"] == "Dict":
            return spaces.Dict(OrderedDict((k, build(v)) for k, v in found["subspaces"].items()))
        if found["type"] == "Tuple":
            return spaces.Tuple([build(inner) for inner in found["subspaces"]])
        return deserialize(found)

    return build(json.loads(text))


def flat_parts(space: spaces.Space[Any], seen: Any) -> list[Array]:
    """gymnasium.spaces.flatten of a whole episode: parts [L, ...] to be put side by side."""
    if isinstance(space, spaces.Dict):
        return [x for key, inner in space.spaces.items() for x in flat_parts(inner, seen[key])]
    if isinstance(space, spaces.Tuple):
        pairs = zip(space.spaces, seen, strict=True)
        return [x for inner, part in pairs for x in flat_parts(inner, part)]
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return [np.asarray(seen).reshape(len(seen), -1)]
    # One-hot codes and text: rare and small, so gymnasium itself does it, row by row.
    return [np.stack([cast("Array", spaces.flatten(space, row)) for row in seen])]
