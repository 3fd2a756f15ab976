import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rldistill.errors import SettingError
from rldistill.recipes.models import (
    LARGEST_RECIPE,
    Recipe,
    make_recipe,
    parse_env_kwargs,
    read_recipe,
)

GOOD = {"teacher": "a.zip", "task": "CartPole-v1"}


def test_a_recipe_needs_a_teacher_and_a_task_only():
    recipe = make_recipe(GOOD)
    assert (recipe.teacher, recipe.task) == ("a.zip", "CartPole-v1")
    assert recipe.seed == 0
    assert recipe.device == "auto"
    assert recipe.teacher_act == recipe.student_act == "mode"


def test_data_may_stand_for_both():
    assert make_recipe({"data": "minari:x"}).data == "minari:x"


def test_a_later_source_wins_and_none_leaves_alone():
    """Flags override the file; a flag that was not given is None."""
    recipe = make_recipe(GOOD | {"seed": 1, "steps": 10}, {"seed": 2, "steps": None})
    assert (recipe.seed, recipe.steps) == (2, 10)


def test_keys_may_be_written_as_flags_are():
    assert make_recipe(GOOD | {"num-envs": 8}).num_envs == 8


def test_a_toml_file_gives_a_recipe(tmp_path: Path):
    path = tmp_path / "r.toml"
    path.write_text(
        'teacher = "a.zip"\ntask = "X-v0"\nuntil = 0.95\nimports = ["a", "b"]\n'
        'vecnormalize = "v.pkl"\n[env_kwargs]\ngravity = -9.5\n'
    )
    recipe = make_recipe(read_recipe(path))
    assert recipe.until == 0.95
    assert recipe.imports == ("a", "b")
    assert recipe.vecnormalize == Path("v.pkl")
    assert recipe.env_kwargs == {"gravity": -9.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sede": 1}, "unknown setting 'sede'. Did you mean seed?"),
        ({"num-env": 1}, "unknown setting 'num_env'. Did you mean num_envs"),
        ({"until": 0.0}, r"until must lie in \(0, 1\], got 0"),
        ({"until": 1.5}, r"until must lie in \(0, 1\], got 1.5"),
        ({"until": float("nan")}, r"until must lie in \(0, 1\], got nan"),
        ({"steps": 0}, "^steps must be at least 1, got 0$"),
        ({"steps": 1.5}, "^steps must be a whole number, got 1.5$"),
        ({"steps": "many"}, "^steps must be a whole number, got 'many'$"),
        ({"num_envs": 10**6}, "^num_envs must be at most 65,536, got 1000000$"),
        ({"seed": -1}, "^seed must be at least 0, got -1$"),
        ({"seed": 2**63}, "^seed must be less than 9,223,372,036,854,775,808, got"),
        ({"device": "gpu"}, "^device must be one of auto, cpu, cuda, got 'gpu'. Did you mean cpu?"),
        (
            {"teacher_act": "greedy"},
            "teacher_act must be one of mode, sample, or with .*mode:0.05; got 'greedy'",
        ),
        ({"env_kwargs": 3}, "^env_kwargs must be a table, name = value, got 3$"),
        ({"teacher": 3}, "^teacher must be text, got 3$"),
        ({"imports": "ale_py"}, "^imports must be a list, got 'ale_py'$"),
        ({"imports": [3]}, r"^imports\.0 must be text, got 3$"),
        ({"until": "0.9"}, "^until must be a number, got '0.9'$"),
        ({"until": True}, "^until must be a number, got True$"),
        ({"steps": "5000"}, "^steps must be a whole number, got '5000'$"),
        ({"seed": True}, "^seed must be a whole number, got True$"),
        ({"student": ""}, "^student: the text is empty; give one, or leave it out$"),
        ({"method": " "}, "^method: the text is empty"),
        ({"until": "half"}, "^until must be a number, got 'half'$"),
        ({"backend": "envpol"}, "Did you mean envpool?"),
    ],
)
def test_a_bad_setting_is_named(change, message):
    with pytest.raises(SettingError, match=message):
        make_recipe(GOOD | change)


def test_all_bad_settings_are_named_at_once():
    with pytest.raises(SettingError, match=r"steps must be .*; seed must be "):
        make_recipe(GOOD | {"steps": 0, "seed": -1})
    with pytest.raises(SettingError, match=r"'sede'.*; unknown setting 'stesp'"):
        make_recipe(GOOD | {"sede": 0, "stesp": -1})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "X-v0"}, "a teacher is required"),
        ({"teacher": "a.zip"}, "a task is required, for example --task LunarLander-v3"),
        ({}, "a teacher is required"),
    ],
)
def test_what_is_missing_is_named(given, message):
    with pytest.raises(SettingError, match=message):
        make_recipe(given)


@pytest.mark.parametrize(
    "setting",
    [
        {"task": "X-v0"}, {"until": 0.9}, {"backend": "gymnasium"}, {"env_kwargs": {"a": 1}},
        {"wrapper": "m:f"}, {"imports": ["m"]}, {"vecnormalize": "v.pkl"},
        {"teacher_act": "sample"}, {"student_act": "sample"},
    ],
)  # fmt: skip
def test_what_has_no_effect_on_recorded_labels_alone_is_refused(setting):
    """Nothing is played and nobody is judged; with a teacher it is."""
    name = next(iter(setting))
    with pytest.raises(SettingError, match=f"^{name}: of no effect without a teacher"):
        make_recipe({"data": "d"} | setting)
    assert getattr(make_recipe({"data": "d", "teacher": "a.zip"} | setting), name)


def test_offline_no_environments_are_counted():
    for teacher in ({}, {"teacher": "a.zip"}):
        with pytest.raises(SettingError, match="num_envs has no effect with data"):
            make_recipe({"data": "d", "num_envs": 3} | teacher)


def test_a_recipe_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        make_recipe(GOOD).seed = 3


def test_every_recipe_setting_reads_back_from_toml(tmp_path: Path):
    """recipe.toml in a run folder holds the same keys."""
    import tomli_w

    recipe = Recipe(
        **GOOD, student="mlp:8", method="dagger", steps=5, until=0.9, seed=7,
        device="cpu", backend="gymnasium", env_kwargs={"a": [1, {"b": "c"}]}, wrapper="m:f",
        imports=("x",), vecnormalize=Path("v.pkl"), teacher_act="sample", student_act="sample",
        fit_critic=100, data="d", out=Path("o"),
    )  # fmt: skip
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    assert make_recipe(read_recipe(path)) == recipe


# --- files ----------------------------------------------------------------------------------------


def test_a_missing_recipe_is_named(tmp_path: Path):
    with pytest.raises(SettingError, match=r"cannot read recipe .*nowhere.*No such file"):
        read_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(SettingError, match="cannot read recipe"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    "text",
    [b"seed = ", b"\xff\xfe", b"a = 1\na = 2", b"[" * 10_000],
    ids=lambda text: str(text[:20]),
)
def test_what_is_no_toml_is_named(tmp_path: Path, text: bytes):
    path = tmp_path / "r.toml"
    path.write_bytes(text)
    with pytest.raises(SettingError, match="is not TOML"):
        read_recipe(path)


def test_a_huge_recipe_is_not_read(tmp_path: Path):
    path = tmp_path / "r.toml"
    with path.open("wb") as file:
        file.truncate(LARGEST_RECIPE + 1)
    with pytest.raises(SettingError, match="is larger than"):
        read_recipe(path)


# --- env_kwargs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1", {"a": 1}),
        (" a = 1 , b=x ", {"a": 1, "b": "x"}),
        ('a="1"', {"a": "1"}),
        ("a=null,b=true,c=1e3", {"a": None, "b": True, "c": 1000.0}),
        ("a=b=c", {"a": "b=c"}),
        ('{"a": [1, 2]}', {"a": [1, 2]}),
        ("a=", {"a": ""}),
    ],
)
def test_env_kwargs_by_hand(text, expected):
    assert parse_env_kwargs(text) == expected


@pytest.mark.parametrize(
    "text",
    ["gravity", "a=1,b", "=3", "a=[1,2]", "{a: 1}", "{", '{"a":' * 100_000],
    ids=lambda text: text[:20],
)
def test_other_env_kwargs_are_refused(text):
    with pytest.raises(SettingError, match="--env-kwargs"):
        parse_env_kwargs(text)


@given(st.text())
def test_any_text_gives_env_kwargs_or_a_setting_error(text):
    with contextlib.suppress(SettingError):
        assert isinstance(parse_env_kwargs(text), dict)
