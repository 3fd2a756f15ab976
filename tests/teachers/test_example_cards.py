"""The cards of examples/cards: each fits its weights, and its teacher plays as its README says.

The weights are those of others and not of this repository: where they are not, the tests skip.
"""

import importlib.util
from dataclasses import dataclass

import pytest
import torch
from shared_teachers import CARDS, CARDS_FOLDER, card_path

from rldistill import EvaluationSettings, TaskSpec, evaluate, load_teacher
from rldistill.core import Acting
from rldistill.teachers.card import read_card


def test_every_card_has_a_file_and_every_file_a_card():
    assert sorted(path.stem for path in CARDS_FOLDER.glob("*.toml")) == sorted(CARDS)


@pytest.mark.parametrize("name", sorted(CARDS))
@torch.no_grad()
def test_a_card_fits_its_weights(name, shared_teachers):
    """All tensors are used; outputs are finite on drawn states; who made it and its licence stand
    in it."""
    card = read_card(card_path(name))
    assert card.origin.source
    assert card.origin.licence
    assert card.task.id
    assert card.task.measured is not None
    weights = shared_teachers / CARDS[name]
    policy = load_teacher(weights, card=card_path(name), announce=None)
    states = torch.rand(3, *policy.info.observation_shape)
    assert bool(policy.raw(states).isfinite().all())
    assert policy.info.acting_parameters > 1000
    if policy.critic is not None:
        assert policy.value(states).shape == (3,)


@dataclass(frozen=True)
class Played:
    """How many episodes are played, and the deviation of one where the README tells none."""

    episodes: int
    package: str = ""
    deviation: float = 0.0


FAST = {
    "minatar-gymnax-ppo-cartpole": Played(8),
    "minatar-gymnax-ppo-mountaincar": Played(24, deviation=12.0),
}
SLOW = {
    "minatar-gymnax-ppo-breakout": Played(40, "minatar", deviation=25.0),
    "minatar-gymnax-ppo-freeway": Played(10, "minatar", deviation=3.0),
    "mujoco-cs285-experts-hopper": Played(8, "mujoco"),
    "mujoco-cs285-experts-halfcheetah": Played(8, "mujoco"),
    "xinjinghao-drl-humanoid": Played(6, "mujoco"),
    "xinjinghao-drl-lunarlander": Played(24, "envpool"),
    "xinjinghao-drl-bipedalwalker": Played(16, "envpool"),
    "xinjinghao-drl-bipedalhardcore": Played(24, "Box2D"),
    "atari-ikostrikov-cnn-pong": Played(4, "ale_py", deviation=0.5),
    "atari-ikostrikov-cnn-breakout": Played(8, "ale_py", deviation=155.0),
    "atari-ikostrikov-cnn-qbert": Played(8, "ale_py", deviation=4800.0),
    "atari-xinjinghao-dueldqn-enduro": Played(4, "ale_py"),
    "atari-muupan-a3c-ff-breakout": Played(6, "ale_py"),
    "adroit-dapg-door": Played(4, "gymnasium_robotics"),
    "adroit-dapg-relocate": Played(4, "gymnasium_robotics"),
    "minigrid-doorkey-5x5-450k": Played(20, "minigrid", deviation=0.02),
    "minigrid-doorkey-5x5-61k": Played(20, "minigrid", deviation=0.1),
}


@pytest.mark.parametrize(
    ("name", "played"),
    [
        *FAST.items(),
        *(pytest.param(name, played, marks=pytest.mark.slow) for name, played in SLOW.items()),
    ],
)
def test_a_teacher_returns_what_its_readme_says(name, played, shared_teachers):
    """Within four standard errors of the difference (1 in 16,000 by chance), both sides' noise."""
    if played.package and importlib.util.find_spec(played.package) is None:
        pytest.skip(f"{played.package} is not installed")
    task = read_card(card_path(name)).task
    act = Acting.parse(task.act)
    result = evaluate(
        shared_teachers / CARDS[name],
        TaskSpec(id=task.id, env_kwargs=task.arguments),
        settings=EvaluationSettings(
            episodes=played.episodes, card=card_path(name), student_act=act
        ),
    )
    count, deviation = result["episodes"], max(task.deviation or 0.0, played.deviation)
    error = max(deviation, result["student_std"]) * (1 / count + 1 / task.episodes) ** 0.5
    difference = abs(result["student_return"] - task.measured)
    assert difference <= 4.0 * error + 0.005 * abs(task.measured)
