"""rldistill merge: one student of several teachers."""

from pathlib import Path

import pytest
from commands import Command
from small_runs import follower_folder

FEW = ("--import", "small_runs", "--student", "multi:mlp:16", "--num-envs", 8)


@pytest.fixture
def pair(tmp_path: Path) -> str:
    return f"{follower_folder(tmp_path / 'teacher')}@Follow-v0"


def test_it_says_what_each_task_keeps(rldistill: Command, pair: str) -> None:
    result = rldistill(
        "merge", pair, *FEW, "--method", "dagger", "--steps", 8192, "--out", "run", "--check"
    )
    assert (result.code, result.err) == (0, "")
    assert "Follow-v0: holds, student " in result.out
    assert "together   geometric mean " in result.out


def test_for_machines(rldistill: Command, pair: str) -> None:
    few = (*FEW, "--memory", 500, "--steps", 600, "--until", 0.5)
    last = rldistill("merge", pair, *few, "--out", "run", "--json").records[-1]
    assert last["tasks"]["Follow-v0"]["floor"] == 0.5
    assert last["run"].endswith("run")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("no-at-sign",), "give each teacher with its task, TEACHER@TASK"),
        (("absent.zip@Follow-v0",), "absent.zip"),
        (("{pair}", "{pair}"), "two were given for Follow-v0"),
        (("{pair}", "--resume"), "--resume continues the run in the folder that --out names"),
        (("{pair}", "--scale", "0"), "scale must be above 0"),
        (("{pair}", "--method", "dager"), "Did you mean dagger"),
        (("{teacher}@Track-v0",), "chooses among 2 actions"),
    ],
)
def test_what_is_wrong_is_told(
    rldistill: Command, pair: str, flags: tuple[str, ...], message: str
) -> None:
    teacher = pair.partition("@")[0]
    result = rldistill("merge", *(flag.format(pair=pair, teacher=teacher) for flag in flags), *FEW)
    assert result.code in (1, 2)
    assert message in result.err
    assert "Traceback" not in result.err
