"""The ids that backend "auto" gives to envpool are the same task there as in gymnasium.

The same policy plays 400 complete episodes on each backend. The means must agree within 3 % of
(teacher - random), plus 3 standard errors of their difference for chance. The random policy's
means must agree within the 3 standard errors alone: a teacher at its ceiling (CartPole: 500) would
not show a difference.
"""

from pathlib import Path

import numpy as np
import pytest
from env_policies import Policy, cs285_policy, mountain_car, sb3_policy

from rldistill.envs import envpool
from rldistill.envs.backends import VectorEnv, make
from rldistill.envs.spec import TaskSpec

NUM_ENVS, ROUNDS = 40, 10
TEACHERS = {
    "CartPole-v1": "sb3/trpo-CartPole-v1",
    "Acrobot-v1": "sb3/qrdqn-Acrobot-v1",
    "Pendulum-v1": "sb3/ppo-Pendulum-v1",
    "LunarLander-v3": "sb3/ppo-LunarLander-v2",
    "LunarLanderContinuous-v3": "sb3/trpo-LunarLanderContinuous-v2",
    "BipedalWalker-v3": "sb3/ppo-BipedalWalkerHardcore-v3",
    "BipedalWalkerHardcore-v3": "sb3/ppo-BipedalWalkerHardcore-v3",
    "MountainCar-v0": "",
    "HalfCheetah-v4": "sb3/sac-HalfCheetah-v3",
    "Swimmer-v4": "sb3/trpo-Swimmer-v3",
    "Hopper-v4": "mujoco-cs285-experts/hopper_expert.npz",
}


def load(path: Path) -> Policy:
    return cs285_policy(path) if path.suffix == ".npz" else sb3_policy(path)


def random_policy(envs: VectorEnv, seed: int) -> Policy:
    """Uniform actions, as of gymnasium's action_space.sample()."""
    rng, space = np.random.default_rng(seed), envs.info.action_space
    if not space.shape:
        return lambda x: rng.integers(space.n, size=len(x))
    return lambda x: rng.uniform(space.low, space.high, (len(x), *space.shape))


def returns(envs: VectorEnv, policy: Policy) -> np.ndarray:
    """Returns of the first ROUNDS episodes of each environment: no bias to short ones."""
    observations = envs.reset()
    total, finished = np.zeros(envs.num_envs), [[] for _ in range(envs.num_envs)]
    while min(map(len, finished)) < ROUNDS:
        step = envs.step(policy(observations))
        total += step.rewards
        for i in np.flatnonzero(step.terminated | step.truncated):
            finished[i].append(total[i])
            total[i] = 0.0
        observations = step.observations
    return np.array([episodes[:ROUNDS] for episodes in finished]).ravel()


def play(task_id: str, backend: str, policy: Policy | None) -> np.ndarray:
    with make(TaskSpec(id=task_id, backend=backend), NUM_ENVS, seed=1) as envs:
        return returns(envs, policy or random_policy(envs, seed=2))


def same(a: np.ndarray, b: np.ndarray, scale: float) -> bool:
    standard_error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return abs(a.mean() - b.mean()) <= 0.03 * scale + 3 * standard_error


@pytest.mark.slow
@pytest.mark.parametrize("task_id", sorted(envpool.EQUIVALENT_IDS))
def test_envpool_is_the_same_task_as_gymnasium(task_id: str, shared_teachers: Path) -> None:
    """A teacher's and the random policy's mean returns agree over 400 episodes each."""
    policy = load(shared_teachers / TEACHERS[task_id]) if TEACHERS[task_id] else mountain_car
    teacher = {name: play(task_id, name, policy) for name in ("envpool", "gymnasium")}
    chance = {name: play(task_id, name, None) for name in ("envpool", "gymnasium")}
    gap = abs(teacher["gymnasium"].mean() - chance["gymnasium"].mean())
    for kind, results, scale in (("teacher", teacher, gap), ("random", chance, 0.0)):
        shown = {name: f"{x.mean():.2f} +- {x.std():.2f}" for name, x in results.items()}
        print(task_id, kind, shown)
        assert same(results["envpool"], results["gymnasium"], scale), f"{kind}: {shown}"


def test_every_id_that_auto_gives_to_envpool_is_tested() -> None:
    """The table holds no id without an equivalence test."""
    assert set(TEACHERS) >= envpool.EQUIVALENT_IDS
