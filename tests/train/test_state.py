"""Counters of a run, and the records made of them."""

import json

from rldistill.evaluation.looks import Look
from rldistill.train.state import RunState

LOOK = Look("screening", 7.5, 7.0, 8.0, 0.9, 0, 64, "reject")


def test_a_round_is_counted() -> None:
    state = RunState(total_steps=1000, next_look=100)
    state.finish_round(64, 5, 0.5)
    state.finish_round(64, 11, 0.25)
    assert (state.round_index, state.env_steps, state.updates) == (2, 128, 11)
    assert state.train_seconds == 0.75
    assert state.progress().steps_per_second == 128 / 0.75


def test_rows_of_a_dataset_are_not_environment_steps() -> None:
    """Whichever is not counted is None; the word and the speed are those of the other."""
    played = RunState(total_steps=1000, next_look=100, env_steps=64, train_seconds=2.0)
    record = played.progress()
    assert (record.env_steps, record.rows, record.unit, record.counted) == (64, None, "steps", 64)
    read = RunState(
        total_steps=1000, next_look=100, env_steps=64, train_seconds=2.0, from_dataset=True
    )
    record = read.progress()
    assert (record.env_steps, record.rows, record.unit, record.counted) == (None, 64, "rows", 64)
    assert (record.steps_per_second, record.per_second) == (None, 32.0)
    assert (played.played_steps, read.played_steps) == (64, None)


def test_the_latest_return_is_remembered_and_its_decision_is_not() -> None:
    """A decision belongs to one record; a return is shown until there is a newer one."""
    state = RunState(total_steps=1000, next_look=100)
    assert state.progress().student_return is None
    looked = state.progress(look=LOOK)
    assert (looked.phase, looked.decision, looked.episodes) == ("screening", "reject", 64)
    after = state.progress()
    assert (after.phase, after.decision, after.episodes) == ("learning", "", 0)
    assert (after.student_return, after.fraction) == (7.5, 0.9)


def test_the_end_is_a_phase() -> None:
    assert RunState(total_steps=10, next_look=5).progress(done=True).phase == "done"


def test_it_survives_json_but_for_the_steps_asked_for() -> None:
    """Those are this run's own: resuming may give more."""
    state = RunState(total_steps=1000, next_look=100)
    state.finish_round(64, 5, 0.5)
    state.loss, state.action_gap = 0.25, 2.0
    again = RunState(total_steps=5000, next_look=7)
    again.restore(json.loads(json.dumps(state.to_json())))
    assert again.total_steps == 5000
    assert again.to_json() | {"total_steps": 1000} == state.to_json()
