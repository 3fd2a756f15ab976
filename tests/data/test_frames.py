"""FrameReplay against a replay of whole stacks: the same rows, byte by byte, in far less memory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rldistill.data.frames import FrameReplay
from rldistill.data.replay import Replay
from rldistill.errors import SettingError, ShapeError

S, H, W = 3, 2, 2
SHAPE = (S, H, W)


class Player:
    """B environments that show stacks as Atari does: cleared at starts, now and then in between."""

    def __init__(self, num_envs: int, seed: int, ends: float, kind: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.ends, self.kind = ends, kind
        self.stacks = np.zeros((num_envs, *SHAPE), np.uint8)
        self.over = np.ones(num_envs, bool)

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        """Observations, and which of them begin or go on (not those at which an episode ended)."""
        for b, over in enumerate(self.over):
            # Few values, so that frames are equal, or blank, by chance too.
            frame = self.rng.integers(0, 3, (H, W), np.uint8)
            if over and self.kind == "repeated":
                self.stacks[b] = frame
            elif over and self.kind == "foreign":
                self.stacks[b] = self.rng.integers(0, 3, SHAPE, np.uint8)
            else:
                if over or self.rng.random() < 0.1:
                    self.stacks[b] = 0
                self.stacks[b] = np.concatenate([self.stacks[b, 1:], frame[None]])
        ended = ~self.over & (self.rng.random(len(self.over)) < self.ends)
        self.over = ended
        return self.stacks.copy(), ~ended


def rounds(player: Player, lengths: list[int]) -> list[tuple[torch.Tensor, ...]]:
    """What is added, call by call: observations, labels that count up, valid."""
    found, count = [], 0
    for length in lengths:
        steps = [player.step() for _ in range(length)]
        observations = torch.from_numpy(np.concatenate([one for one, _ in steps]))
        valid = torch.from_numpy(np.concatenate([one for _, one in steps]))
        labels = torch.arange(count, count + len(valid), dtype=torch.float32)[:, None]
        count += len(valid)
        found.append((observations, labels, valid))
    return found


@given(
    seed=st.integers(0, 2**31),
    num_envs=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    capacity=st.integers(1, 60),
    ends=st.sampled_from([0.0, 0.1, 0.5]),
    kind=st.sampled_from(["cleared", "repeated", "foreign"]),
)
@settings(max_examples=150, deadline=None)
def test_holds_what_a_replay_of_whole_stacks_holds(
    seed: int, num_envs: int, lengths: list[int], capacity: int, ends: float, kind: str
) -> None:
    """Across ends, cleared stacks, wrapped rings and any number of calls: the latest rows."""
    frames, naive = (
        FrameReplay(capacity, SHAPE, 1),
        Replay(capacity, SHAPE, 1, observation_dtype=torch.uint8),
    )
    for observations, labels, valid in rounds(Player(num_envs, seed, ends, kind), lengths):
        added = frames.add(observations, labels, valid, num_envs)
        assert added == naive.add(observations, labels, valid)
    assert (len(frames), frames.num_added) == (len(naive), naive.num_added)
    if len(naive) == 0:
        return
    rows = {
        float(label): stack
        for stack, label in zip(*naive.sample(400, torch.Generator().manual_seed(1)), strict=True)
    }
    stacks, labels = frames.sample(400, torch.Generator().manual_seed(2))
    assert set(labels.flatten().tolist()) <= set(naive._columns["teacher_raw"].flatten().tolist())
    for stack, label in zip(stacks, labels, strict=True):
        if float(label) in rows:
            assert torch.equal(stack, rows[float(label)])
    assert len({float(x) for x in labels}) > 0.6 * min(len(naive), 100) or len(naive) < 5


def test_small_rings_drop_rows_whose_frames_were_overwritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where stacks share nothing, fewer rows are held, and every one of them is right."""
    monkeypatch.setattr("rldistill.data.frames._SPARE", 8)
    monkeypatch.setattr("rldistill.data.frames._CHUNK", 2)
    replay = FrameReplay(20, SHAPE, 1)
    rng = np.random.default_rng(0)
    stacks = torch.from_numpy(rng.integers(1, 255, (50, *SHAPE), np.uint8))
    replay.add(stacks, torch.arange(50.0)[:, None], torch.ones(50, dtype=torch.bool))
    assert len(replay) == 28 // S
    found, labels = replay.sample(200, torch.Generator().manual_seed(0))
    assert set(labels.flatten().int().tolist()) == set(range(50 - 28 // S, 50))
    assert torch.equal(found, stacks[labels.flatten().long()])


def test_each_frame_is_stored_once() -> None:
    """1,000 steps of 4 environments take 4,000 frames, and none for blank ones."""
    player = Player(4, 0, 0.0, "cleared")
    replay = FrameReplay(10_000, SHAPE, 1)
    for observations, labels, valid in rounds(player, [500, 500]):
        replay.add(observations, labels, valid, 4)
    assert len(replay) == 4000
    # A newest frame that is blank by chance is stored too where its stack goes on.
    assert 3900 <= replay._num_frames <= 4000
    assert replay.nbytes == replay._num_frames * H * W + 4000 * (8 * S + 4)


def test_sampling_is_uniform() -> None:
    """Each of ten rows comes up a tenth of the time (chi-square below its 99.99 % quantile)."""
    replay = FrameReplay(10, SHAPE, 1)
    for observations, labels, valid in rounds(Player(1, 3, 0.0, "cleared"), [17]):
        replay.add(observations, labels, valid)
    _, labels = replay.sample(10_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(labels.flatten().long() - 7, minlength=10).double()
    assert len(counts) == 10
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 33.7


@pytest.mark.parametrize("lengths", [[5], [30, 8]])
def test_a_saved_replay_goes_on_as_the_same(lengths: list[int]) -> None:
    """state_dict and load_state_dict: the same samples, also of a ring that has wrapped."""
    given_rounds = rounds(Player(2, 5, 0.2, "cleared"), [*lengths, 6])
    replay, other = FrameReplay(25, SHAPE, 1), FrameReplay(25, SHAPE, 1)
    for observations, labels, valid in given_rounds[:-1]:
        replay.add(observations, labels, valid, 2)
    other.load_state_dict(replay.state_dict())
    for one in (replay, other):
        one.add(*given_rounds[-1], 2)
    first, second = (r.sample(300, torch.Generator().manual_seed(3)) for r in (replay, other))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    with pytest.raises(ShapeError, match="do not fit this replay of 24"):
        FrameReplay(24, SHAPE, 1).load_state_dict(replay.state_dict())


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((4, 4, H, W), torch.uint8, r"must be uint8 \[4, 3, 2, 2\], stacks of 3 frames"),
        ((4, *SHAPE), torch.float32, "must be uint8"),
    ],
)
def test_other_stacks_are_refused(shape: tuple[int, ...], dtype: torch.dtype, message: str) -> None:
    """Stacks of another depth or type say both, and nothing is stored."""
    replay = FrameReplay(10, SHAPE, 1)
    with pytest.raises(ShapeError, match=message):
        replay.add(torch.zeros(shape, dtype=dtype), torch.zeros(4, 1), torch.ones(4) > 0)
    assert len(replay) == 0


def test_what_is_out_of_range_is_refused() -> None:
    """No rows, no capacity, steps that are not whole, labels of another width."""
    with pytest.raises(SettingError, match="capacity must be at least 1"):
        FrameReplay(0, SHAPE, 1)
    replay = FrameReplay(10, SHAPE, 1)
    with pytest.raises(SettingError, match="cannot draw 4 rows from 0"):
        replay.sample(4, torch.Generator())
    stacks = torch.zeros((3, *SHAPE), dtype=torch.uint8)
    with pytest.raises(ShapeError, match="no whole steps of 2 environments"):
        replay.add(stacks, torch.zeros(3, 1), torch.ones(3) > 0, 2)
    with pytest.raises(ShapeError, match="teacher_raw must have shape"):
        replay.add(stacks, torch.zeros(3, 2), torch.ones(3) > 0)


def test_clearing_forgets_rows_and_what_came_before() -> None:
    """Stacks added afterwards are whole again, though their older frames were seen before."""
    (first, labels, valid), (then, more, still) = rounds(Player(1, 0, 0.0, "cleared"), [6, 6])
    replay = FrameReplay(20, SHAPE, 1)
    replay.add(first, labels, valid)
    replay.clear()
    assert (len(replay), replay.num_added) == (0, 6)
    replay.add(then, more, still)
    found, index = replay.sample(100, torch.Generator().manual_seed(0))
    assert torch.equal(found, then[(index.flatten() - 6).long()])


def test_labels_are_replaced_for_every_row_held() -> None:
    """Stacks stay; also after the ring has wrapped."""
    player = Player(2, 0, 0.2, "cleared")
    replay = FrameReplay(30, SHAPE, 1)
    for observations, labels, valid in rounds(player, [20, 20]):
        replay.add(observations, labels[:, :1], valid, 2)
    replay.relabel(lambda seen: seen.flatten(1).float().sum(1, keepdim=True))
    stacks, labels = replay.sample(300, torch.Generator().manual_seed(0))
    assert torch.equal(labels, stacks.flatten(1).float().sum(1, keepdim=True))
    with pytest.raises(ShapeError, match="teacher_raw must have shape"):
        replay.relabel(lambda seen: torch.zeros(len(seen), 2))
