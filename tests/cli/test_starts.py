"""`rldistill starts record`, and evaluations from what it writes."""

from pathlib import Path

import pytest
from commands import Command

from rldistill.envs.backends import make
from rldistill.students.build import make_student
from rldistill.students.store import save_student

TASK = "MinAtar/Breakout-v1"


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("player")
    with make(TASK, 1, 0) as env:
        student = make_student("minatar", env.info.observation_space, env.info.action_space)
    save_student(student, folder, {})
    return folder


def test_states_are_recorded_and_played_from(
    rldistill: Command, player: Path, tmp_path: Path
) -> None:
    """The same policy on 12 states: 12 episodes, said to be on single environments."""
    out = str(tmp_path / "starts.json")
    recorded = rldistill(
        "starts", "record", str(player), "--task", TASK, "--count", "12", "--episodes", "3",
        "--out", out, "--json",
    )  # fmt: skip
    assert recorded.code == 0, recorded.err
    assert recorded.records[-1] | {"starts": 12, "task": TASK} == recorded.records[-1]
    again = rldistill("starts", "record", str(player), "--task", TASK, "--out", out)
    assert (again.code, "exists; name another --out, or --force" in again.err) == (2, True)
    played = rldistill("evaluate", str(player), "--task", TASK, "--starts", out, "--json")
    assert played.code == 0, played.err
    assert played.records[-1]["episodes"] == 12
    assert any("single environments" in note for note in played.records[-1]["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("record", "X", "--out", "a.json"), "needs --task ID"),
        (("play", "X", "--task", TASK, "--out", "a.json"), "must be record; got 'play'"),
        (("record", "X", "--task", TASK, "--out", "a.json", "--act", "greedy"), "--act must be"),
        (("record", "X", "--task", TASK, "--out", "a.json", "--share", "2"), "share must lie in"),
    ],
)
def test_wrong_usage_is_told(rldistill: Command, arguments: tuple[str, ...], message: str) -> None:
    """Before anything is played or written."""
    result = rldistill("starts", *arguments)
    assert result.code in (1, 2)
    assert message in result.err


def test_starts_of_another_task_are_refused(
    rldistill: Command, player: Path, tmp_path: Path
) -> None:
    """MinAtar without sticky actions is another task than with them."""
    out = str(tmp_path / "starts.json")
    rldistill("starts", "record", str(player), "--task", TASK, "--episodes", "1", "--out", out)
    result = rldistill(
        "evaluate", str(player), "--task", TASK, "--env-kwargs", "sticky_action_prob=0",
        "--starts", out,
    )  # fmt: skip
    assert result.code == 1
    assert "record starts on this task" in result.err
