"""The nearest change is the nearest: compared with brute force."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trees import GRID, continuous, discrete, policy_of, random_tree, seeds

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.explain.actions import acts, sameness
from rldistill.explain.boxes import Box, leaf_boxes
from rldistill.explain.changes import changes_of
from rldistill.explain.counterfactuals import distances, exact_changes, searched_changes
from rldistill.explain.played import Played

SCALE = np.array([0.5, 2.0, 1.0])
LOW, HIGH = np.full(3, -3.0, np.float32), np.full(3, 3.0, np.float32)


def exact(policy: NetworkPolicy, states: np.ndarray, scale: np.ndarray = SCALE) -> tuple:
    boxes = leaf_boxes(policy.module.tree, 3).within(Box(LOW, HIGH))
    actions = acts(policy, np.clip(np.zeros_like(boxes.low), boxes.low, boxes.high))
    return exact_changes(boxes, actions, states, (policy.info.head, scale))


def brute_force(policy: NetworkPolicy, state: np.ndarray, scale: np.ndarray = SCALE) -> float:
    """Over all combinations of thresholds, the float32 above them, and the state's own values."""
    marks = np.float32([*GRID, -3.0, 3.0])
    above = np.nextafter(marks[:-1], np.float32(9))
    columns = [np.unique([*marks, *above, own]).astype(np.float32) for own in state]
    points = np.stack(np.meshgrid(*columns, indexing="ij"), -1).reshape(-1, 3)
    mine = acts(policy, state[None])
    other = sameness(policy.info.head, acts(policy, points), np.repeat(mine, len(points), 0)) < 1
    far = np.where(other, distances(points, state, scale), np.inf)
    return float(far.min())


@settings(max_examples=25)
@given(seed=seeds, leaves=st.integers(1, 8), boxes=st.booleans())
def test_exact_changes_are_as_near_as_brute_force(seed: int, leaves: int, boxes: bool) -> None:
    policy = (continuous if boxes else discrete)(seed, leaves)
    states = np.random.default_rng(seed).uniform(-2, 2, (3, 3)).astype(np.float32)
    apart, changed = exact(policy, states)
    for row in range(len(states)):
        assert np.isclose(apart[row], brute_force(policy, states[row]), rtol=1e-6)
    before, after = acts(policy, states), acts(policy, changed)
    different = sameness(policy.info.head, before, after) < 1
    assert np.array_equal(different, np.isfinite(apart))
    assert np.allclose(distances(changed, states, SCALE)[different], apart[different])


@settings(max_examples=20)
@given(seed=seeds)
def test_the_search_changes_the_action_and_is_no_nearer_than_the_nearest(seed: int) -> None:
    policy = discrete(seed, 8)
    generator = np.random.default_rng(seed)
    states = generator.uniform(-2, 2, (6, 3)).astype(np.float32)
    pool = generator.uniform(-2, 2, (500, 3)).astype(np.float32)
    found, changed = searched_changes(
        lambda x: acts(policy, x), (pool, acts(policy, pool)), states, (policy.info.head, SCALE)
    )
    nearest, _ = exact(policy, states)
    finite = np.isfinite(found)
    assert (found >= nearest - 1e-6).all()
    different = acts(policy, states) != acts(policy, changed)
    assert np.array_equal(different, finite)
    assert np.allclose(distances(changed, states, SCALE)[finite], found[finite], rtol=1e-5)


def test_the_search_is_mostly_close_to_exact() -> None:
    """It is an upper bound that is worth telling: within 5 % for most states of most trees."""
    ratios: list[float] = []
    for seed in range(15):
        policy = discrete(seed, 8)
        generator = np.random.default_rng(seed)
        states, pool = (generator.uniform(-2, 2, (n, 3)).astype(np.float32) for n in (10, 1000))
        found, _ = searched_changes(
            lambda x, policy=policy: acts(policy, x),
            (pool, acts(policy, pool)), states, (policy.info.head, SCALE),
        )  # fmt: skip
        nearest, _ = exact(policy, states)
        kept = np.isfinite(found) & np.isfinite(nearest)
        ratios += (found[kept] / nearest[kept]).tolist()
    assert len(ratios) > 100
    assert np.quantile(ratios, 0.75) < 1.05


def test_a_feature_that_never_varies_is_not_changed() -> None:
    tree = random_tree(np.random.default_rng(1), 2, 3)
    tree.values[1], tree.values[2] = [1, 0, 0], [0, 1, 0]
    policy = policy_of(tree, CategoricalHead(3))
    feature = int(tree.feature[0])
    scale = SCALE.copy()
    state = np.zeros((1, 3), np.float32)
    assert np.isfinite(exact(policy, state, scale)[0][0])
    scale[feature] = 0.0
    apart, changed = exact(policy, state, scale)
    assert apart[0] == np.inf
    assert np.array_equal(changed, state)


def test_changes_of_states_played() -> None:
    """Within what the task declares; one example per action; exact for trees, else searched."""
    policy = discrete(3, 6)
    states = np.random.default_rng(0).uniform(-1, 1, (300, 3)).astype(np.float32)
    played = Played(states, acts(policy, states), np.zeros(300), np.zeros(300, int), np.zeros(1))
    space = np.full(3, -1.0, np.float32), np.full(3, 1.0, np.float32)
    changes = changes_of(policy, policy.module.tree, played, space)
    assert changes.exact
    assert list(changes.quantiles) == sorted(changes.quantiles)
    assert {int(one.action) for one in changes.examples} == set(acts(policy, states).tolist())
    assert all((np.abs(one.changed) <= 1).all() for one in changes.examples)
    searched = changes_of(policy, None, played, space)
    assert not searched.exact
    assert searched.quantiles[2] >= 0.5 * changes.quantiles[2]
