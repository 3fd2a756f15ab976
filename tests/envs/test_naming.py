"""Names of features and actions: shipped ones fit the real spaces, a user's are checked."""

from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium import spaces

from rldistill.envs import naming
from rldistill.envs.naming import Feature, TaskNames, task_names
from rldistill.envs.observations import ObservationReader
from rldistill.envs.spec import ObservationPart, TaskInfo, TaskSpec
from rldistill.errors import SettingError

POSITIONS = "exclude_current_positions_from_observation"
CASES: list[tuple[str, dict[str, Any]]] = [
    *((f"{name}-v{v}", {}) for v in (4, 5) for name in (
        "Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum",
        "InvertedPendulum", "Reacher", "Swimmer", "Walker2d")),
    ("Pusher-v5", {}),
    *((f"{name}-v{v}", {POSITIONS: False}) for v in (4, 5) for name in (
        "Ant", "HalfCheetah", "Hopper", "Humanoid", "Swimmer", "Walker2d")),
    ("Ant-v4", {"use_contact_forces": True}),
    ("Ant-v5", {"include_cfrc_ext_in_observation": False}),
    *((f"{name}-v5", {f"include_{part}_in_observation": False}) for name in (
        "Humanoid", "HumanoidStandup") for part in ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")),
    *((name, {}) for name in (
        "CartPole-v0", "CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0",
        "Pendulum-v1", "LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3",
        "BipedalWalkerHardcore-v3")),
    ("LunarLander-v3", {"continuous": True}),
]  # fmt: skip
NEEDS = {"Lunar": "Box2D", "Biped": "Box2D", **dict.fromkeys(
    ("Ant", "Half", "Hopper", "Human", "Inverted", "Reacher", "Swimmer", "Walker", "Pusher"),
    "mujoco")}  # fmt: skip


def info_for(task_id: str, observations: Any, actions: Any, **more: Any) -> TaskInfo:
    reader = ObservationReader(observations)
    return TaskInfo(
        id=task_id, backend="gymnasium", observation_space=reader.space, action_space=actions,
        observation_parts=reader.parts, equal_starts=True, max_episode_steps=10, **more,
    )  # fmt: skip


def names_of(task_id: str, kwargs: dict[str, Any]) -> tuple[TaskNames, TaskInfo]:
    env = gymnasium.make(task_id, disable_env_checker=True, **kwargs)
    info = info_for(task_id, env.observation_space, env.action_space)
    env.close()
    return task_names(TaskSpec(id=task_id, env_kwargs=kwargs), info), info


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("task_id", "kwargs"), CASES, ids=str)
def test_shipped_names_are_as_many_as_the_real_spaces_have(
    task_id: str, kwargs: dict[str, Any]
) -> None:
    for start, module in NEEDS.items():
        if task_id.startswith(start):
            pytest.importorskip(module)
    names, info = names_of(task_id, kwargs)
    assert len(names.features) == info.observation_space.shape[0]
    assert not any(one.name.startswith("feature ") for one in names.features)
    assert not any(name.startswith("action") for name in names.actions)
    assert names.notes == ()
    assert len({one.name for one in names.features}) == len(names.features)
    space = info.action_space
    count = space.n if isinstance(space, spaces.Discrete) else space.shape[0]
    assert len(names.actions) == count


@pytest.mark.parametrize("game", ["asterix", "breakout", "freeway", "seaquest", "space_invaders"])
def test_channels_of_minatar_are_in_the_games_order(game: str) -> None:
    minatar = pytest.importorskip("minatar")
    env = minatar.Environment(game)
    task_id = "MinAtar/" + game.title().replace("_", "")
    channels, minimal = env.state_shape()[2], len(env.minimal_action_set())
    for version, actions in (("v0", 6), ("v1", minimal)):
        info = info_for(
            f"{task_id}-{version}", spaces.Box(0, 1, (10, 10, channels), bool),
            spaces.Discrete(actions),
        )  # fmt: skip
        names = task_names(TaskSpec(id=info.id), info)
        assert len(names.features) == 100 * channels
        assert names.features[channels + 1].name.endswith("at row 0, column 1")
        assert names.features[1].group == names.features[channels + 1].group != ""
        assert not names.actions[0].startswith("action ")
        assert [one.group for one in names.features[:channels]] == list(
            dict.fromkeys(one.group for one in names.features)
        )
    # The package's own backend shows the same grid as bytes, in its own shape.
    board = info_for(info.id, spaces.Box(0, 1, (10, 10, channels), "uint8"), spaces.Discrete(2))
    assert task_names(TaskSpec(id=info.id), board).features == names.features
    if game == "breakout":
        assert [one.group for one in names.features[:4]] == list(env.env.channels)
        assert names.actions == ("do nothing", "left", "right")


def test_actions_of_the_lander_are_those_of_its_source() -> None:
    """gymnasium: 1 fires the left orientation engine, 2 the main engine, 3 the right one."""
    pytest.importorskip("Box2D")
    names, _ = names_of("LunarLander-v3", {})
    assert names.action("fire right engine") == 3
    assert names.features[2] == Feature("x velocity", "x 5 m/s")


def test_bytes_of_memory_are_numbered_and_known_objects_named() -> None:
    ram = spaces.Box(0, 255, (128,), "uint8")
    pong = task_names(TaskSpec(id="ALE/Pong-v5"), info_for("ALE/Pong-v5", ram, spaces.Discrete(6)))
    assert pong.features[49].name == "ball x (RAM byte 49)"
    assert pong.features[0].name == "RAM byte 0"
    assert pong.actions[2] == "right"
    other = task_names(
        TaskSpec(id="ALE/Tennis-v5"), info_for("ALE/Tennis-v5", ram, spaces.Discrete(18))
    )
    assert other.features[127].name == "RAM byte 127"
    assert other.actions[17] == "action 17"


def test_an_unknown_task_is_numbered_and_parts_keep_their_names() -> None:
    space = spaces.Dict({"goal": spaces.Box(-1, 1, (2,)), "on": spaces.Box(0, 1, (1,))})
    info = info_for("Own-v0", space, spaces.Box(-1, 1, (2,)))
    assert info.observation_parts[0] == ObservationPart("goal", 0, 2)
    names = task_names(TaskSpec(id="Own-v0"), info)
    assert [one.name for one in names.features] == ["goal.0", "goal.1", "on"]
    assert names.actions == ("action dimension 0", "action dimension 1")
    plain = info_for("Own-v0", spaces.Box(-1, 1, (2,)), spaces.Discrete(2))
    assert task_names(TaskSpec(id="Own-v0"), plain).features[1].name == "feature 1"


def test_pixels_have_no_names() -> None:
    info = info_for("CarRacing-v3", spaces.Box(0, 255, (96, 96, 3), "uint8"), spaces.Discrete(5))
    names = task_names(TaskSpec(id="CarRacing-v3"), info)
    assert names.features == ()
    assert names.actions[4] == "action 4"


def test_another_number_of_features_is_told_and_not_named() -> None:
    """A wrapper that adds a number must not shift the names of the others."""
    info = info_for("CartPole-v1", spaces.Box(-1, 1, (5,)), spaces.Discrete(2))
    names = task_names(TaskSpec(id="CartPole-v1"), info)
    assert names.features[0].name == "feature 0"
    assert "4 features of CartPole-v1, and this one has 5" in names.notes[0]


def test_a_wrapper_is_told() -> None:
    info = info_for("CartPole-v1", spaces.Box(-1, 1, (4,)), spaces.Discrete(2))
    names = task_names(TaskSpec(id="CartPole-v1", wrapper="some:wrapper"), info)
    assert "a wrapper is applied" in names.notes[0]


CARTPOLE = info_for("CartPole-v1", spaces.Box(-1, 1, (4,)), spaces.Discrete(2))


def named(tmp_path: Path, text: str) -> TaskNames:
    file = tmp_path / "names.toml"
    file.write_text(text)
    return task_names(TaskSpec(id="CartPole-v1"), CARTPOLE, file)


def test_a_users_names_come_first(tmp_path: Path) -> None:
    names = named(tmp_path, 'features = ["a [kg]", "b", "c [s]", "d"]')
    assert names.features[0] == Feature("a", "kg")
    assert names.actions == ("push left", "push right")
    names = named(tmp_path, 'actions = ["west", "east"]')
    assert names.actions == ("west", "east")
    assert names.features[2].name == "pole angle"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('features = ["a", "b"]', "names 2 features; observations of CartPole-v1 have 4 features"),
        ('actions = ["a"]', "names 1 actions; CartPole-v1 has 2"),
        ('featurs = ["a"]', "got 'featurs'. Did you mean features?"),
        ("", "it is empty"),
        ("features = 3", "must be a list of names"),
        ('features = ["a", 3]', "must be a list of names"),
        ('features = ["a", "\\u001b[31m", "c", "d"]', "must be a list of names"),
        ('features = ["a [m]", "A", "c", "d"]', "has 'a' twice"),
        ("features = [", "is not a TOML file"),
    ],
)  # fmt: skip
def test_names_that_do_not_match_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingError, match=r"names\.toml") as caught:
        named(tmp_path, text)
    assert message in str(caught.value)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot read .*none.toml: No such file"):
        task_names(TaskSpec(id="CartPole-v1"), CARTPOLE, tmp_path / "none.toml")


def test_names_for_pixels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "names.toml"
    file.write_text('features = ["a"]')
    info = info_for("Eyes-v0", spaces.Box(0, 255, (9, 9), "uint8"), spaces.Discrete(2))
    with pytest.raises(SettingError, match="have pixels, which have no names"):
        task_names(TaskSpec(id="Eyes-v0"), info, file)


def test_units_of_actions_are_apart_from_their_names() -> None:
    info = info_for("Pendulum-v1", spaces.Box(-1, 1, (3,)), spaces.Box(-2, 2, (1,)))
    names = task_names(TaskSpec(id="Pendulum-v1"), info)
    assert (names.actions, names.action_units) == (("torque",), ("N m",))
    assert names.action("torque") == 0


def test_features_are_found_by_name_and_by_index() -> None:
    names = task_names(TaskSpec(id="CartPole-v1"), CARTPOLE)
    assert names.feature(" POLE angle ") == names.feature("2") == 2
    assert names.action("push right") == 1
    with pytest.raises(SettingError, match=r"no feature 'pole angel'.*Did you mean pole angle"):
        names.feature("pole angel")
    with pytest.raises(SettingError, match=r"no action '2'.*There are: push left, push right"):
        names.action("2")
    with pytest.raises(SettingError, match="no feature '-1'"):
        names.feature("-1")


def test_all_shipped_files_hold_plain_names() -> None:
    """Units are in brackets at the end, and every template takes its part."""
    for entry in naming._entries():
        assert entry["ids"]
        features = naming._of_entry(entry, entry["ids"][0], {})
        assert not any(set("[]{}") & set(one.name + one.unit) for one in features)
