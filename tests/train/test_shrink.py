"""The sweep: who lives on, what is labelled, what is said of whom, and how it is resumed."""

import json
from collections import Counter

import numpy as np
import pytest
from small_runs import follower
from small_sweeps import LADDER, Watched, small_sweep

from rldistill.data.shards import ShardDataset
from rldistill.rollout import collect
from rldistill.rollout.workers import Here
from rldistill.teachers.load import load_policy
from rldistill.train.shrink import finished, living_on, shrinking
from rldistill.train.shrink_sweep import Rung


def drain(sweep, workers=None):
    messages = [step.message for step in shrinking(sweep, workers or Here())]
    return finished(sweep), messages


def rung(index, parameters, fraction, verdict=None):
    found = None if verdict is None else {"verdict": verdict}
    result = {"stage": 0, "parameters": parameters, "screening": {"fraction": fraction}}
    return Rung(index, f"mlp:{parameters}", results=[result | {"verdict": found}])


def test_the_smallest_that_holds_is_found_and_can_be_loaded(tmp_path):
    """Follow-v0 is linear, so mlp:linear holds; nothing smaller is in the ladder."""
    found, messages = drain(small_sweep(tmp_path / "sweep"))
    assert found.summary["winner"]["name"] == "mlp:linear"
    assert found.summary["next_smaller"] is None
    assert "nothing smaller is in the ladder" in messages[-1]
    assert {point["verdict"] for point in found.summary["frontier"]} <= {"holds", "unsure"}
    student = load_policy(found.path / found.summary["winner"]["folder"])
    assert student.info.name == "mlp:linear"
    assert found.student is not None
    assert json.loads((found.path / "shrink.json").read_text()) == found.summary


def test_no_state_is_labelled_twice_and_every_rung_learns_from_all(tmp_path, monkeypatch):
    """As many states go to the teacher for labels as lie in the datasets; the last rung to be
    judged holds them all."""
    labelled = Counter()
    label = collect.label

    def counting(teacher, observations, known):
        labelled["states"] += observations.shape[0] * observations.shape[1]
        return label(teacher, observations, known)

    monkeypatch.setattr(collect, "label", counting)
    workers = Watched()
    # No student can be shown to hold all of it, so all stages are done and all are judged.
    found, _ = drain(small_sweep(tmp_path / "sweep", floor=1.0), workers)
    names = found.summary["datasets"]
    valid = sum(len(ShardDataset(found.path / "data" / name)) for name in names)
    assert found.summary["labelled"] == valid
    # Phantom steps at the ends of episodes are labelled in the batch and not kept.
    assert valid <= labelled["states"] <= valid * 1.2
    last = {order.index: order for order in workers.orders}
    for order in last.values():
        result = json.loads(order.result_file.read_text())
        held = sum(len(ShardDataset(found.path / "data" / name)) for name in order.known)
        held += sum(len(ShardDataset(found.path / "data" / name)) for name in order.fresh)
        assert result["states"] == held
        assert set(order.known).isdisjoint(order.fresh)
    assert all(last[i].last for i in range(len(LADDER)))


def test_the_better_half_of_the_smaller_ones_lives_on(tmp_path):
    sweep = small_sweep(tmp_path / "sweep")
    sweep.rungs = [
        rung(0, 90, 1.0),
        rung(1, 50, 0.99, "holds"),
        rung(2, 40, 0.2),
        rung(3, 30, 0.9),
        rung(4, 20, 0.8),
    ]
    assert [r.index for r in living_on(sweep, sweep.rungs)] == [3, 4]
    assert sweep.winner is sweep.rungs[1]
    assert sweep.next_smaller is sweep.rungs[2]


def test_the_error_rate_is_shared_by_all_claims(tmp_path):
    """5 % over the ladder and what is made of its smallest: levels add up to it."""
    sweep = small_sweep(tmp_path / "sweep", prune=(0.5,), int8=True)
    sweep.reference = sweep.measure_teacher()
    rates = [sweep.order(one, 0, 0).error_rate for one in sweep.rungs]
    assert np.isclose(sum(rates) + 2 * rates[0], 0.05)
    seeds = {sweep.seed_of(place) for place in range(20)}
    assert len(seeds) == 20


def test_an_interrupted_sweep_goes_on_as_if_it_had_not_been(tmp_path):
    """Every order is done once, and the numbers are those of a sweep that was left alone."""
    whole, _ = drain(small_sweep(tmp_path / "whole", floor=1.0))
    cut = Watched(fail_at=4)
    with pytest.raises(KeyboardInterrupt):
        drain(small_sweep(tmp_path / "cut", floor=1.0), cut)
    rest = Watched()
    mtimes = {order.result_file: order.result_file.stat().st_mtime_ns for order in cut.orders}
    resumed, _ = drain(small_sweep(tmp_path / "cut", floor=1.0, resume=True), rest)
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in mtimes.items())
    for one, other in zip(whole.summary["frontier"], resumed.summary["frontier"], strict=True):
        for key in ("name", "fraction", "updates", "states", "env_steps", "verdict"):
            assert one[key] == other[key], key
    assert resumed.summary["labelled"] == whole.summary["labelled"]


def test_a_rung_lost_before_it_reported_is_counted_once(tmp_path):
    """Begun anew after its states were written and its student saved, it replaces them."""
    sweep, workers = small_sweep(tmp_path / "sweep", floor=1.0), Watched(fail_at=1)
    with pytest.raises(KeyboardInterrupt):
        drain(sweep, workers)
    before = json.loads(workers.orders[0].result_file.read_text())
    workers.orders[0].result_file.unlink()
    resumed, _ = drain(small_sweep(tmp_path / "sweep", floor=1.0, resume=True))
    after = json.loads(workers.orders[0].result_file.read_text())
    for key in ("rows", "env_steps", "updates", "states"):
        assert after[key] == before[key], key
    names = resumed.summary["datasets"]
    assert len(names) == len(set(names))


def test_a_smaller_one_that_fails_is_said_to(tmp_path):
    """A tree of one leaf acts alike in every state: 4 of 8 is no 95 %."""
    found, messages = drain(small_sweep(tmp_path / "sweep", ladder=("mlp:linear", "tree:1")))
    assert found.summary["winner"]["name"] == "mlp:linear"
    assert found.summary["next_smaller"]["verdict"] == "fails"
    assert "fails, with at most 5 % chance that this is wrong" in messages[-1]


def test_pruned_and_in_int8(tmp_path):
    """Half of the weights are 0 and stay so; each form has a verdict of its own."""
    sweep = small_sweep(tmp_path / "sweep", ladder=("mlp:8",), prune=(0.5,), int8=True)
    found, _ = drain(sweep)
    forms = {point["kind"]: point for point in found.summary["frontier"]}
    assert forms["pruned"]["verdict"] == "holds"
    assert forms["int8"]["verdict"] == "holds"
    student = load_policy(found.path / forms["pruned"]["folder"])
    weights = [w for w in student.module.parameters() if w.ndim == 2]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros == sum(round(0.5 * w.numel()) for w in weights)


def test_a_teacher_like_random_is_refused(tmp_path):
    from rldistill.errors import TaskError

    with pytest.raises(TaskError, match="nothing to hold"):
        drain(small_sweep(tmp_path / "sweep", teacher=follower(threshold=3.0)))
