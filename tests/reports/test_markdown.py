"""Markdown for a README and a model card: readable by their readers, whatever a run holds."""

import re
from pathlib import Path

import pytest
from made_evidence import made_evidence
from made_runs import made_run, seeds_of

from rldistill.errors import SettingError
from rldistill.reports.markdown import code_markdown, model_card, plain_markdown, summary
from rldistill.reports.record import read_run
from rldistill.runs import RunFolder

yaml = pytest.importorskip("yaml", reason="PyYAML reads the front matter")


def card_of(path: Path) -> tuple[dict, str]:
    folder = RunFolder.open(path)
    card = model_card(folder, read_run(folder))
    _, head, body = card.split("---\n", 2)
    return yaml.safe_load(head), body


def test_a_card_has_what_hugging_face_reads(tmp_path: Path) -> None:
    """library_name, tags, and a model-index with the mean and deviation of the episodes."""
    head, body = card_of(made_run(tmp_path / "run", evidence={}))
    assert head["library_name"] == "rldistill"
    assert head["tags"] == ["reinforcement-learning", "policy-distillation", "Made-v0"]
    (result,) = head["model-index"][0]["results"]
    assert result["task"]["type"] == "reinforcement-learning"
    assert result["dataset"] == {"name": "Made-v0", "type": "Made-v0"}
    metrics = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert re.fullmatch(r"9\d\.\d\d \+/- \d\.\d\d", metrics["mean_reward"])
    assert metrics["fraction"] == 0.98
    assert metrics["agreement"] == 0.9
    assert "The student holds" in body


def test_an_unfinished_run_has_a_card_without_results(tmp_path: Path) -> None:
    head, body = card_of(made_run(tmp_path / "run", finished=False))
    assert "model-index" not in head
    assert "There is no verdict" in body
    empty = RunFolder.create(tmp_path / "empty")
    with pytest.raises(SettingError, match="needs a student and its task; the run was cut off"):
        model_card(empty, read_run(empty))


def test_names_break_neither_yaml_nor_tables(tmp_path: Path) -> None:
    evil = 'a: "b"\n- |c| <script>`x`'
    head, body = card_of(made_run(tmp_path / "run", student={"task": {"id": evil}, "method": evil}))
    assert head["tags"][2] == 'a: "b" - |c| <script>`x`'
    assert "<script>" not in re.sub(r"(`+).*?\1", "", body)


def test_text_is_shown_as_it_is() -> None:
    assert plain_markdown("[a](b) *c* | `d` <e>") == r"\[a\](b) \*c\* \| \`d\` &lt;e&gt;"
    assert code_markdown("a`b``c") == "```a`b``c```"
    assert code_markdown("`") == "`` ` ``"


def test_a_summary_of_one_and_of_several(tmp_path: Path) -> None:
    """Tables whose rows all have as many cells."""
    paths = seeds_of(tmp_path)
    runs = [read_run(RunFolder.open(path)) for path in paths]
    one, several = summary(runs[:1]), summary(runs)
    assert one.startswith("**The student fails.**") or one.startswith("**The student holds.**")
    assert "13 runs on 2 tasks" in several
    for text in (one, several):
        tables = [part for part in text.split("\n\n") if part.startswith("|")]
        assert tables
        for table in tables:
            assert len({line.count(" | ") for line in table.splitlines()}) == 1


def test_the_reward_of_a_card_is_that_of_the_student(tmp_path: Path) -> None:
    """Of the episodes that were measured; the teacher returns more."""
    folder = RunFolder.open(made_run(tmp_path / "run", evidence={"shift": -10.0}))
    returns = made_evidence(shift=-10.0).episodes.returns
    assert returns[0].mean() < returns[1].mean()
    said = f"{returns[0].mean():.2f} +/- {returns[0].std():.2f}"
    assert f'value: "{said}"' in model_card(folder, read_run(folder))
