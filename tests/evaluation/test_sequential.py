import json

import numpy as np
import pytest

from rldistill.errors import NotFiniteError, SettingError, ShapeError
from rldistill.evaluation.sequential import SequentialVerdict


def rounds(student: float, count: int = 32, seed: int = 0, sd: float = 10):
    """Returns of one round: teacher 250, random policy -150."""
    generator = np.random.default_rng(seed)
    means = (student, 250.0, -150.0)
    return tuple(generator.normal(mean, sd, count) for mean in means)


def drained(state: SequentialVerdict, student: float, sd: float = 10) -> SequentialVerdict:
    seed = 0
    while state.decision == "continue":
        seed += 1
        state = state.add_round(*rounds(student, seed=seed, sd=sd))
    return state


def perfect(count: int):
    return [500.0] * count, [500.0] * count, [22.0, 8.0] * (count // 2)


def test_levels_halve_and_sum_to_a_twentieth():
    state, spent = SequentialVerdict(floor=0.95), 0.0
    for _ in range(40):
        spent += state.level
        state = state.next_candidate()
    assert SequentialVerdict(floor=0.95).level == 0.025
    assert spent == pytest.approx(0.05)


def test_a_good_candidate_holds_and_never_before_64_episodes():
    state = SequentialVerdict(floor=0.5).add_round(*perfect(62))
    assert state.decision == "continue"
    assert state.add_round(*perfect(2)).decision == "holds"


def test_later_candidates_need_more():
    """64 and 72 perfect episodes at 0.95: enough for 0.05 and 0.025, not for 0.025 and 0.0125."""
    first, second = SequentialVerdict(floor=0.95), SequentialVerdict(floor=0.95).next_candidate()
    assert first.add_round(*perfect(64)).decision == "continue"
    assert first.add_round(*perfect(80)).decision == "holds"
    assert second.add_round(*perfect(80)).decision == "continue"
    assert second.add_round(*perfect(96)).decision == "holds"


def test_a_candidate_below_the_floor_is_given_up_at_128():
    state = SequentialVerdict(floor=0.95)
    for seed in range(3):
        state = state.add_round(*rounds(200, seed=seed))
        assert state.decision == "continue"
    assert state.add_round(*rounds(200, seed=3)).decision == "give-up"


@pytest.mark.parametrize(
    ("edge", "episodes"), [(0.01, 128), (1.0, 1024)], ids=["a hair above", "a little above"]
)
def test_a_candidate_too_close_to_call_is_given_up(edge: float, episodes: int):
    """At once where a forecast says that it is hopeless, else when the episodes run out."""
    state = SequentialVerdict(floor=0.95)
    while state.decision == "continue":
        _, teacher, random = rounds(0, seed=state.episodes)
        state = state.add_round(0.95 * teacher + 0.05 * random + edge, teacher, random)
    assert (state.decision, state.episodes) == ("give-up", episodes)


def test_no_candidate_holds_against_a_teacher_like_the_random_policy():
    generator = np.random.default_rng(0)
    state = SequentialVerdict(floor=0.95)
    while state.decision == "continue":
        state = state.add_round(*(generator.normal(m, 1, 32) for m in (9.0, 0.0, 0.0)))
    assert state.decision == "give-up"
    assert state.conclude([9.0] * 2, [0.0] * 2, [0.0] * 2).verdict is None


def test_a_decision_is_final():
    state = SequentialVerdict(floor=0.95).add_round(*perfect(96))
    with pytest.raises(SettingError, match=r"candidate 1 is decided \(holds\)"):
        state.add_round(*perfect(32))
    following = state.next_candidate()
    assert (following.candidate, following.decision, following.episodes) == (2, "continue", 0)


def test_states_are_frozen():
    """A round added does not change the state it was added to."""
    state = SequentialVerdict(floor=0.95)
    state.add_round(*perfect(32))
    assert state == SequentialVerdict(floor=0.95)


def test_a_state_survives_json_and_goes_on_alike():
    state = SequentialVerdict(floor=0.95).next_candidate().add_round(*rounds(245))
    restored = SequentialVerdict.restore(json.loads(json.dumps(state.as_dict())))
    assert restored == state
    assert drained(restored, 245) == drained(state, 245)


def test_the_numbers_come_from_the_episodes_after_the_stop():
    state = drained(SequentialVerdict(floor=0.95), 250)
    fresh = rounds(240, count=50, seed=99)
    found = state.conclude(*fresh)
    assert found.verdict == "holds"
    assert found.student_return == pytest.approx(fresh[0].mean())
    assert found.fraction == pytest.approx(0.975, abs=0.02)
    assert found.episodes == state.episodes
    assert "at one-sided 97.5 %" in found.reason
    assert "the means are those of 50 episodes after the test" in found.reason


def test_holds_is_not_taken_back():
    state = SequentialVerdict(floor=0.95).add_round(*perfect(96))
    assert state.conclude([400.0] * 64, *perfect(64)[1:]).verdict == "holds"


def test_a_bad_final_candidate_fails():
    found = drained(SequentialVerdict(floor=0.95), 150).conclude(*rounds(150, 128, seed=9))
    assert (found.verdict, found.episodes) == ("fails", 256)
    assert "one-sided 95 %" in found.reason


def test_a_final_candidate_between_is_unsure():
    state = drained(SequentialVerdict(floor=0.95), 229, sd=60)
    assert state.decision == "give-up"
    assert state.conclude(*rounds(229, 64, seed=9, sd=60)).verdict == "unsure"


def test_fresh_episodes_alone_are_held_to_the_candidates_level():
    """A candidate without rounds gets no second chance at 0.05."""
    state = SequentialVerdict(floor=0.95, candidate=6)
    assert state.conclude(*perfect(64)).verdict == "unsure"
    assert state.conclude(*perfect(300)).verdict == "holds"


def test_bad_rounds_are_named():
    state = SequentialVerdict(floor=0.95)
    with pytest.raises(ShapeError, match="a round needs as many episodes of each policy; got 2"):
        state.add_round([1.0, 2.0], [1.0], [0.0])
    with pytest.raises(NotFiniteError, match="teacher_returns"):
        state.add_round([1.0], [float("nan")], [0.0])
    with pytest.raises(ShapeError, match="student_returns"):
        state.add_round([], [], [])


def test_bad_states_are_named():
    with pytest.raises(SettingError, match="floor must lie in"):
        SequentialVerdict(floor=0)
    with pytest.raises(SettingError, match="counted from 1; got 0"):
        SequentialVerdict(floor=0.95, candidate=0)
    with pytest.raises(ShapeError, match="as many returns"):
        SequentialVerdict(floor=0.95, student=(1.0,))
    with pytest.raises(SettingError, match="the verdict's state needs the keys"):
        SequentialVerdict.restore({"floor": 0.95})
