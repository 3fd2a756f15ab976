"""Evidence: what is kept of the measured episodes is what was played, and it is bounded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import FOLLOW, Follow, by_hand, follower, tracker

from rldistill.core import Acting, CategoricalHead, NetworkPolicy, PolicyInfo
from rldistill.envs.naming import task_names
from rldistill.envs.spec import TaskSpec
from rldistill.evaluation import evidence as module
from rldistill.evaluation.agreement import compare
from rldistill.evaluation.evidence import (
    EXTREMES,
    STATE_BYTES,
    STATES,
    STUDENT,
    TEACHER,
    RunEvidence,
    take_evidence,
)
from rldistill.evaluation.evidence_file import load_evidence, save_evidence
from rldistill.evaluation.prove import Contestants, Measured, Prover
from rldistill.evaluation.scores import Arena, task_info

CPU = torch.device("cpu")


def measured(
    student: NetworkPolicy, teacher: NetworkPolicy, task: TaskSpec = FOLLOW
) -> tuple[Measured, RunEvidence]:
    info = task_info(task)
    with Arena(task, info, 64, 0) as arena:
        prover = Prover(arena, Contestants(teacher, Acting(), Acting(), CPU), 0.95)
        found = prover.measure(student)
    return found, take_evidence(found, info, task_names(task, info), teacher, student)


@pytest.fixture(scope="module")
def both() -> tuple[Measured, RunEvidence]:
    return measured(follower(threshold=0.5), follower())


def test_episodes_are_those_that_the_verdict_was_measured_on(
    both: tuple[Measured, RunEvidence],
) -> None:
    found, evidence = both
    episodes = evidence.episodes
    assert episodes.returns.shape == episodes.lengths.shape == (3, 128)
    told = found.verdict
    means = (told.student_return, told.teacher_return, told.random_return)
    assert episodes.returns.mean(1).tolist() == pytest.approx(means)
    assert len(set(episodes.seeds.tolist())) == 128
    assert episodes.paired


def test_raw_outputs_are_those_of_the_two_policies_in_these_states(
    both: tuple[Measured, RunEvidence],
) -> None:
    states = both[1].states
    seen = torch.from_numpy(states.observations)
    again = compare(follower(), follower(threshold=0.5), seen)
    assert np.allclose(states.teacher_raw, again.teacher_raw, atol=1e-6)
    assert np.allclose(states.student_raw, again.student_raw, atol=1e-6)
    assert np.allclose(states.kl, again.kl, atol=1e-5)
    assert np.allclose(states.same, again.same)


def test_the_sample_is_fair_and_the_extremes_are_marked(
    both: tuple[Measured, RunEvidence],
) -> None:
    """Of 512 states each the fair sample agrees as all do; extremes lie above every mean."""
    found, evidence = both
    states = evidence.states
    for who, all_of_them in ((STUDENT, found.compared[0]), (TEACHER, found.compared[1])):
        mine = states.visitor == who
        fair = states.kl[mine & ~states.extreme]
        assert len(fair) == min(STATES, len(all_of_them.same))
        assert fair.mean() == pytest.approx(float(all_of_them.kl.mean()), rel=1e-4)
        worst = states.kl[mine & states.extreme]
        assert len(worst) == EXTREMES
        assert worst.max() == pytest.approx(float(all_of_them.kl.max()), rel=1e-5)
        assert worst.min() > fair.mean()


def test_an_extreme_is_the_worst_of_its_episode(both: tuple[Measured, RunEvidence]) -> None:
    """And no episode has two."""
    found, evidence = both
    states, played = evidence.states, found.rounds[0][STUDENT]
    mine = states.extreme & (states.visitor == STUDENT)
    assert len(set(states.episode[mine].tolist())) == mine.sum()
    for episode, kl in zip(states.episode[mine], states.kl[mine], strict=True):
        of_it = found.compared[0].kl.numpy()[played.episodes == episode]
        assert kl == pytest.approx(of_it.max(), rel=1e-5)


def test_step_and_episode_say_where_a_state_was_seen(both: tuple[Measured, RunEvidence]) -> None:
    found, evidence = both
    states = evidence.states
    for who in (STUDENT, TEACHER):
        played = found.rounds[0][who]
        for row in np.flatnonzero(states.visitor == who)[:40]:
            place = (played.episodes == states.episode[row]) & (played.steps == states.step[row])
            (index,) = np.flatnonzero(place)
            assert np.array_equal(played.observations[index], states.observations[row])


def test_policies_that_never_differ_have_no_extremes() -> None:
    _, evidence = measured(follower(), follower())
    assert not evidence.states.extreme.any()
    assert (evidence.states.same == 1.0).all()


def test_costs_are_counted_and_timed(both: tuple[Measured, RunEvidence]) -> None:
    cost = both[1].teacher_cost
    assert (cost.parameters, cost.num_bytes) == (1000, 4 * 6)
    assert 0.0 < cost.latency_seconds < 1.0


def test_families_without_a_divergence_are_compared_by_their_actions() -> None:
    """KL is NaN then, and the difference the share that is unlike."""
    from small_runs import Track

    from rldistill.core import GaussianHead

    task = TaskSpec(factory=Track, id="Track-v0")
    layer = torch.nn.Linear(2, 2)
    student = by_hand(layer, GaussianHead((-1.0,), (1.0,)), "gaussian")
    _, evidence = measured(student, tracker(), task)
    states = evidence.states
    assert np.isnan(states.kl).all()
    assert np.allclose(states.difference, 1.0 - states.same)


class Screen(Follow):
    """Shows a picture whose first two pixels say what Follow shows."""

    from gymnasium import spaces

    observation_space = spaces.Box(0, 255, (60, 60, 3), np.uint8)

    def _observe(self) -> np.ndarray:
        super()._observe()
        picture = self.np_random.integers(0, 255, (60, 60, 3)).astype(np.uint8)
        picture[0, 0, :2] = (127.5 * (self.seen + 1.0)).astype(np.uint8)
        return picture


class Reader(torch.nn.Module):
    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = torch.nn.Parameter(torch.tensor(threshold))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        first = pictures[:, 0, 0, :2].float().sum(-1) / 127.5 - 2.0
        return torch.stack([torch.zeros(len(first)), 8.0 * (first - self.threshold)], -1)


def reader(threshold: float) -> NetworkPolicy:
    info = PolicyInfo(
        name="reader", framework="test", observation_shape=(60, 60, 3), head=CategoricalHead(2),
        acting_parameters=1, parameters=1,
    )  # fmt: skip
    return NetworkPolicy(Reader(threshold).requires_grad_(False), info)


def test_pictures_are_kept_of_the_worst_states_and_stay_small() -> None:
    """512 states of 10,800 bytes would be 5 MB each; what is kept is below the limit."""
    _, evidence = measured(reader(0.5), reader(0.0), TaskSpec(factory=Screen, id="Screen-v0"))
    states = evidence.states
    assert states.observations.dtype == np.uint8
    assert len(states.observations) < len(states)
    kept = sum(getattr(states, name).nbytes for name in type(states).__slots__)
    assert kept < 1.3 * STATE_BYTES
    assert states.extreme[: len(states.observations)].sum() == states.extreme.sum()
    assert states.features.shape == (len(states), module.PROJECTION)
    assert evidence.feature_names == ()


def test_projections_keep_distances_roughly() -> None:
    """Two pictures that are far apart stay far apart: within half of their distance."""
    info = task_info(TaskSpec(factory=Screen, id="Screen-v0"))
    pictures = np.random.default_rng(1).integers(0, 255, (12, 60, 60, 3)).astype(np.uint8)
    pictures[6:] //= 4
    found = module._features(pictures, info)
    flat = pictures.reshape(12, -1).astype(np.float64) / np.sqrt(10_800)
    true = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    got = np.linalg.norm(found[:, None] - found[None], axis=-1) / np.sqrt(module.PROJECTION)
    off = ~np.eye(12, dtype=bool)
    assert np.abs(got[off] / true[off] - 1.0).max() < 0.5


@pytest.mark.parametrize("size", [800, 3000])
def test_large_observations_are_kept_of_fewer_states(size: int, tmp_path: Path) -> None:
    """Of so many states that they fit, or of the worst; the file reads back either way."""

    class Wide(Follow):
        from gymnasium import spaces

        observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)

        def _observe(self) -> np.ndarray:
            super()._observe()
            return np.concatenate([self.seen, np.zeros(size - 2, np.float32)])

    layer = torch.nn.Linear(size, 2)
    policy = by_hand(layer, CategoricalHead(2), "wide")
    info = PolicyInfo(
        name="wide", framework="test", observation_shape=(size,), head=CategoricalHead(2),
        acting_parameters=1, parameters=1,
    )  # fmt: skip
    policy = NetworkPolicy(policy.module, info)
    _, evidence = measured(policy, policy, TaskSpec(factory=Wide, id="Wide-v0"))
    assert evidence.states.observations.nbytes <= STATE_BYTES
    assert (len(evidence.states.observations) == len(evidence.states)) == (size == 800)
    save_evidence(tmp_path / "e", evidence)
    assert load_evidence(tmp_path / "e") is not None
