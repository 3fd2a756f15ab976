"""Numbering steps and episodes across trajectories, by hand."""

import numpy as np

from rldistill.data.episode_clock import EpisodeClock


def test_two_environments_by_hand_however_the_steps_are_cut() -> None:
    """Environment 0 ends after 2 steps, then 1; environment 1 never ends. P: phantom."""
    valid = np.array([[1, 1], [1, 1], [0, 1], [1, 1], [0, 1], [1, 1]], bool)
    ended = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [0, 0], [0, 0]], bool)
    for cuts in ([6], [2, 4], [3, 3], [1, 1, 1, 1, 1, 1], [0, 4, 0, 2]):
        clock, found, start = EpisodeClock(2), [], 0
        for size in cuts:
            found.append(clock.tick(valid[start : start + size], ended[start : start + size]))
            start += size
        episode, step, final = (np.concatenate(parts) for parts in zip(*found, strict=True))
        assert episode[valid].tolist() == [0, 1, 0, 1, 1, 2, 1, 1, 4, 1]
        assert step[valid].tolist() == [0, 0, 1, 1, 2, 0, 3, 4, 0, 5]
        assert final.tolist() == [[-1, -1], [-1, -1], [0, -1], [-1, -1], [2, -1], [-1, -1]]
        assert clock.open_episodes().tolist() == [4, 1]


def test_an_episode_that_has_just_ended_still_waits_for_its_last_observation() -> None:
    clock = EpisodeClock(1)
    clock.tick(np.ones((2, 1), bool), np.array([[False], [True]]))
    assert clock.open_episodes().tolist() == [0]
    clock.tick(np.zeros((1, 1), bool), np.zeros((1, 1), bool))
    assert clock.open_episodes().tolist() == [-1]


def test_without_a_phantom_step_no_observation_is_taken_for_the_last() -> None:
    """What follows the end is then the next episode's first observation."""
    clock = EpisodeClock(1)
    _, _, final = clock.tick(np.ones((3, 1), bool), np.array([[False], [True], [False]]))
    assert (final == -1).all()
