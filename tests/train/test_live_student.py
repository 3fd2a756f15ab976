"""Live students in whole runs: what learns, what the user's object holds in the end, resuming."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from live_modules import Awkward, Plain, same_weights
from small_runs import (
    FOLLOW,
    OBSERVATIONS,
    QUICK,
    Follow,
    Track,
    follower,
    quick_job,
    quick_settings,
    tracker,
)

from rldistill import distill, evaluate, load_policy, load_teacher, make_student
from rldistill.core import NetworkPolicy
from rldistill.errors import NotFiniteError, SettingError, ShapeError, TeacherFileError
from rldistill.evaluation.evaluate import EvaluationSettings
from rldistill.evaluation.prove import Prover
from rldistill.runs import read_json
from rldistill.train.checkpoint import load_checkpoint
from rldistill.train.distill import distilling
from rldistill.train.job import Job
from rldistill.train.learners import PerStateLearner

LONG = 1_000_000


def stop_after(job: Job, rounds: int) -> None:
    """Leave the loop as Ctrl-C between two rounds does."""
    progress = distilling(job)
    for record in progress:
        if record.phase == "learning" and record.round_index == rounds:
            break
    progress.close()


def test_a_module_is_distilled_into_tested_and_saved(tmp_path: Path) -> None:
    """End to end: the user's own object plays in the end, and comes back from the folder."""
    module = Plain().train()
    # Of eight initial weights all hold after these steps; after 1,536 three of them do not.
    settings = quick_settings(steps=8192)
    done = distill(follower(), FOLLOW, module, out=tmp_path / "run", settings=settings)
    assert done.verdict == "holds"
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    states = torch.rand(500, 2) * 2.0 - 1.0
    right = (states.sum(-1) > 0).long()
    assert (module(states).argmax(-1) == right).float().mean() > 0.95
    again = load_policy(done.path, module=Plain())
    assert same_weights(again.module, module)
    assert same_weights(done.student.module, module)
    assert done.student.module is not module
    assert done.summary["student_parameters"] == 42


def test_it_ends_with_the_weights_that_were_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the raw last ones, from which the running average differs."""
    seen: list[dict[str, torch.Tensor]] = []
    measure = Prover.measure

    def watched(self: Prover, student: Any) -> Any:
        seen.append({name: x.clone() for name, x in student.module.state_dict().items()})
        return measure(self, student)

    monkeypatch.setattr(Prover, "measure", watched)
    module = Plain()
    job = quick_job(tmp_path / "run", student=module)
    list(distilling(job))
    (tested,) = seen
    assert all(torch.equal(x, tested[name]) for name, x in module.state_dict().items())
    assert not same_weights(job.learner.student.module, module)


def test_a_policy_of_make_student_is_given_back_too(tmp_path: Path) -> None:
    student = make_student("mlp:6", OBSERVATIONS, spaces.Discrete(2))
    done = distill(follower(), FOLLOW, student, out=tmp_path / "run", settings=quick_settings())
    states = torch.rand(50, 2)
    torch.testing.assert_close(student.raw(states), done.student.raw(states))
    assert load_policy(done.path).info.name == "mlp:6"


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_run_that_is_stopped_gives_back_what_it_saved(tmp_path: Path, rounds: int) -> None:
    """Before the first round there is nothing, and the module is as it was."""
    module = Plain()
    before = {name: x.clone() for name, x in module.state_dict().items()}
    stop_after(quick_job(tmp_path / "run", student=module, steps=LONG), rounds)
    unchanged = all(torch.equal(x, before[name]) for name, x in module.state_dict().items())
    assert unchanged == (rounds == 0)
    if rounds:
        assert same_weights(load_policy(tmp_path / "run", module=Plain()).module, module)


def test_weights_that_became_nan_are_not_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(self: PerStateLearner, *_: Any) -> float:
        with torch.no_grad():
            for network in (self.student, self.tested):
                next(network.module.parameters()).fill_(torch.nan)
        self._stepper.updates += 1
        raise NotFiniteError("the loss became nan")

    monkeypatch.setattr(PerStateLearner, "learn", poisoned)
    module = Plain()
    with pytest.raises(NotFiniteError):
        list(distilling(quick_job(tmp_path / "run", student=module)))
    assert all(bool(p.isfinite().all()) for p in module.parameters())


def test_awkward_modules_are_served(tmp_path: Path) -> None:
    """Ties stay ties, frozen weights stay, the rest moves, and all of it can be read back."""
    module = Awkward()
    frozen = module.frozen.weight.clone()
    job = quick_job(tmp_path / "run", student=module, steps=8192)
    list(distilling(job))
    assert torch.equal(module.frozen.weight, frozen)
    assert module.middle.weight is module.first_again
    assert not torch.equal(module.first_again, torch.eye(8))
    assert int(module.norm.num_batches_tracked) == job.learner.updates
    assert module.mask.tolist() == [0.0, -torch.inf]
    assert same_weights(load_policy(tmp_path / "run", module=Awkward()).module, module)
    assert job.state.agreement is not None
    assert job.state.agreement > 0.9


class Watched(Plain):
    """Records in which mode it is called, and whether gradients flow."""

    calls: list[tuple[bool, bool, bool]] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.frozen_statistics = torch.nn.BatchNorm1d(2).eval()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        learns = torch.is_grad_enabled()
        self.calls.append((learns, self.training, self.frozen_statistics.training))
        return super().forward(self.frozen_statistics(observations))


@pytest.mark.parametrize("training", [True, False])
def test_it_learns_in_training_mode_and_acts_in_evaluation_mode(
    tmp_path: Path, training: bool
) -> None:
    """A part in evaluation mode inside a module in training mode stays there."""
    module = Watched().train(training)
    module.frozen_statistics.eval()
    job = quick_job(tmp_path / "run", student=module)
    Watched.calls.clear()
    list(distilling(job))
    learning = {call[1:] for call in Watched.calls if call[0]}
    acting = {call[1:] for call in Watched.calls if not call[0]}
    assert learning == {(True, not training)}
    assert acting == {(False, False)}
    assert (module.training, module.frozen_statistics.training) == (training, False)


def test_the_notes_say_what_is_different_for_a_live_student(tmp_path: Path) -> None:
    text = "\n".join(quick_job(tmp_path / "run", student=Plain()).notes)
    assert "student  Plain: 42 parameters" in text
    assert "its inputs are not normalised" in text
    assert "load_policy(RUN, module=...)" in text


def test_its_inputs_are_not_normalised(tmp_path: Path) -> None:
    """It sees observations as the task gives them; a constant first layer would show a shift."""
    module = torch.nn.Sequential(torch.nn.Identity(), Plain())
    job = quick_job(tmp_path / "run", student=module)
    list(distilling(job))
    states = torch.rand(9, 2)
    assert torch.equal(job.learner.tested.raw(states), module.eval()(states))


def test_the_run_folder_names_it(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", student=Plain())
    list(distilling(job))
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe["student"] == "(a live object: Plain)"
    assert read_json(tmp_path / "run" / "student.json")["own_class"] == "Plain"


def test_resuming_restores_everything_bit_equally(tmp_path: Path) -> None:
    """Dropout's random state, batch statistics and names that could be confused included."""
    job = quick_job(tmp_path / "run", student=Awkward(), steps=LONG)
    stop_after(job, 2)
    saved = load_checkpoint(tmp_path / "run" / "checkpoint")[0]
    again = quick_job(tmp_path / "run", student=Awkward(), steps=LONG, resume=True)
    with again.keeper:
        again.keeper.start(again)
    for mine, theirs in ((job, again),):
        assert same_weights(mine.learner.student.module, theirs.learner.student.module)
        assert same_weights(mine.learner.tested.module, theirs.learner.tested.module)
    assert torch.equal(torch.get_rng_state(), saved["torch"])


def test_resuming_with_another_architecture_is_told(tmp_path: Path) -> None:
    """The class has the same name; the weights do not fit."""
    stop_after(quick_job(tmp_path / "run", student=Plain(), steps=LONG), 1)
    other = quick_job(tmp_path / "run", student=Plain(width=9), steps=LONG, resume=True)
    with pytest.raises(ShapeError, match=r"first\.weight is saved as \[8, 2\].* has \[9, 2\]"):
        list(distilling(other))


@pytest.mark.parametrize("average", [0.0, 0.99])
def test_without_a_running_average_the_last_weights_are_the_tested_ones(
    tmp_path: Path, average: float
) -> None:
    row = replace(QUICK, learning=replace(QUICK.learning, average=average))
    module = Plain()
    job = quick_job(tmp_path / "run", student=module, method=row)
    list(distilling(job))
    assert same_weights(job.learner.tested.module, module)
    assert same_weights(job.learner.student.module, module) == (average == 0.0)


def test_continuous_actions(tmp_path: Path) -> None:
    """A student of a deterministic teacher gives the action itself."""
    module = Plain(num_outputs=1)
    settings = quick_settings(steps=8192)
    done = distill(tracker(), Track, module, out=tmp_path / "run", settings=settings)
    assert done.summary["fraction"] > 0.9
    action, _ = load_policy(done.path, module=Plain(num_outputs=1)).predict(np.zeros(2))
    assert action.shape == (1,)


def test_wrong_outputs_are_told_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"\[B, 2\]: one logit per action; .* shape \(1, 3\)"):
        quick_job(tmp_path / "run", student=Plain(num_outputs=3))
    assert not (tmp_path / "run").exists()


def test_a_policy_around_a_module_is_trained_if_it_can_be(tmp_path: Path) -> None:
    """load_teacher freezes a module: such a policy has nothing to learn with, and is told so."""
    with pytest.raises(SettingError, match="no trainable parameters"):
        quick_job(tmp_path / "run", student=follower())
    module = Plain()
    policy = NetworkPolicy(module, replace(follower().info, name="mine"))
    before = module.first.weight.clone()
    distill(follower(), Follow, policy, out=tmp_path / "run", settings=quick_settings(steps=512))
    assert not torch.equal(module.first.weight, before)


def test_a_teacher_can_be_its_own_student(tmp_path: Path) -> None:
    """The teacher is a frozen copy: it stays what it was while the module learns."""
    module = Plain()
    teacher = load_teacher(module, action_space=spaces.Discrete(2), announce=None)
    before = {name: x.clone() for name, x in teacher.module.state_dict().items()}
    distill(teacher, FOLLOW, module, out=tmp_path / "run", settings=quick_settings(steps=512))
    assert all(torch.equal(x, before[name]) for name, x in teacher.module.state_dict().items())


def test_its_folder_alone_is_no_policy(tmp_path: Path) -> None:
    """For whoever loads it: as a policy, as a teacher, to be evaluated."""
    module = Plain()
    distill(follower(), FOLLOW, module, out=tmp_path / "run", settings=quick_settings(steps=512))
    for use in (
        lambda: load_policy(tmp_path / "run"),
        lambda: load_teacher(tmp_path / "run"),
        lambda: evaluate(tmp_path / "run", FOLLOW),
        lambda: quick_job(tmp_path / "other", teacher=tmp_path / "run"),
    ):
        with pytest.raises(TeacherFileError, match=r"In Python: load_policy\(.*, module=\.\.\.\)"):
            use()
    policy = load_policy(tmp_path / "run", module=module)
    measured = evaluate(policy, FOLLOW, settings=EvaluationSettings(episodes=8))
    assert measured["student_parameters"] == 42
