"""rldistill distill, interrupted and resumed: Ctrl-C, SIGTERM, other runs, two processes."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from commands import TASK, Command, interrupt_learning
from live_modules import Plain
from small_runs import FOLLOW, follower, follower_folder, quick_settings

from rldistill import distill
from rldistill.cli.main import main
from rldistill.runs import RunFolder
from rldistill.students.store import load_student


def test_ctrl_c_saves_and_says_how_to_go_on(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ("distill", teacher, *TASK, "--student", "mlp:8", "--steps", 2000, "--num-envs", 16)
    with monkeypatch.context() as patch:
        interrupt_learning(patch, 3)
        result = rldistill(*start, "--out", "my run")
    assert result.code == 130
    words = f"stopped; continue with: rldistill distill --resume '{Path.cwd() / 'my run'}'"
    assert words in result.err
    assert load_student(Path("my run")).info.name == "mlp:8"
    again = rldistill("distill", "--resume", "my run", "--json")
    assert (again.code, again.err) == (0, "")
    assert again.records[0]["round_index"] == 2
    assert again.records[-1]["env_steps"] >= 2000
    assert again.records[-1]["run"] == str(Path.cwd() / "my run")


def test_a_finished_run_goes_on_with_more_steps(rldistill: Command, teacher: Path) -> None:
    few = ("distill", teacher, *TASK, "--student", "mlp:8", "--num-envs", 16, "--out", "a")
    assert rldistill(*few, "--steps", 100).code == 0
    ended = rldistill("distill", "--resume", "a")
    assert ended.code == 1
    assert "has ended, there is nothing to resume" in ended.err
    more = rldistill("distill", "--resume", "a", "--steps", 1000, "--json")
    assert more.code == 0
    assert more.records[-1]["env_steps"] >= 1000


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task", "Track-v0"), "the task takes 1 continuous action dimensions"),
        (("--student", "mlp:7"), "student: the run has mlp:8, you asked for mlp:7"),
        (("--method", "rusu-kl"), "method: the run has on-policy-distill, you asked for rusu-kl"),
        (("--until", "0.5"), "until: the run has 0.95, you asked for 0.5"),
        (("--out", "b"), "--out and --force have no effect"),
        (("--force",), "--out and --force have no effect"),
    ],
)
def test_resuming_another_run_is_an_error(
    rldistill: Command, teacher: Path, flags: tuple[str, ...], message: str
) -> None:
    few = ("distill", teacher, *TASK, "--student", "mlp:8", "--num-envs", 16, "--out", "a")
    assert rldistill(*few, "--steps", 100).code == 0
    result = rldistill("distill", "--resume", "a", "--steps", "2000", *flags)
    assert result.code == 1
    assert message in result.err


def test_resuming_for_fewer_steps_than_were_done_writes_nothing(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ("distill", teacher, *TASK, "--student", "mlp:8", "--steps", 2000, "--num-envs", 16)
    with monkeypatch.context() as patch:
        interrupt_learning(patch, 3)
        assert rldistill(*start, "--out", "a").code == 130
    recipe = Path("a/recipe.toml").read_bytes()
    result = rldistill("distill", "--resume", "a", "--steps", 100)
    assert result.code == 1
    assert " steps of 2,000, you asked for 100: leave --steps out" in result.err
    assert Path("a/recipe.toml").read_bytes() == recipe


def test_resuming_another_teacher_is_an_error(
    rldistill: Command, teacher: Path, tmp_path: Path
) -> None:
    few = ("distill", teacher, *TASK, "--student", "mlp:8", "--num-envs", 16, "--out", "a")
    assert rldistill(*few, "--steps", 100).code == 0
    other = follower_folder(tmp_path / "other", threshold=0.1)
    result = rldistill("distill", other, "--resume", "a", "--steps", "2000")
    assert result.code == 1
    assert "another run:\n  teacher: the run has sha256 " in result.err


def test_a_run_with_live_objects_is_continued_in_python(
    rldistill: Command, teacher: Path, tmp_path: Path
) -> None:
    """The command line cannot make them, and says who can; giving other ones is another run."""
    few = quick_settings(steps=64)
    distill(follower(), "Follow-v0", "mlp:4", out="a", settings=few)
    distill(teacher, "Follow-v0", Plain(), out="b", settings=few)
    distill(teacher, FOLLOW.factory, "mlp:4", out="c", settings=few)
    for run, what in (("a", "teacher"), ("b", "student"), ("c", "task")):
        result = rldistill("distill", "--resume", run, "--steps", 512)
        assert result.code == 1
        assert f"the {what} of this run is (a live object: " in result.err
        assert f"rldistill.resume(RUN, {what}=...)" in result.err


def test_what_is_not_a_run_cannot_be_resumed(rldistill: Command, teacher: Path) -> None:
    result = rldistill("distill", "--resume", teacher)
    assert result.code == 1
    assert "is not a run folder" in result.err


def test_sigterm_saves_as_ctrl_c_does(rldistill: Command, teacher: Path) -> None:
    """In a process of its own, in the middle of training."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    arguments = ["distill", str(teacher), *TASK, "--steps", "10000000", "--num-envs", "16",
                 "--out", "a", "--json"]  # fmt: skip

    def work() -> None:
        os._exit(main(arguments))

    child: Any = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    deadline = time.monotonic() + 60
    while not (Path("a/metrics.jsonl").exists() and len(RunFolder.open("a").read_metrics()) > 4):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGTERM)
    child.join(60)
    assert child.exitcode == 143
    load_student(Path("a"))
    steps = max(record["env_steps"] for record in RunFolder.open("a").read_metrics())
    result = rldistill("distill", "--resume", "a", "--steps", steps + 512, "--json")
    assert result.code == 0
    assert result.records[0]["env_steps"] == steps


def test_two_processes_on_one_folder(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("distill", teacher, *TASK, "--student", "mlp:8", "--num-envs", 16, "--out", "a")
    assert rldistill(*few, "--steps", 100).code == 0
    with RunFolder.open("a").lock():
        for flags in (("--force",), ("--resume", "a")):
            command = few[:-2] if "--resume" in flags else few
            result = rldistill(*command, "--steps", "2000", *flags)
            assert result.code == 1
            assert f"is in use by process {os.getpid()}" in result.err
    assert Path("a/verdict.json").exists()
