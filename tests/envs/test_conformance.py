"""What every backend must do alike. A new backend is one more line in CASES."""

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from toy import Counting

from rldistill.envs.backends import VectorEnv, make
from rldistill.envs.spec import TaskSpec

B = 3


def live(kind: Callable[..., gymnasium.vector.VectorEnv], task_id: str, limit: int | None):
    """A vector environment of the user's own, with NEXT_STEP autoreset."""
    fns = [lambda: gymnasium.make(task_id, max_episode_steps=limit)] * B
    return TaskSpec(
        vector_env=kind(fns, autoreset_mode=AutoresetMode.NEXT_STEP), max_episode_steps=limit
    )


@dataclass(frozen=True)
class Case:
    """One way to get environments: a name and what makes the spec, given a step limit."""

    name: str
    spec: Callable[[int | None], TaskSpec]

    def make(self, seed: int = 0, limit: int | None = None) -> VectorEnv:
        return make(self.spec(limit), B, seed)


def by_id(task_id: str, backend: str) -> Case:
    return Case(
        f"{backend}-{task_id}",
        lambda limit: TaskSpec(id=task_id, backend=backend, max_episode_steps=limit),
    )


def by_factory(task_id: str) -> Case:
    return Case(
        f"factory-{task_id}",
        lambda limit: TaskSpec(factory=lambda: gymnasium.make(task_id), max_episode_steps=limit),
    )


CARTPOLES = [
    by_id("CartPole-v1", "envpool"),
    by_id("CartPole-v1", "gymnasium"),
    by_factory("CartPole-v1"),
    Case("sync-CartPole-v1", lambda limit: live(SyncVectorEnv, "CartPole-v1", limit)),
    Case("async-CartPole-v1", lambda limit: live(AsyncVectorEnv, "CartPole-v1", limit)),
]
CONTINUOUS = [
    by_id("Pendulum-v1", "envpool"),
    by_id("Pendulum-v1", "gymnasium"),
    by_factory("Pendulum-v1"),
    by_id("HalfCheetah-v4", "envpool"),
    by_id("HalfCheetah-v5", "gymnasium"),
    Case("sync-Pendulum-v1", lambda limit: live(SyncVectorEnv, "Pendulum-v1", limit)),
]
PIXELS = [
    by_id("ALE/Enduro-v5", "ale"),
    by_id("SeaquestNoFrameskip-v4", "ale"),
    by_id("Seaquest-v4", "ale"),
    by_id("MinAtar/Freeway-v1", "minatar"),
    by_id("MinAtar/Freeway-v0", "minatar"),
]
CASES = [
    *CARTPOLES,
    *CONTINUOUS,
    *PIXELS,
    by_id("LunarLander-v3", "envpool"),
    by_id("LunarLander-v3", "gymnasium"),
]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_cartpole = pytest.mark.parametrize("case", CARTPOLES, ids=lambda case: case.name)
every_continuous = pytest.mark.parametrize("case", CONTINUOUS, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def _close_live_environments(monkeypatch: pytest.MonkeyPatch):
    """Live vector environments stay open after close(); their owner, this file, closes them."""
    made: list[gymnasium.vector.VectorEnv] = []
    original = TaskSpec.__post_init__

    def remember(self: TaskSpec) -> None:
        original(self)
        if self.vector_env is not None:
            made.append(self.vector_env)

    monkeypatch.setattr(TaskSpec, "__post_init__", remember)
    yield
    for env in made:
        env.close()


def random_actions(envs: VectorEnv, num_steps: int, seed: int = 0) -> np.ndarray:
    rng, space = np.random.default_rng(seed), envs.info.action_space
    if isinstance(space, spaces.Discrete):
        return rng.integers(space.n, size=(num_steps, B))
    return rng.uniform(-1, 1, (num_steps, B, *space.shape)).astype(np.float32)


def play(envs: VectorEnv, actions: np.ndarray) -> list:
    """Steps after a reset; the reset's observations lead."""
    return [envs.reset(), *(envs.step(action) for action in actions)]


@every_case
def test_shapes_and_dtypes(case: Case) -> None:
    """Flat float32 or uint8 pixels, float64 rewards, bool flags, as info declares them."""
    with case.make() as envs:
        first, *steps = play(envs, random_actions(envs, 5))
        dtype = np.uint8 if case in PIXELS else np.float32
        assert envs.info.observation_space.dtype == dtype
        for observations in (first, *(s.observations for s in steps)):
            assert observations.dtype == dtype
            assert observations.shape == (B, *envs.info.observation_space.shape)
        for step in steps:
            assert step.rewards.dtype == np.float64
            flags = (step.terminated, step.truncated, step.valid)
            assert all(x.dtype == np.bool_ and x.shape == (B,) for x in (*flags, step.rewards > 0))
            assert step.valid.all()


@every_case
def test_bounds_hold_what_is_observed(case: Case) -> None:
    """Observations lie in the declared space: nonsensical bounds of a backend are not passed on."""
    with case.make() as envs:
        space = envs.info.observation_space
        assert (space.low < space.high).all()
        for step in play(envs, random_actions(envs, 30))[1:]:
            assert (step.observations[step.valid] >= space.low - 1e-5).all()
            assert (step.observations[step.valid] <= space.high + 1e-5).all()


@every_case
def test_one_seed_one_first_episode(case: Case) -> None:
    """Where equal starts are claimed, equal seeds and actions give equal numbers, bit by bit."""
    with case.make(seed=7) as one, case.make(seed=7) as two, case.make(seed=8) as other:
        assert one.info.equal_starts
        actions = random_actions(one, 8)
        runs = [play(envs, actions) for envs in (one, two, other)]
        np.testing.assert_array_equal(runs[0][0], runs[1][0])
        assert (runs[0][0] != runs[2][0]).any()
        for a, b in zip(runs[0][1:], runs[1][1:], strict=True):
            np.testing.assert_array_equal(a.observations, b.observations)
            np.testing.assert_array_equal(a.rewards, b.rewards)


@every_case
def test_environment_i_is_seeded_seed_plus_i(case: Case) -> None:
    """Environment 1 of seed 7 starts as environment 0 of seed 8, and none equals its neighbour."""
    with case.make(seed=7) as envs, case.make(seed=8) as shifted:
        first, then = envs.reset(), shifted.reset()
        np.testing.assert_array_equal(first[1:], then[:-1])
        assert all((first[i] != first[i + 1]).any() for i in range(B - 1))


@every_case
def test_a_second_reset_starts_other_episodes(case: Case) -> None:
    """Only the first reset is seeded; the next one goes on, with no phantom step left over."""
    with case.make(limit=4) as envs:
        first, *_ = play(envs, random_actions(envs, 4))
        again, step = play(envs, random_actions(envs, 1))
        assert (first != again).any()
        assert step.valid.all()


@every_case
def test_truncation_is_flagged_and_followed_by_a_phantom_step(case: Case) -> None:
    """With a limit of 4: step 4 is truncated, step 5 is the phantom, step 9 is truncated again."""
    with case.make(limit=4) as envs:
        assert envs.info.max_episode_steps == 4
        steps = play(envs, random_actions(envs, 10))[1:]
        for t, step in enumerate(steps, start=1):
            assert not step.terminated.any()
            assert (step.truncated == (t in (4, 9))).all(), t
            assert (step.valid == (t not in (5, 10))).all(), t
            assert step.valid.all() or (step.rewards == 0).all()


@every_case
def test_the_phantom_step_ignores_its_action(case: Case) -> None:
    """Two runs that differ only in the phantom step's action never differ in what follows."""
    with case.make(limit=3) as one, case.make(limit=3) as two:
        actions = random_actions(one, 7)
        others, space = actions.copy(), one.info.action_space
        discrete = isinstance(space, spaces.Discrete)
        others[3] = (actions[3] + 1) % space.n if discrete else -actions[3]
        for a, b in zip(play(one, actions)[1:], play(two, others)[1:], strict=True):
            np.testing.assert_array_equal(a.observations, b.observations)


@every_case
def test_what_was_returned_is_never_written_again(case: Case) -> None:
    """Arrays of earlier steps keep their values."""
    with case.make(limit=3) as envs:
        first = envs.reset()
        kept = [(first, first.copy())]
        for action in random_actions(envs, 6):
            kept += [(x, x.copy()) for x in envs.step(action)]
        for array, copy in kept:
            np.testing.assert_array_equal(array, copy)


@every_cartpole
def test_observations_line_up_with_the_physics(case: Case) -> None:
    """x' = x + 0.02 v holds over every valid step, ends included, and over no phantom step."""
    with case.make() as envs:
        before, ends, phantoms = envs.reset(), 0, 0
        for action in random_actions(envs, 150):
            step = envs.step(action)
            moved = before[:, 0] + 0.02 * before[:, 1]
            np.testing.assert_allclose(
                step.observations[step.valid, 0], moved[step.valid], atol=1e-5
            )
            # The cart is pushed the way the action says: 1 is to the right.
            pushed = (step.observations[:, 1] > before[:, 1]) == (action == 1)
            assert pushed[step.valid].all()
            out = (abs(step.observations[:, 0]) > 2.4) | (abs(step.observations[:, 2]) > 0.2095)
            np.testing.assert_array_equal(step.terminated, out & step.valid)
            assert (abs(step.observations[~step.valid]) <= 0.05).all()
            ends, phantoms = ends + step.terminated.sum(), phantoms + (~step.valid).sum()
            before = step.observations
        assert ends > 5
        assert ends - phantoms in range(B + 1)


@every_continuous
def test_actions_are_clipped_to_the_bounds(case: Case) -> None:
    """An action far outside acts as the bound itself does."""
    with case.make() as one, case.make() as two:
        low, high = one.info.action_space.low, one.info.action_space.high
        far = np.stack([high * 50, low * 50, high * 50]).astype(np.float32)
        near = np.stack([high, low, high]).astype(np.float32)
        for a, b in zip(play(one, [far] * 3)[1:], play(two, [near] * 3)[1:], strict=True):
            np.testing.assert_array_equal(a.observations, b.observations)
            np.testing.assert_array_equal(a.rewards, b.rewards)


@pytest.mark.parametrize("ends", ["terminated", "truncated", "both"])
@pytest.mark.parametrize("kind", ["factory", "live"])
def test_counting(kind: str, ends: str) -> None:
    """The numbers tell exactly what happened; terminated wins over truncated."""
    factory = lambda: Counting(length=5, ends=ends)  # noqa: E731
    if kind == "factory":
        spec = TaskSpec(factory=factory)
    else:
        spec = TaskSpec(vector_env=SyncVectorEnv([factory] * B))
    with make(spec, B, seed=0) as envs:
        observations = envs.reset()
        np.testing.assert_array_equal(observations[:, :3], [[0, 0, -1]] * B)
        for t, action in enumerate(random_actions(envs, 20), start=1):
            step = envs.step(action)
            episode, position = divmod(t, 6)  # five steps and a phantom
            phantom = position == 0
            sent = np.full(B, -1.0) if phantom else action
            expected = [[episode, position, a] for a in sent]
            np.testing.assert_array_equal(step.observations[:, :3], expected)
            np.testing.assert_array_equal(step.rewards, position)
            assert (step.valid == (not phantom)).all()
            assert (step.terminated == (position == 5 and ends != "truncated")).all()
            assert (step.truncated == (position == 5 and ends == "truncated")).all()
