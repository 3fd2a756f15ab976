"""Which policies both backends play, and what came of it: returns and lengths of whole episodes.

For the slow test of equivalence and for benchmarks/backends.py. A trained policy alone can hide a
difference: at its ceiling (CartPole: 500) it always gets the same. So it also plays with a share of
its actions drawn at random, which takes it to states and returns between its own and the random
policy's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from env_policies import Policy, cs285_policy, mountain_car, sb3_policy, sb3_zip_policy

from rldistill.envs.backends import VectorEnv, make
from rldistill.envs.spec import TaskSpec

NUM_ENVS = 40
BACKENDS = ("envpool", "gymnasium")
SHIPPED = Path(__file__).parents[2] / "src" / "rldistill" / "teachers" / "shipped"
EPISODES = 400
# Policies whose returns vary much, and that told the backends apart before: more episodes.
MORE_EPISODES = {("LunarLander-v3", "dqn-LunarLander-v2"): 1_600}
HARDCORE = "sb3/ppo-BipedalWalkerHardcore-v3"
# The first of a task is the teacher of its scale, and also plays half of its actions at random.
# BipedalWalkerHardcore is here for the table: it is not shown to be the same task.
TEACHERS = {
    "CartPole-v1": ("sb3/trpo-CartPole-v1", "sb3/dqn-CartPole-v1"),
    "Acrobot-v1": ("sb3/qrdqn-Acrobot-v1",),
    "Pendulum-v1": ("sb3/ppo-Pendulum-v1",),
    "LunarLander-v3": (
        "sb3/ppo-LunarLander-v2",
        "sb3/dqn-LunarLander-v2",
        "shipped/lunarlander-dqn",
        "shipped/lunarlander-ppo",
    ),
    "LunarLanderContinuous-v3": ("sb3/trpo-LunarLanderContinuous-v2",),
    "BipedalWalker-v3": (HARDCORE,),
    "BipedalWalkerHardcore-v3": (HARDCORE,),
    "MountainCar-v0": ("pump",),
    "HalfCheetah-v4": ("sb3/sac-HalfCheetah-v3",),
    "Swimmer-v4": ("sb3/trpo-Swimmer-v3",),
    "Hopper-v4": ("mujoco-cs285-experts/hopper_expert.npz",),
}


@dataclass(frozen=True)
class Player:
    """One policy of one task.

    Attributes:
        source: "shipped/NAME", "pump" or a path below the folder of teachers.
        randomness: share of its actions, per environment and step, that are drawn uniformly.
    """

    task_id: str
    source: str
    randomness: float = 0.0

    @property
    def name(self) -> str:
        """As in a table."""
        plain = self.source.split("/")[-1].removesuffix(".npz")
        if self.randomness == 1:
            return "random"
        return f"{plain}, {self.randomness:.0%} random" if self.randomness else plain

    @property
    def episodes(self) -> int:
        return MORE_EPISODES.get((self.task_id, self.name), EPISODES)


def players(task_id: str) -> list[Player]:
    """The policies of a task: trained ones, the first of them disturbed, and the random one."""
    teachers = TEACHERS[task_id]
    # The hardest task to tell: one more policy between good and bad.
    disturbed = (0.1, 0.5) if task_id == "BipedalWalkerHardcore-v3" else (0.5,)
    return [
        *(Player(task_id, source) for source in teachers),
        *(Player(task_id, teachers[0], share) for share in disturbed),
        Player(task_id, teachers[0], 1.0),
    ]


class Sample(NamedTuple):
    """Mean, standard deviation and number, of returns and of lengths of the same episodes."""

    mean: float
    sd: float
    length: float
    length_sd: float
    episodes: int


class Difference(NamedTuple):
    """Of two samples: their difference, and that in standard errors (0 where there is none)."""

    value: float
    z: float

    @property
    def text(self) -> str:
        return f"{self.value:+.2f}, z = {self.z:+.1f}"


def differences(one: Sample, other: Sample) -> tuple[Difference, Difference]:
    """one - other: of the mean returns and of the mean lengths."""
    pairs = (
        (one.mean - other.mean, one.sd, other.sd),
        (one.length - other.length, one.length_sd, other.length_sd),
    )
    return tuple(_difference(*pair, one.episodes, other.episodes) for pair in pairs)


def _difference(value: float, sd: float, other_sd: float, count: int, others: int) -> Difference:
    if value == 0:
        return Difference(0.0, 0.0)
    error = np.sqrt(sd**2 / count + other_sd**2 / others)
    return Difference(
        value, float(np.divide(value, error)) if error else np.copysign(np.inf, value)
    )


def play(player: Player, backend: str, teachers: Path | None) -> Sample:
    """Whole episodes of a player on a backend, the same number from each environment."""
    spec = TaskSpec(id=player.task_id, backend=backend)
    with make(spec, NUM_ENVS, seed=1) as envs:
        policy = disturbed(load(player.source, teachers), player.randomness, envs)
        played = list(episodes(envs, policy, player.episodes // NUM_ENVS))
    returns, lengths = np.array(played).T
    return Sample(
        float(returns.mean()),
        float(returns.std(ddof=1)),
        float(lengths.mean()),
        float(lengths.std(ddof=1)),
        len(played),
    )


def load(source: str, teachers: Path | None) -> Policy:
    """The policy of a source.

    Raises:
        FileNotFoundError: the source is one of others and `teachers` is None.
    """
    if source == "pump":
        return mountain_car
    if source.startswith("shipped/"):
        name = source.removeprefix("shipped/")
        return sb3_zip_policy(SHIPPED / f"{name}.zip", name.split("-")[1])
    if teachers is None:
        raise FileNotFoundError(f"{source} needs the folder of teachers made by others")
    return (cs285_policy if source.endswith(".npz") else sb3_policy)(teachers / source)


def disturbed(policy: Policy, randomness: float, envs: VectorEnv) -> Policy:
    """The policy, with this share of its actions drawn as gymnasium's action_space.sample()."""
    rng, space = np.random.default_rng(2), envs.info.action_space

    def act(x: np.ndarray) -> np.ndarray:
        if space.shape:
            drawn = rng.uniform(space.low, space.high, (len(x), *space.shape))
        else:
            drawn = rng.integers(space.n, size=len(x))
        if randomness == 1:
            return drawn
        random = rng.random(len(x)) < randomness
        return np.where(random[:, None] if space.shape else random, drawn, policy(x))

    return act


def episodes(envs: VectorEnv, policy: Policy, rounds: int) -> Iterator[tuple[float, int]]:
    """(return, length) of the first `rounds` episodes of each environment."""
    observations = envs.reset()
    total, length = np.zeros(envs.num_envs), np.zeros(envs.num_envs, int)
    left = np.full(envs.num_envs, rounds)
    while left.any():
        step = envs.step(policy(observations))
        total += step.rewards
        length += step.valid
        ended = (step.terminated | step.truncated) & (left > 0)
        for i in np.flatnonzero(ended):
            yield float(total[i]), int(length[i])
        left[ended] -= 1
        total[ended], length[ended] = 0.0, 0
        if (left[ended] == 0).any():
            envs.rest(left == 0)
        observations = step.observations
