"""The ids that backend "auto" gives to envpool are the same task there as in gymnasium.

Several policies, from good to random, play 400 and more complete episodes on each backend: see
matched.py. benchmarks/backends.py shows the same numbers as a table.
"""

from pathlib import Path

import numpy as np
import pytest
from env_policies import sb3_zip_policy
from matched import BACKENDS, SHIPPED, TEACHERS, Sample, differences, play, players

from rldistill.envs import envpool
from rldistill.envs.backends import make
from rldistill.envs.spec import TaskSpec

TOLERANCE = 0.03  # of the distance from random to teacher, or of the mean length
MOST_ERRORS = 3.0


@pytest.mark.slow
@pytest.mark.parametrize("task_id", sorted(envpool.EQUIVALENT_IDS))
def test_envpool_is_the_same_task_as_gymnasium(task_id: str, shared_teachers: Path) -> None:
    """Mean returns agree within 3 % of (teacher - random) and mean lengths within 3 %, or both
    within 3 standard errors: good, mediocre and random policies."""
    results = {
        player.name: tuple(play(player, backend, shared_teachers) for backend in BACKENDS)
        for player in players(task_id)
    }
    gap = gap_of([pair[1] for pair in results.values()])
    problems = [f"{name}: {why}" for name, pair in results.items() for why in unlike(*pair, gap)]
    assert not problems, "\n".join(problems)


def gap_of(samples: list[Sample]) -> float:
    """(teacher - random): the first player of a task is its teacher, the last the random one."""
    return abs(samples[0].mean - samples[-1].mean)


def unlike(one: Sample, other: Sample, gap: float) -> list[str]:
    """In what two samples differ by more than the tolerance and more than chance."""
    allowed = (TOLERANCE * gap, TOLERANCE * other.length)
    return [
        f"{what} differ by {difference.text}, allowed {most:.2f}: {one} {other}"
        for what, difference, most in zip(
            ("returns", "lengths"), differences(one, other), allowed, strict=True
        )
        if abs(difference.z) > MOST_ERRORS and abs(difference.value) > most
    ]


def test_every_id_that_auto_gives_to_envpool_is_tested() -> None:
    """The table holds no id without an equivalence test of a good, a mediocre and a random
    policy."""
    assert set(TEACHERS) >= envpool.EQUIVALENT_IDS
    for task_id in envpool.EQUIVALENT_IDS:
        shares = {player.randomness for player in players(task_id)}
        assert shares >= {0.0, 0.5, 1.0}


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Sample(151.0, 110.0, 660.0, 360.0, 1_600), ["lengths"]),
        (Sample(163.0, 110.0, 735.0, 360.0, 1_600), ["returns"]),
        (Sample(163.0, 300.0, 660.0, 900.0, 400), []),
        (Sample(160.0, 1.0, 750.0, 1.0, 400), []),
    ],
    ids=["lengths", "returns", "by chance", "within 3 %"],
)
def test_what_counts_as_another_task(other: Sample, what: list[str]) -> None:
    """Only what is above both the tolerance (here 10 and 22) and 3 standard errors."""
    reference = Sample(151.0, 110.0, 735.0, 360.0, 1_600)
    found = unlike(other, reference, gap=335.0)
    assert [problem.split()[0] for problem in found] == what


def test_a_landed_lander_is_as_high_on_both_backends() -> None:
    """At rest on the pad it observes the same height to 0.002; uncorrected they are 0.005 apart."""
    pytest.importorskip("envpool")
    pytest.importorskip("Box2D")
    heights = {backend: float(np.median(landed_heights(backend))) for backend in BACKENDS}
    assert abs(heights["envpool"] - heights["gymnasium"]) < 0.002, heights


@pytest.mark.parametrize(
    ("task_id", "actions"),
    [
        ("LunarLander-v3", np.array([2, 0])),
        ("LunarLanderContinuous-v3", np.float32([[1, 0], [0, -1]])),
    ],
)
def test_heights_are_corrected_in_every_observation(task_id: str, actions: np.ndarray) -> None:
    """After a reset, a step and a step while others rest: envpool's own less 0.005, no more."""
    pool = pytest.importorskip("envpool").make_gymnasium(task_id, num_envs=2, seed=3)
    lowered = np.float32([0, 0.005, 0, 0, 0, 0, 0, 0])
    with make(TaskSpec(id=task_id, backend="envpool"), 2, seed=3) as envs:
        np.testing.assert_array_equal(envs.reset(), pool.reset()[0] - lowered)
        np.testing.assert_array_equal(
            envs.step(actions).observations, pool.step(actions)[0] - lowered
        )
        envs.rest(np.array([False, True]))
        np.testing.assert_array_equal(
            envs.step(actions).observations[0], (pool.step(actions)[0] - lowered)[0]
        )
    pool.close()


def landed_heights(backend: str) -> list[float]:
    """Observed heights in the last step of successful landings on the pad."""
    policy = sb3_zip_policy(SHIPPED / "lunarlander-ppo.zip", "ppo")
    heights: list[float] = []
    with make(TaskSpec(id="LunarLander-v3", backend=backend), 20, seed=1) as envs:
        observations = envs.reset()
        for _ in range(600):
            step = envs.step(policy(observations))
            observations = step.observations
            on_pad = (step.rewards == 100) & (abs(observations[:, 0]) < 0.15)
            heights += observations[on_pad, 1].tolist()
    assert len(heights) >= 10
    return heights
