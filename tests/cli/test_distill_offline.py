"""rldistill distill --data: stored labels, a teacher that labels anew, recorded actions."""

import json
from pathlib import Path
from typing import Any

import gymnasium
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
    *lines, last = result.records
    assert {(line["env_steps"], line["steps_per_second"]) for line in lines} == {(None, None)}
    assert [line["rows"] for line in lines] == sorted(line["rows"] for line in lines)
    assert lines[-1]["rows"] == 4096
    assert json.loads(Path("a/student.json").read_text())["env_steps"] is None
    present = {"act", "student_parameters", "train_seconds",
               "total_seconds", "run"}  # fmt: skip
    check_types(last, absent=set(TYPES) - present)
    assert Path("a/student.safetensors").exists()
    judged = rldistill("evaluate", "a", *TASK, "--against", "teacher", "--json")
    assert judged.records[-1]["fraction"] > 0.9
    plain = rldistill(*few, "--out", "b")
    assert "1,0" in plain.out
    assert "rows" in plain.out
    assert "steps" not in plain.out
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


@pytest.fixture
def minari_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def export(rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ours-v0: half the reward of Follow-v0, registered in a way that a file can tell."""
    spec = gymnasium.spec("Follow-v0")
    monkeypatch.setattr(spec, "entry_point", "small_runs:Follow")
    result = rldistill("collect", teacher, *TASK, "--env-kwargs", "scale=0.5", "--steps", 1000,
                       "--out", "exported", "--minari", "ours-v0")  # fmt: skip
    assert (result.code, result.err) == (0, "")


@pytest.mark.usefixtures("minari_home")
def test_our_minari_export_is_judged_in_its_own_task(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight steps of half the reward: a perfect teacher returns 4."""
    export(rldistill, teacher, monkeypatch)
    few = ("distill", teacher, "--data", "minari:ours-v0", "--import", "small_runs",
           "--steps", 4096, "--student", "mlp:8")  # fmt: skip
    result = rldistill(*few, "--json", "--out", "a")
    assert (result.code, result.err) == (0, "")
    assert result.records[-1]["verdict"] == "holds"
    assert 3.5 < result.records[-1]["teacher_return"] <= 4.0
    assert "the task Follow-v0 is played with scale=0.5" in result.records[0]["message"]
    whole = rldistill(*few, "--task", "Follow-v0", "--json")
    assert whole.records[-1]["teacher_return"] > 7.0


def test_a_teacher_and_no_task_that_is_known(
    rldistill: Command, teacher: Path, minari_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says what to do, and a setting about judging is not ignored."""
    export(rldistill, teacher, monkeypatch)
    path = minari_home / "ours-v0" / "data" / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["eval_env_spec"]
    path.write_text(json.dumps(metadata))
    few = ("distill", teacher, "--data", "minari:ours-v0", "--steps", 1024, "--student", "mlp:8")
    result = rldistill(*few, "--json", "--out", "a")
    assert (result.code, result.err) == (0, "")
    assert result.records[-1]["verdict"] is None
    assert "give --task" in result.records[-1]["reason"]
    assert "data alone" not in result.records[-1]["reason"]
    assert "warning  no verdict" in result.records[0]["message"]
    refused = rldistill(*few, "--until", 0.9, "--out", "b")
    assert refused.code != 0
    assert "until: of no effect" in refused.err
    assert "give --task" in refused.err
    assert not Path("b").exists()
    known = rldistill(*few, "--until", 0.9, *TASK, "--json")
    assert (known.code, known.records[-1]["floor"]) == (0, 0.9)


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
