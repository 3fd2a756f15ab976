"""What is proved of a tree in a box is what brute force over the box finds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_policies import always
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trees import GRID, NUM_FEATURES, continuous, dense_points, discrete, policy_of, seeds

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.envs.naming import Feature, TaskNames
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import SettingError, TaskError
from rldistill.explain import verify
from rldistill.explain.verify import Proof, Question, verify_tree
from rldistill.students.tree import constant_tree

BOUNDS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(GRID)),
    max_size=4,
)
SPACE = spaces.Box(-2, 2, (NUM_FEATURES,))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is asked for its spaces and names alone: give them without making environments."""
    monkeypatch.setattr(verify, "task_info", lambda spec: TASK_INFO[spec.id])
    monkeypatch.setattr(verify, "task_names", lambda spec, info, file: NAMES[spec.id])


def info(actions: Any) -> Any:
    return TaskInfo(
        id="Toy-v0", backend="gymnasium", observation_space=SPACE, action_space=actions,
        equal_starts=True, max_episode_steps=10,
    )  # fmt: skip


FEATURES = (Feature("pole angle", "rad"), Feature("speed", "m/s"), Feature("height"))
TASK_INFO = {"discrete": info(spaces.Discrete(3)), "continuous": info(spaces.Box(-1, 1, (2,)))}
NAMES = {
    "discrete": TaskNames(FEATURES, ("left", "stay", "right")),
    "continuous": TaskNames(FEATURES, ("torque", "gas")),
}


def proof_of(policy: NetworkPolicy, kind: str, **asked: Any) -> Proof:
    return verify_tree(policy, TaskSpec(id=kind), Question(**asked))


def words(bounds: list[tuple[int, str, float]]) -> tuple[str, ...]:
    return tuple(f"{FEATURES[i].name} {sign} {number!r}" for i, sign, number in bounds)


def really_inside(points: Any, bounds: list[tuple[int, str, float]]) -> Any:
    """Which points fulfil the conditions as real numbers."""
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    inside = np.ones(len(points), bool)
    for index, sign, number in bounds:
        inside &= compare[sign](points[:, index].astype(np.float64), number)
    return inside


@settings(max_examples=50)
@given(seed=seeds, leaves=st.integers(1, 9), bounds=BOUNDS)
def test_the_actions_proved_are_those_of_dense_sampling(
    seed: int, leaves: int, bounds: list[tuple[int, str, float]]
) -> None:
    """Points at thresholds and their float32 neighbours included, every combination of them."""
    policy = discrete(seed, leaves)
    everything = dense_points(np.full(3, -5.0, np.float32), np.full(3, 5.0, np.float32), 0)
    points = everything[really_inside(everything, bounds)]
    if len(points) == 0:
        with pytest.raises(SettingError, match="the box has no inside"):
            proof_of(policy, "discrete", box=words(bounds))
        return
    proof = proof_of(policy, "discrete", box=words(bounds))
    sampled = set(policy.predict(points)[0].tolist())
    assert {action for leaf in proof.leaves for action in leaf.actions} == sampled
    assert all(really_inside(leaf.region.low[None], bounds)[0] for leaf in proof.leaves)


@settings(max_examples=50)
@given(seed=seeds, leaves=st.integers(1, 9), bounds=BOUNDS, action=st.integers(0, 2))
def test_a_claim_is_answered_as_brute_force_does(
    seed: int, leaves: int, bounds: list[tuple[int, str, float]], action: int
) -> None:
    policy = discrete(seed, leaves)
    everything = dense_points(np.full(3, -5.0, np.float32), np.full(3, 5.0, np.float32), 0)
    points = everything[really_inside(everything, bounds)]
    if len(points) == 0:
        return
    taken = policy.predict(points)[0]
    never = proof_of(policy, "discrete", box=words(bounds), never=(str(action),))
    always = proof_of(policy, "discrete", box=words(bounds), always=(str(action),))
    assert never.holds is not bool((taken == action).any())
    assert always.holds is bool((taken == action).all())
    for proof, broken in ((never, lambda a: a == action), (always, lambda a: a != action)):
        assert (proof.counterexample is None) is proof.holds
        if proof.counterexample is not None:
            assert really_inside(proof.counterexample[None], bounds)[0]
            assert broken(int(policy.predict(proof.counterexample)[0]))
            assert int(proof.action) == int(policy.predict(proof.counterexample)[0])


@settings(max_examples=20)
@given(seed=seeds, leaves=st.integers(1, 6))
def test_linear_leaves_can_do_what_sampling_finds(seed: int, leaves: int) -> None:
    """Every sampled action is reported, and every action reported was seen: no false proof."""
    policy = discrete(seed, leaves, linear=True)
    box = tuple(f"-1 <= {one.name} <= 1" for one in FEATURES)
    proof = proof_of(policy, "discrete", box=box)
    points = dense_points(np.full(3, -1.0, np.float32), np.full(3, 1.0, np.float32))
    tree = policy.module.tree
    nodes, taken = tree.leaf_of(points), policy.predict(points)[0]
    reached = {leaf.leaf: leaf for leaf in proof.leaves}
    for node in np.unique(nodes).tolist():
        leaf = reached[node]
        found = set(taken[nodes == node].tolist())
        assert found <= set(leaf.actions) | set(leaf.open_actions)
    for action in range(3):
        never = proof_of(policy, "discrete", box=box, never=(str(action),))
        if (taken == action).any():
            assert never.holds is not True
        if never.counterexample is not None:
            assert int(policy.predict(never.counterexample)[0]) == action
            assert (np.abs(never.counterexample) <= 1).all()


def test_most_linear_claims_are_decided() -> None:
    """Open is for rounding, not for what the method cannot do."""
    box = tuple(f"0.3 <= {one.name} <= 0.6" for one in FEATURES)
    answers = [
        proof_of(discrete(seed, 4, linear=True), "discrete", box=box, never=(str(action),)).answer
        for seed in range(20)
        for action in range(3)
    ]
    assert answers.count("open") == 0
    assert {"yes", "no"} == set(answers)


@settings(max_examples=20)
@given(seed=seeds, linear=st.booleans(), level=st.floats(-1.2, 1.2))
def test_bounds_of_continuous_actions_hold_and_breaking_points_break(
    seed: int, linear: bool, level: float
) -> None:
    policy = continuous(seed, 5, linear=linear)
    box = tuple(f"-1 <= {one.name} <= 1" for one in FEATURES)
    points = dense_points(np.full(3, -1.0, np.float32), np.full(3, 1.0, np.float32))
    taken = policy.predict(points)[0]
    proof = proof_of(policy, "continuous", box=box, never=(f"gas > {level!r}",))
    nodes = policy.module.tree.leaf_of(points)
    reached = {leaf.leaf: leaf for leaf in proof.leaves}
    for node in np.unique(nodes).tolist():
        assert (taken[nodes == node] >= reached[node].low).all()
        assert (taken[nodes == node] <= reached[node].high).all()
    assert proof.holds is not None
    if (taken[:, 1].astype(np.float64) > level).any():
        assert proof.holds is False
    if proof.counterexample is not None:
        assert float(policy.predict(proof.counterexample)[0][1]) > level
    else:
        assert proof.holds is True


@pytest.mark.parametrize("linear", [False, True])
def test_always_for_continuous_actions(linear: bool) -> None:
    policy = continuous(3, 4, linear=linear)
    everywhere = proof_of(policy, "continuous", always=("-1 <= torque <= 1", "gas <= 1"))
    assert everywhere.holds is True
    assert everywhere.claim == "always -1 <= torque <= 1 and gas <= 1"
    proof = proof_of(policy, "continuous", box=("0 <= speed <= 1",), always=("torque > 0.999",))
    assert proof.holds is False
    assert proof.counterexample is not None
    assert float(policy.predict(proof.counterexample)[0][0]) <= 0.999
    assert 0 <= proof.counterexample[1] <= 1


def test_the_strict_bound_of_the_issue() -> None:
    """x < -0.1 leaves the float32 above -0.1 out, and the one below it in."""
    tree = constant_tree(np.float32([0, 0, 1]))
    proof = proof_of(policy_of(tree, CategoricalHead(3)), "discrete",
                     box=("pole angle < -0.1",), never=("right",))  # fmt: skip
    high = proof.box.high[0]
    assert float(high) < -0.1 <= float(np.nextafter(high, np.float32(1)))
    assert proof.holds is False
    assert proof.to_json()["counterexample"]["action_name"] == "right"


def test_the_declared_bounds_are_used_where_asked_and_otherwise_told() -> None:
    tree = discrete(0, 1)
    box = ("speed > 3",)
    proof = proof_of(tree, "discrete", box=box, always=("left",), in_space=False)
    assert proof.outside_space is (proof.holds is False)
    with pytest.raises(SettingError, match=r"no speed fulfils 'speed > 3' within its declared"):
        proof_of(tree, "discrete", box=box, in_space=True)
    inside = proof_of(tree, "discrete", box=("speed > 1",), in_space=True)
    assert (inside.box.low[1] > 1, inside.box.high.tolist()) == (True, [2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"box": ("speed > 1", "speed < 0")}, "no speed fulfils 'speed > 1 and speed < 0'"),
        ({"box": ("1 < speed < 1",)}, "the box has no inside"),
        ({"box": ("pole angel < 1",)}, "no feature 'pole angel'"),
        ({"box": ("speed < inf",)}, "bounds must be finite"),
        ({"box": ("speed < nan",)}, "bounds must be finite"),
        ({"box": ("speed < 1e39",)}, "bounds must be finite"),
        ({"box": ("speed < fast",)}, "'fast' is not a number"),
        ({"box": ("speed",)}, "must be like 'pole angle < -0.1'"),
        ({"box": ("",)}, "must be like"),
        ({"box": ("0 < speed > 1",)}, "both signs must point the same way"),
        ({"never": ("rigt",)}, "no action 'rigt' (by name, or by index from 0). Did you mean rig"),
        ({"never": ("left",), "always": ("left",)}, "`never` or `always`, not both"),
        ({"always": ("left", "stay", "right")}, "no policy can do anything else"),
    ],
)  # fmt: skip
def test_bad_questions(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        proof_of(discrete(0, 3), "discrete", **asked)
    assert message in str(caught.value)


def test_bad_questions_about_continuous_actions() -> None:
    for never, message in (
        (("torque",), "must be like"),
        (("torque > 0 and gas < 0",), "one action dimension at a time"),
        (("torque > 1 and torque < 0",), "no action is like that"),
        (("throttle > 0",), "no action 'throttle'"),
    ):
        with pytest.raises(SettingError) as caught:
            proof_of(continuous(0, 3), "continuous", never=never)
        assert message in str(caught.value)


def test_what_is_no_tree_is_told_how_to_become_one(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"only trees can be verified.*--student tree:32"):
        proof_of(always([0.0, 1.0, 0.0], CategoricalHead(3), 3), "discrete")


def test_no_number_of_a_counterexample_is_told_as_minus_zero() -> None:
    proof = replace(
        proof_of(discrete(1, 4), "discrete"),
        counterexample=np.float32([-0.0, 0.5, -0.5]),
        action=np.int64(1),
    )
    words = proof.to_json()["counterexample"]["words"]
    assert words == ["pole angle 0.0 rad", "speed 0.5 m/s", "height -0.5"]
