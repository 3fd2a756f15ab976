"""Schedules: a number that depends on how far a run has come."""

from dataclasses import dataclass
from typing import final

from rldistill.errors import SettingError


@final
@dataclass(frozen=True, slots=True)
class Constant:
    """The same value in every round."""

    value: float

    def at(self, round_index: int) -> float:
        del round_index
        return self.value


@final
@dataclass(frozen=True, slots=True)
class FirstRounds:
    """1 in the first `rounds` rounds, then 0: DAgger's parameter-free beta_i = 1[i = 1]."""

    rounds: int = 1

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise SettingError(f"FirstRounds: rounds must be at least 1, got {self.rounds}")

    def at(self, round_index: int) -> float:
        return 1.0 if round_index < self.rounds else 0.0


@final
@dataclass(frozen=True, slots=True)
class Geometric:
    """base ** i in round i = 0, 1, ...: DAgger's beta_i = p^(i - 1)."""

    base: float

    def __post_init__(self) -> None:
        if not 0.0 < self.base < 1.0:
            raise SettingError(f"Geometric: base must lie between 0 and 1, got {self.base}")

    def at(self, round_index: int) -> float:
        return self.base**round_index


@final
@dataclass(frozen=True, slots=True)
class Linear:
    """From start in round 0 to end in round `rounds`, constant afterwards."""

    start: float
    end: float
    rounds: int

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise SettingError(f"Linear: rounds must be at least 1, got {self.rounds}")

    def at(self, round_index: int) -> float:
        share = min(round_index / self.rounds, 1.0)
        return self.start + share * (self.end - self.start)


Schedule = Constant | FirstRounds | Geometric | Linear
