"""Settings of a sweep: what makes no sense is refused; stages double."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import SettingError
from rldistill.train.shrink_settings import ShrinkSettings


@given(steps=st.integers(100_000, 10**9), stages=st.integers(1, 8))
def test_stages_double_and_make_the_steps_together(steps, stages):
    settings = ShrinkSettings(steps=steps, stages=stages)
    each = [settings.stage_steps(k) for k in range(stages)]
    assert steps - stages <= sum(each) <= steps
    assert all(abs(b - 2 * a) <= 1 for a, b in itertools.pairwise(each))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"floor": 0.0}, "floor"),
        ({"floor": 1.1}, "floor"),
        ({"budget": "param"}, "Did you mean params"),
        ({"ladder": ("mlp:8", "mlp:8")}, "twice"),
        ({"stages": 0}, "stages"),
        ({"steps": 100, "stages": 4}, "960 at least"),
        ({"prune": (1.0,)}, "between 0 and 1"),
        ({"prune": (0.5, 0.5)}, "twice"),
        ({"seed": -1}, "seed"),
        ({"evaluation_envs": 0}, "evaluation_envs"),
    ],
)
def test_what_is_wrong_is_told(wrong, message):
    with pytest.raises(SettingError, match=message):
        ShrinkSettings(**wrong)
