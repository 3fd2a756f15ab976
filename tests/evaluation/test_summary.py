"""The flat record that machines read: its keys, and what does not apply."""

from rldistill.evaluation.agreement import Agreement, AgreementPair
from rldistill.evaluation.summary import Costs, Sides, summarise
from rldistill.evaluation.verdict import verdict

SIDES = Sides(
    student_act="mode", teacher_act="sample", student_parameters=10, teacher_parameters=99
)
KEYS = {
    "verdict", "reason", "floor", "fraction", "fraction_low", "fraction_high", "student_return",
    "teacher_return", "random_return", "episodes", "episodes_to_settle", "paired", "act",
    "agreement", "agreement_detail", "teacher_parameters", "student_parameters", "env_steps",
    "train_seconds", "total_seconds", "run",
}  # fmt: skip


def test_the_keys_are_always_all_there() -> None:
    told = verdict([1.0] * 256, [1.0] * 256, [0.0, 0.5] * 128)
    alike = AgreementPair(Agreement(0.9, 0.1, 5), Agreement(0.8, float("inf"), 6))
    full = summarise(told, alike, SIDES, Costs(env_steps=7, train_seconds=1.5, run="runs/a"))
    empty = summarise(None, None, SIDES, Costs())
    assert set(full) == set(empty) == KEYS
    assert full["verdict"] == "holds"
    assert full["agreement"] == 0.9
    assert full["agreement_detail"]["teacher_states"] == {
        "top_action": 0.8, "kl": None, "states": 6,
    }  # fmt: skip
    assert full["act"] == {"student": "mode", "teacher": "sample"}
    assert (full["env_steps"], full["run"]) == (7, "runs/a")


def test_what_does_not_apply_is_none() -> None:
    empty = summarise(None, None, SIDES, Costs(total_seconds=2.0))
    given = {"act", "student_parameters", "teacher_parameters", "total_seconds"}
    assert {key for key, value in empty.items() if value is not None} == given
