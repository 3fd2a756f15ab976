"""The sampled students: on average they move as the exact updates say, and they learn."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rldistill.errors import SettingError, ShapeError
from rldistill.lab import kernel
from rldistill.lab import simulate as module
from rldistill.lab.exact import Problem, credit, exact_update
from rldistill.lab.mdp import from_tables
from rldistill.lab.rows import ROWS, get_row
from rldistill.lab.simulate import Arm, Simulating, simulate, stacked
from rldistill.lab.solve import expected_return, soft_policy, value_iteration, values
from rldistill.lab.student import Student
from rldistill.lab.teachers import Teacher, optimal_teacher
from rldistill.lab.worlds import WorldSettings, make_world, random_mdp

NUM_BATCHES = 40
# Two-sided, over all rows, ways to learn and coordinates together.
LEVEL = 1e-4


def problem_of(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 3, 2)
    teacher = soft_policy(value_iteration(mdp).action_values, 0.5)
    return Problem(mdp=mdp, teacher=teacher, student=Student(3, 2))


def sampled_updates(name, problem, theta, settings, batch):
    """Means of the updates of NUM_BATCHES batches of episodes at (almost) constant theta."""
    row, mdp = get_row(name), problem.mdp
    teacher = Teacher(problem.teacher, problem.value_of_teacher)
    memory = module.empty_memory(mdp, settings)
    log_policy = problem.student.log_policy(theta)
    # Exact critics that stay exact: what is tested is the mean of the update, not the critic.
    memory.return_critic[:-1] = values(mdp, np.exp(log_policy))
    table = credit(row, problem, log_policy)
    memory.critic[:-1] = (np.exp(log_policy) * table).sum(axis=1)
    rule = module.rule_of(row, Arm(row=name), settings)._replace(critic_rate=0.0)
    guide = module.guide_of(teacher, problem.floor)
    arrays, rng = kernel.world_arrays(mdp), np.random.default_rng(1)
    found = []
    for _ in range(NUM_BATCHES):
        memory.theta[:] = theta.reshape(memory.theta.shape)
        kernel.run_episodes(arrays, guide, rule, memory, rng, batch)
        moved = memory.theta.reshape(-1) - theta
        found.append(moved / settings.learning_rate / batch)
    return np.array(found)


WAYS = [(name, way) for way in ("monte carlo", "online") for name in ROWS]
WAYS += [
    (name, "with a baseline") for name in ("n-distill+R", "exp-entropy-regularised+R", "td-v0")
]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_the_mean_of_the_sampled_updates_is_the_exact_update(name, way):
    problem = problem_of(3)
    theta = 0.5 * np.random.default_rng(3).standard_normal(6)
    settings = Simulating(
        num_iterations=1,
        checkpoints=(),
        learning_rate=1e-7,
        baseline=way == "with a baseline",
        online=way == "online",
        max_steps=300,
    )
    found = sampled_updates(name, problem, theta, settings, batch=50)
    exact = exact_update(name, problem)(theta)
    deviation = found.std(axis=0, ddof=1) / np.sqrt(NUM_BATCHES)
    scores = np.abs(found.mean(axis=0) - exact) / np.maximum(deviation, 1e-6)
    limit = stats.t.isf(LEVEL / 2 / (len(WAYS) * 6), NUM_BATCHES - 1)
    assert scores.max() < limit
    # The test has power: half of the update would be told from the whole.
    assert (np.abs(exact) / np.maximum(deviation, 1e-6)).max() > 2 * limit


def test_numba_or_not_a_student_is_the_same_for_the_same_seed():
    problem = problem_of(0)
    teacher = Teacher(problem.teacher, problem.value_of_teacher)
    settings = Simulating(num_iterations=30, checkpoints=(0, 30), seed=5)
    arms = [Arm(row="n-distill+R"), Arm(row="teacher-distill")]
    first = simulate([problem.mdp], [teacher], arms, settings)
    second = simulate([problem.mdp], [teacher], arms, replace(settings, num_threads=2))
    other = simulate([problem.mdp], [teacher], arms, replace(settings, seed=6))
    for index in range(2):
        np.testing.assert_array_equal(first[index][0].policy, second[index][0].policy)
        assert np.abs(first[index][0].policy - other[index][0].policy).max() > 1e-6


def test_measurements_are_exact_and_begin_with_the_undecided_student():
    problem = problem_of(1)
    teacher = Teacher(problem.teacher, problem.value_of_teacher)
    settings = Simulating(num_iterations=20, checkpoints=(0, 20))
    measured = simulate([problem.mdp], [teacher], [Arm(row="on-policy-distill")], settings)[0][0]
    uniform = np.full((3, 2), 0.5)
    assert measured.returns[0] == pytest.approx(expected_return(problem.mdp, uniform))
    assert measured.returns[1] == pytest.approx(expected_return(problem.mdp, measured.policy))
    assert measured.kl_student[0] == pytest.approx(measured.kl_uniform[0])
    gap = (teacher.policy * np.log(teacher.policy / measured.policy)).sum(axis=1)
    rewards = np.repeat(gap[:, None], 2, axis=1)
    expected = problem.mdp.start @ values(problem.mdp, teacher.policy, rewards)
    assert measured.kl_teacher[1] == pytest.approx(expected)
    assert measured.num_cut == 0


@pytest.mark.parametrize("row", ["teacher-distill", "on-policy-distill", "kl-regularised"])
def test_students_reach_their_teacher(row):
    problem = problem_of(2)
    teacher = Teacher(problem.teacher, problem.value_of_teacher)
    settings = Simulating(num_iterations=600, checkpoints=(0, 600), online=True)
    measured = simulate([problem.mdp], [teacher], [Arm(row=row)], settings)[0][0]
    assert measured.kl_teacher[1] < 0.1 * measured.kl_teacher[0]


def test_without_a_teacher_the_return_is_learnt():
    world = make_world("corridor", WorldSettings(size=7)).mdp
    settings = Simulating(num_iterations=400, checkpoints=(0, 400), online=True)
    measured = simulate([world], [optimal_teacher(world)], [Arm(row="baseline")], settings)[0][0]
    best = world.start @ value_iteration(world).values
    assert abs(measured.returns[0]) < 1e-9
    assert measured.returns[1] > 0.9 * best


def test_a_uniform_policy_collects_where_the_teacher_never_goes():
    """Under teacher control the last state of a chain is never seen by a teacher that leaves."""
    world = make_world("chain").mdp
    leave = np.tile([1.0, 0.0], (5, 1))
    teacher = Teacher(leave, values(world, leave))
    arms = [Arm(row="teacher-distill"), Arm(row="teacher-distill", uniform=True)]
    settings = Simulating(num_iterations=300, checkpoints=())
    taught, uniform = (row[0].policy for row in simulate([world], [teacher], arms, settings))
    np.testing.assert_array_equal(taught[1:], 0.5)
    assert uniform[3, 0] > 0.6


def test_results_are_stacked_by_arm_world_and_checkpoint():
    problems = [problem_of(seed) for seed in range(3)]
    teachers = [Teacher(p.teacher, p.value_of_teacher) for p in problems]
    arms = [Arm(row="baseline"), Arm(row="td-v0")]
    settings = Simulating(num_iterations=2, checkpoints=(0, 1, 2))
    results = simulate([p.mdp for p in problems], teachers, arms, settings)
    table = stacked(results, "returns")
    assert table.shape == (2, 3, 3)
    np.testing.assert_array_equal(table[0, :, 0], table[1, :, 0])


def test_long_episodes_are_cut_and_counted():
    mdp = from_tables("long", np.ones(1), np.full((1, 1, 1), 0.99), np.ones((1, 1)))
    teacher = Teacher(np.ones((1, 1)), np.array([100.0]))
    settings = Simulating(num_iterations=50, checkpoints=(), max_steps=5)
    measured = simulate([mdp], [teacher], [Arm(row="baseline")], settings)[0][0]
    assert measured.num_cut > 35


def test_no_action_of_no_chance_is_drawn():
    chances = np.array([0.0, 0.3, 0.0, 0.7, 0.0])
    drawn = {kernel.draw(chances, level) for level in np.linspace(0, 1, 101)}
    assert drawn == {1, 3}
    assert kernel.draw(chances, 0.29) == 1
    assert kernel.draw(chances, 0.31) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_iterations": 0}, "at least 1"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"critic_rate": 1.5}, "critic_rate"),
        ({"checkpoints": (0, 40_000)}, "checkpoints must lie"),
        ({"checkpoints": (3, 1)}, "checkpoints must rise"),
        ({"online": True, "baseline": True}, "would change nothing"),
        ({"num_threads": 0}, "num_threads"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Simulating(**settings)


def test_bad_calls_are_refused():
    problem = problem_of(0)
    teacher = Teacher(problem.teacher, problem.value_of_teacher)
    with pytest.raises(SettingError, match="undefined where others act"):
        Arm(row="n-distill", uniform=True)
    with pytest.raises(SettingError, match="Did you mean"):
        simulate([problem.mdp], [teacher], [Arm(row="basline")])
    with pytest.raises(ShapeError, match="one teacher per world"):
        simulate([problem.mdp], [], [Arm(row="baseline")])
    huge = Simulating(max_steps=10**13, checkpoints=())
    with pytest.raises(SettingError, match="lower max_steps"):
        simulate([problem.mdp], [teacher], [Arm(row="baseline")], huge)
    with pytest.raises(SettingError, match="floor"):
        simulate([problem.mdp], [teacher], [Arm(row="baseline")], Simulating(floor=0.0))
