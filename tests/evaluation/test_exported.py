"""An exported file in its task: what is recorded, and what it returns."""

import numpy as np
import pytest
import torch
from small_runs import FOLLOW, follower

from rldistill.core import Acting
from rldistill.errors import TaskError
from rldistill.evaluation.exported import ExportedActor, prove_exported, record_observations
from rldistill.evaluation.scores import task_info


def test_as_many_observations_are_recorded_as_asked_for_and_they_differ() -> None:
    rows = record_observations(follower(), FOLLOW, 1000, seed=0)
    assert rows.shape == (1000, 2)
    assert rows.dtype == np.float32
    assert len(np.unique(rows, axis=0)) > 990
    assert (rows == record_observations(follower(), FOLLOW, 1000, seed=0)).all()
    assert (rows != record_observations(follower(), FOLLOW, 1000, seed=1)).any()


@pytest.mark.parametrize(("flipped", "word"), [(0.0, "holds"), (0.5, "fails")])
def test_a_file_is_judged_by_what_it_returns(flipped: float, word: str) -> None:
    """One that is right in half of the states fails, however alike its file is."""
    generator = np.random.default_rng(0)

    def decide(rows: np.ndarray) -> np.ndarray:
        right = rows.sum(1) > 0
        return (right ^ (generator.random(len(rows)) < flipped)).astype(np.int64)

    actor = ExportedActor(follower().info, decide)
    task = FOLLOW, task_info(FOLLOW)
    verdict = prove_exported(actor, follower(), task, 0.95, (Acting(), 0))
    assert verdict.verdict == word
    assert verdict.teacher_return == 8.0


def test_a_file_gives_actions_and_nothing_else() -> None:
    actor = ExportedActor(follower().info, lambda rows: np.zeros(len(rows), np.int64))
    rows = torch.zeros(3, 2)
    assert actor.to(torch.device("cpu"))(rows).mode().tolist() == [0, 0, 0]
    for ask in (actor.raw, actor.value):
        with pytest.raises(TaskError, match="exported"):
            ask(rows)
