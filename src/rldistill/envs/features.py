"""What one number of an observation is called."""

from dataclasses import dataclass
from typing import NamedTuple, final


@final
@dataclass(frozen=True, slots=True)
class Feature:
    """One number of a flat observation.

    Attributes:
        name: what it is called.
        unit: "m/s"; "x 5 m/s" where an observed 1 means 5 m/s; "" for a number without a unit.
        group: what belongs together, as the cells of one channel of a grid; "" for nothing.
    """

    name: str
    unit: str = ""
    group: str = ""

    @property
    def heading(self) -> str:
        """Name and unit.

        >>> Feature("pole angle", "rad").heading, Feature("position").heading
        ('pole angle [rad]', 'position')
        """
        return f"{self.name} [{self.unit}]" if self.unit else self.name


class ObservationPart(NamedTuple):
    """Where one entry of a Dict or Tuple observation lies in the flat vector: [start, stop)."""

    name: str  # keys joined by dots, for example "goal.position" or "0"
    start: int
    stop: int


def named_parts(parts: tuple[ObservationPart, ...], count: int) -> tuple[Feature, ...]:
    """Features by number, with the names of the parts of a Dict or Tuple observation.

    >>> [one.name for one in named_parts((ObservationPart("goal", 0, 2),), 3)]
    ['goal.0', 'goal.1', 'feature 2']
    """
    names = [f"feature {i}" for i in range(count)]
    for part in parts:
        for i in range(part.start, part.stop):
            names[i] = part.name if part.stop - part.start == 1 else f"{part.name}.{i - part.start}"
    return tuple(map(Feature, names))
