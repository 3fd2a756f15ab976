"""Settings: what is out of range, and what steps and until mean together."""

from typing import Any

import pytest

from rldistill.errors import SettingError
from rldistill.methods.catalogue import DEFAULT, get_method
from rldistill.train.settings import Settings


@pytest.mark.parametrize("until", [0.0, -1.0, 1.01, float("nan"), float("inf")])
def test_until_lies_in_0_1(until: float) -> None:
    with pytest.raises(SettingError, match=r"until must lie in \(0, 1\]"):
        Settings(until=until)
    assert Settings(until=1.0).floor == 1.0


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"num_envs": 0}, {"device": "gpu"}, {"evaluation_envs": 0},
     {"evaluation_envs": 1025}, {"seed": -1}, {"student_act": "sample"}, {"teacher_act": None}],
)  # fmt: skip
def test_what_is_out_of_range_is_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Settings(**wrong)


def test_steps_and_until_together() -> None:
    """--steps alone is a fixed amount of work; otherwise a run ends once it is shown to hold."""
    neither = Settings()
    assert (neither.total_steps, neither.floor, neither.stops_early) == (1_000_000, 0.95, True)
    steps = Settings(steps=500)
    assert (steps.total_steps, steps.floor, steps.stops_early) == (500, 0.95, False)
    until = Settings(until=0.8)
    assert (until.total_steps, until.floor, until.stops_early) == (1_000_000, 0.8, True)
    both = Settings(steps=500, until=0.8)
    assert (both.total_steps, both.floor, both.stops_early) == (500, 0.8, True)


def test_a_method_is_a_name_or_a_row() -> None:
    assert Settings().row.name == DEFAULT
    own = get_method("rusu-kl")
    assert Settings(method=own).row is own
    with pytest.raises(SettingError, match=r"unknown method 'daggre'.* Did you mean dagger"):
        _ = Settings(method="daggre").row


def test_scale_is_a_share_of_the_papers_steps() -> None:
    """500 hours at 15 Hz; the run then trains for all of them."""
    settings = Settings(method="rusu-kl", scale=0.01)
    assert (settings.total_steps, settings.stops_early) == (270_000, False)


def test_a_scale_that_says_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match="names no steps of its paper"):
        Settings(scale=0.1)
    with pytest.raises(SettingError, match="give one of them"):
        Settings(method="rusu-kl", scale=0.1, steps=5)
    with pytest.raises(SettingError, match="scale must lie in"):
        Settings(method="rusu-kl", scale=0.0)
