"""N-step transitions: by hand, against maths.returns, and the ring that keeps them."""

from dataclasses import replace

import pytest
import torch

from rldistill.core import Trajectory
from rldistill.data.transitions import Transitions, n_step
from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.maths import returns
from rldistill.maths.returns import Outcomes


def trajectory(
    rewards: list[list[float]],
    terminated: list[tuple[int, int]] = (),
    truncated: list[tuple[int, int]] = (),
) -> Trajectory:
    """Rewards [T, B]; the step after an end is a phantom. Observation of step t in env b: t + 10 b.

    The state after the last step is T + 10 b.
    """
    given = torch.tensor(rewards)
    length, num_envs = given.shape
    flags = torch.zeros(3, length, num_envs, dtype=torch.bool)
    flags[2] = True
    for k, ends in enumerate((terminated, truncated)):
        for t, b in ends:
            flags[k, t, b] = True
            if t + 1 < length:
                flags[2, t + 1, b] = False
    steps = torch.arange(length + 1.0)[:, None] + 10 * torch.arange(num_envs)
    return Trajectory(
        observations=steps[:-1, :, None],
        actions=torch.arange(length * num_envs).view(length, num_envs) % 3,
        rewards=given,
        terminated=flags[0],
        truncated=flags[1],
        valid=flags[2],
        teacher_raw=steps[:-1, :, None].expand(-1, -1, 2),
        last_observations=steps[-1, :, None],
    )


def test_three_steps_by_hand():
    """Gamma 1/2. The data stop after step 3: its state is bootstrapped from, with fewer rewards."""
    found = n_step(trajectory([[1.0], [2.0], [4.0], [8.0]]), 0.5, 3)
    assert found.returns.tolist() == [3.0, 6.0, 8.0, 8.0]
    assert found.discounts.tolist() == [0.125, 0.125, 0.25, 0.5]
    assert found.next_observations.flatten().tolist() == [3.0, 4.0, 4.0, 4.0]
    assert found.observations.flatten().tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.actions.tolist() == [0, 1, 2, 0]


def test_termination_does_not_bootstrap_and_its_phantom_step_never_enters():
    found = n_step(trajectory([[1.0], [2.0], [99.0], [8.0]], terminated=[(1, 0)]), 0.5, 3)
    assert found.returns.tolist() == [2.0, 2.0, 8.0]
    assert found.discounts.tolist() == [0.0, 0.0, 0.5]
    assert found.observations.flatten().tolist() == [0.0, 1.0, 3.0]


def test_truncation_bootstraps_from_the_real_last_state():
    """Which the row of the phantom step holds: state 2."""
    found = n_step(trajectory([[1.0], [2.0], [99.0], [8.0]], truncated=[(1, 0)]), 0.5, 3)
    assert found.returns.tolist() == [2.0, 2.0, 8.0]
    assert found.discounts.tolist() == [0.25, 0.5, 0.5]
    assert found.next_observations.flatten().tolist() == [2.0, 2.0, 4.0]


def test_more_steps_than_there_are_give_the_whole_return():
    found = n_step(trajectory([[1.0], [2.0]]), 0.5, 7)
    assert found.returns.tolist() == [2.0, 2.0]
    assert found.next_observations.flatten().tolist() == [2.0, 2.0]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_with_a_value_of_the_state_it_is_the_n_step_return(n, seed):
    """R + discount V(s') = returns.n_step(V), written independently, on random ends."""
    random = torch.Generator().manual_seed(seed)
    ends = torch.randint(3, (12, 4, 2), generator=random)
    over: dict[str, list[tuple[int, int]]] = {"terminated": [], "truncated": []}
    for b in range(4):
        t = int(ends[0, b, 0])
        while t < 12:
            over["terminated" if ends[t, b, 1] else "truncated"].append((t, b))
            t += 2 + int(ends[t, b, 0])
    path = trajectory(torch.randn(12, 4, generator=random).tolist(), **over)
    table = torch.randn(100, generator=random)
    every = torch.cat([path.observations, path.last_observations[None]])[..., 0].long()
    outcomes = Outcomes(path.rewards, path.terminated, path.truncated, path.valid)
    expected = returns.n_step(outcomes, table[every], 0.9, n)[path.valid]
    found = n_step(path, 0.9, n)
    after = table[found.next_observations[:, 0].long()]
    torch.testing.assert_close(found.returns + found.discounts * after, expected)


def ring(capacity: int = 5) -> Transitions:
    return Transitions(capacity, (1,), 2, 0.5, 1)


def kept(memory: Transitions) -> set[float]:
    batch = memory.sample(500, torch.Generator().manual_seed(0))
    assert torch.equal(batch.teacher_raw[:, 0], batch.observations[:, 0])
    assert torch.equal(batch.next_observations, batch.observations + 1)
    return set(batch.observations.flatten().tolist())


def test_the_oldest_make_room():
    memory = ring()
    assert memory.put(trajectory([[1.0]] * 3)) == 3
    assert len(memory) == 3
    assert kept(memory) == {0, 1, 2}
    later = trajectory([[1.0]] * 4)
    moved = {
        name: getattr(later, name) + 100
        for name in ("observations", "last_observations", "teacher_raw")
    }
    memory.put(replace(later, **moved))
    assert len(memory) == 5
    assert kept(memory) == {2, 100, 101, 102, 103}
    assert memory.nbytes == 5 * (4 + 8 + 4 + 4 + 4 + 8)


def test_a_round_larger_than_the_memory_leaves_its_end():
    memory = ring(3)
    assert memory.put(trajectory([[1.0]] * 8)) == 8
    assert kept(memory) == {5, 6, 7}


def test_what_was_saved_goes_on_where_it_was():
    """Also where the next row goes."""
    memory, again = ring(), ring()
    memory.put(trajectory([[1.0]] * 7))
    again.load_state_dict(memory.state_dict())
    for each in (memory, again):
        each.put(trajectory([[2.0]] * 2))
    draws = [each.sample(50, torch.Generator().manual_seed(1)) for each in (memory, again)]
    for name, column in draws[0].columns().items():
        assert torch.equal(column, draws[1].columns()[name])


def test_a_memory_of_another_size_is_refused():
    memory = ring()
    memory.put(trajectory([[1.0]]))
    with pytest.raises(ShapeError, match="resume with the same task"):
        ring(6).load_state_dict(memory.state_dict())


def test_rewards_that_are_not_finite_are_refused_but_not_those_of_phantom_steps():
    memory = ring()
    with pytest.raises(NotFiniteError, match="rewards"):
        memory.put(trajectory([[float("nan")]]))
    assert len(memory) == 0
    path = trajectory([[1.0], [float("nan")], [1.0]], terminated=[(0, 0)])
    assert memory.put(path) == 2
    assert memory.sample(20, torch.Generator()).returns.isfinite().all()


def test_what_cannot_be_made_or_drawn_is_said():
    with pytest.raises(SettingError, match="capacity and n must be at least 1"):
        Transitions(0, (1,), 2, 0.5, 1)
    with pytest.raises(SettingError, match="cannot draw 4 from 0"):
        ring().sample(4, torch.Generator())
    with pytest.raises(SettingError, match="no trajectory"):
        _ = ring().latest
    memory = ring()
    memory.put(trajectory([[1.0]]))
    memory.clear()
    assert len(memory) == 0
