"""The verdict in a sentence."""

from pathlib import Path

from made_runs import made_run

from rldistill.reports.record import read_run
from rldistill.reports.single import sentence
from rldistill.runs import RunFolder


def test_the_sentence_has_size_returns_fraction_and_what_was_asked(tmp_path: Path) -> None:
    run = read_run(RunFolder.open(made_run(tmp_path / "run")))
    assert sentence(run) == (
        "Its 100 parameters (10 % of the teacher's 1,000) return 98 against 100 per episode: 98 % "
        "of what the teacher gains over the random policy (95 % interval 97 to 99 %); at least "
        "95 % was asked for."
    )
