"""Run folders survive kill -9, full disks, two processes and foreign content."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rldistill.errors import RunFolderError
from rldistill.runs import (
    RunFolder,
    default_run_path,
    list_runs,
    read_json,
)

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run code in another Python; its standard output is a pipe."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def fail_with(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


# --- the folder -----------------------------------------------------------------------------------


def test_a_run_is_found_by_its_folder_and_nothing_else_is_one(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    assert RunFolder.found(run.root) == RunFolder.found(str(run.root)) == run
    for other in (tmp_path, tmp_path / "absent", None, object(), 3):
        assert RunFolder.found(other) is None


def test_create_then_open_gives_the_same_paths(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "deep" / "run")
    assert RunFolder.open(run.root) == run
    names = [run.recipe_toml, run.metrics_jsonl, run.student_safetensors, run.student_json]
    names += [run.verdict_json, run.checkpoint, run.events]
    assert [path.name for path in names] == [
        "recipe.toml", "metrics.jsonl", "student.safetensors", "student.json",
        "verdict.json", "checkpoint", "events",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["student.json", "student.safetensors", "verdict.json"])
def test_a_run_that_saved_nothing_may_be_begun_again(tmp_path: Path, name: str) -> None:
    """It failed before its first save: the same command must not be blocked by what it left."""
    run = RunFolder.create(tmp_path / "run")
    run.append_metrics({"step": 1})
    run.recipe_toml.write_text("steps = 1")
    assert RunFolder.create(run.root).read_metrics() == []
    assert not run.recipe_toml.exists()
    (run.root / name).write_text("{}")
    with pytest.raises(RunFolderError, match="already holds a run"):
        RunFolder.create(run.root)


def test_an_existing_run_is_kept_without_force_and_emptied_with_it(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.append_metrics({"step": 1})
    run.checkpoint.mkdir()
    (run.checkpoint / "state").write_text("x")
    (run.root / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"already holds a run.*--force"):
        RunFolder.create(run.root)
    assert len(run.read_metrics()) == 1
    RunFolder.create(run.root, force=True)
    assert run.read_metrics() == []
    assert not run.checkpoint.exists()
    assert (run.root / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_not_ours_is_never_touched(tmp_path: Path, force: bool) -> None:
    (tmp_path / "recipe.toml").write_text("a cake")
    with pytest.raises(RunFolderError, match="not a run folder"):
        RunFolder.create(tmp_path, force=force)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("recipe.toml", "a cake")]


def test_a_foreign_run_json_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": "a marathon"}')
    with pytest.raises(RunFolderError, match="not ours"):
        RunFolder.create(tmp_path, force=True)
    assert "marathon" in (tmp_path / "run.json").read_text()


def test_force_does_not_follow_a_link_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    run = RunFolder.create(tmp_path / "run")
    run.checkpoint.symlink_to(outside)
    RunFolder.create(run.root, force=True)
    assert (outside / "precious").exists()


def test_an_empty_folder_and_the_remains_of_a_killed_create_are_taken(tmp_path: Path) -> None:
    for name in (".lock", ".lock.pid", ".run.json.0a1b.partial"):
        (tmp_path / name).touch()
    run = RunFolder.create(tmp_path)
    assert not (run.root / ".run.json.0a1b.partial").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunFolderError, match="is a file"):
            RunFolder.create(path)


def test_an_unwritable_parent_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "mkdir", fail_with(errno.EACCES))
    with pytest.raises(RunFolderError, match="not writable"):
        RunFolder.create(tmp_path / "run")


def test_opening_what_is_not_there_proposes_near_names(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "lunar-1")
    with pytest.raises(RunFolderError, match=r"Did you mean lunar-1\?"):
        RunFolder.open(tmp_path / "luna-1")


def test_a_run_of_a_newer_version_asks_for_an_upgrade(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.mark.write_text('{"format": "rldistill run", "format_version": 99, "created": "2099"}')
    with pytest.raises(RunFolderError, match="upgrade"):
        RunFolder.open(run.root)


def test_list_runs_is_in_order_of_time_and_skips_the_rest(tmp_path: Path) -> None:
    late, early = RunFolder.create(tmp_path / "a"), RunFolder.create(tmp_path / "b")
    early.mark.write_text(early.mark.read_text().replace('"created": "2', '"created": "1'))
    (tmp_path / "other").mkdir()
    (tmp_path / "file").touch()
    assert list_runs(tmp_path) == [early, late]
    with pytest.raises(RunFolderError, match="cannot list"):
        list_runs(tmp_path / "absent")


def test_default_paths_are_one_safe_new_name_each(tmp_path: Path) -> None:
    first = default_run_path("../ALE/Pong-v5", "mlp:16,16", tmp_path)
    assert first.parent == tmp_path
    assert first.name.endswith("-ALE-Pong-v5-mlp-16-16")
    for other in (first, first.with_name(first.name + "-2")):
        other.mkdir()
    later = default_run_path("../ALE/Pong-v5", "mlp:16,16", tmp_path)
    assert not later.exists()
    assert later.parent == tmp_path


# --- metrics --------------------------------------------------------------------------------------


def test_metrics_round_trip_with_null_for_nan(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    assert run.read_metrics() == []
    run.append_metrics({"step": np.int64(1), "loss": float("nan")})
    run.append_metrics({"step": 2, "loss": 0.5})
    assert run.read_metrics() == [{"step": 1, "loss": None}, {"step": 2, "loss": 0.5}]


def test_metrics_torn_at_any_byte_keep_the_lines_before_and_can_go_on(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    for step in range(3):
        run.append_metrics({"step": step})
    whole = run.metrics_jsonl.read_bytes()
    for length in range(len(whole) + 1):
        run.metrics_jsonl.write_bytes(whole[:length])
        kept = whole[:length].count(b"\n")
        assert [record["step"] for record in run.read_metrics()] == list(range(kept))
        run.append_metrics({"step": kept})
        assert [record["step"] for record in run.read_metrics()] == list(range(kept + 1))


def test_a_long_torn_line_is_dropped(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.append_metrics({"step": 0})
    with run.metrics_jsonl.open("ab") as file:
        file.write(b'{"a": "' + b"x" * 200_000)
    run.append_metrics({"step": 1})
    assert [record["step"] for record in run.read_metrics()] == [0, 1]
    assert run.metrics_jsonl.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"a": NaN}', b"\xff", b"x" * 2**21])
def test_a_damaged_line_is_named_by_its_number(tmp_path: Path, line: bytes) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.metrics_jsonl.write_bytes(b'{"step": 0}\n' + line + b'\n{"step": 2}\n')
    with pytest.raises(RunFolderError, match="line 2"):
        run.read_metrics()


def test_metrics_on_a_full_disk_lose_no_line_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.append_metrics({"step": 0})
    write = os.write

    def write_a_little_then_fail(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:4])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_a_little_then_fail)
        with pytest.raises(RunFolderError, match="no space left"):
            run.append_metrics({"step": 1})
    run.append_metrics({"step": 1})
    assert [record["step"] for record in run.read_metrics()] == [0, 1]


# --- lock and kill -9 -----------------------------------------------------------------------------

HOLD = """
import sys, time
from rldistill.runs import RunFolder
with RunFolder.open(sys.argv[1]).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_locked_folder_names_its_holder_and_is_free_after_kill_9(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    holder = start(HOLD, run.root)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(RunFolderError, match=f"in use by process {holder.pid}:"), run.lock():
            pass
        with pytest.raises(RunFolderError, match="in use"):
            RunFolder.create(run.root, force=True)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with run.lock():
        assert (run.root / ".lock.pid").read_text() == str(os.getpid())


def test_the_lock_is_freed_when_the_body_fails(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    with pytest.raises(ValueError, match="body"), run.lock():
        raise ValueError("body")
    with run.lock(), pytest.raises(RunFolderError, match="in use"), run.lock():
        pass


@pytest.mark.parametrize("text", ["", "soon", "1; rm -rf", "\udcff"])
def test_a_senseless_pid_file_is_not_repeated(tmp_path: Path, text: str) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.lock():
        (run.root / ".lock.pid").write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(RunFolderError, match="another process"), run.lock():
            pass


WRITE_FOR_EVER = """
import hashlib, sys
from pathlib import Path
from rldistill.errors import RunFolderError
from rldistill.runs import RunFolder, atomic_write, to_json
path = Path(sys.argv[1])
try:
    run = RunFolder.open(path)
except RunFolderError:
    run = RunFolder.create(path)
with run.lock():
    step = len(run.read_metrics())
    while True:
        weights = step.to_bytes(8, "little") * 40_000
        atomic_write(run.student_safetensors, hashlib.sha256(weights).digest() + weights)
        atomic_write(run.verdict_json, to_json({"step": step, "pad": "x" * 50_000}))
        run.append_metrics({"step": step, "pad": "x" * 20_000})
        print(step, flush=True)
        step += 1
"""


def test_a_run_killed_at_any_moment_can_be_read_and_continued(tmp_path: Path) -> None:
    """15 kill -9 in a row on one folder: no file is ever half written, no finished line is lost."""
    import hashlib

    dice, path, seen = random.Random(0), tmp_path / "run", 0
    for attempt in range(15):
        process = start(WRITE_FOR_EVER, path)
        assert process.stdout is not None
        told = 0
        if attempt % 3:  # every third dies somewhere in start-up instead
            told = max(int(process.stdout.readline()) + 1 for _ in range(dice.randint(1, 4)))
            time.sleep(dice.uniform(0, 0.02))
        else:
            time.sleep(dice.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if not (path / "run.json").exists():
            continue
        run = RunFolder.open(path)
        steps = [record["step"] for record in run.read_metrics()]
        assert steps == list(range(len(steps)))
        assert len(steps) >= max(seen, told)
        seen = len(steps)
        if run.student_safetensors.exists():
            data = run.student_safetensors.read_bytes()
            assert hashlib.sha256(data[32:]).digest() == data[:32]
        if run.verdict_json.exists():
            assert read_json(run.verdict_json)["step"] >= seen - 1
    assert seen >= 10
