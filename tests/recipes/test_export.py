"""export_policy: checked before it is written, whole or not at all, judged by its return."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from small_runs import (
    FOLLOW,
    OBSERVATIONS,
    SHIPPED,
    follower,
    follower_folder,
    quick_settings,
    tracker,
)
from torch import nn

from rldistill import ExportSettings, distill, export_policy, load_exported, make_student
from rldistill.errors import (
    ExportError,
    MisfitError,
    NotFiniteError,
    RunFolderError,
    SettingError,
)
from rldistill.exporters.session import Session
from rldistill.recipes import export

QUICK = ExportSettings(observations=200)
RUN = quick_settings(seed=1)
INT8 = ExportSettings(observations=500, precision="int8")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_several_formats_at_once_each_with_its_contract(tmp_path: Path) -> None:
    done = export_policy(follower(), tmp_path, ["onnx", "c", "json"], task=FOLLOW, settings=QUICK)
    assert [one.path.name for one in done] == ["policy.onnx", "policy.h", "policy.json"]
    assert len(list(tmp_path.iterdir())) == 6
    for one in done:
        on_disk = json.loads(one.path.with_name(one.path.name + ".contract.json").read_text())
        assert on_disk == json.loads(json.dumps(one.contract))
        assert on_disk["parity"]["observations"] == 200
        assert on_disk["parity"]["source"] == "played in Follow-v0, seed 0"
        assert on_disk["task"] == {"id": "Follow-v0", "backend": "gymnasium", "env_kwargs": {}}
        assert on_disk["action"]["kind"] == "discrete"
        assert (on_disk["mask"], on_disk["state"]) == (None, None)


def test_the_contract_names_what_is_seen_and_done(tmp_path: Path) -> None:
    settings = ExportSettings(observations=20)
    zip_file = SHIPPED / "cartpole-dqn.zip"
    (one,) = export_policy(zip_file, tmp_path, task="CartPole-v1", settings=settings)
    features = one.contract["observation"]["features"]
    assert len(features) == 4
    assert {"name": "pole angle", "unit": "rad"} in features
    assert len(one.contract["action"]["meaning"]) == 2


def test_a_policy_without_a_task_is_compared_on_drawn_observations(tmp_path: Path) -> None:
    (one,) = export_policy(tracker(), tmp_path, "c", settings=QUICK)
    assert one.contract["parity"]["source"] == "drawn: no task was named"
    assert one.contract["task"] is None
    assert one.contract["action"]["low"] == [-1.0]


def test_int8_is_judged_by_its_return(tmp_path: Path) -> None:
    (one,) = export_policy(follower(), tmp_path, "c", task=FOLLOW, settings=INT8)
    judged = one.contract["export_verdict"]
    assert judged["verdict"] == "holds"
    assert judged["episodes"] >= 64
    assert one.path.name == "policy.int8.h"


def test_what_does_not_hold_is_not_written(tmp_path: Path) -> None:
    """A policy that plays at random, measured against one that is perfect."""
    settings = dataclasses.replace(INT8, against=follower())
    with pytest.raises(ExportError, match=r"c in int8 does not hold 0\.95 of by hand: fails"):
        export_policy(
            follower(threshold=2.0), tmp_path / "out", "c", task=FOLLOW, settings=settings
        )
    assert not (tmp_path / "out").exists()


def test_an_export_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are the other formats of the same command."""
    right = Session.__call__

    def wrong(self: Session, rows: Any, noise: Any) -> Any:
        return {"action": 1 - right(self, rows, noise)["action"]}

    monkeypatch.setattr(Session, "__call__", wrong)
    with pytest.raises(ExportError, match="without a tie; nothing was written"):
        export_policy(follower(), tmp_path / "out", ["json", "onnx"], task=FOLLOW, settings=QUICK)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_write_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is there and its contract is not: nobody will load it; the next export says so."""
    write = export.atomic_write

    def interrupted(path: Path, data: Any) -> None:
        if path.name.endswith("contract.json"):
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(export, "atomic_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_policy(follower(), tmp_path, task=FOLLOW, settings=QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.onnx"]
    with pytest.raises(ExportError):
        load_exported(tmp_path)
    monkeypatch.setattr(export, "atomic_write", write)
    with pytest.raises(RunFolderError, match="exists already"):
        export_policy(follower(), tmp_path, task=FOLLOW, settings=QUICK)
    again = dataclasses.replace(QUICK, force=True)
    export_policy(follower(), tmp_path, task=FOLLOW, settings=again)
    assert load_exported(tmp_path).predict(np.array([0.3, 0.3]))[0] == 1


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(export, "set_scene", lambda *arguments: pytest.fail("it went on"))
    with pytest.raises(RunFolderError, match="is not writable"):
        export_policy(follower(), tmp_path / "a" / "b", task=FOLLOW, settings=QUICK)
    assert not (tmp_path / "a").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunFolderError, match="is a file; a folder is needed"):
        export_policy(follower(), tmp_path / "out", task=FOLLOW, settings=QUICK)


def test_a_run_knows_its_task_teacher_and_verdict(tmp_path: Path) -> None:
    teacher = follower_folder(tmp_path / "teacher")
    distill(str(teacher), "Follow-v0", student="mlp:8", out=tmp_path / "run", settings=RUN)
    (one,) = export_policy(tmp_path / "run", tmp_path / "out", settings=QUICK)
    assert one.contract["task"]["id"] == "Follow-v0"
    assert one.contract["teacher"]["name"] == "mlp:linear"
    assert one.contract["verdict"]["verdict"] in ("holds", "fails", "unsure")
    assert one.contract["parity"]["source"] == "played in Follow-v0, seed 0"


def test_paths_of_this_machine_are_in_no_file(tmp_path: Path) -> None:
    folder = follower_folder(tmp_path / "secret-place")
    formats = ["onnx", "c", "json", "torch-export"]
    for one in export_policy(folder, tmp_path / "out", formats, settings=QUICK):
        data = one.path.read_bytes() + json.dumps(one.contract).encode()
        assert str(tmp_path).encode() not in data
        assert b"site-packages" not in data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"to": "onx"}, r"to must be among .*Did you mean onnx\?"),
        ({"to": []}, "to must name formats"),
        ({"to": ["c", "c"]}, "each once"),
        ({"precision": "int4"}, r"precision must be one of .*Did you mean int8\?"),
        ({"output": "best"}, "output must be one of"),
        ({"to": "json", "precision": "int8"}, "--to json has no precision int8; it has fp32"),
        ({"to": "sb3", "output": "sample"}, "--to sb3 has no output sample; it has action"),
        ({"precision": "int8", "task": None}, "judged by what it returns"),
        ({"floor": 0.9}, "against and floor have no effect on fp32"),
        ({"floor": 0.0, "precision": "int8"}, "floor must lie in"),
        ({"observations": 0}, "observations must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"name": "my policy"}, "name must be a letter"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, changes: dict, said: str) -> None:
    given: dict[str, Any] = {"to": "onnx", "task": FOLLOW} | changes
    to, task = given.pop("to"), given.pop("task")
    with pytest.raises(SettingError, match=said):
        export_policy(follower(), tmp_path, to, task=task, settings=ExportSettings(**given))
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_another_task_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisfitError, match="the policy gives 1 continuous"):
        export_policy(tracker(), tmp_path, task=FOLLOW, settings=QUICK)


def test_nan_weights_and_layers_without_a_name_are_refused(tmp_path: Path) -> None:
    policy = follower()
    policy.module.weight[0, 0] = float("nan")
    with pytest.raises(NotFiniteError, match="NaN"):
        export_policy(policy, tmp_path, settings=QUICK)
    module = nn.Sequential(nn.Linear(2, 8), nn.SELU(), nn.Linear(8, 2))
    live = dataclasses.replace(follower(), module=module.requires_grad_(False))
    with pytest.raises(SettingError, match=r"SELU cannot be exported; nearest is nn\.ELU"):
        export_policy(live, tmp_path, settings=QUICK)
    assert export_policy(live, tmp_path, "torchscript", settings=QUICK)


def test_a_deterministic_policy_has_nothing_to_sample(tmp_path: Path) -> None:
    settings = dataclasses.replace(QUICK, output="sample")
    with pytest.raises(SettingError, match="gives one action per state"):
        export_policy(tracker(), tmp_path, settings=settings)


def test_make_student_can_be_exported_as_it_is(tmp_path: Path) -> None:
    """Whatever the library calls a policy, untrained ones too."""
    policy = make_student("mlp:4", OBSERVATIONS, spaces.Discrete(2))
    assert export_policy(policy, tmp_path, ["onnx", "c"], settings=QUICK)
