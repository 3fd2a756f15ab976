"""rldistill distill --data: stored labels, a teacher that labels anew, recorded actions."""

from pathlib import Path
from typing import Any

import pytest
from commands import TASK, TYPES, Command, check_types, interrupt_learning
from small_runs import follower, tracker

from rldistill import evaluate
from rldistill.data.shard_writer import ShardWriter
from rldistill.envs.backends import task_spec
from rldistill.evaluation.scores import task_info
from rldistill.train.gather import GatherSettings, gather, make_meta


@pytest.fixture
def data(rldistill: Command, teacher: Path) -> Path:
    """1,000 rows of Follow-v0."""
    result = rldistill(
        "collect", teacher, *TASK, "--steps", 1000, "--out", "data", "--epsilon", 0.2
    )
    assert result.code == 0
    return Path("data")


def test_offline_from_stored_labels(rldistill: Command, data: Path) -> None:
    """No environment is stepped: no verdict, and no environment steps."""
    few = ("distill", "--data", data, "--student", "mlp:8", "--steps", 4096)
    result = rldistill(*few, "--json", "--out", "a")
    assert (result.code, result.err) == (0, "")
    last = result.records[-1]
    present = {"act", "student_parameters", "train_seconds",
               "total_seconds", "run"}  # fmt: skip
    check_types(last, absent=set(TYPES) - present)
    assert Path("a/student.safetensors").exists()
    judged = rldistill("evaluate", "a", *TASK, "--against", "teacher", "--json")
    assert judged.records[-1]["fraction"] > 0.9
    plain = rldistill(*few, "--out", "b")
    assert "1,0" in plain.out
    assert "environment steps" not in plain.out
    assert "verdict    no verdict: learnt from data alone; `rldistill evaluate RUN" in plain.out


def test_offline_with_a_teacher_that_labels_anew(
    rldistill: Command, data: Path, teacher: Path
) -> None:
    """The verdict is about that teacher in the task that the data is from."""
    result = rldistill("distill", teacher, "--data", data, "--import", "small_runs",
                       "--steps", 4096, "--json", "--student", "mlp:8")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert result.records[-1]["verdict"] == "holds"
    assert result.records[-1]["env_steps"] is None


def test_offline_resumes(rldistill: Command, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_learning(patch, 4)
        few = ("distill", "--data", data, "--student", "mlp:8", "--steps", 4096, "--out", "a")
        assert rldistill(*few).code == 130
    result = rldistill("distill", "--resume", "a", "--json")
    assert (result.code, result.err) == (0, "")
    assert result.records[0]["round_index"] == 3


def test_a_method_without_memory_learns_from_the_whole_dataset(
    rldistill: Command, data: Path
) -> None:
    result = rldistill("distill", "--data", data, "--student", "mlp:8", "--steps", 10_000,
                       "--method", "on-policy-distill")  # fmt: skip
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize(
    ("task", "policy", "method"),
    [("Follow-v0", follower(), "rusu-nll"), ("Track-v0", tracker(), "dagger")],
)
def test_offline_from_recorded_actions_alone(
    rldistill: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    policy: Any,
    method: str,
) -> None:
    """A Minari dataset has no labels: discrete and continuous actions, without any teacher."""
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    settings = GatherSettings(steps=1500, num_envs=8, minari="small/expert-v0")
    gather(policy, task, tmp_path / "data", settings)
    result = rldistill("distill", "--data", "minari:small/expert-v0", "--student", "mlp:16",
                       "--steps", 8192, "--method", method,
                       "--out", "a", "--json")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert result.records[-1]["verdict"] is None
    record = evaluate(tmp_path / "a", task, against=policy)
    assert record["fraction"] > 0.85


def test_a_dataset_that_is_missing_or_damaged(rldistill: Command, data: Path) -> None:
    assert "nothing" in rldistill("distill", "--data", "nothing").err
    assert rldistill("distill", "--data", "minari:no/such-v0").code == 1
    (data / "dataset.json").write_text("{}")
    result = rldistill("distill", "--data", data)
    assert result.code == 1
    assert "data" in result.err
    assert "Traceback" not in result.err


def test_a_dataset_with_nothing_in_it(rldistill: Command, tmp_path: Path) -> None:
    spec = task_spec("Follow-v0")
    meta = make_meta(follower(), spec, task_info(spec), GatherSettings(steps=1))
    with ShardWriter(tmp_path / "empty", meta, False):
        pass
    result = rldistill("distill", "--data", "empty")
    assert result.code == 1
    assert "empty: no shard was finished; collect again" in result.err
