"""rldistill export: what it writes and says."""

from pathlib import Path

import pytest
from commands import TASK, Command

FEW = ("--observations", 200)


def test_it_says_what_was_compared(rldistill: Command, teacher: Path) -> None:
    result = rldistill("export", teacher, *TASK, "--to", "onnx", "c", "--out", "out", *FEW)
    assert (result.code, result.err) == (0, "")
    assert "policy.onnx  " in result.out
    assert "200 observations (played in Follow-v0, seed 0), 11 edge values, 100 %" in result.out
    assert "bytes of flash" in result.out
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "policy.h",
        "policy.h.contract.json",
        "policy.onnx",
        "policy.onnx.contract.json",
    ]


def test_for_machines(rldistill: Command, teacher: Path) -> None:
    few = ("--precision", "int8", "--name", "pole", "--json", *FEW)
    (record,) = rldistill("export", teacher, *TASK, "--to", "c", "--out", "out", *few).records
    (one,) = record["exported"]
    assert one["export_verdict"]["verdict"] == "holds"
    assert Path(one["path"]).name == one["file"]["name"] == "pole.int8.h"
    assert "int32" in one["details"]["scheme"]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--to", "onx"), 1, "Did you mean onnx?"),
        (("--to", "c", "--precision", "int9"), 2, "--precision must be one of fp32, fp16, int8"),
        (("--to", "c", "--output", "actions"), 2, "Did you mean action?"),
        (("--to", "c", "--precision", "int8"), 1, "name the task (--task ID)"),
        (("--to", "c", "--backend", "gymnasium"), 1, "have no effect without --task ID"),
        (("--to", "torchscript", "--precision", "fp16"), 1, "it has fp32"),
    ],
)
def test_wrong_flags_are_named(
    rldistill: Command, teacher: Path, flags: tuple[str, ...], code: int, message: str
) -> None:
    result = rldistill("export", teacher, *flags, "--out", "out")
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert not Path("out").exists()


def test_no_policy_there(rldistill: Command) -> None:
    result = rldistill("export", "nowhere.zip", "--to", "c", "--out", "out")
    assert (result.code, result.err) == (1, "error: nowhere.zip does not exist\n")
