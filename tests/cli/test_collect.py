"""rldistill collect: a dataset on disk, and one line about it."""

from pathlib import Path

import pytest
from commands import TASK, Command

from rldistill.data.minari import MinariDataset
from rldistill.data.shards import ShardDataset
from rldistill.train import gather


def test_it_says_what_it_wrote(rldistill: Command, teacher: Path) -> None:
    result = rldistill("collect", teacher, *TASK, "--steps", 1000, "--out", "data")
    assert (result.code, result.err) == (0, "")
    dataset = ShardDataset(Path("data"))
    assert f"{len(dataset):,} rows, " in result.out
    assert "mean return 8, " in result.out
    assert result.out.endswith("MiB in data\n")
    command = f"rldistill collect {teacher} --task Follow-v0 --import small_runs --steps 1000"
    assert dataset.meta.command == f"{command} --out data"


def test_for_machines(rldistill: Command, teacher: Path) -> None:
    few = ("collect", teacher, *TASK, "--num-envs", 4, "--out", "data", "--json", "--force")
    (record,) = rldistill(*few, "--steps", 400).records
    assert set(record) == {"rows", "episodes", "mean_return", "bytes", "out", "minari"}
    assert (record["mean_return"], record["minari"]) == (8.0, None)
    (record,) = rldistill(*few, "--steps", 4).records
    assert (record["episodes"], record["mean_return"]) == (0, None)


def test_no_whole_episode(rldistill: Command, teacher: Path) -> None:
    result = rldistill("collect", teacher, *TASK, "--steps", 4, "--num-envs", 4, "--out", "data")
    assert "4 rows, no whole episode" in result.out


def test_minari_too(
    rldistill: Command, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    few = ("collect", teacher, *TASK, "--steps", 200, "--minari", "follow/expert-v0")
    result = rldistill(*few, "--out", "data")
    assert (result.code, result.err) == (0, "")
    assert "registered as Minari dataset follow/expert-v0" in result.out
    assert len(MinariDataset("follow/expert-v0")) > 100
    again = rldistill(*few, "--out", "other")
    assert again.code == 1
    assert "follow/expert-v0 exists already" in again.err
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--steps", "0"), "steps must be at least 1, got 0"),
        (("--steps", "9", "--epsilon", "2"), "epsilon must lie in [0, 1], got 2"),
        (("--steps", "9", "--minari", "no version"), "group/name-v0"),
        (("--steps", "9", "--out", "full"), "full"),
    ],
)
def test_bad_input_is_one_line(
    rldistill: Command, teacher: Path, flags: tuple[str, ...], message: str
) -> None:
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("")
    out = () if "--out" in flags else ("--out", "data")
    result = rldistill("collect", teacher, *TASK, *flags, *out)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("data").exists()


def test_an_interruption_says_what_is_kept(
    rldistill: Command, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gather, "write_steps", interrupted)
    result = rldistill("collect", teacher, *TASK, "--steps", 100, "--out", "data")
    assert result.code == 130
    assert "stopped; the whole shards in data are kept" in result.err


def test_what_is_required(rldistill: Command, teacher: Path) -> None:
    result = rldistill("collect", teacher, *TASK)
    assert result.code == 2
    assert "--steps" in result.err
    assert "--out" in result.err
