"""The bridge from the method table to the lab: our torch code against the lab's own formulas."""

from dataclasses import replace

import numpy as np
import pytest

from rldistill.errors import SettingError
from rldistill.evaluation.fields import FieldSettings, examine_method, method_update
from rldistill.lab.exact import Problem, exact_update
from rldistill.lab.field import asymmetry, jacobian
from rldistill.lab.mdp import discounted
from rldistill.lab.rows import ROWS as LAB_ROWS
from rldistill.lab.solve import visits
from rldistill.lab.worlds import WorldSettings, figure2_loss, make_world
from rldistill.methods.catalogue import ROWS, get_method
from rldistill.methods.credit import Credit
from rldistill.methods.method import Gate
from rldistill.methods.schedules import Linear

WORLDS = {
    "counterexample": WorldSettings(),
    "chain": WorldSettings(size=3),
    "random": WorldSettings(seed=5, size=3),
    "corridor": WorldSettings(size=5, num_actions=5),
}


def world(name: str) -> Problem:
    return make_world(name, WORLDS[name])


def points(problem: Problem, count: int = 2) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((count, problem.student.num_parameters))


@pytest.mark.parametrize("name", LAB_ROWS)
def test_the_torch_code_agrees_with_the_lab(name):
    """Every row that both know: the same expected update, in every kind of world."""
    for kind in WORLDS:
        problem = world(kind)
        ours, theirs = method_update(get_method(name), problem), exact_update(name, problem)
        for theta in points(problem):
            assert ours(theta) == pytest.approx(theirs(theta), rel=1e-8, abs=1e-8), kind


@pytest.mark.parametrize("name", LAB_ROWS)
def test_the_verdict_is_that_of_the_table(name):
    evidence = examine_method(name, world("random"), FieldSettings(points=2))
    assert evidence.is_gradient is LAB_ROWS[name].is_gradient


def test_the_paper_s_counterexample_in_closed_form():
    """l = -4 pi(R | sR): asymmetry 4p(1-p)q(1-q) on-policy, 0 for N-distill, with and without R."""
    problem = make_world("counterexample")
    problem = replace(problem, loss=figure2_loss(problem))
    for theta in points(problem, 5):
        p, q = 1 / (1 + np.exp(-theta))
        for suffix in ("", "+R"):
            rows = [get_method(f"{base}{suffix}") for base in ("on-policy-distill", "n-distill")]
            found = [asymmetry(jacobian(method_update(row, problem), theta)) for row in rows]
            assert found[0] == pytest.approx(4 * p * (1 - p) * q * (1 - q), abs=1e-9)
            assert found[1] == pytest.approx(0.0, abs=1e-9)


def test_kickstarting_is_its_two_parts_and_ends_as_the_policy_gradient():
    """Round i: baseline + weight_i on-policy distillation; no gradient before the weight is 0."""
    problem, row = world("random"), get_method("kickstarting")
    theta = points(problem)[0]
    parts = [exact_update(name, problem)(theta) for name in ("baseline", "on-policy-distill")]
    for i, weight in ((0, 1.0), (15, 0.75), (60, 0.0)):
        update = method_update(row, problem, FieldSettings(round_index=i))
        assert update(theta) == pytest.approx(parts[0] + weight * parts[1], abs=1e-9)
    assert not examine_method(row, problem, FieldSettings(points=1)).is_gradient
    assert examine_method(row, problem, FieldSettings(points=1, round_index=60)).is_gradient


def test_the_proximal_factor_changes_nothing_where_the_policy_is_the_one_that_acted():
    """PPD's max(rho, 1 - eps) has the mean slope sum_a grad pi(a) l = 0 at rho = 1."""
    problem = world("random")
    row = get_method("ppd")
    plain = replace(row, name="plain", proximal=False)
    for theta in points(problem):
        ours, other = (method_update(each, problem)(theta) for each in (row, plain))
        assert ours == pytest.approx(other, abs=1e-9)


def test_who_acts_is_the_row_s_control():
    """Teacher-driven rows are gradients, half-driven ones not, in the round that is asked for."""
    problem = world("random")
    assert examine_method("rusu-kl", problem, FieldSettings(points=1)).is_gradient
    assert not examine_method("gkd", problem, FieldSettings(points=1)).is_gradient
    mixed = replace(
        get_method("on-policy-distill"),
        name="mixed",
        control=replace(get_method("gkd").control, teacher_share=Linear(1.0, 0.0, 10)),
    )
    found = [
        examine_method(mixed, problem, FieldSettings(points=1, round_index=i)).asymmetry
        for i in (0, 5, 10)
    ]
    assert found[0] < 1e-8 < found[1] < found[2]


def test_epsilon_and_modes_are_counted_in_the_visits():
    """Cross-entropy weighs pi_theta - pi by the visits of who acts, written out by hand."""
    problem = world("random")
    theta = points(problem)[0]
    own = problem.student.policy(theta)
    greedy = np.eye(own.shape[1])[own.argmax(1)]
    row = get_method("on-policy-distill")
    for epsilon, samples in ((0.0, False), (0.3, True), (1.0, True)):
        control = replace(row.control, epsilon=epsilon, student_samples=samples)
        acting = (1 - epsilon) * (own if samples else greedy) + epsilon / own.shape[1]
        expected = -visits(problem.mdp, acting)[:, None] * (own - problem.teacher)
        found = method_update(replace(row, name="mine", control=control), problem)(theta)
        assert found == pytest.approx(expected.reshape(-1), abs=1e-9)


def test_a_method_of_one_s_own():
    """KL instead of cross-entropy has the same slope, so that only the credit differs."""
    problem = world("random")
    theta = points(problem)[0]
    row = get_method("n-distill")
    other = replace(row, name="mine", loss="kl")
    ours, theirs = (method_update(each, problem)(theta) for each in (other, row))
    assert np.abs(ours - theirs).max() > 1e-3
    assert examine_method(other, problem).is_gradient
    half = replace(row, name="half", credit=Credit(next_loss=0.5))
    assert not examine_method(half, problem).is_gradient


def test_a_soft_gate_weighs_more_where_the_teacher_is_better():
    """exp(alpha xi) lies between no gate (alpha to 0) and the clamp."""
    problem = world("chain")
    theta = points(problem)[0]
    bare = method_update(get_method("on-policy-distill"), problem)(theta)
    soft = replace(get_method("value-gated"), name="soft", gate=Gate(alpha=1e-9))
    assert method_update(soft, problem)(theta) == pytest.approx(bare, abs=1e-8)
    hard = replace(soft, name="hard", gate=Gate(alpha=1.0))
    assert np.abs(method_update(hard, problem)(theta) - bare).max() > 1e-3


def test_credit_is_discounted_but_visits_are_not():
    """With gamma: no gradient; as a chance to end (the lab's discount) it is one again."""
    problem = world("random")
    assert not examine_method("baseline", problem, FieldSettings(points=1, gamma=0.5)).is_gradient
    ended = replace(problem, mdp=discounted(problem.mdp, 0.5))
    assert examine_method("baseline", ended, FieldSettings(points=1)).is_gradient
    own = get_method("baseline")
    own = replace(own, actor_critic=replace(own.actor_critic, gamma=0.5))
    assert not examine_method(own, problem, FieldSettings(points=1)).is_gradient


def test_an_entropy_bonus_counts():
    problem = world("random")
    theta = points(problem)[0]
    row = get_method("baseline")
    more = replace(row, actor_critic=replace(row.actor_critic, entropy_bonus=0.1))
    gap = method_update(more, problem)(theta) - method_update(row, problem)(theta)
    assert np.abs(gap).max() > 1e-3
    assert not examine_method(more, problem, FieldSettings(points=1)).is_gradient


def test_what_is_not_defined_is_refused():
    problem = make_world("counterexample")
    with pytest.raises(SettingError, match="continuous actions"):
        examine_method("rsl-rl", problem)
    for name in ("actor-mimic", "qdagger", "dual", "distral"):
        with pytest.raises(SettingError, match=f"{name} has a learner of its own"):
            examine_method(name, problem)
    with pytest.raises(SettingError, match="Did you mean"):
        examine_method("kickstartin", problem)
    with pytest.raises(SettingError, match="Did you mean chain"):
        examine_method("ppd", "chian")
    with pytest.raises(SettingError, match="would change nothing"):
        method_update(get_method("ppd"), replace(problem, loss=figure2_loss(problem)))
    with pytest.raises(SettingError, match="too many"):
        method_update(ROWS["gkd"], make_world("corridor", WorldSettings(num_actions=4000)))
    with pytest.raises(SettingError, match="points"):
        examine_method("ppd", problem, FieldSettings(points=0))
