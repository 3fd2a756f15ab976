"""Lambda returns as PQN defines them, and a learner that takes each row once per pass."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from rldistill.core import Trajectory
from rldistill.errors import NotFiniteError, SettingError
from rldistill.train.parallel_q import WARM_UP, ParallelQ, ParallelQLearner, Targets, lambda_targets


def trajectory(rewards: list[float], terminated: list[bool], raw: list[list[float]]) -> Trajectory:
    """One environment; a phantom step follows each end."""
    over = torch.tensor(terminated)[:, None]
    valid = torch.ones_like(over)
    valid[1:] = ~over[:-1]
    count = len(rewards)
    return Trajectory(
        observations=torch.arange(count, dtype=torch.float32)[:, None, None],
        actions=torch.zeros(count, 1, dtype=torch.int64),
        rewards=torch.tensor(rewards)[:, None],
        terminated=over,
        truncated=torch.zeros_like(over),
        valid=valid,
        teacher_raw=torch.tensor(raw)[:, None],
        last_observations=torch.zeros(1, 1),
    )


def test_a_return_by_hand() -> None:
    """gamma 1/2, lambda 1/2: G_1 = 2 + 4/2 = 4; G_0 = 1 + (0.5 * 6 + 0.5 * 4) / 2 = 3.5."""
    seen = trajectory([1.0, 2.0], [False, False], [[9.0, 0.0], [6.0, 5.0]])
    targets = lambda_targets(seen, torch.tensor([[4.0, -1.0]]), ParallelQ(gamma=0.5, lam=0.5))
    assert targets.values.tolist() == [3.5, 4.0]


def test_nothing_counts_after_a_real_end_and_phantom_steps_are_left_out() -> None:
    seen = trajectory([1.0, 7.0, 2.0], [True, False, False], [[9.0], [8.0], [6.0]])
    targets = lambda_targets(seen, torch.tensor([[4.0]]), ParallelQ(gamma=0.5, lam=1.0))
    assert targets.values.tolist() == [1.0, 4.0]
    assert targets.observations.flatten().tolist() == [0.0, 2.0]


@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 1000),
)
def test_equals_the_recursion_of_the_paper(
    rewards: list[float], gamma: float, lam: float, seed: int
) -> None:
    """G_t = r_t + gamma ((1 - lambda) max Q_{t+1} + lambda G_{t+1}), written out."""
    raw = torch.randn(len(rewards) + 1, 3, generator=torch.Generator().manual_seed(seed))
    seen = trajectory(rewards, [False] * len(rewards), raw[:-1].tolist())
    targets = lambda_targets(seen, raw[-1:], ParallelQ(gamma=gamma, lam=lam))
    best = raw.amax(-1).tolist()
    total, expected = best[-1], list[float]()
    for t in reversed(range(len(rewards))):
        total = rewards[t] + gamma * ((1 - lam) * best[t + 1] + lam * total)
        expected.append(total)
    assert targets.values.tolist() == pytest.approx(expected[::-1], abs=1e-4)


def test_clipped_rewards_count_by_their_sign() -> None:
    seen = trajectory([5.0, -0.5], [False, True], [[0.0], [0.0]])
    settings = ParallelQ(gamma=1.0, lam=1.0, clip_rewards=True)
    assert lambda_targets(seen, torch.zeros(1, 1), settings).values.tolist() == [0.0, -1.0]


class Rows(nn.Module):
    """Q-values by table; remembers which rows it was asked for."""

    def __init__(self, count: int, num_actions: int = 1) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(count, num_actions))
        self.asked: list[int] = []

    def forward(self, observations: Tensor) -> Tensor:
        rows = observations.long().flatten()
        self.asked += rows.tolist()
        return self.table[rows]


def targets_of(count: int) -> Targets:
    return Targets(
        torch.arange(count)[:, None].float(),
        torch.zeros(count, dtype=torch.int64),
        torch.arange(count).float(),
    )


def test_each_pass_takes_each_row_of_each_task_once() -> None:
    small, large = Rows(5), Rows(12, 3)
    settings = ParallelQ(epochs=2, num_minibatches=4)
    learner = ParallelQLearner([small, large], settings, torch.Generator().manual_seed(0))
    learner.learn([targets_of(5), targets_of(12)], 0.0)
    assert sorted(small.asked) == sorted(2 * list(range(5)))
    assert sorted(large.asked) == sorted(2 * list(range(12)))
    assert small.asked[:5] != small.asked[5:]  # another order
    assert learner.updates == 2 * (4 + 4)


def test_it_learns_what_the_targets_say() -> None:
    """Regression on fixed targets comes close to them, and the error falls."""
    network = Rows(4)
    settings = ParallelQ(learning_rate=0.05, decays=False, num_minibatches=2)
    learner = ParallelQLearner([network], settings, torch.Generator().manual_seed(0))
    losses = [learner.learn([targets_of(4)], 0.0) for _ in range(300)]
    assert losses[-1] < 0.01 * losses[0]
    assert network.table.flatten().tolist() == pytest.approx([0, 1, 2, 3], abs=0.2)


def test_the_rate_rises_at_first_and_falls_to_nothing() -> None:
    """At the end of a run nothing moves any more; the first step is WARM_UP times smaller."""

    def moved(done: float, before: int) -> float:
        network = Rows(1)
        learner = ParallelQLearner([network], ParallelQ(learning_rate=0.1), torch.Generator())
        learner.updates = before
        one = Targets(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), torch.ones(1))
        learner.learn([one], done)
        return float(network.table.detach().abs().max())

    assert moved(1.0, WARM_UP) == 0.0
    assert moved(0.5, WARM_UP) == pytest.approx(0.5 * moved(0.0, WARM_UP), rel=0.02)
    assert moved(0.0, 0) < 5 / WARM_UP * moved(0.0, WARM_UP)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    network = Rows(2)
    learner = ParallelQLearner([network], ParallelQ(), torch.Generator())
    bad = Targets(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), torch.tensor([math.nan]))
    with pytest.raises(NotFiniteError, match="lower the learning rate"):
        learner.learn([bad], 0.0)


def test_epsilon_falls_and_stays() -> None:
    settings = ParallelQ(epsilon_start=1.0, epsilon_end=0.1, epsilon_share=0.2)
    shares = [settings.epsilon(done) for done in (0.0, 0.1, 0.2, 1.0)]
    assert shares == pytest.approx([1.0, 0.55, 0.1, 0.1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": 1.5}, r"gamma must lie in \[0, 1\]"),
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        ParallelQ(**wrong)  # type: ignore[arg-type]
