"""Windows of rounds: every valid step once, with the state that the student would have there."""

import pytest
import torch
from recurrent_policies import small_rnn

from rldistill.core import Carried, Trajectory
from rldistill.core.recurrent import state_shapes_of
from rldistill.data.round_windows import RoundWindows, Window, states_before
from rldistill.data.sequences import SequenceReplay
from rldistill.errors import SettingError

T, B = 11, 3
STUDENT = small_rnn()


def a_round(seed: int, length: int = T, carried: Carried | None = None) -> Trajectory:
    """Its first observed number is that of the step, counted over all rounds and environments."""
    torch.manual_seed(seed)
    seen = torch.randn(length, B, 4)
    seen[..., 0] = 1000 * seed + torch.arange(length * B).view(length, B)
    valid = torch.rand(length, B) < 0.8
    flags = torch.zeros(length, B, dtype=torch.bool)
    zeros = torch.zeros(length, B)
    state = STUDENT.initial_state(B)
    return Trajectory(
        seen, zeros.long(), zeros, flags, flags, valid, seen[..., :3].clone(), torch.randn(B, 4),
        carried or Carried(starts=torch.zeros(B, dtype=torch.bool), student=state),
    )  # fmt: skip


def two_rounds(length: int) -> tuple[Trajectory, Trajectory]:
    """The second goes on where the first ended."""
    first = a_round(1, length)
    _, after = STUDENT.unroll(first.observations, first.carried.student, first.starts)
    carried = Carried(starts=first.last_starts, student=tuple(x.detach() for x in after))
    return first, a_round(2, length, carried)


def numbers(memory: SequenceReplay) -> list[float]:
    """The numbers of the steps that all windows together are learnt from."""
    blocks = memory.batch(torch.arange(memory.num_windows))
    seen = [block.observations[block.counted][:, 0] for block in blocks]
    return sorted(torch.cat(seen).tolist())


@pytest.mark.parametrize("length", [1, 4, 11, 32])
@pytest.mark.parametrize("burn_in", [0, 1, 3, 50])
@pytest.mark.parametrize("round_length", [1, 5, T])
def test_every_valid_step_is_in_one_window_and_none_is_left_over(length, burn_in, round_length):
    memory = SequenceReplay(10_000, Window(length, burn_in))
    expected: list[float] = []
    for played in two_rounds(round_length):
        memory.put(played, STUDENT)
        expected += played.observations[played.valid][:, 0].tolist()
    assert numbers(memory) == sorted(expected)
    assert len(memory) == memory.num_added == len(expected)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 4, 11, 32])
@pytest.mark.parametrize("burn_in", [0, 1, 3])
def test_windows_give_what_the_whole_sequence_gives(length, burn_in):
    """Carried states and burn-in over the end of a round included."""
    memory, expected = SequenceReplay(10_000, Window(length, burn_in)), {}
    for played in two_rounds(T):
        memory.put(played, STUDENT)
        raw, _ = STUDENT.unroll(played.observations, played.carried.student, played.starts)
        for row, number in zip(raw[played.valid], played.observations[played.valid], strict=True):
            expected[float(number[0])] = row
    for block in memory.batch(torch.randperm(memory.num_windows)):
        raw = block.unroll(STUDENT.module)
        cut = block.burn_in
        seen = block.observations[cut:][block.counted[cut:]][:, 0].tolist()
        assert not block.counted[:cut].any()
        torch.testing.assert_close(raw, torch.stack([expected[number] for number in seen]))
        labels = block.teacher_raw[block.counted]
        assert labels[:, 0].tolist() == block.observations[block.counted][:, 0].tolist()


@torch.no_grad()
def test_burn_in_makes_a_stale_state_fresh():
    """After the student has changed, windows that are burnt in are nearer to what it remembers."""
    changed = small_rnn(seed=7)
    played = a_round(1, 40)
    truth, _ = changed.unroll(played.observations, played.carried.student, played.starts)
    wanted = {
        float(number[0]): row
        for row, number in zip(truth[played.valid], played.observations[played.valid], strict=True)
    }
    errors = []
    for burn_in in (0, 20):
        memory = SequenceReplay(10_000, Window(4, burn_in))
        memory.put(played, STUDENT)
        error = 0.0
        for block in memory.batch(torch.arange(memory.num_windows)):
            raw = block.unroll(changed.module)
            seen = block.observations[block.counted][:, 0].tolist()
            error += float((raw - torch.stack([wanted[n] for n in seen])).abs().sum())
        errors.append(error)
    assert errors[1] < errors[0] / 10


def test_no_gradient_reaches_the_burn_in_or_the_window_before():
    memory = SequenceReplay(10_000, Window(4, 3))
    memory.put(a_round(1), STUDENT)
    block = memory.batch(torch.arange(3, 6))[0]  # the second window
    assert block.burn_in == 3
    block.observations.requires_grad_(True)
    block.state[0].requires_grad_(True)
    block.unroll(STUDENT.module).sum().backward()
    touched = block.observations.grad.abs().sum((1, 2)) > 0
    assert touched.tolist() == [False] * 3 + [True] * 4
    assert block.state[0].grad is None


def test_the_oldest_windows_make_room():
    memory = SequenceReplay(40, Window(4))
    for seed in range(1, 6):
        memory.put(a_round(seed), STUDENT)
    assert len(memory) <= 40
    assert numbers(memory)[-1] == float(a_round(5).observations[a_round(5).valid][-1, 0])
    assert memory.nbytes > 40 * 4 * 4


def test_a_saved_memory_goes_on(tmp_path):
    memory, other = (SequenceReplay(1000, Window(4, 2)) for _ in range(2))
    for played in two_rounds(T):
        memory.put(played, STUDENT)
    other.load_state_dict(memory.state_dict())
    assert numbers(other) == numbers(memory)
    assert (len(other), other.num_added) == (len(memory), memory.num_added)
    chosen = torch.arange(memory.num_windows)
    for a, b in zip(memory.batch(chosen), other.batch(chosen), strict=True):
        assert torch.equal(a.unroll(STUDENT.module), b.unroll(STUDENT.module))
    memory.clear()
    assert len(memory) == memory.num_windows == 0
    with pytest.raises(SettingError, match="nothing to learn from"):
        memory.batch(torch.arange(1))


@pytest.mark.parametrize("length", [1, 4, 11, 32])
def test_windows_of_the_latest_round_cover_it_once_for_each_network(length):
    played, other = a_round(1), small_rnn(seed=5)
    networks = (STUDENT.module, other.module)
    states = (
        played.carried.student,
        tuple(torch.randn(B, *s) for s in state_shapes_of(other.module)),
    )
    windows = RoundWindows(played, Window(length), networks, states)
    order = torch.randperm(len(windows))
    parts = [windows.unroll(part) for part in order.split(windows.at_once(3 * length))]
    rows = torch.cat([rows for rows, _ in parts])
    assert sorted(rows.tolist()) == list(range(int(played.valid.sum())))
    for i, (network, state) in enumerate(zip(networks, states, strict=True)):
        whole, _ = network(played.observations, state, played.starts)
        got = torch.cat([outputs[i] for _, outputs in parts])
        torch.testing.assert_close(got, whole[played.valid][rows])


def test_states_before_some_steps_have_no_gradient():
    played = a_round(1)
    sequence = (played.observations, played.starts, played.carried.student)
    found = states_before(STUDENT.unroll, sequence, [0, 0, 4, T])
    _, after = STUDENT.unroll(*sequence[:1], sequence[2], sequence[1])
    torch.testing.assert_close(found[3], tuple(x.detach() for x in after))
    assert torch.equal(found[0][0], found[1][0])
    assert not found[2][0].requires_grad


def test_settings_out_of_range_are_told():
    for wrong in (lambda: Window(0), lambda: Window(3, -1), lambda: SequenceReplay(0, Window())):
        with pytest.raises(SettingError, match="must be at least"):
            wrong()
