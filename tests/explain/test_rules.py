"""Rules in words say what the tree does."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trees import NUM_FEATURES, dense_points, random_tree, seeds

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.envs.naming import Feature, TaskNames
from rldistill.explain.rules import Bound, rules_of, short_thresholds
from rldistill.students.tree import LEAF, constant_tree

NAMES = TaskNames(
    (Feature("x velocity", "m/s"), Feature("angle", "rad"), Feature("height")),
    ("left", "stay", "right"),
)
NONE = np.zeros((0, NUM_FEATURES), np.float32)
HEAD = CategoricalHead(3)
CONDITION = re.compile(r"(?:(\S+) < )?(x velocity|angle|height) ?(<=|>)? ?(\S+)?")


def said_by(words: str, points: np.ndarray) -> tuple[np.ndarray, str]:
    """Read a rule as a person does: which points it speaks of, and the action."""
    conditions, _, action = words.rpartition(" -> ")
    spoken_of = np.ones(len(points), bool)
    for part in conditions.split(" and ") if conditions != "always" else []:
        low, name, sign, number = CONDITION.match(part).groups()
        x = points[:, [one.name for one in NAMES.features].index(name)]
        if low is not None:
            spoken_of &= x > np.float32(low)
        spoken_of &= x > np.float32(number) if sign == ">" else x <= np.float32(number)
    return spoken_of, action


@settings(max_examples=40)
@given(seed=seeds, leaves=st.integers(1, 12))
def test_words_read_back_decide_as_the_tree_does(seed: int, leaves: int) -> None:
    """On every point: with no states to round for, numbers are exact."""
    tree = random_tree(np.random.default_rng(seed), leaves, 3)
    points = dense_points(np.full(3, -5, np.float32), np.full(3, 5, np.float32), 50)
    action_of = tree.raw(points).argmax(1)
    counted = np.zeros(len(points), int)
    for rule in rules_of(tree, HEAD, NAMES, NONE):
        spoken_of, action = said_by(rule.words(NAMES), points)
        assert np.array_equal(spoken_of, rule.holds(points))
        assert np.array_equal(spoken_of, tree.leaf_of(points) == rule.leaf)
        assert {NAMES.actions[i] for i in action_of[spoken_of]} <= {action}
        counted += spoken_of
    assert (counted == 1).all()


@settings(max_examples=50)
@given(seed=seeds)
def test_rounded_words_decide_alike_about_the_states_given(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, 8, 3)
    jitter = generator.uniform(-0.05, 0.05, tree.num_nodes).astype(np.float32)
    tree.threshold[:] = np.where(tree.feature == LEAF, 0, tree.threshold + jitter)
    states = generator.uniform(-2, 2, (200, 3)).astype(np.float32)
    for rule in rules_of(tree, HEAD, NAMES, states):
        spoken_of, _ = said_by(rule.words(NAMES), states)
        assert np.array_equal(spoken_of, tree.leaf_of(states) == rule.leaf)
    exact = [len(word) for word in short_thresholds(tree, NONE).values()]
    short = [len(word) for word in short_thresholds(tree, states).values()]
    assert sum(short) < sum(exact)


def test_thresholds_that_differ_keep_different_numbers() -> None:
    """Without any state between them too."""
    tree = random_tree(np.random.default_rng(0), 6, 3)
    nodes = np.flatnonzero(tree.feature != LEAF)
    tree.feature[nodes] = 1
    tree.threshold[nodes] = np.float32(0.12345) + np.arange(len(nodes)) * np.float32(1e-5)
    words = short_thresholds(tree, np.float32([[0, -3, 0], [0, 3, 0]]))
    order = sorted(nodes.tolist(), key=lambda node: tree.threshold[node])
    found = [float(words[node]) for node in order]
    assert found == sorted(set(found))


def test_redundant_bounds_are_merged() -> None:
    """Three questions about one feature are one interval, with one name and one unit."""
    names = ("0.1 < angle <= 0.3 rad", "angle <= 0.1 rad", "angle > 0.3 rad")
    for seed in range(60):
        tree = random_tree(np.random.default_rng(seed), 10, 3)
        for rule in rules_of(tree, HEAD, NAMES, NONE):
            features = [bound.feature for bound in rule.bounds]
            assert len(features) == len(set(features))
    assert Bound(1, "0.1", "0.3").words(NAMES.features[1]) == names[0]


def test_the_line_of_the_issue() -> None:
    tree = random_tree(np.random.default_rng(0), 2, 3)
    tree.feature[0], tree.threshold[0] = 0, np.float32(-0.12)
    tree.values[1] = [0, 0, 1]
    assert rules_of(tree, HEAD, NAMES, NONE)[0].words(NAMES) == "x velocity <= -0.12 m/s -> right"


def test_a_single_leaf_and_continuous_and_linear_leaves() -> None:
    single = constant_tree(np.float32([0, 1, 0]))
    assert rules_of(single, HEAD, NAMES, NONE)[0].words(NAMES) == "always -> stay"
    gaussian = GaussianHead((-1.0, -1.0), (1.0, 1.0))
    names = TaskNames(NAMES.features, ("torque", "gas"))
    flat = constant_tree(np.float32([0.25, 7.0, 0, 0]))
    assert rules_of(flat, gaussian, names, NONE)[0].words(names) == "always -> torque 0.25, gas 1"
    linear = random_tree(np.random.default_rng(0), 1, 4, linear=True)
    linear.values[0], linear.coefficients[0] = 0.5, 0
    linear.coefficients[0, 0] = [0, -2, 0.5]
    assert rules_of(linear, gaussian, names, NONE)[0].action == (
        "torque = 0.5 - 2 * angle + 0.5 * height, gas = 0.5"
    )
