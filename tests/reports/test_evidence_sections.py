"""Sections of a run: what they say is what its evidence holds, and they show what there is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_evidence import EPISODES, made_evidence
from small_runs import follower_folder

from rldistill.core import Acting, GaussianHead, SquashedGaussianHead
from rldistill.errors import SettingError, TaskError
from rldistill.evaluation.evidence import RunEvidence
from rldistill.evaluation.evidence_file import save_evidence
from rldistill.reports.disagreement_section import choice_of, disagreement_section, picture_of
from rldistill.reports.evidence_sections import (
    NO_EVIDENCE,
    acting_of,
    evidence_sections,
    read_evidence,
    remake_evidence,
    task_of,
)
from rldistill.reports.learning_section import learning_section, thinned
from rldistill.reports.page import Page, render_page
from rldistill.reports.record import RunRecord, read_run
from rldistill.reports.regions_section import (
    agreement_section,
    dividing_features,
    visitation_section,
)
from rldistill.reports.returns_section import costs_section, returns_section
from rldistill.reports.section import Section
from rldistill.runs import RunFolder


def record(curve: tuple[dict[str, float], ...] = (), **more: object) -> RunRecord:
    given = {"student": {}, "outcome": {}, "recipe": {}} | more
    return RunRecord(
        root=Path("run"), name="run", state="finished", created="", curve=curve, problems=(),
        **given,
    )  # fmt: skip


ROUNDS = [
    {"env_steps": 100.0 * i, "samples": 600.0 * i, "train_seconds": 0.1 * i,
     "loss": 1.0 / (i + 1), "agreement": i / 10}
    for i in range(10)
]  # fmt: skip
LOOK = {
    "env_steps": 900.0, "samples": 5400.0, "train_seconds": 0.9, "student_return": 50.0,
    "return_low": 45.0, "return_high": 55.0, "episodes": 64.0,
}  # fmt: skip
CURVE = (*ROUNDS, LOOK)


def test_differences_are_paired_by_seed() -> None:
    """Student minus teacher in each episode, not a difference of means: its interval is narrow."""
    chart = returns_section(made_evidence()).charts[1]
    rows = dict(chart.data.rows)
    assert len(rows) == EPISODES
    for i in range(EPISODES):
        assert rows[1000 + i] == pytest.approx(-1.0 - 0.1 * i)
    assert "-2.95" in chart.caption
    assert "more from 0 of 40" in chart.caption
    unpaired = returns_section(made_evidence(paired=False))
    assert len(unpaired.charts) == 1
    assert "not equal by seed" in unpaired.words[1]


def test_the_table_of_returns_is_that_of_the_episodes() -> None:
    evidence = made_evidence()
    (table,) = returns_section(evidence).tables
    for row, returns in zip(table.rows, evidence.episodes.returns, strict=True):
        assert row[1] == pytest.approx(returns.mean())
        assert row[6:8] == (returns.min(), returns.max())
        assert row[2] <= row[1] <= row[3]


def test_returns_are_shown_against_each_clock() -> None:
    section = learning_section(record(CURVE), made_evidence())
    titles = [chart.title for chart in section.charts]
    assert titles == [
        "Return against env steps", "Return against samples", "Return against seconds",
        "Agreement over time", "Loss over time",
    ]  # fmt: skip
    first = section.charts[0].data.rows
    assert first[0] == ("look", 900.0, 50.0, 45.0, 55.0, 64)
    assert first[1][0] == "measured at the end"
    agreement = section.charts[3].data.rows
    assert agreement[3] == (300.0, 0.3)
    assert "env steps" in section.charts[3].figure.axes[0].get_xlabel()


def test_a_run_that_was_cut_off_shows_what_there_is() -> None:
    """No look, no evidence, or nothing at all."""
    section = learning_section(record(CURVE[:3]), None)
    assert [chart.title for chart in section.charts] == ["Agreement over time", "Loss over time"]
    assert "no return is known" in section.words[1]
    nothing = evidence_sections(record(), None)
    assert [section.title for section in nothing] == ["Learning", "Size, latency, cost"]
    assert nothing[0].charts == ()


def test_a_run_on_a_dataset_counts_rows() -> None:
    curve = tuple({"rows": 10.0 * i, "loss": 1.0, "train_seconds": float(i)} for i in range(3))
    (chart,) = learning_section(record(curve), None).charts
    assert "rows of the dataset" in chart.figure.axes[0].get_xlabel()


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    points = [{"env_steps": float(i)} for i in range(5000)]
    kept = thinned(points)
    assert len(kept) == 400
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_the_number_that_divides_the_two_is_found() -> None:
    """They differ where the angle is above 0, whatever the speed: the angle is drawn first."""
    evidence = made_evidence()
    states = evidence.states
    rows = np.flatnonzero(~states.extreme & (states.visitor == 0))
    assert dividing_features(evidence, rows)[0] == 0
    section = agreement_section(evidence)
    table = section.charts[0].data
    low, high = table.rows[0], table.rows[-1]
    assert low[2] == 1.0
    assert high[2] == 0.0
    assert sum(row[5] for row in table.rows) == len(rows)
    assert "angle" in section.charts[0].figure.axes[0].get_xlabel()


def test_policies_that_agree_everywhere_have_no_regions() -> None:
    section = agreement_section(made_evidence(same=1.0))
    assert section.charts == ()
    assert "same in every region" in section.words[-1]


def test_the_worst_states_come_first_with_both_choices() -> None:
    evidence = made_evidence()
    section = disagreement_section(evidence)
    (table,) = section.tables
    assert [row[0] for row in table.rows] == list("ABCDEFGH")
    assert [row[4] for row in table.rows] == [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert table.rows[0][7:] == tuple(evidence.states.features[0].tolist())
    probabilities = [row[2] for row in section.charts[0].data.rows[:3]]
    raw = evidence.states.teacher_raw[0]
    assert probabilities == pytest.approx(np.exp(raw) / np.exp(raw).sum(), abs=1e-6)


def test_nothing_is_shown_where_nothing_differs() -> None:
    evidence = made_evidence()
    states = replace(evidence.states, extreme=np.zeros(200, bool))
    section = disagreement_section(replace(evidence, states=states))
    assert "none of the states" in section.words[0]
    assert section.charts == ()


def test_pictures_are_shown_of_states_that_are_pictures() -> None:
    section = disagreement_section(made_evidence(pictures=True))
    assert len(section.media) == 4
    assert section.media[0].data is not None
    assert section.media[0].data.startswith(b"\x89PNG")


def test_a_stack_of_frames_shows_the_last_whatever_its_layout() -> None:
    stack = np.zeros((4, 84, 84), np.uint8)
    stack[-1] = 255
    assert picture_of(stack) == picture_of(np.moveaxis(stack, 0, -1))
    assert picture_of(stack) != picture_of(stack[::-1])


def test_deviations_of_continuous_actions_are_those_of_the_head() -> None:
    raw = np.array([[0.0, 0.5, np.log(0.1), np.log(0.2)]], np.float32)
    mean, deviation = choice_of(GaussianHead((-1.0, -1.0), (1.0, 1.0)), raw, 1.0)
    assert (mean[0], deviation[0]) == (pytest.approx([0.0, 0.5]), pytest.approx([0.1, 0.2]))
    squashed = SquashedGaussianHead((-2.0, -2.0), (2.0, 2.0))
    mean, deviation = choice_of(squashed, raw, 1.0)
    assert mean[0] == pytest.approx(2.0 * np.tanh([0.0, 0.5]))
    draws = 2.0 * np.tanh(0.5 + 0.2 * np.random.default_rng(0).standard_normal(100_000))
    assert deviation[0, 1] == pytest.approx(draws.std(), rel=0.05)


def test_clouds_are_those_of_the_fair_states() -> None:
    evidence = made_evidence()
    (chart,) = visitation_section(evidence).charts
    assert len(chart.data.rows) == 192
    assert {row[0] for row in chart.data.rows} == {"teacher", "student"}
    assert "% of variance" in chart.figure.axes[0].get_xlabel()


def test_costs_are_those_measured_and_those_of_the_run() -> None:
    section = costs_section(record(outcome={"env_steps": 900, "train_seconds": 1.5}),
                            made_evidence())  # fmt: skip
    assert section.charts[0].data.rows[0] == ("parameters", 1000.0, 100.0)
    assert "10 %" in section.charts[0].caption
    assert section.tables[0].rows == (
        ("training", 900, "env steps"), ("training, without tests", 1.5, "s"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "evidence",
    [
        made_evidence(),
        made_evidence(head=SquashedGaussianHead((-1.0, -2.0), (1.0, 2.0))),
        made_evidence(kl=False, head=GaussianHead((-1.0, -2.0), (1.0, 2.0))),
        made_evidence(pictures=True, paired=False),
        made_evidence(states=8),
        made_evidence(same=0.0),
    ],
)
def test_every_kind_of_evidence_makes_sections(evidence: RunEvidence) -> None:
    """Each chart with a caption, data and titled axes."""
    for section in evidence_sections(record(CURVE), evidence):
        assert isinstance(section, Section)
        for chart in section.charts:
            assert chart.data.rows
            assert chart.caption
            assert all(axes.get_ylabel() for axes in chart.figure.axes if axes.get_visible())


def test_a_page_of_it_is_small() -> None:
    sections = evidence_sections(record(CURVE), made_evidence(states=2000))
    assert len(render_page(Page(title="t", sentence="s"), sections)) < 1_500_000


def test_a_run_without_evidence_says_how_to_get_it(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    assert read_evidence(folder) == (None, NO_EVIDENCE)
    save_evidence(folder.evidence, made_evidence())
    found, trouble = read_evidence(folder)
    assert found is not None
    assert trouble == ""
    folder.evidence.write_bytes(b"not ours")
    found, trouble = read_evidence(folder)
    assert found is None
    assert "damaged" in trouble
    folder.evidence.unlink()
    folder.evidence.symlink_to("/etc/hostname")
    assert "link" in read_evidence(folder)[1]


def saved(tmp_path: Path, task: dict[str, object], recipe: str = "") -> RunRecord:
    folder = RunFolder.create(tmp_path / "run")
    follower_folder(tmp_path / "run", threshold=2.0)
    card = json.loads(folder.student_json.read_text())
    folder.student_json.write_text(json.dumps(card | {"task": task}))
    folder.recipe_toml.write_text(recipe)
    return read_run(folder)


FOLLOW = {"id": "Follow-v0", "backend": "gymnasium", "env_kwargs": {}, "wrapper": None}


def test_evidence_can_be_made_with_the_teacher(tmp_path: Path) -> None:
    run = saved(tmp_path, FOLLOW)
    found = remake_evidence(run, follower_folder(tmp_path / "teacher"))
    assert found.task == "Follow-v0"
    assert found.episodes.returns[1].mean() == 8.0
    assert found.episodes.returns[0].mean() < 6.0


def test_a_teacher_of_another_task_is_refused(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "src/rldistill/teachers/shipped/lunarlander-ppo.zip"
    with pytest.raises(TaskError, match="8"):
        remake_evidence(saved(tmp_path, FOLLOW), shipped)


def test_no_code_is_taken_from_a_run_folder(tmp_path: Path) -> None:
    """Modules and wrappers that a foreign folder names are not imported."""
    with pytest.raises(SettingError, match="--wrapper evil:run, which is code"):
        task_of(saved(tmp_path / "one", FOLLOW | {"wrapper": "evil:run"}))
    with pytest.raises(SettingError, match="--import"):
        task_of(saved(tmp_path / "two", FOLLOW, 'imports = ["evil"]'))
    with pytest.raises(SettingError, match="does not name one task"):
        task_of(saved(tmp_path / "three", {}))
    with pytest.raises(SettingError, match="evil:Task-v0 names a module, which is code"):
        task_of(saved(tmp_path / "four", FOLLOW | {"id": "evil:Task-v0"}))


@pytest.mark.parametrize("backend", ["ale", "minatar", "envpool", "gymnasium"])
def test_a_task_is_played_again_on_the_backend_of_the_run(tmp_path: Path, backend: str) -> None:
    assert task_of(saved(tmp_path, FOLLOW | {"backend": backend})).backend == backend


def test_both_act_again_as_the_run_says() -> None:
    """Also with a share of random actions, which is not dropped."""
    assert acting_of("mode:0.25") == Acting(mode=True, epsilon=0.25)
    assert acting_of("sample") == Acting(mode=False)
    with pytest.raises(SettingError, match="how the run says that it acted"):
        acting_of("<b>")


def test_what_alike_means_for_continuous_actions_is_said() -> None:
    """5 % of the range; for actions that are one of a few there is nothing to say."""
    words = {
        head: agreement_section(made_evidence(**given)).words[0]
        for head, given in (
            ("few", {}),
            ("vector", {"head": GaussianHead((-1.0, -1.0), (1.0, 1.0))}),
        )
    }
    assert "within 5 % of their range" in words["vector"]
    assert "range" not in words["few"]
