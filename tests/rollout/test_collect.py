import numpy as np
import pytest
import torch
from fake_envs import BoxedFives, Fives
from fake_policies import always, num_asked, policy

from rldistill.core import Acting, CategoricalHead, DeterministicHead, NetworkPolicy
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec
from rldistill.errors import NotFiniteError
from rldistill.methods.method import STUDENT, TEACHER, UNIFORM, Control
from rldistill.methods.schedules import Constant, FirstRounds
from rldistill.rollout import collect
from rldistill.rollout.collect import Collector, label
from rldistill.rollout.control import Controller, Randomness

CPU = torch.device("cpu")
HEAD = CategoricalHead(3)
NUM_ENVS = 4
MIXTURE = Control(teacher_share=Constant(0.5), epsilon=0.1)


def seeing_teacher() -> NetworkPolicy:
    """Its raw outputs are numbers of the state, exactly: seed, t and episode."""
    return policy(lambda x: 2 * x[:, :3], HEAD)


def collector(control: Control, teacher: NetworkPolicy | None = None, env=Fives) -> Collector:
    envs = make(TaskSpec(factory=env), NUM_ENVS, seed=0)
    head = (teacher or seeing_teacher()).info.head
    student = always([0.0] * head.num_outputs, head)
    actor = Controller(
        control,
        teacher or seeing_teacher(),
        student,
        Acting(),
        envs.info.action_space,
        Randomness.seeded(0, CPU),
    )
    return Collector(envs, actor, CPU)


@pytest.mark.parametrize("control", [TEACHER, STUDENT, MIXTURE, UNIFORM])
def test_labels_are_the_teachers_outputs_on_exactly_the_stored_states(control):
    """Whoever acted, and over the ends of episodes."""
    got = collector(control).collect(60, 0)
    assert torch.equal(got.teacher_raw, 2 * got.observations[..., :3])
    assert got.observations.shape == (15, NUM_ENVS, 4)


@pytest.mark.parametrize("control", [TEACHER, STUDENT, MIXTURE, UNIFORM])
def test_no_state_is_sent_through_the_teacher_twice(control):
    this = collector(control)
    for rounds in (1, 2):
        this.collect(60, rounds - 1)
        assert num_asked(this.controller.teacher) == 60 * rounds


def test_the_student_is_asked_only_where_it_acts():
    this = collector(Control(teacher_share=FirstRounds(1)))
    this.collect(60, 0)
    assert num_asked(this.controller.student) == 0
    this.collect(60, 1)
    assert num_asked(this.controller.student) == 60


def test_phantom_steps_are_marked_and_worth_nothing():
    """Episodes of five steps: each sixth row is the phantom one."""
    got = collector(TEACHER).collect(12 * NUM_ENVS, 0)
    phantom = torch.arange(12) % 6 == 5
    assert (got.valid == ~phantom[:, None]).all()
    assert (got.rewards == got.valid.float()).all()
    assert (got.terminated == (torch.arange(12) % 6 == 4)[:, None]).all()
    assert not got.truncated.any()
    assert got.num_steps == 10 * NUM_ENVS
    # The phantom row holds the real last observation, t = 5, and the next the first of the next.
    assert got.observations[:7, 0, 1].tolist() == [0, 1, 2, 3, 4, 5, 0]


def test_an_action_belongs_to_the_observation_beside_it():
    """The environment shows the last action in the next observation."""
    got = collector(UNIFORM).collect(100, 0)
    acted = got.actions[:-1][got.valid[:-1]]
    shown = got.observations[1:, :, 3][got.valid[:-1]]
    assert torch.equal(acted.float(), shown)
    assert got.actions.dtype == torch.int64


def test_steps_are_rounded_up_to_whole_ones():
    assert len(collector(TEACHER).collect(2 * NUM_ENVS + 1, 0).rewards) == 3


def test_rounds_go_on_where_the_last_one_stopped():
    this = collector(TEACHER)
    first = this.collect(3 * NUM_ENVS, 0)
    second = this.collect(3 * NUM_ENVS, 1)
    assert torch.equal(first.last_observations, second.observations[0])
    assert second.observations[:, 0, 1].tolist() == [3, 4, 5]
    assert second.valid[:, 0].tolist() == [True, True, False]


def test_stored_observations_are_not_overwritten_by_later_steps():
    this = collector(TEACHER)
    first = this.collect(20, 0)
    before = first.observations.clone()
    this.collect(100, 1)
    assert torch.equal(first.observations, before)


def test_continuous_actions_are_stored_as_vectors():
    head = DeterministicHead((-1.0, -2.0), (1.0, 2.0))
    got = collector(UNIFORM, always([0.5, 0.5], head), BoxedFives).collect(20, 0)
    assert got.actions.shape == (5, NUM_ENVS, 2)
    assert got.actions.dtype == torch.float32


@pytest.mark.parametrize("control", [TEACHER, STUDENT, UNIFORM])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_teacher_that_gives_nan_is_named(control, value):
    """Also where it does so in a single state."""
    teacher = policy(lambda x: torch.where(x[:, 1:2] == 3, value, x[:, :3]), HEAD)
    with pytest.raises(NotFiniteError, match=r"the teacher \(fake\) gave NaN or infinite outputs"):
        collector(control, teacher).collect(60, 0)


def test_a_continuous_teacher_that_gives_nan_is_refused_while_it_acts():
    teacher = always([np.nan, 0.0], DeterministicHead((-1.0, -2.0), (1.0, 2.0)))
    with pytest.raises(NotFiniteError):
        collector(TEACHER, teacher, BoxedFives).collect(20, 0)


def test_masked_actions_are_no_fault():
    got = collector(STUDENT, always([0.0, -np.inf, 1.0], HEAD)).collect(20, 0)
    assert (got.teacher_raw[..., 1] == -np.inf).all()


def test_labelling_goes_in_batches_and_keeps_the_order(monkeypatch):
    monkeypatch.setattr(collect, "LABEL_BATCH", 7)
    teacher = seeing_teacher()
    states = torch.randn(5, 6, 4)
    assert torch.equal(label(teacher, states, [None] * 5), 2 * states[..., :3])
    assert num_asked(teacher) == 30


def test_the_same_seed_collects_the_same():
    a, b = (collector(MIXTURE).collect(100, 0) for _ in range(2))
    assert torch.equal(a.observations, b.observations)
    assert torch.equal(a.actions, b.actions)
