import numpy as np
import pytest
import torch
from small_rounds import NAN, REWARDS, flags, the_round

from rldistill.train.episodes import WINDOW, RecentReturns


def test_there_is_no_mean_before_an_episode_has_ended():
    recent = RecentReturns()
    assert recent.mean is None
    recent.add(the_round(terminated=flags(), truncated=flags(), valid=~flags()))
    assert recent.mean is None


def test_whole_episodes_by_hand():
    """1 + 2 terminated and 7 + 8 + 9 was cut; what a phantom step paid does not count."""
    recent = RecentReturns()
    recent.add(the_round())
    assert recent.mean == pytest.approx((3 + 24) / 2)


def test_an_episode_goes_on_in_the_next_round():
    """4 + 5 + 6 of one round and 1 + 2 of the next."""
    recent = RecentReturns()
    recent.add(the_round())
    recent.add(the_round())
    assert recent.mean == pytest.approx(np.mean([3, 24, 15 + 3, 23 + 24]))


def test_a_round_that_begins_anew_forgets_what_was_under_way():
    """As in a live vector environment, where testing has played in between."""
    recent = RecentReturns()
    recent.add(the_round())
    recent.add(the_round(), anew=True)
    assert recent.mean == pytest.approx(np.mean([3, 24, 3, 24]))


def test_an_end_in_a_phantom_step_is_none():
    recent = RecentReturns()
    recent.add(the_round(terminated=flags((1, 0), (2, 0))))
    assert recent.mean == pytest.approx((3 + 24) / 2)


def test_only_the_latest_count():
    recent = RecentReturns()
    every = torch.ones(6, 2, dtype=torch.bool)
    for value in (1000.0, *range(20)):
        rewards = torch.full_like(REWARDS, value)
        recent.add(the_round(rewards=rewards, terminated=every, truncated=~every, valid=every))
    latest = np.repeat(np.arange(20), 12)[-WINDOW:]
    assert recent.mean == pytest.approx(latest.mean())
    assert not np.isnan(recent.mean)
    assert np.isnan(NAN)


def test_episodes_that_the_teacher_began_do_not_count():
    """Neither those that it ended, nor those that the student goes on with: 15 + 3 and 23 + 24."""
    recent = RecentReturns()
    recent.add(the_round())
    recent.add(the_round(), counted=False)
    assert recent.mean is None
    recent.add(the_round())
    assert recent.mean is None
    recent.add(the_round())
    assert recent.mean == pytest.approx(np.mean([15 + 3, 23 + 24]))
