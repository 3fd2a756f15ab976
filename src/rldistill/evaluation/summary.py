"""The last line of `distill --json` and `evaluate --json`, and verdict.json: one flat record."""

from dataclasses import dataclass
from typing import Any, final

from rldistill.evaluation.agreement import AgreementPair
from rldistill.evaluation.verdict import Verdict


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who was compared, and how each acted."""

    student_act: str
    teacher_act: str | None
    student_parameters: int
    teacher_parameters: int | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What it took.

    Attributes:
        env_steps: environment steps of training, summed over environments; None in evaluate.
        train_seconds: collecting and learning, without imports and evaluation.
        total_seconds: everything but imports.
        run: the run folder that was written, or that POLICY of evaluate was read from.
    """

    env_steps: int | None = None
    train_seconds: float | None = None
    total_seconds: float | None = None
    run: str | None = None


def summarise(
    verdict: Verdict | None, alike: AgreementPair | None, sides: Sides, costs: Costs
) -> dict[str, Any]:
    """One flat record of plain JSON types; what does not apply is None.

    Keys: verdict, reason, floor, fraction, fraction_low, fraction_high, student_return,
    teacher_return, random_return, episodes, episodes_to_settle, paired, act, agreement (top action
    on the student's states), agreement_detail, teacher_parameters, student_parameters, env_steps,
    train_seconds, total_seconds, run.
    """
    judged: dict[str, Any] = dict.fromkeys(Verdict.__slots__)
    if verdict is not None:
        judged = verdict.as_dict()
    return {
        **judged,
        "act": {"student": sides.student_act, "teacher": sides.teacher_act},
        "agreement": None if alike is None else alike.student_states.top_action,
        "agreement_detail": None if alike is None else alike.to_json(),
        "teacher_parameters": sides.teacher_parameters,
        "student_parameters": sides.student_parameters,
        "env_steps": costs.env_steps,
        "train_seconds": costs.train_seconds,
        "total_seconds": costs.total_seconds,
        "run": costs.run,
    }
