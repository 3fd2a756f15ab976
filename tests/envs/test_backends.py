"""Which backend is chosen and why; what a user is told when a task cannot be made."""

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import toy
from gymnasium import spaces

from rldistill.envs import envpool
from rldistill.envs.backends import VectorEnv, make, task_spec
from rldistill.envs.spec import TaskSpec
from rldistill.errors import (
    EnvironmentFailure,
    MissingExtraError,
    SettingError,
    ShapeError,
    TaskError,
)


def why(spec: TaskSpec) -> str:
    with make(spec, 1, 0) as envs:
        assert envs.info.notes[0].startswith(f"{envs.info.backend}: ")
        return envs.info.notes[0]


# --- the choice -----------------------------------------------------------------------------------


def test_auto_takes_envpool_where_it_is_the_same_task() -> None:
    """And says so in one line."""
    assert why(TaskSpec(id="LunarLander-v3")).startswith("envpool: faster; mean returns agree")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (TaskSpec(id="FrozenLake-v1"), "not shown to be the same task"),
        (TaskSpec(id="CartPole-v1", wrapper="toy:shout"), "wrapper"),
        (TaskSpec(id="CartPole-v1", imports=("toy",)), "imported module"),
        (TaskSpec(id="LunarLander-v3", env_kwargs={"gravity": -5.0}), "without env_kwargs"),
        (TaskSpec(factory=toy.Counting), "live object"),
        (TaskSpec(id="CartPole-v1", backend="gymnasium"), "as asked"),
    ],
)
def test_auto_takes_gymnasium_where_something_stands_against_envpool(
    spec: TaskSpec, reason: str
) -> None:
    """With the reason."""
    note = why(spec)
    assert note.startswith("gymnasium: ")
    assert reason in note


def test_without_envpool_the_line_says_what_would_be_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exact pip line, and only where envpool would have been taken."""
    monkeypatch.setitem(sys.modules, "envpool", None)
    assert 'for faster steps: pip install "rldistill[fast]"' in why(TaskSpec(id="CartPole-v1"))
    assert '(in a checkout: pip install ".[fast]")' in why(TaskSpec(id="CartPole-v1"))
    assert "pip" not in why(TaskSpec(id="FrozenLake-v1"))
    with pytest.raises(MissingExtraError, match=r'pip install "rldistill\[fast\]"'):
        make(TaskSpec(id="CartPole-v1", backend="envpool"), 1, 0)
    with pytest.raises(TaskError, match="Did you mean CartPole-v1"):
        make("CartPol-v1", 1, 0)


def test_choosing_gymnasium_does_not_import_envpool() -> None:
    """Its import takes a second; a fresh interpreter shows it."""
    code = (
        "import sys; from rldistill.envs.backends import make; make('FrozenLake-v1', 1, 0); "
        "sys.exit('envpool' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"})


def test_explicit_envpool_works_beyond_the_table_and_says_so() -> None:
    assert "not shown to be the same" in why(TaskSpec(id="FrozenLake-v1", backend="envpool"))
    assert why(TaskSpec(id="CartPole-v1", backend="envpool")) == "envpool: as asked"


# --- what make takes ------------------------------------------------------------------------------


def test_a_task_may_be_an_id_a_spec_a_factory_or_a_vector_environment() -> None:
    assert task_spec("X-v0").id == "X-v0"
    assert task_spec(toy.Counting).factory is toy.Counting
    spec = TaskSpec(id="X-v0")
    assert task_spec(spec) is spec


@pytest.mark.parametrize("source", [toy.Counting(), 3])
def test_a_single_live_environment_is_refused(source: Any) -> None:
    """It cannot be copied; the message shows a factory."""
    with pytest.raises(TaskError, match=r"give lambda: gymnasium.make"):
        make(source, 1, 0)


@pytest.mark.parametrize(
    ("num_envs", "seed", "match"),
    [(0, 0, "num_envs must be >= 1"), (1, -1, "got -1"), (8, 2**31 - 8, "seed must lie")],
)
def test_num_envs_and_seed_are_checked(num_envs: int, seed: int, match: str) -> None:
    with pytest.raises(SettingError, match=match):
        make("CartPole-v1", num_envs, seed)


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_the_largest_seed_works(backend: str) -> None:
    with make(TaskSpec(id="CartPole-v1", backend=backend), 2, 2**31 - 3) as envs:
        assert np.isfinite(envs.reset()).all()


# --- clear errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (TaskSpec(id="LunarLandr-v3"), "Did you mean LunarLander-v3"),
        (
            TaskSpec(id="LunarLander-v2"),
            r"There is LunarLander-v3 or envpool's LunarLander-v2 \(--backend envpool\)\.",
        ),
        (TaskSpec(id="CartPole-v7"), r"There is CartPole-v0 or CartPole-v1\."),
        (TaskSpec(id="MiniGrid-Emty-5x5-v0"), r"Did you mean MiniGrid-Empty-5x5-v0.*need backend"),
        (TaskSpec(id="ALE/Pong-v4"), r'pip install "rldistill\[atari\]"'),
        (TaskSpec(id="ALE/Pnog-v5"), "Did you mean Pong"),
        (TaskSpec(id="MinAtar/Breakuot-v1"), "Did you mean MinAtar/Breakout-v1"),
        (TaskSpec(id="CartPole-v1", backend="ale"), "'ale' does not serve 'CartPole-v1'"),
        (TaskSpec(id="ALE/Pong-v5", backend="minatar"), "'minatar' does not serve"),
        (TaskSpec(id="LunarLandr-v3", backend="envpool"), "Did you mean LunarLander-v3"),
        (TaskSpec(id="Pong-v5", backend="envpool"), "Atari"),
        (
            TaskSpec(id="HalfCheetah-v3"),
            "does not have HalfCheetah-v3 any more. There is HalfCheetah-v4 or HalfCheetah-v5 or",
        ),
        (
            TaskSpec(id="LunarLander-v3", env_kwargs={"gravty": 1}),
            r"'gravty': 1.*Did you mean gravity",
        ),
        (
            TaskSpec(id="FrozenLake-v1", backend="envpool", env_kwargs={"sise": 8}),
            r"'sise'. Did you mean size\? It takes",
        ),
        (
            TaskSpec(id="FrozenLake-v1", backend="envpool", env_kwargs={"num_threads": 8}),
            "no keyword argument 'num_threads'",
        ),
        (TaskSpec(factory=lambda: 3), "must return a gymnasium.Env; got builtins.int"),
        (
            TaskSpec(id="CartPole-v1", wrapper="toy:not_an_env"),
            "must return a gymnasium.Env; got str",
        ),
    ],
    ids=lambda x: getattr(x, "id", None),
)
def test_a_task_that_cannot_be_made_says_what_to_do(spec: TaskSpec, match: str) -> None:
    with pytest.raises(TaskError, match=match):
        make(spec, 1, 0)


def test_imports_register_environments() -> None:
    """An imported module's id works by name; "module:Id" works without an import."""
    gymnasium.register("Toy-v0", entry_point="toy:Counting", max_episode_steps=9)
    try:
        with make(TaskSpec(id="Toy-v0", imports=("toy",)), 1, 0) as envs:
            assert (envs.info.id, envs.info.max_episode_steps) == ("Toy-v0", 9)
        with make("toy:Toy-v0", 1, 0) as envs:
            assert envs.reset().shape == (1, 4)
    finally:
        del gymnasium.registry["Toy-v0"]
    with pytest.raises(SettingError, match="no module 'tooy'"):
        make(TaskSpec(id="CartPole-v1", imports=("tooy",)), 1, 0)


@pytest.mark.parametrize(
    ("task_id", "module", "folder", "extra"),
    [
        ("BipedalWalker-v3", "Box2D", "gymnasium.envs.box2d", "box2d"),
        ("Hopper-v5", "mujoco", "gymnasium.envs.mujoco", "mujoco"),
    ],
)
def test_a_missing_simulator_names_its_extra(
    task_id: str, module: str, folder: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exact pip line, as on a machine without the package."""
    for name in [n for n in sys.modules if n.split(".")[0] == module or n.startswith(folder)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf'pip install "rldistill\[{extra}\]"'):
        make(TaskSpec(id=task_id, backend="gymnasium"), 1, 0)


def test_an_extra_that_is_there_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another refusal by gymnasium is passed on in its own words."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise gymnasium.error.Error("not on a Sunday")

    monkeypatch.setattr(gymnasium, "make", refuse)
    with pytest.raises(TaskError, match="cannot make BipedalWalker-v3: not on a Sunday"):
        make(TaskSpec(id="BipedalWalker-v3", backend="gymnasium"), 1, 0)


def test_kwargs_and_wrappers_reach_the_environment() -> None:
    """FrozenLake 8x8 has 64 fields; toy:shout multiplies the reward by ten."""
    with make(TaskSpec(id="FrozenLake-v1", env_kwargs={"map_name": "8x8"}), 1, 0) as envs:
        assert envs.info.observation_space.shape == (64,)
    with make(TaskSpec(id="CartPole-v1", wrapper="toy:shout"), 1, 0) as envs:
        envs.reset()
        assert envs.step(np.array([0])).rewards.tolist() == [10.0]
    with make(
        TaskSpec(id="FrozenLake-v1", backend="envpool", env_kwargs={"size": 8}), 1, 0
    ) as envs:
        assert envs.reset().shape == (1, envs.info.observation_space.shape[0])


# --- environments that go wrong -------------------------------------------------------------------


def run(envs: VectorEnv, num_steps: int) -> None:
    envs.reset()
    for _ in range(num_steps):
        envs.step(np.zeros(envs.num_envs, np.int64))


def third_is(bad: Any) -> TaskSpec:
    """Three good environments, with a bad one in the third place."""
    count = iter(range(1000))
    return TaskSpec(id="Toy", factory=lambda: bad() if next(count) == 2 else toy.NeverEnding())


def test_an_environment_that_raises_is_named_with_its_step() -> None:
    """Task, environment, step, and the original as the cause."""
    envs = make(third_is(lambda: toy.Raises(at=20)), 4, 0)
    with pytest.raises(
        EnvironmentFailure, match=r"Toy: environment number 3 of 4 raised in step 20:"
    ) as e:
        run(envs, 30)
    assert "ZeroDivisionError: the pole is gone" in str(e.value)
    assert isinstance(e.value.__cause__, ZeroDivisionError)


def test_an_environment_that_raises_in_reset_is_named() -> None:
    envs = make(third_is(lambda: toy.Raises(at=0)), 4, 0)
    with pytest.raises(
        EnvironmentFailure, match="Toy: environment number 3 of 4 raised in reset:"
    ) as e:
        envs.reset()
    assert isinstance(e.value.__cause__, RuntimeError)


def test_an_environment_or_wrapper_that_raises_when_made_is_named() -> None:
    with pytest.raises(EnvironmentFailure, match="raised when called: TypeError"):
        make(TaskSpec(factory=lambda: toy.Raises()), 1, 0)
    with pytest.raises(
        EnvironmentFailure, match="wrapper 'toy:broken' raised when called: KeyError"
    ):
        make(TaskSpec(id="CartPole-v1", wrapper="toy:broken"), 1, 0)
    with pytest.raises(EnvironmentFailure, match="raised in its first 4 steps: ZeroDivisionError"):
        make(TaskSpec(factory=lambda: toy.Raises(at=2)), 1, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["observation", "reward"])
def test_what_is_not_a_number_is_named_with_its_step(what: str, value: float) -> None:
    """In the step it first appears."""
    envs = make(third_is(lambda: toy.Diverges(12, what, value)), 4, 0)
    with pytest.raises(
        EnvironmentFailure, match=rf"Toy: environment number 3 of 4 .* {what} in step 12 "
    ):
        run(envs, 20)


def test_large_numbers_are_numbers() -> None:
    """1e30 squared overflows float32; it is finite all the same."""
    with make(TaskSpec(factory=lambda: toy.Diverges(2, "observation", 1e30)), 2, 0) as envs:
        run(envs, 5)


def test_an_environment_that_never_ends_is_cut_and_noted() -> None:
    """27,000 steps where nobody says anything, else what was asked."""
    with make(TaskSpec(factory=toy.NeverEnding), 1, 0) as envs:
        assert envs.info.max_episode_steps == 27_000
        assert any("cut at 27,000 steps" in note for note in envs.info.notes)
    with make(TaskSpec(factory=toy.NeverEnding, max_episode_steps=6), 1, 0) as envs:
        envs.reset()
        flags = [bool(envs.step(np.array([0])).truncated[0]) for _ in range(7)]
        assert flags == [False] * 5 + [True, False]


def test_a_higher_limit_than_the_factorys_own_has_no_effect_and_is_refused() -> None:
    spec = TaskSpec(factory=lambda: gymnasium.make("CartPole-v1"), max_episode_steps=600)
    with pytest.raises(SettingError, match="are cut at 500 steps; raise it there"):
        make(spec, 1, 0)
    with make(TaskSpec(id="CartPole-v1", max_episode_steps=600), 1, 0) as envs:
        assert envs.info.max_episode_steps == 600


def test_one_environment_returned_twice_is_refused() -> None:
    env = toy.Counting()
    with pytest.raises(TaskError, match="a new one at each call"):
        make(lambda: env, 2, 0)


def test_environments_of_different_spaces_are_refused() -> None:
    count = iter(range(9))
    space = [spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (3,))]
    with pytest.raises(TaskError, match="of one task differ"):
        make(lambda: toy.Observes(space[next(count)]), 2, 0)


def test_an_environment_that_ignores_its_seed_claims_no_equal_starts() -> None:
    """Then returns must not be paired; a note says why."""
    with make(toy.Unseeded, 2, 0) as envs:
        assert not envs.info.equal_starts
        assert any("cannot be paired" in note for note in envs.info.notes)


def test_observations_that_do_not_fit_the_declared_space_are_named() -> None:
    envs = make(toy.WrongShape, 2, 0)
    with pytest.raises(EnvironmentFailure, match=r"WrongShape.*do not fit .*observation space Box"):
        envs.reset()


def test_steps_before_a_reset_and_of_another_size_are_refused() -> None:
    with make("CartPole-v1", 2, 0) as envs:
        with pytest.raises(ShapeError, match=r"reset\(\) must be called first"):
            envs.step(np.array([0, 1]))
        envs.reset()
        with pytest.raises(ShapeError, match="2 environments got 3 actions"):
            envs.step(np.array([0, 1, 0]))


def test_a_reset_forgets_that_episodes_were_over() -> None:
    """After a reset the next step is a step, not a phantom, in every environment."""
    with make(toy.Counting, 2, 0) as envs:
        run(envs, 5)  # the episodes end here
        envs.reset()
        step = envs.step(np.array([0, 2]))
        assert step.valid.all()
        assert step.observations[:, 1:3].tolist() == [[1, 0], [1, 2]]


def test_actions_start_where_the_environment_starts() -> None:
    """Index 0 reaches an environment of Discrete(3, start=3) as 3."""
    with make(toy.StartsAtThree, 3, 0) as envs:
        envs.reset()
        step = envs.step(np.array([0, 1, 2]))
        assert step.observations[:, 2].tolist() == [3, 4, 5]
        assert envs.info.action_space == spaces.Discrete(3)


def test_actions_reach_the_environment_clipped_in_shape_and_dtype() -> None:
    made: list[toy.Moves] = []
    space = spaces.Box(-1, 1, (2, 2), np.float64)
    factory = lambda: made.append(toy.Moves(space)) or made[-1]  # noqa: E731
    with make(TaskSpec(factory=factory), 2, 0) as envs:
        assert envs.info.action_space == spaces.Box(-1, 1, (4,), np.float32)
        envs.reset()
        envs.step(np.float32([[0, 0.5, 9, -9]] * 2))
    assert made[1].actions[-1].tolist() == [[0, 0.5], [1, -1]]
    assert made[1].actions[-1].dtype == np.float64


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5),
        spaces.Dict({"b": spaces.Box(-1, 1, (2,)), "a": spaces.Discrete(3)}),
        spaces.Tuple((spaces.MultiBinary(3), spaces.Box(-1, 1, (2, 2), np.float64))),
    ],
    ids=["discrete", "dict", "tuple"],
)
def test_structured_observations_come_flat_and_in_their_order(space: spaces.Space) -> None:
    """What each environment observed, flattened as gymnasium does, in its own row."""
    made: list[toy.Observes] = []
    factory = lambda: made.append(toy.Observes(space)) or made[-1]  # noqa: E731
    with make(TaskSpec(factory=factory), 3, 0) as envs:
        envs.reset()
        step = envs.step(np.zeros(3, np.int64))
        for row, env in zip(step.observations, made, strict=True):
            np.testing.assert_allclose(row, spaces.flatten(space, env.seen[-1]), rtol=1e-6)


def test_float64_observations_become_float32() -> None:
    with make(toy.Doubles, 2, 0) as envs:
        assert envs.reset().dtype == np.float32


def test_pixels_stay_uint8() -> None:
    space = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    with make(lambda: toy.Observes(space), 2, 0) as envs:
        assert envs.reset().dtype == np.uint8
        assert envs.step(np.zeros(2, np.int64)).observations.shape == (2, 8, 8, 3)


def test_atari_of_envpool_is_never_taken() -> None:
    """Its ids preprocess frames in their own way; a later backend serves them."""
    assert not any("Frame" in name or name.startswith("ALE/") for name in envpool.EQUIVALENT_IDS)
