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


ALWAYS = Constant(1.0)


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


@final
@dataclass(frozen=True, slots=True)
class Weaning:
    """start * max(1 - G_S / G_T, 0) before round `rounds`, then 0.

    G_S / G_T is the student's fraction of the teacher's return, (S - R) / (T - R), over its latest
    training episodes. Source: Agarwal et al. 2022 (QDagger, arXiv:2206.01626), appendix A.3, on
    returns normalised by the random policy as in its code.
    """

    start: float = 1.0
    rounds: int = 1_000_000

    def __post_init__(self) -> None:
        if not self.start > 0.0 or self.rounds < 1:
            raise SettingError(
                "Weaning: start must be above 0 and rounds at least 1, got "
                f"{self.start:g} and {self.rounds}"
            )

    def at(self, round_index: int, fraction: float | None = None) -> float:
        """The weight in a round; without a fraction, that of a student no better than random."""
        left = 1.0 if fraction is None else max(1.0 - fraction, 0.0)
        return self.start * left if round_index < self.rounds else 0.0
