"""Settings of a sweep for the smallest student."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import final

from rldistill.core import Acting
from rldistill.errors import SettingError, did_you_mean
from rldistill.evaluation.verdict import DEFAULT_FLOOR

# Labelled states of a sweep: 16,384, then twice as many in each of the stages after it.
DEFAULT_STEPS = 245_760
DEFAULT_STAGES = 4


class Budget(StrEnum):
    """What is to be small: parameters, bytes of the saved student, or seconds per decision."""

    PARAMS = "params"
    BYTES = "bytes"
    LATENCY = "latency"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkSettings:
    """How to look for the smallest student; every field has a default.

    Attributes:
        floor: the fraction of the teacher's return that is to be held.
        budget: "params", "bytes" (of the saved student) or "latency" (of one decision here).
        ladder: specs of the students that are tried; (): by the budget, see default_ladder.
        steps: environment steps whose states are labelled, over the whole sweep.
        stages: in each twice as many steps are taken as in the one before, by half the students.
        prune: shares of the smallest student's weights that are set to 0, each tried by itself.
        int8: whether the smallest student is tried in int8.
        seed: of everything.
        teacher_act: how the teacher acts.
        vecnormalize: statistics of the teacher's observation normaliser.
        card: what network the teacher's weights are of.
        evaluation_envs: episodes per look.
        force: replace the sweep in the folder.
        command: recorded in the folder.
    """

    floor: float = DEFAULT_FLOOR
    budget: str = Budget.PARAMS
    ladder: tuple[str, ...] = ()
    steps: int = DEFAULT_STEPS
    stages: int = DEFAULT_STAGES
    prune: tuple[float, ...] = (0.5, 0.75)
    int8: bool = True
    seed: int = 0
    teacher_act: Acting = Acting()
    vecnormalize: Path | None = None
    card: Path | None = None
    evaluation_envs: int = 64
    force: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        Acting.require(self.teacher_act, "teacher_act")
        if not 0.0 < self.floor <= 1.0:
            raise SettingError(f"floor must lie in (0, 1], got {self.floor:g}")
        if self.budget not in tuple(Budget):
            raise SettingError(
                f"budget must be one of {', '.join(Budget)}; got {self.budget!r:.40}."
                f"{did_you_mean(str(self.budget), Budget)}"
            )
        if len(set(self.ladder)) < len(self.ladder):
            raise SettingError("the ladder names a student twice; give each once")
        if not 1 <= self.stages <= 10:
            raise SettingError(f"stages must lie in 1..10, got {self.stages}")
        if self.steps < 64 * (2**self.stages - 1):
            raise SettingError(
                f"{self.steps} steps are too few for {self.stages} stages, which need "
                f"{64 * (2**self.stages - 1)} at least"
            )
        if any(not 0.0 < share < 1.0 for share in self.prune):
            raise SettingError("each share of pruned weights must lie between 0 and 1")
        if len(set(self.prune)) < len(self.prune):
            raise SettingError("a share of pruned weights is given twice; give each once")
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")
        if not 1 <= self.evaluation_envs <= 1024:
            raise SettingError("evaluation_envs must lie in 1..1024")

    def stage_steps(self, stage: int) -> int:
        """Environment steps of a stage: they double, and make `steps` together.

        >>> [ShrinkSettings().stage_steps(k) for k in range(4)]
        [16384, 32768, 65536, 131072]
        """
        return self.steps * 2**stage // (2**self.stages - 1)
