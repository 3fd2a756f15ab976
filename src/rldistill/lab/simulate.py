"""Many students in many random worlds, sampled: the experiments of Czarnecki et al. 2019.

One iteration is one episode. What is measured at the checkpoints is exact, not sampled. Every
student has random numbers of its own, so that neither order nor threads change a result.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import numpy as np

from rldistill.errors import SettingError, ShapeError
from rldistill.lab import kernel
from rldistill.lab.exact import FLOOR
from rldistill.lab.mdp import FloatArray, Mdp, memory_limit
from rldistill.lab.rows import ExactRow, get_row
from rldistill.lab.solve import check_policy, reward_table, visits
from rldistill.lab.student import clamped_log, log_softmax
from rldistill.lab.teachers import Teacher


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One curve of a figure.

    Attributes:
        row: name of a row.
        uniform: a uniformly random policy acts, whoever acts in the row; for rows that credit
            nothing.
    """

    row: str
    uniform: bool = False

    def __post_init__(self) -> None:
        if self.uniform and get_row(self.row).credits:
            raise SettingError(f"{self.row} credits actions: it is undefined where others act")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Simulating:
    """How students learn.

    Attributes:
        num_iterations: episodes per student (the paper: 30,000).
        checkpoints: after how many episodes to measure, rising; 0 is the undecided student.
        learning_rate: of the logits (a guess: the paper's is not known).
        critic_rate: of the values that are learnt (a guess).
        online: credit an action with rhat_t + V(s_{t+1}) - V(s_t), V learnt by TD(0), and learn
            at every step; else with the sampled Rhat_t after the episode (Monte Carlo).
        baseline: subtract a learnt V(s_t) from a Monte Carlo Rhat_t.
        max_steps: episodes are cut here.
        floor: the least teacher probability whose logarithm is taken.
        seed: of every draw.
        num_threads: students that learn at the same time; more than 1 pays with numba only.
    """

    num_iterations: int = 30_000
    checkpoints: tuple[int, ...] = (0, 100, 300, 1000, 3000, 10_000, 30_000)
    learning_rate: float = 0.1
    critic_rate: float = 0.1
    online: bool = False
    baseline: bool = False
    max_steps: int = 2000
    floor: float = FLOOR
    seed: int = 0
    num_threads: int = 1

    def __post_init__(self) -> None:
        if min(self.num_iterations, self.max_steps, self.num_threads) < 1:
            raise SettingError("num_iterations, max_steps and num_threads must be at least 1")
        if self.learning_rate <= 0 or not 0 < self.critic_rate <= 1:
            raise SettingError("learning_rate must be above 0 and critic_rate in (0, 1]")
        points = self.checkpoints
        if any(not 0 <= point <= self.num_iterations for point in points):
            raise SettingError(f"checkpoints must lie in [0, {self.num_iterations}], got {points}")
        if list(points) != sorted(set(points)):
            raise SettingError(f"checkpoints must rise, got {points}")
        if self.online and self.baseline:
            raise SettingError("online has its own critic: baseline would change nothing")


@final
@dataclass(frozen=True, eq=False, slots=True)
class Measurement:
    """One student at C checkpoints.

    Attributes:
        returns: [C] exact expected return of the student.
        kl_student: [C] nats per episode, E[sum_t KL(pi || pi_theta)] where the student acts.
        kl_teacher: [C] where the teacher acts.
        kl_uniform: [C] where a uniform policy acts.
        policy: [S, A] in the end.
        num_cut: episodes that reached max_steps.
    """

    returns: FloatArray
    kl_student: FloatArray
    kl_teacher: FloatArray
    kl_uniform: FloatArray
    policy: FloatArray
    num_cut: int


def simulate(
    worlds: Sequence[Mdp],
    teachers: Sequence[Teacher],
    arms: Sequence[Arm],
    settings: Simulating | None = None,
) -> list[list[Measurement]]:
    """Train one tabular softmax student per arm and world.

    Args:
        worlds: N.
        teachers: one per world.
        arms: R; every arm meets the same worlds and teachers.
        settings: how.

    Returns:
        [R][N] measurements; stacked(...) makes arrays of them.

    Raises:
        SettingError: settings that do not fit, or more states than memory allows.
        ShapeError: not one teacher per world.
    """
    chosen = settings or Simulating()
    if len(worlds) != len(teachers):
        raise ShapeError(f"one teacher per world: {len(worlds)} worlds, {len(teachers)} teachers")
    seeds = np.random.SeedSequence(chosen.seed).spawn(len(arms) * len(worlds))
    jobs = [(arm, number) for arm in arms for number in range(len(worlds))]

    def run(index: int) -> Measurement:
        arm, number = jobs[index]
        rng = np.random.default_rng(seeds[index])
        return train_student(worlds[number], teachers[number], arm, chosen, rng)

    with ThreadPoolExecutor(chosen.num_threads) as pool:
        done: Iterator[Measurement] = pool.map(run, range(len(jobs)))
        results = list(done)
    count = len(worlds)
    return [results[start : start + count] for start in range(0, len(results), count)]


def stacked(results: Sequence[Sequence[Measurement]], name: str) -> FloatArray:
    """One of the measured numbers of every student [R, N, C], for example "returns"."""
    return np.array([[getattr(measured, name) for measured in row] for row in results])


def train_student(
    world: Mdp, teacher: Teacher, arm: Arm, settings: Simulating, rng: np.random.Generator
) -> Measurement:
    """Train and measure one student.

    Raises:
        SettingError: more states and actions than memory allows.
        ShapeError: a teacher of another world.
    """
    check_policy(world, teacher.policy)
    row = get_row(arm.row)
    rule = rule_of(row, arm, settings)
    memory = empty_memory(world, settings)
    guide = guide_of(teacher, settings.floor)
    arrays = kernel.world_arrays(world)
    uniform = np.full_like(teacher.policy, 1.0 / world.num_actions)
    fixed = (visits(world, teacher.policy), visits(world, uniform))
    measured = np.empty((4, len(settings.checkpoints)))
    done = num_cut = 0
    for place, point in enumerate(settings.checkpoints):
        num_cut += kernel.run_episodes(arrays, guide, rule, memory, rng, point - done)
        done = point
        measured[:, place] = measure(world, teacher, memory.theta, fixed)
    left = settings.num_iterations - done
    num_cut += kernel.run_episodes(arrays, guide, rule, memory, rng, left)
    returns, kl_student, kl_teacher, kl_uniform = measured
    policy = np.exp(log_softmax(memory.theta))
    return Measurement(returns, kl_student, kl_teacher, kl_uniform, policy, num_cut)


def rule_of(row: ExactRow, arm: Arm, settings: Simulating) -> kernel.Rule:
    """What the inner loops need of a row and the settings."""
    acts = kernel.TEACHER if row.teacher_acts else kernel.STUDENT
    return kernel.Rule(
        actor=kernel.UNIFORM if arm.uniform else acts,
        reward=row.reward,
        log_teacher=row.log_teacher,
        log_student=row.log_student,
        shaping=row.shaping,
        bootstrap=row.bootstrap,
        credits_next_loss=row.credits_next_loss,
        has_loss=row.has_loss,
        has_reverse_loss=row.has_reverse_loss,
        gated=row.gated,
        looks_ahead=not row.one_step,
        online=settings.online,
        baseline=settings.baseline,
        learning_rate=settings.learning_rate,
        critic_rate=settings.critic_rate,
    )


def empty_memory(world: Mdp, settings: Simulating) -> kernel.Memory:
    """An undecided student with room for its longest episode."""
    num_states, num_actions, length = world.num_states, world.num_actions, settings.max_steps + 1
    needed = 8 * num_actions * (num_states + length) * settings.num_threads
    if needed > memory_limit():
        raise SettingError(
            f"{world.name}: {num_actions:,} actions and episodes of {settings.max_steps:,} steps "
            f"need {needed / 2**30:,.1f} GiB, and {memory_limit() / 2**30:,.1f} GiB is the limit; "
            "lower max_steps or num_threads"
        )
    return kernel.Memory(
        theta=np.zeros((num_states, num_actions)),
        critic=np.zeros(num_states + 1),
        return_critic=np.zeros(num_states + 1),
        states=np.zeros(length, dtype=np.int64),
        actions=np.zeros(length, dtype=np.int64),
        rewards=np.zeros(length),
        policies=np.zeros((length, num_actions)),
    )


def guide_of(teacher: Teacher, floor: float) -> kernel.Guide:
    """The teacher's arrays."""
    policy = np.ascontiguousarray(teacher.policy, dtype=np.float64)
    return kernel.Guide(policy, clamped_log(policy, floor), np.append(teacher.values, 0.0))


def measure(
    world: Mdp, teacher: Teacher, theta: FloatArray, fixed: tuple[FloatArray, FloatArray]
) -> tuple[float, float, float, float]:
    """The exact return and KL(pi || pi_theta) of a student, the latter under three policies.

    Args:
        world: where.
        teacher: pi.
        theta: [S, A].
        fixed: visits [S] of the teacher and of the uniform policy.
    """
    log_policy = log_softmax(theta)
    policy = np.exp(log_policy)
    own = visits(world, policy)
    gap = divergence(teacher.policy, log_policy)
    gained = float(own @ (policy * reward_table(world)).sum(axis=1))
    return gained, float(own @ gap), float(fixed[0] @ gap), float(fixed[1] @ gap)


def divergence(teacher: FloatArray, log_policy: FloatArray) -> FloatArray:
    """KL(pi || pi_theta) per state [S] in nats.

    >>> divergence(np.array([[1.0, 0.0]]), np.log([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    positive = teacher > 0
    log_teacher = np.log(np.where(positive, teacher, 1.0))
    return (teacher * np.where(positive, log_teacher - log_policy, 0.0)).sum(axis=1)
