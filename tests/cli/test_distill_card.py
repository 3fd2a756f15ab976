"""rldistill distill WEIGHTS --card FILE."""

import tomllib
from pathlib import Path

import numpy as np
from commands import Command
from small_cards import MLP, mlp_weights, save

from rldistill.reports.evidence_sections import card_of, remake_evidence
from rldistill.reports.record import read_run
from rldistill.reports.video_section import film_settings
from rldistill.runs import RunFolder


def weights_for_cartpole(folder: Path) -> Path:
    weights = mlp_weights() | {"a.weight": np.zeros((5, 4), np.float32)}
    return save(folder, MLP, weights)


def test_weights_are_distilled_by_their_card(rldistill: Command, tmp_path: Path) -> None:
    """Given or beside; the recipe of the run names a card that was given."""
    weights = weights_for_cartpole(tmp_path)
    job = ("--task", "CartPole-v1", "--steps", "2000", "--student", "mlp:4")
    result = rldistill("distill", weights, *job, "--out", "beside")
    assert (result.code, result.err) == (0, "")
    assert "teacher  PPO (npz, by card): 4 -> 2" in result.out
    card = (tmp_path / "teacher.toml").rename(tmp_path / "own.toml")
    result = rldistill("distill", weights, *job, "--card", card, "--out", "given")
    assert (result.code, result.err) == (0, "")
    assert tomllib.loads(Path("given/recipe.toml").read_text())["card"] == str(card)
    run = read_run(RunFolder.open(Path("given")))
    assert card_of(run) == card
    # The card lies elsewhere: the run says where, and the teacher can play again.
    assert remake_evidence(run, str(weights)).task == "CartPole-v1"
    shown = film_settings(run, teacher=None, vecnormalize=None)
    assert (shown.card, film_settings(run, weights, None).card) == (card, None)
    result = rldistill("distill", weights, *job)
    assert result.code != 0
    assert "lay a teacher card beside it (teacher.toml)" in result.err


def test_a_card_of_other_weights_is_an_error(rldistill: Command, tmp_path: Path) -> None:
    weights = weights_for_cartpole(tmp_path)
    (tmp_path / "teacher.toml").write_text(MLP.replace('"b"', '"c"'))
    result = rldistill("distill", weights, "--task", "CartPole-v1")
    assert result.code != 0
    assert "tensor c.weight is missing" in result.err
