"""Recurrent policies in the collector: memories go on from round to round and end with episodes.

The environments show the number of a step within its episode; the policies count it themselves.
"""

import itertools

import pytest
import torch
from fake_envs import Fives
from fake_policies import always
from recurrent_policies import HEAD, counting, num_read, small_rnn

from rldistill.core import Acting, NetworkPolicy, Trajectory
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.envs.views import View
from rldistill.methods.method import STUDENT, TEACHER, UNIFORM, Control
from rldistill.methods.schedules import Constant, FirstRounds
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness

CPU = torch.device("cpu")
NUM_ENVS = 3
CONTROLS = {
    "teacher": TEACHER,
    "student": STUDENT,
    "mixture": Control(teacher_share=Constant(0.5), epsilon=0.1),
    "uniform": UNIFORM,
    "teacher first": Control(teacher_share=FirstRounds(1)),
}


def collector(
    control: Control, teacher: NetworkPolicy, student: NetworkPolicy, view: View | None = None
) -> Collector:
    envs = make(TaskSpec(factory=Fives, student_view=view), NUM_ENVS, seed=0)
    randomness = Randomness.seeded(0, CPU)
    actor = Controller(control, teacher, student, Acting(), envs.info.action_space, randomness)
    return Collector(envs, actor, CPU, keep_teacher=True)


def rounds(this: Collector, lengths: list[int]) -> list[Trajectory]:
    return [this.collect(length * NUM_ENVS, i) for i, length in enumerate(lengths)]


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_labels_are_those_of_a_teacher_that_saw_each_episode_from_its_start(control):
    """Whoever acted, over rounds that cut episodes, and without phantom steps."""
    student = always([0.0] * 3, HEAD)
    for got in rounds(collector(control, counting(), student), [4, 1, 9, 13]):
        says = got.teacher_raw.argmax(-1)
        assert torch.equal(says[got.valid], got.observations[..., 1].long()[got.valid] % 3)
        # All logits hold the sum of what was seen first: the seed, as often as it was seen.
        seed, step = got.observations[..., 0], got.observations[..., 1]
        assert torch.equal(got.teacher_raw.amin(-1)[got.valid], (seed * (step + 1))[got.valid])


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_a_teacher_that_sees_something_else_remembers_what_it_saw_itself(control):
    """Whoever acted, over round cuts; each step once; unrolling its own states gives the labels."""
    teacher, student = counting(), always([0.0] * 3, HEAD)
    this = collector(control, teacher, student, View.parse("drop:0"))
    for got in rounds(this, [4, 1, 9, 13]):
        theirs = got.teacher_observations
        assert theirs is not None
        assert torch.equal(theirs[:-1, :, 1:], got.observations)
        seed, step = theirs[:-1, :, 0], theirs[:-1, :, 1]
        assert torch.equal(got.teacher_raw.argmax(-1)[got.valid], step.long()[got.valid] % 3)
        assert torch.equal(got.teacher_raw.amin(-1)[got.valid], (seed * (step + 1))[got.valid])
    assert num_read(teacher) == 27 * NUM_ENVS


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_no_observation_is_shown_to_teacher_or_student_twice(control):
    teacher, student = counting(), counting()
    rounds(collector(control, teacher, student), [4, 1, 9])
    assert num_read(teacher) == num_read(student) == 14 * NUM_ENVS


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_unrolling_from_the_stored_state_repeats_what_was_remembered(control):
    """Teacher and student, whether they acted or not; each round begins where the last ended."""
    teacher, student = small_rnn(seed=1), small_rnn(seed=2)
    found = rounds(collector(control, teacher, student), [4, 1, 9, 13])
    alike = {"atol": 1e-6}
    for got, following in itertools.pairwise(found):
        labels, after = teacher.unroll(got.observations, got.carried.teacher, got.starts)
        assert torch.allclose(labels, got.teacher_raw, **alike)
        assert all(
            torch.allclose(a, b, **alike) and torch.allclose(a, c, **alike)
            for a, b, c in zip(
                after, got.carried.last_teacher, following.carried.teacher, strict=True
            )
        )
        _, after = student.unroll(got.observations, got.carried.student, got.starts)
        for a, b in zip(after, following.carried.student, strict=True):
            assert torch.allclose(a, b, **alike)


def test_a_recurrent_student_acts_from_its_own_memory():
    """By mode it does what it counts, and the environment shows the action in the next state."""
    control = Control(teacher_share=Constant(0.0), student_samples=False)
    for got in rounds(collector(control, always([0.0] * 3, HEAD), counting()), [4, 1, 9, 13]):
        step = got.observations[..., 1].long() % 3
        assert torch.equal(got.actions[got.valid], step[got.valid])


def test_starts_are_the_first_states_of_episodes():
    for got in rounds(collector(UNIFORM, counting(), counting()), [4, 1, 9, 13]):
        first = (got.observations[..., 1] == 0) & got.valid
        assert torch.equal(got.starts & got.valid, first)
        assert torch.equal(got.starts, first)
        assert torch.equal(got.last_starts, got.last_observations[:, 1] == 0)


def test_a_round_that_begins_with_a_reset_begins_with_nothing_remembered():
    this = collector(TEACHER, counting(), counting())
    this.collect(3 * NUM_ENVS, 0)
    this.observations = None
    got = this.collect(3 * NUM_ENVS, 1)
    assert got.starts[0].all()
    assert all((x == 0).all() for x in (*got.carried.teacher, *got.carried.student))


def test_policies_without_memory_carry_nothing():
    """And a trajectory that says nothing of its first states begins with starts."""
    got = rounds(collector(TEACHER, always([0.0] * 3, HEAD), always([0.0] * 3, HEAD)), [4])[0]
    assert got.carried.teacher == got.carried.student == got.carried.last_teacher == ()
    parts = (got.observations, got.actions, got.rewards, got.terminated, got.truncated, got.valid)
    plain = Trajectory(*parts, got.teacher_raw, got.last_observations)
    assert torch.equal(plain.starts, got.starts)
