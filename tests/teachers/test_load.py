"""load_teacher: bad input of every kind ends in a clear error, and nothing in a file ever runs."""

import base64
import io
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.errors import (
    SettingError,
    TaskError,
    TeacherFileError,
    UnsafeFileError,
)
from rldistill.teachers.load import load_policy, load_teacher

BLOCKER = """
    import importlib.abc, sys

    class Blocker(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("stable_baselines3", "sb3_contrib", "cloudpickle", "gym"):
                raise ImportError(f"{name} must not be imported")

    sys.meta_path.insert(0, Blocker())
"""


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BLOCKER) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_shared_teacher_loads_without_stable_baselines3(shared_teachers):
    """Neither it nor what it brings can be imported here, and the loader never tries."""
    out = run_python(f"""
        from pathlib import Path
        from rldistill.teachers.load import load_teacher

        for path in sorted(Path({str(shared_teachers / "sb3")!r}).glob("*/model.zip")):
            print(load_teacher(path).info.name)
    """)
    assert len(out.split()) == 13


def test_loading_prints_nothing(ppo_zip, capsys):
    load_teacher(ppo_zip())
    assert capsys.readouterr() == ("", "")


class Payload:
    """Pickled as a call that creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


def test_payloads_in_every_pickle_of_a_zip_never_run(ppo_zip, ppo_tensors, tmp_path):
    """In each field of the JSON, in both tensor files, and in the statistics beside it."""
    target = tmp_path / "run"
    pickled = pickle.dumps(Payload(target))
    coded = base64.b64encode(pickled).decode()
    field = {":type:": "<class 'gym.spaces.box.Box'>", "_shape": [2], ":serialized:": coded}
    names = ("policy_class", "policy_kwargs", "observation_space", "action_space", "lr_schedule")
    data = {"clip_range": 0.2} | dict.fromkeys(names, field)
    tensors = ppo_tensors(observation=2) | {"log_std": torch.zeros(2)}
    stream = io.BytesIO()
    torch.save({"log_ent_coef": Payload(target)}, stream)
    path = ppo_zip(tensors, data, **{"pytorch_variables.pth": stream.getvalue()})
    assert load_teacher(path).info.head == GaussianHead((-torch.inf,) * 2, (torch.inf,) * 2)
    stream = io.BytesIO()
    torch.save(ppo_tensors() | {"x": Payload(target)}, stream)
    with pytest.raises(TeacherFileError):
        load_teacher(ppo_zip(data=data, **{"policy.pth": stream.getvalue()}))
    (tmp_path / "vecnormalize.pkl").write_bytes(pickled)
    with pytest.raises(TeacherFileError):
        load_teacher(ppo_zip())
    assert not target.exists()
    pickle.loads(pickled)
    assert target.exists(), "the payload must be a real one"


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a zip", b"\x80\x04N.", b"\x89HDF\r\n", b"\0" * 100]
)
def test_a_file_of_another_kind_is_an_error(content, tmp_path):
    (tmp_path / "model.zip").write_bytes(content)
    with pytest.raises(TeacherFileError, match=r"model\.zip"):
        load_teacher(tmp_path / "model.zip")


def test_missing_files_and_folders_are_answered_with_names(ppo_zip):
    path = ppo_zip()
    with pytest.raises(TeacherFileError, match=r"Did you mean model\.zip\?"):
        load_teacher(path.with_name("modell.zip"))
    with pytest.raises(TeacherFileError, match=r"is a folder.*It holds model\.zip"):
        load_teacher(str(path.parent))


def test_a_zip_cut_off_anywhere_is_an_error(ppo_zip):
    path = ppo_zip()
    whole = path.read_bytes()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(TeacherFileError):
            load_teacher(path)


def test_a_shared_zip_cut_off_is_an_error(shared_teachers, tmp_path):
    whole = (shared_teachers / "sb3" / "ppo-LunarLander-v2" / "model.zip").read_bytes()
    for length in range(1, len(whole), len(whole) // 40):
        (tmp_path / "model.zip").write_bytes(whole[:length])
        with pytest.raises(TeacherFileError):
            load_teacher(tmp_path / "model.zip")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_zip_with_names_that_escape_is_refused(name, ppo_zip):
    path = ppo_zip(**{name: b"x"})
    with pytest.raises(UnsafeFileError, match="leaves the archive"):
        load_teacher(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["model.zip"]


@pytest.mark.parametrize("entry", ["data", "policy.pth", "_stable_baselines3_version", "other"])
def test_a_bomb_in_any_entry_is_refused(entry, ppo_zip):
    path = ppo_zip()
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (entries | {entry: b" " * (100 << 20)}).items():
            archive.writestr(name, content)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnsafeFileError, match="bomb"):
        load_teacher(path)


def test_huge_json_is_refused(ppo_zip):
    with pytest.raises(UnsafeFileError, match="more than"):
        load_teacher(ppo_zip(data=b'{"a": "' + b"x" * (33 << 20) + b'"}'))


def test_deep_json_is_refused(ppo_zip):
    with pytest.raises(UnsafeFileError, match="nested deeper"):
        load_teacher(ppo_zip(data=b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"))


# --- teacher and task -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"observation_shape": (8,)}, r"takes observations of shape \(3,\), the task gives \(8,\)"),
        ({"action_space": spaces.Discrete(4)}, "chooses among 2 actions, the task takes one of 4"),
        (
            {"action_space": spaces.Box(-1.0, 1.0, (2,))},
            "chooses among 2 actions, the task takes 2 continuous action dimensions",
        ),
        ({"action_space": spaces.MultiBinary(2)}, "the task takes MultiBinary"),
    ],
)
def test_a_task_that_does_not_fit_is_told_with_both_sides(task, message, ppo_zip):
    with pytest.raises(TaskError, match=message):
        load_teacher(ppo_zip(), **task)


def test_continuous_dimensions_are_compared_too(ppo_zip, ppo_tensors):
    tensors = ppo_tensors() | {"log_std": torch.zeros(2)}
    load_teacher(ppo_zip(tensors), action_space=spaces.Box(-1.0, 1.0, (2,)))
    with pytest.raises(
        TaskError, match="gives 2 continuous action dimensions, the task takes one of 2"
    ):
        load_teacher(ppo_zip(tensors), action_space=spaces.Discrete(2))


# --- VecNormalize ---------------------------------------------------------------------------------


def test_a_missing_statistics_file_is_an_error(ppo_zip):
    path = ppo_zip()
    np.savez(path.parent / "stats.npz", mean=np.zeros(3), var=np.ones(3))
    with pytest.raises(
        TeacherFileError, match=r"stat\.npz does not exist\. Did you mean stats\.npz\?"
    ):
        load_teacher(path, vecnormalize=path.parent / "stat.npz")
    line = load_teacher(path, vecnormalize=path.parent / "stats.npz").info.notes[0]
    assert line.endswith("VecNormalize beside it: clip 10")


def test_statistics_of_another_size_are_an_error(ppo_zip, tmp_path):
    np.savez(tmp_path / "obs_rms.npz", mean=np.zeros(4), var=np.ones(4))
    with pytest.raises(
        TeacherFileError, match=r"takes 3 numbers, the statistics in .*obs_rms\.npz have 4"
    ):
        load_teacher(ppo_zip())


def test_a_normaliser_without_statistics_is_hinted_at(ppo_zip, tmp_path):
    """By the config beside it, or by what only a normalised environment leaves in the file."""
    assert len(load_teacher(ppo_zip()).info.notes) == 1
    left = {"clip_range": 0.2, "_last_original_obs": {":serialized:": ""}}
    assert "plays like random" in load_teacher(ppo_zip(data=left)).info.notes[-1]
    (tmp_path / "config.yml").write_text("  - - normalize\n    - true\n")
    note = load_teacher(ppo_zip()).info.notes[-1]
    assert note.startswith("config.yml says")
    assert "plays like random" in note
    np.savez(tmp_path / "obs_rms.npz", mean=np.zeros(3), var=np.ones(3))
    assert "plays like random" not in " ".join(load_teacher(ppo_zip()).info.notes)


def test_the_value_of_unknown_units_is_called_normalised(ppo_zip, tmp_path):
    """An npz alone does not tell how rewards were scaled."""
    np.savez(tmp_path / "obs_rms.npz", mean=np.zeros(3), var=np.ones(3))
    assert load_teacher(ppo_zip()).info.value_units == "normalised"


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": torch.nn.Linear(3, 2), "head": CategoricalHead(2), "vecnormalize": "v.pkl"},
        {"source": "model.zip", "head": CategoricalHead(2)},
    ],
)
def test_a_setting_without_effect_is_an_error(arguments):
    source = arguments.pop("source")
    with pytest.raises(SettingError):
        load_teacher(source, **arguments)


# --- our own students -----------------------------------------------------------------------------


def test_a_folder_with_a_student_is_given_to_the_store_of_students(tmp_path):
    store = pytest.importorskip("rldistill.students.store")
    from rldistill.students.build import make_student

    teacher = load_teacher(
        torch.nn.Linear(3, 2), observation_shape=(3,), action_space=spaces.Discrete(2)
    )
    box = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    student = make_student("mlp:4", box, spaces.Discrete(2), teacher.info.head)
    store.save_student(student, tmp_path, {})
    x = torch.randn(5, 3)
    for source in (tmp_path, tmp_path / "student.safetensors"):
        policy = load_policy(source)
        torch.testing.assert_close(policy.raw(x), student.raw(x))
        assert "acting parameters, value no" in policy.info.notes[0]
