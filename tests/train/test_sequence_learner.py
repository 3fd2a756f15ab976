"""Students that remember, learning: no step left out, none twice, and memory that is of use."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.core import CategoricalHead, NetworkPolicy, Trajectory
from rldistill.data.latest import LatestRound
from rldistill.data.round_windows import Window
from rldistill.data.sequences import SequenceReplay
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import SettingError
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import Learning
from rldistill.methods.terms import align
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness
from rldistill.students.build import make_student
from rldistill.train.actor_critic import ActorCriticLearner
from rldistill.train.distill import distilling
from rldistill.train.learning import make_learner
from rldistill.train.prepare import prepare
from rldistill.train.request import Request
from rldistill.train.sequence_learner import SequenceLearner
from rldistill.train.settings import Settings

# With a critic of the reward, of the losses that follow, and a gate by the teacher's value.
ACTOR_CRITICS = ["on-policy-distill+R", "n-distill", "value-gated"]
CPU = torch.device("cpu")


class Recall(gymnasium.Env[Any, Any]):
    """Shows -1 or 1 at its first step and 0 in the five after it; right is to act as it said."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def _observe(self) -> Any:
        return np.array([self.cue if self.t == 0 else 0.0, self.t / 6], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cue, self.t = float(self.np_random.choice([-1, 1])), 0
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self._observe(), float((self.cue > 0) == bool(action)), self.t == 6, False, {}


TASK = TaskSpec(factory=Recall)


def recalling() -> NetworkPolicy:
    """A GRU set by hand: it keeps the first number that it reads, and acts by its sign."""
    teacher = make_student("gru:1", Recall.observation_space, Recall.action_space)
    module: Any = teacher.module
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        unit = module.units[0]
        # Rows of a GRU's weights: reset, update, new. It takes the cue at t = 0 and keeps it after.
        unit.weight_ih_l0[2, 0] = 3.0
        unit.bias_ih_l0[1] = -8.0
        unit.weight_ih_l0[1, 1] = 120.0
        module.last.weight[:, 0] = torch.tensor([-8.0, 8.0])
    module.requires_grad_(False)
    info = replace(teacher.info, fingerprint="by hand", source="by hand", acting_parameters=1000)
    return NetworkPolicy(module, info)


def settings(method: str, **more: Any) -> Settings:
    return Settings(**({"method": method, "num_envs": 8, "seed": 0, "evaluation_envs": 32} | more))


def request(out: Path, student: Any = "gru:8", teacher: Any = None, **more: Any) -> Request:
    given = settings(**({"method": "on-policy-distill", "steps": 4096} | more))
    return Request(
        teacher=teacher or recalling(), task=TASK, student=student, out=out, resume=False,
        settings=given,
    )  # fmt: skip


def collected(student: NetworkPolicy, lengths: list[int]) -> list[Trajectory]:
    with make(TASK, 3, 0) as env:
        row = get_method("on-policy-distill")
        controller = Controller(
            row.control, recalling(), student, Settings().teacher_act, env.info.action_space,
            Randomness.seeded(0, CPU),
        )  # fmt: skip
        this = Collector(env, controller, CPU)
        return [this.collect(3 * n, i) for i, n in enumerate(lengths)]


def learner_of(student: NetworkPolicy, **learning: Any) -> SequenceLearner:
    row = get_method("on-policy-distill")
    row = replace(row, learning=replace(row.learning, **learning))
    alignment = align(row, CategoricalHead(2), student.info.head, None)
    return SequenceLearner(student, alignment, row, torch.Generator().manual_seed(0))


def small_student(seed: int = 3) -> NetworkPolicy:
    torch.manual_seed(seed)
    student = make_student("gru:5", Recall.observation_space, Recall.action_space)
    torch.nn.init.normal_(student.module.last.weight)
    return student


@pytest.mark.parametrize("window", [3, 7, 64])
@pytest.mark.parametrize("lengths", [[17], [5, 1, 11]])
def test_one_pass_has_the_gradient_of_every_valid_step_exactly_once(window, lengths):
    """Against the sum over steps, one by one in time, with states cut where windows begin."""
    student = small_student()
    learner = learner_of(student)
    weights = list(student.module.parameters())
    found = [torch.zeros_like(w) for w in weights]
    expected = [torch.zeros_like(w) for w in weights]
    count = 0
    for played in collected(student, lengths):
        memory = SequenceReplay(10_000, Window(window))
        memory.put(played, student)
        for chosen in torch.randperm(memory.num_windows).split(4):
            blocks = memory.batch(chosen)
            steps = sum(int(block.counted.sum()) for block in blocks)
            count += steps
            for total, part in zip(
                found, torch.autograd.grad(steps * learner.loss(blocks), weights), strict=True
            ):
                total += part
        state = played.carried.student
        for t in range(len(played.valid)):
            if t % window == 0:
                state = tuple(x.detach() for x in state)
            raw, state = student.unroll(
                played.observations[t : t + 1], state, played.starts[t : t + 1]
            )
            apart = learner.alignment(played.teacher_raw[t], raw[0])[played.valid[t]].sum()
            for total, part in zip(
                expected, torch.autograd.grad(apart, weights, retain_graph=True), strict=True
            ):
                total += part
        assert len(memory) == played.num_steps
    assert count > 0.8 * 17 * 3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_pass_of_updates_draws_every_window_once():
    student = small_student()
    learner = learner_of(student, batch_size=16)
    memory = SequenceReplay(10_000, Window(4))
    memory.put(collected(student, [17])[0], student)
    batches = list(learner._batches(memory, -(-memory.num_windows // 4)))
    assert sorted(torch.cat(batches).tolist()) == list(range(memory.num_windows))
    many = learner_of(student)
    many._method = replace(many._method, memory=1000)
    drawn = torch.cat(list(many._batches(memory, 400)))
    assert torch.bincount(drawn).min() > 0


@pytest.mark.parametrize(
    ("method", "spec"),
    [
        ("on-policy-distill", "gru:8"),
        pytest.param("on-policy-distill", "lstm:8:mlp:6", marks=pytest.mark.slow),
        pytest.param("dagger", "gru:8", marks=pytest.mark.slow),
        pytest.param("rusu-kl", "lstm:8:mlp:6", marks=pytest.mark.slow),
    ],
)
def test_a_recurrent_student_remembers_what_its_teacher_saw(tmp_path, method, spec):
    """The cue is there in the first step alone; a student without memory is right half the time.

    256 games each; chance of a student of 5.7 of 6 if it guessed: none.
    """
    more = {"steps": 12_000} if method == "on-policy-distill" else {"steps": 24_000}
    row = get_method(method)
    row = replace(row, round_steps=1024, learning=Learning(batch_size=256))
    job = prepare(request(tmp_path / "run", spec, method=row, **more))
    for _ in distilling(job):
        pass
    assert job.keeper.summary["student_return"] > 5.7
    assert job.keeper.summary["teacher_return"] == 6.0


def test_a_student_without_memory_cannot(tmp_path):
    job = prepare(request(tmp_path / "run", "mlp:16", steps=12_000))
    for _ in distilling(job):
        pass
    assert job.keeper.summary["student_return"] < 4.5  # 1 and half of 5, plus noise


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTOR_CRITICS)
def test_actor_critic_rows_teach_it_too(tmp_path, name):
    row = replace(get_method(name), round_steps=1024)
    fit = {"fit_critic": 2000} if row.needs_teacher_value else {}
    job = prepare(request(tmp_path / "run", "gru:8", method=row, steps=40_000, **fit))
    for _ in distilling(job):
        pass
    assert job.keeper.summary["student_return"] > 5.5


def test_the_gradient_of_an_actor_critic_round_is_that_of_all_its_steps():
    """One batch of all windows against one unroll of the round, critic included."""
    student = small_student()
    row = get_method("on-policy-distill+R")
    alignment = align(row, CategoricalHead(2), student.info.head, None)
    generator = torch.Generator().manual_seed(0)
    learner = make_learner(row, student, recalling(), alignment, generator, Window(64))
    assert isinstance(learner, ActorCriticLearner)
    memory = LatestRound()
    memory.put(collected(student, [17])[0])
    experience = learner.appraise(memory)
    critic = learner._stepper.critic
    assert critic is not None
    weights = [*student.module.parameters(), *critic.parameters()]
    [(loss, _)] = learner._losses_of_windows(memory, experience, 1)
    found = torch.autograd.grad(loss, weights)
    played = memory.trajectory
    raw, _ = student.unroll(played.observations, played.carried.student, played.starts)
    values, _ = critic(played.observations, learner._appraiser.critic_memory[0], played.starts)
    whole, _ = learner._loss(experience, raw[played.valid], values[played.valid])
    torch.testing.assert_close(found, torch.autograd.grad(whole, weights))


def test_a_resumed_run_goes_on_with_its_windows(tmp_path):
    row = replace(get_method("dagger"), round_steps=512)
    asked = request(tmp_path / "run", "gru:4", method=row, steps=2048)
    job, rounds = prepare(asked), 0
    loop = distilling(job)
    for progress in loop:
        rounds += progress.env_steps > 0
        if rounds == 3:
            break
    loop.close()
    held, updates = len(job.memory), job.learner.updates
    again = prepare(replace(asked, resume=True))
    loop = distilling(again)
    next(loop)
    assert len(again.memory) == held > 0
    assert again.learner.updates == updates
    for _ in loop:
        pass
    assert again.keeper.summary["student_return"] > 0


@pytest.mark.parametrize("name", ["actor-mimic", "qdagger", "dual", "distral"])
def test_rows_that_learn_from_single_states_refuse_it_before_any_step(tmp_path, name):
    with pytest.raises(SettingError, match=f"{name} learns from single states, and gru:8 is recur"):
        prepare(request(tmp_path / "run", method=name, steps=1000))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("student", "more", "said"),
    [
        ("mlp:8", {"window": 8}, "window has no effect on mlp:8, which remembers nothing"),
        ("mlp:8", {"burn_in": 8}, "burn_in has no effect on mlp:8"),
        ("gru:8", {"burn_in": 8, "method": "n-distill"}, "burn_in has no effect on n-distill"),
        ("gru:8", {"window": 0}, "window must be at least 1"),
        ("tree:8", {"method": "viper", "window": 3}, "window has no effect on tree:8"),
    ],
)
def test_settings_of_sequences_without_effect_are_errors(tmp_path, student, more, said):
    with pytest.raises(SettingError, match=said):
        prepare(request(tmp_path / "run", student, **more))


def test_a_recurrent_teacher_can_be_told_by_a_tree_and_not_by_features(tmp_path):
    """Its labels are those of whole episodes; a hidden layer of single states it has not."""
    job = prepare(request(tmp_path / "run", "tree:8", method="viper", steps=2000))
    for _ in distilling(job):
        pass
    assert job.keeper.summary["teacher_return"] == 6.0
    with pytest.raises(SettingError, match="reads the teacher's hidden layer in single states"):
        prepare(request(tmp_path / "other", "mlp:8", method="actor-mimic", steps=1000))
