"""What Atari ids mean, and what their settings may be."""

import pytest

from rldistill.envs.atari_settings import AtariSettings, game_of, parse_atari
from rldistill.errors import SettingError


@pytest.mark.parametrize(
    ("task_id", "sticky", "frameskip"),
    [
        ("ALE/Breakout-v5", 0.25, 4),
        ("BreakoutNoFrameskip-v4", 0.0, 4),
        ("BreakoutNoFrameskip-v0", 0.25, 4),
        ("Breakout-v4", 0.0, (2, 5)),
        ("Breakout-v0", 0.25, (2, 5)),
    ],
)
def test_every_id_keeps_its_own_defaults(task_id: str, sticky: float, frameskip: object) -> None:
    """Sticky actions and frame skip are those that ale-py registers under the id."""
    settings = parse_atari(task_id, {}).settings
    assert settings.repeat_action_probability == sticky
    assert settings.frameskip == frameskip


def test_defaults_are_the_standard_preprocessing_and_raw_rewards() -> None:
    """In numbers, so that no default changes unnoticed; what is asked for replaces them."""
    settings = parse_atari("ALE/Pong-v5", {"noop_max": 1, "stack_num": 2}).settings
    assert (settings.maxpool, settings.use_fire_reset) == (True, True)
    assert (settings.noop_max, settings.stack_num) == (1, 2)
    assert AtariSettings().noop_max == 30
    assert AtariSettings().stack_num == 4
    only_asked = (settings.reward_clipping, settings.episodic_life, settings.fire_after_life)
    assert not any((*only_asked, settings.full_action_space))


@pytest.mark.parametrize(
    "task_id",
    ["ALE/Pong-v4", "Pong-v5", "ALE/PongNoFrameskip-v5", "pong-v4", "Pong", "Pong-ram-v4"],
)
def test_other_forms_are_not_atari(task_id: str) -> None:
    """Only what ale-py registers: ALE/Game-v5, and v0 and v4 without the prefix."""
    assert game_of(task_id) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"noop": 3}, "no setting 'noop'. Did you mean noop_max"),
        ({"frameskip": 0}, "frameskip must be a whole number from 1 on"),
        ({"frameskip": (4, 4)}, "frameskip must be"),
        ({"frameskip": True}, "frameskip must be"),
        ({"repeat_action_probability": 1.0}, r"in \[0, 1\)"),
        ({"noop_max": -1}, "noop_max must be a whole number from 0 on; got -1"),
        ({"stack_num": 0}, "stack_num must be a whole number from 1 on"),
        ({"reward_clipping": "yes"}, "reward_clipping must be true or false"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, object], message: str) -> None:
    """With what was required, what came, and a near name."""
    with pytest.raises(SettingError, match=message):
        parse_atari("ALE/Pong-v5", given)


def test_a_list_from_toml_is_a_pair() -> None:
    """TOML and JSON have no tuples."""
    assert parse_atari("ALE/Pong-v5", {"frameskip": [2, 5]}).settings.frameskip == (2, 5)


def test_what_it_says_of_itself_names_each_setting() -> None:
    """Two settings that differ anywhere are described differently."""
    changed = {
        "frameskip": 3, "repeat_action_probability": 0.1, "full_action_space": True,
        "maxpool": False, "noop_max": 7, "use_fire_reset": False, "fire_after_life": True,
        "episodic_life": True, "reward_clipping": True, "stack_num": 1,
    }  # fmt: skip
    assert set(changed) == set(AtariSettings.__dataclass_fields__)
    said = {AtariSettings(**{name: value}).describe() for name, value in changed.items()}
    assert len(said | {AtariSettings().describe()}) == len(changed) + 1
