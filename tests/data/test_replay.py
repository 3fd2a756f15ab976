"""The in-memory replay: what goes in comes out, once, and the oldest makes room."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rldistill.data.replay import Replay
from rldistill.errors import SettingError, ShapeError


def rows(start: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations [count, 2] and labels [count, 3] that both tell the row's number."""
    number = torch.arange(start, start + count, dtype=torch.float32)
    return torch.stack([number, -number], 1), torch.stack([number] * 3, 1)


def numbers(replay: Replay) -> list[int]:
    """The numbers of the rows held, whatever their order."""
    return sorted(replay.state_dict()["rows"]["observations"][:, 0].int().tolist())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.lists(st.lists(st.booleans(), max_size=25), max_size=6))
def test_the_replay_holds_the_newest_valid_rows(capacity: int, masks: list[list[bool]]) -> None:
    """Compared with a plain list, for any capacity and any masks, longer than it included."""
    replay, oracle, start = Replay(capacity, (2,), 3), [], 0
    for mask in masks:
        replay.add(*rows(start, len(mask)), torch.tensor(mask, dtype=torch.bool))
        oracle += [start + index for index, valid in enumerate(mask) if valid]
        start += len(mask)
        assert len(replay) == min(len(oracle), capacity)
        assert replay.num_added == len(oracle)
        assert numbers(replay) == oracle[-capacity:]


def test_labels_stay_with_their_observations_round_the_ring() -> None:
    replay = Replay(7, (2,), 3)
    for start in range(0, 50, 5):
        replay.add(*rows(start, 5), torch.tensor([True, False, True, True, True]))
    observations, labels = replay.sample(200, torch.Generator().manual_seed(0))
    assert (observations[:, 0] == -observations[:, 1]).all()
    assert (labels == observations[:, :1]).all()


def test_a_saved_replay_goes_on_as_the_first_would_have() -> None:
    """Before and after the ring is full: same rows, same samples, same row overwritten next."""
    for added in (3, 5, 12):
        first, second = Replay(5, (2,), 3), Replay(5, (2,), 3)
        first.add(*rows(0, added), torch.ones(added, dtype=torch.bool))
        second.load_state_dict(first.state_dict())
        for replay in (first, second):
            replay.add(*rows(100, 2), torch.ones(2, dtype=torch.bool))
        pair = [replay.sample(20, torch.Generator().manual_seed(1)) for replay in (first, second)]
        assert torch.equal(pair[0][0], pair[1][0])
        assert numbers(first) == numbers(second)
        assert first.num_added == second.num_added == added + 2


def test_a_checkpoint_takes_the_filled_part_only_and_shares_no_memory() -> None:
    replay = Replay(1000, (2,), 3)
    replay.add(*rows(0, 4), torch.ones(4, dtype=torch.bool))
    state = replay.state_dict()
    saved = sum(x.untyped_storage().nbytes() for x in state["rows"].values())
    assert saved == replay.nbytes == 4 * (2 + 3) * 4
    state["rows"]["observations"].zero_()
    assert numbers(replay) == [0, 1, 2, 3]


def test_another_tasks_checkpoint_is_refused_and_changes_nothing() -> None:
    replay = Replay(5, (2,), 3)
    replay.add(*rows(0, 2), torch.ones(2, dtype=torch.bool))
    good = replay.state_dict()
    others = [Replay(6, (2,), 3), Replay(5, (3,), 3), Replay(5, (2,), 4)]
    others += [
        Replay(5, (2,), 3, observation_dtype=torch.uint8),
        Replay(5, (2,), 3, "cpu", torch.float32, ()),
    ]
    states = [other.state_dict() for other in others]
    states += [{**good, "numbers": (5, 4, 2)}]
    states += [{**good, "rows": {**good["rows"], "teacher_raw": torch.zeros(3, 3)}}]
    for state in states:
        with pytest.raises(ShapeError, match="resume with the same task"):
            replay.load_state_dict(state)
    assert numbers(replay) == [0, 1]


def test_pixels_are_kept_as_bytes() -> None:
    replay = Replay(4, (1, 8, 8), 2, observation_dtype=torch.uint8)
    frames = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    replay.add(frames, torch.zeros(3, 2), torch.ones(3, dtype=torch.bool))
    assert replay.sample(5, torch.Generator())[0].dtype == torch.uint8
    assert replay.row_nbytes == 64 + 8
    with pytest.raises(ShapeError, match=r"uint8; got torch\.float32"):
        replay.add(frames.float(), torch.zeros(3, 2), torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observations": torch.zeros(2, 3)}, r"observations must have shape \[2, 2\]"),
        ({"teacher_raw": torch.zeros(2, 4)}, r"teacher_raw must have shape \[2, 3\]"),
        ({"teacher_raw": torch.zeros(3, 3)}, r"teacher_raw must have shape \[2, 3\]"),
        ({"valid": torch.ones(2)}, "valid must be bool"),
        ({"valid": torch.ones(2, 1, dtype=torch.bool)}, "valid must be bool"),
        ({"actions": torch.zeros(2)}, "stores observations, teacher_raw; got"),
    ],
)
def test_what_does_not_fit_is_named_and_not_stored(change: dict, message: str) -> None:
    replay = Replay(5, (2,), 3)
    observations, labels = rows(0, 2)
    good = {"observations": observations, "teacher_raw": labels}
    good["valid"] = torch.ones(2, dtype=torch.bool)
    with pytest.raises(ShapeError, match=message):
        replay.add(**{**good, **change})
    assert len(replay) == replay.num_added == 0


def test_actions_are_int64_indices_or_float_vectors() -> None:
    discrete, box = (Replay(4, (2,), 0, action_shape=shape) for shape in ((), (3,)))
    valid = torch.tensor([True, False, True])
    discrete.add(rows(0, 3)[0], torch.zeros(3, 0), valid, torch.tensor([5, 6, 7]))
    box.add(rows(0, 3)[0], torch.zeros(3, 0), valid, torch.eye(3))
    observations, actions = discrete.sample_actions(50, torch.Generator())
    assert actions.dtype == torch.int64
    assert (actions == observations[:, 0] + 5).all()
    assert box.sample_actions(6, torch.Generator())[1].shape == (6, 3)


@pytest.mark.parametrize(
    "arguments",
    [(0, (2,), 3), (5, (2,), -1), (5, (2,), 3, "cpu", torch.float64), (2**50, (2**10,), 3)],
)
def test_impossible_settings_are_refused(arguments: tuple) -> None:
    with pytest.raises(SettingError, match="replay"):
        Replay(*arguments)


def test_drawing_from_nothing_is_an_error() -> None:
    with pytest.raises(SettingError, match="cannot draw"):
        Replay(4, (2,), 3).sample(1, torch.Generator())
    with pytest.raises(SettingError, match="no actions are stored"):
        Replay(4, (2,), 3).sample_actions(1, torch.Generator())


def test_labels_are_replaced_for_every_row_held() -> None:
    """Also after the ring has wrapped; observations stay."""
    replay = Replay(4, (1,), 1)
    seen = torch.arange(6.0)[:, None]
    replay.add(seen, torch.zeros(6, 1), torch.ones(6, dtype=torch.bool))
    replay.relabel(lambda rows: 10 * rows, rows_at_once=3)
    drawn, labels = replay.sample(100, torch.Generator().manual_seed(0))
    assert torch.equal(labels, 10 * drawn)
    assert sorted(set(drawn.flatten().tolist())) == [2.0, 3.0, 4.0, 5.0]


def test_labels_of_another_width_are_refused() -> None:
    replay = Replay(4, (1,), 1)
    replay.add(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, dtype=torch.bool))
    with pytest.raises(ShapeError, match="teacher_raw must have shape"):
        replay.relabel(lambda rows: torch.zeros(len(rows), 2))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6), st.integers(0, 12))
def test_the_newest_rows_are_those_added_last(counts: list[int], asked: int) -> None:
    """Also round the ring, and all of those held where more are asked for."""
    replay, start = Replay(9, (2,), 3), 0
    for count in counts:
        replay.add(*rows(start, count), torch.ones(count, dtype=torch.bool))
        start += count
    observations, labels = replay.newest(asked)
    assert observations[:, 0].int().tolist() == list(range(max(0, start - min(asked, 9)), start))
    assert torch.equal(observations[:, 0], labels[:, 0])
    held, _ = replay.rows()
    assert sorted(held[:, 0].int().tolist()) == numbers(replay)
    with pytest.raises(SettingError, match="newest"):
        replay.newest(-1)
