"""evaluate(): what it says of a policy, and of a student beside its teacher."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv
from small_runs import FOLLOW, Follow, Track, follower, follower_folder, tracker

from rldistill import EvaluationSettings, evaluate
from rldistill.core import Acting
from rldistill.envs.spec import TaskSpec
from rldistill.errors import RldistillError, SettingError, TaskError
from rldistill.evaluation import evaluate as evaluate_function
from rldistill.evaluation.evaluate import latency
from rldistill.evaluation.prove import Contestants, Prover
from rldistill.evaluation.scores import Arena, task_info
from rldistill.runs import to_json

FEW = EvaluationSettings(episodes=64)


class Unseeded(Follow):
    """Ignores its seed: starts are not equal."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=None)


def test_alone_it_is_measured_and_not_judged() -> None:
    record = evaluate(follower(), FOLLOW, settings=FEW)
    assert record["student_return"] == 8.0
    assert (record["student_low"], record["student_high"]) == (8.0, 8.0)
    assert (record["student_iqm"], record["student_std"]) == (8.0, 0.0)
    assert record["mean_length"] == 8.0
    assert record["episodes"] == 64
    assert record["student_bytes"] == 4 * 6
    assert 0.0 < record["student_latency_seconds"] < 0.1
    absent = ("verdict", "floor", "fraction", "teacher_return", "random_return", "paired",
              "agreement", "teacher_parameters", "env_steps", "train_seconds", "run",
              "agreement_detail", "teacher_iqm", "teacher_low", "teacher_high", "teacher_std",
              "teacher_bytes", "teacher_latency_seconds", "random_iqm", "random_low")  # fmt: skip
    assert [record[key] for key in absent] == [None] * len(absent)


def test_against_itself_it_has_fraction_1_and_agreement_1() -> None:
    record = evaluate(follower(), FOLLOW, against=follower(), settings=EvaluationSettings())
    assert record["verdict"] == "holds"
    assert record["fraction"] == record["fraction_low"] == record["fraction_high"] == 1.0
    assert record["agreement"] == 1.0
    assert record["paired"] is True
    assert record["random_return"] == pytest.approx(4.0, abs=0.5)
    detail = record["agreement_detail"]["teacher_states"]
    assert detail["top_action"] == 1.0
    assert detail["kl"] == pytest.approx(0.0, abs=1e-6)
    assert detail["states"] == 64 * 8


def test_a_worse_student_fails_and_agrees_less() -> None:
    """It is wrong where the sum is between 0 and 0.5, about a fifth of the states."""
    settings = EvaluationSettings(episodes=256)
    record = evaluate(follower(0.5), FOLLOW, against=follower(), settings=settings)
    assert record["verdict"] == "fails"
    assert record["fraction"] == pytest.approx(1 - 2 * 0.219, abs=0.06)
    assert record["agreement"] == pytest.approx(1 - 0.219, abs=0.03)
    assert record["student_return"] < record["teacher_return"]


def test_continuous_actions_agree_within_a_twentieth_of_their_range() -> None:
    task = TaskSpec(factory=Track)
    record = evaluate(tracker(), task, against=tracker())
    assert record["agreement"] == 1.0
    assert record["verdict"] == "holds"


def test_the_same_seed_gives_the_same_record() -> None:
    """But for the clock."""
    one, other = (
        evaluate(follower(0.3), FOLLOW, against=follower(), settings=FEW) for _ in range(2)
    )
    for clock in ("student_latency_seconds", "teacher_latency_seconds", "total_seconds"):
        del one[clock], other[clock]
    assert one == other


def test_its_episodes_are_not_those_that_chose_the_student(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with the same seed screened its students on other seeds."""
    seeds: list[int] = []
    next_seed = Arena.next_seed

    def watched(self: Arena) -> int:
        first = next_seed(self)
        seeds.extend(range(first, first + self.num_envs))
        return first

    monkeypatch.setattr(Arena, "next_seed", watched)
    arena = Arena(FOLLOW, task_info(FOLLOW), 64, 0)
    prover = Prover(arena, Contestants(follower(), Acting(), Acting(), torch.device("cpu")), 0.95)
    with arena:
        for _ in range(20):
            prover.screen(follower())
    in_run = set(seeds)
    seeds.clear()
    evaluate(follower(), FOLLOW, settings=EvaluationSettings(episodes=640))
    assert len(seeds) == 640
    assert not in_run & set(seeds)


def test_rounds_are_complete() -> None:
    """The same number of episodes from each environment, so at least those asked for."""
    record = evaluate(follower(), FOLLOW, settings=EvaluationSettings(episodes=65))
    assert record["episodes"] == 128
    record = evaluate(follower(), FOLLOW, settings=EvaluationSettings(episodes=5))
    assert record["episodes"] == 5
    settings = EvaluationSettings(episodes=5, num_envs=4)
    assert evaluate(follower(), FOLLOW, settings=settings)["episodes"] == 8


def test_a_live_vector_environment_plays_as_many_as_it_has() -> None:
    live = SyncVectorEnv([Follow] * 6)
    record = evaluate(follower(), live, against=follower(), settings=FEW)
    assert record["episodes"] == 66
    assert not live.closed
    assert record["fraction"] == 1.0


def test_without_equal_starts_it_is_unpaired() -> None:
    live = SyncVectorEnv([Unseeded] * 32)
    record = evaluate(follower(), live, against=follower())
    assert record["paired"] is False
    assert record["verdict"] == "holds"
    assert evaluate(follower(), FOLLOW, against=follower(), settings=FEW)["paired"] is True


def test_acting_is_a_setting_of_each() -> None:
    """A flat policy that is sampled plays like random; the record says who acted how."""
    flat = follower(sharpness=0.01, name="flat")
    settings = EvaluationSettings(episodes=128, student_act=Acting(mode=False))
    record = evaluate(flat, FOLLOW, against=flat, settings=settings)
    assert record["act"] == {"student": "sample", "teacher": "mode"}
    assert record["teacher_return"] == 8.0
    assert record["student_return"] == pytest.approx(4.0, abs=0.6)


def test_files_and_live_objects_are_the_same(tmp_path: Path) -> None:
    folder = follower_folder(tmp_path / "teacher")
    record = evaluate(folder, "Follow-v0", against=str(folder), settings=FEW)
    assert record["fraction"] == 1.0
    assert record["student_parameters"] == record["teacher_parameters"] == 6


def test_statistics_of_a_teacher_are_not_asked_of_a_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run folder has no use for them, beside a teacher that has; a policy alone may."""
    module = importlib.import_module("rldistill.evaluation.evaluate")
    asked: list[tuple[Any, Any]] = []

    def load(source: Any, *, vecnormalize: Any, **_: Any) -> Any:
        asked.append((source, vecnormalize))
        return follower()

    monkeypatch.setattr(module, "load_teacher", load)
    path = tmp_path / "vecnormalize.pkl"
    settings = EvaluationSettings(episodes=1, vecnormalize=path)
    evaluate("run", FOLLOW, against="teacher", settings=settings)
    evaluate("policy", FOLLOW, settings=settings)
    evaluate("same", FOLLOW, against="same", settings=settings)
    assert asked == [("run", None), ("teacher", path), ("policy", path),
                     ("same", path), ("same", path)]  # fmt: skip


def test_a_policy_for_another_task_is_refused() -> None:
    with pytest.raises(
        TaskError, match=r"the policy takes observations of shape \(2,\), the task gives"
    ):
        evaluate(follower(), "CartPole-v1", settings=FEW)


@pytest.mark.parametrize(
    "wrong", [{"episodes": 0}, {"floor": 0.0}, {"floor": 1.5}, {"num_envs": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        EvaluationSettings(**wrong)


def test_settings_of_a_comparison_are_refused_without_a_teacher() -> None:
    for wrong in (EvaluationSettings(floor=0.5), EvaluationSettings(teacher_act=Acting(False))):
        with pytest.raises(SettingError, match="have no effect without a teacher"):
            evaluate(follower(), FOLLOW, settings=wrong)


def test_another_number_of_environments_than_the_live_one_has_is_refused() -> None:
    live, settings = SyncVectorEnv([Follow] * 6), EvaluationSettings(episodes=6, num_envs=5)
    with pytest.raises(SettingError, match="num_envs is 5; the vector environment given has 6"):
        evaluate(follower(), live, settings=settings)


def test_each_of_the_three_is_described() -> None:
    """The teacher's numbers are the teacher's: it is perfect, the student and chance are not."""
    record = evaluate(follower(0.5), FOLLOW, against=follower(), settings=FEW)
    assert record["teacher_iqm"] == record["teacher_low"] == record["teacher_high"] == 8.0
    assert record["student_low"] < record["student_return"] < record["student_high"] < 8.0
    assert record["random_low"] < record["random_return"] < record["random_high"] < 6.0
    assert record["student_bytes"] == record["teacher_bytes"] == 24
    assert 0.0 < record["teacher_latency_seconds"] < 0.1


def test_a_single_live_environment_is_refused() -> None:
    with pytest.raises(RldistillError, match="cannot be copied"):
        evaluate(follower(), Follow(), settings=FEW)  # type: ignore[arg-type]


def test_everything_is_json_without_nan() -> None:
    """Also where the divergence is infinite and the random policy is as good."""
    record = evaluate(follower(sharpness=1e6), FOLLOW, against=follower(), settings=FEW)

    def refuse(text: str) -> Any:
        raise AssertionError(text)

    json.loads(to_json(record), parse_constant=refuse)


def test_latency_is_that_of_single_decisions() -> None:
    policy = follower()
    assert latency(policy) == pytest.approx(latency(policy), rel=5.0)
    assert np.isfinite(latency(policy))


def test_the_public_name_is_the_function() -> None:
    """The module of the same name does not hide it."""
    assert callable(evaluate)
    assert evaluate_function.__name__.endswith("evaluate")
