"""inspect: what each kind of file tells, without code; pickled parts are named and stay closed."""

import json

import cleanrl_files
import onnx_files
import pytest
import rsl_rl_files
import torch
from torch import nn

from rldistill.cli.main import main
from rldistill.errors import TeacherFileError
from rldistill.teachers.inspection import inspect_file


class Payload:
    def __reduce__(self):
        return print, ("this was run",)


def shown(capsys, *arguments) -> dict:
    assert main(["inspect", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_zip_names_what_only_unpickling_would_tell(ppo_zip, capsys):
    data = {"clip_range": {":type:": "function", ":serialized:": "gASVAAAA"}, "gamma": 0.9}
    record = shown(capsys, ppo_zip(data=data))
    assert record["pickled"] == ["clip_range"]
    assert record["algorithm"] == "PPO"
    assert (record["observation"], record["gamma"]) == ([3], 0.9)
    assert record["actions"] == {"head": "Categorical", "count": 2}
    assert record["architecture"][0].startswith("Linear(in_features=3")
    assert record["tensors"]["action_net.weight"] == [2, 5]
    assert record["needs"] is None
    assert record["normaliser"] is None


def test_files_of_other_frameworks(tmp_path, capsys):
    record = shown(capsys, cleanrl_files.sac(tmp_path).path)
    assert (record["framework"], record["algorithm"]) == ("CleanRL", "SAC")
    assert record["actions"]["low"] == [-2.0, 0.0]
    record = shown(capsys, rsl_rl_files.version_3(tmp_path).path)
    assert (record["framework"], record["normaliser"]) == ("rsl_rl", "standardise")
    assert record["actions"]["low"] == [None, None], "JSON has no infinity"
    assert record["pickled"] == []


def test_a_foreign_object_in_a_torch_file_is_named_and_not_run(tmp_path, capsys):
    made = cleanrl_files.QNetwork(cleanrl_files.mlp(4, 6, 2))
    content = {"model_weights": made.state_dict(), "args": {"odd": Payload()}}
    path = cleanrl_files.save(content, tmp_path, "odd")
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "__builtin__.print (left closed)" in out
    assert "this was run" not in out


def test_what_cannot_be_loaded_as_it_is_says_what_it_needs(tmp_path, capsys):
    record = shown(capsys, onnx_files.fixed_batch(tmp_path).path)
    assert (record["inputs"], record["outputs"]) == ({"obs": [1, 5]}, {"actions": [1, 3]})
    assert record["parameters"] == 5 * 7 + 7 + 7 * 3 + 3
    assert "needs a head" in record["needs"]
    torch.save({"layer.weight": torch.ones(2, 3)}, tmp_path / "bare.pt")
    record = shown(capsys, tmp_path / "bare.pt")
    assert record["tensors"] == {"layer.weight": [2, 3]}
    assert "teacher card" in record["needs"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_is_read_as_tensors(tmp_path, capsys, monkeypatch):
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)), tmp_path / "policy.pt")
    monkeypatch.setattr(torch.jit, "load", None)
    record = shown(capsys, tmp_path / "policy.pt")
    assert (record["kind"], record["parameters"]) == ("a TorchScript file", 8)
    assert record["tensors"] == {"weight": [2, 3], "bias": [2]}
    assert "--trust" in record["needs"]


def test_no_policy_file_is_an_error(tmp_path, capsys):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(TeacherFileError):
        inspect_file(tmp_path / "a.zip")
    assert main(["inspect", str(tmp_path / "a.zip")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert main(["inspect", "ensemble:a,b"]) == 2
