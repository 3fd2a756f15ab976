"""Kickstarting models of stable-baselines3: the gradient, the weights, what the teacher sees."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_policies import policy
from small_runs import SHIPPED, Follow, Track, follower, tracker
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.errors import SettingError, TaskError, TeacherFileError
from rldistill.integrations.kickstart import KickstartSettings
from rldistill.integrations.sb3 import KickstartCallback, RolloutSide, policy_outputs
from rldistill.maths import categorical
from rldistill.methods.schedules import Linear

CARTPOLE = SHIPPED / "cartpole-dqn.zip"
NO_CLIP = 1e9


def envs(env: type[Follow] = Follow, count: int = 4, **kwargs: Any) -> DummyVecEnv:
    return DummyVecEnv([lambda: env(**kwargs) for _ in range(count)])


def ppo(env: Any = None, **changes: Any) -> PPO:
    given = {"n_steps": 32, "batch_size": 64, "n_epochs": 2, "seed": 0, "device": "cpu"} | changes
    return PPO("MlpPolicy", envs() if env is None else env, **given)


def dqn(env: Any = None, **changes: Any) -> DQN:
    given = {"learning_starts": 32, "batch_size": 64, "train_freq": 4, "seed": 0} | changes
    return DQN("MlpPolicy", envs() if env is None else env, device="cpu", **given)


def raw_teacher() -> NetworkPolicy:
    """Its logits are the observation: labels show what it was shown."""
    return policy(lambda x: x, CategoricalHead(2), num_inputs=2)


class Gradients(BaseCallback):
    """Keeps the model's gradients as they are when its hooks are called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[torch.Tensor]] = []

    def _on_training_start(self) -> None:
        optimizer: Any = self.model.policy.optimizer
        optimizer.register_step_pre_hook(self._keep)

    def _keep(self, *_: object) -> None:
        own = self.model.policy.parameters()
        self.seen.append([torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in own])

    def _on_step(self) -> bool:
        return True


class Weights(BaseCallback):
    """Keeps the weight of every rollout, and what was logged with it."""

    def __init__(self, kickstart: KickstartCallback) -> None:
        super().__init__()
        self.kickstart = kickstart
        self.seen: list[float] = []
        self.logged: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.seen.append(self.kickstart.weight)
        self.logged.append(dict(self.logger.name_to_value))


def test_what_is_added_is_the_gradient_of_the_term() -> None:
    """One step on the whole rollout: the gradients before and after our hook differ by it."""
    model = ppo(batch_size=128, n_epochs=1, max_grad_norm=NO_CLIP)
    kickstart, before, after = KickstartCallback(raw_teacher(), 2.5), Gradients(), Gradients()
    start = {name: p.detach().clone() for name, p in model.policy.named_parameters()}
    model.learn(128, callback=[before, kickstart, after])
    assert len(before.seen) == len(after.seen) == 1
    twin = ppo(batch_size=128, n_epochs=1)
    twin.policy.load_state_dict(start)
    states = torch.as_tensor(model.rollout_buffer.observations).reshape(-1, 2)
    logits = policy_outputs(twin.policy, states)
    (2.5 * categorical.cross_entropy(states, logits).mean()).backward()
    for parameter, first, second in zip(
        twin.policy.parameters(), before.seen[0], after.seen[0], strict=True
    ):
        own = torch.zeros_like(first) if parameter.grad is None else parameter.grad
        assert torch.allclose(second - first, own, atol=1e-5)
    assert any(
        bool(p.grad is not None and p.grad.abs().sum() > 0.1) for p in twin.policy.parameters()
    )


def test_the_weight_follows_its_schedule_by_rollouts_and_is_logged() -> None:
    kickstart = KickstartCallback(follower(), Linear(1.0, 0.0, 4))
    weights = Weights(kickstart)
    model = ppo().learn(128 * 6, callback=[kickstart, weights])
    assert weights.seen == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert [record["distill/weight"] for record in weights.logged] == weights.seen
    assert "distill/loss" not in weights.logged[0], "nothing was learnt before the first rollout"
    assert 0.0 < weights.logged[1]["distill/loss"] < 20.0
    assert 0.0 <= weights.logged[1]["distill/agreement"] <= 1.0
    model.learn(128, callback=[kickstart, weights])
    assert weights.seen[6:] == [0.0], "a second learn() goes on"


def test_a_weight_of_0_changes_nothing() -> None:
    """The model after rounds with weight 0 is the one that was never kickstarted."""
    late = Linear(0.0, 1.0, 10**6)
    kickstart = KickstartCallback(follower(), late)
    with_it = ppo().learn(128, callback=kickstart)
    without = ppo().learn(128)
    pairs = zip(with_it.policy.parameters(), without.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_weight_of_a_dqn_follows_environment_steps() -> None:
    kickstart = KickstartCallback(
        follower(), Linear(1.0, 0.0, 4), settings=KickstartSettings(round_steps=64)
    )
    weights = Weights(kickstart)
    dqn().learn(320, callback=[kickstart, weights])
    assert sorted(set(weights.seen), reverse=True) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert weights.seen.count(1.0) == 4


@pytest.mark.parametrize("make", [ppo, dqn])
def test_the_teacher_sees_raw_observations_and_the_student_normalised_ones(make: Any) -> None:
    """Under a VecNormalize with mean 3 and deviation 2, and row by row of the same states."""
    wrapped = VecNormalize(envs(), training=False, norm_reward=False)
    wrapped.obs_rms.mean[:], wrapped.obs_rms.var[:] = 3.0, 4.0
    model = make(wrapped)
    kickstart = KickstartCallback(raw_teacher(), 1.0)
    seen: list[torch.Tensor] = []
    inner = model.policy if make is ppo else model.q_net
    side = model.learn(128, callback=kickstart) and kickstart._side
    assert side is not None
    inner.features_extractor.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    labels, _ = side.batch() or (None, None)
    assert labels is not None
    assert float(labels.abs().max()) <= 1.0, "observations lie in [-1, 1]"
    assert torch.allclose(seen[-1] * 2.0 + 3.0, labels, atol=1e-5)


def test_moving_statistics_do_not_part_states_from_their_labels() -> None:
    """The buffer's states were normalised with statistics that have moved on since."""
    model = ppo(VecNormalize(envs()))
    kickstart = KickstartCallback(raw_teacher(), 1.0)
    model.learn(128 * 3, callback=kickstart)
    side = kickstart._side
    assert isinstance(side, RolloutSide)
    assert side._kept is not None
    labels, own = side._kept
    assert float(labels.abs().max()) <= 1.0
    order = [torch.argsort(x[:, 0]) for x in (labels, own)]
    # Normalising is increasing: ranks agree up to the moving statistics.
    ranks = [np.argsort(x.numpy()) for x in order]
    assert np.corrcoef(*ranks)[0, 1] > 0.99


@pytest.mark.parametrize("make", [ppo, dqn], ids=["ppo", "dqn"])
def test_without_reward_the_student_becomes_the_teacher(make: Any) -> None:
    """Reward 0 everywhere: what is learnt comes from the teacher alone."""
    fast = {"learning_rate": 3e-3}
    fast |= {"n_epochs": 8} if make is ppo else {"train_freq": 1, "exploration_fraction": 1.0}
    model = make(envs(scale=0.0), **fast)
    before = agreement(model)
    model.learn(1536, callback=KickstartCallback(follower(), 3.0))
    assert agreement(model) > max(0.9, before)


def agreement(model: Any) -> float:
    points = np.random.default_rng(0).uniform(-1, 1, (400, 2)).astype(np.float32)
    return float((model.predict(points, deterministic=True)[0] == (points.sum(1) > 0)).mean())


@pytest.mark.parametrize("make", [PPO, A2C])
def test_continuous_actions_of_any_teacher(make: Any) -> None:
    """A deterministic teacher, and one with a normal (a live model), pull the student's mean."""
    model = make("MlpPolicy", envs(Track), n_steps=32, seed=0, device="cpu", learning_rate=3e-3)
    model.learn(2048, callback=KickstartCallback(tracker(), 1.0))
    points = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
    found = model.predict(points, deterministic=True)[0][:, 0]
    assert np.corrcoef(found, points[:, 0])[0, 1] > 0.8
    again = ppo(envs(Track))
    again.learn(128, callback=KickstartCallback(model, 1.0))


def test_the_optimizer_is_left_as_it_was() -> None:
    """After learn(), and after an interrupted one with detach()."""
    model = ppo()
    optimizer: Any = model.policy.optimizer
    model.learn(128, callback=KickstartCallback(follower(), 1.0))
    assert not optimizer._optimizer_step_pre_hooks

    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            raise KeyboardInterrupt

    kickstart = KickstartCallback(follower(), 1.0)
    with pytest.raises(KeyboardInterrupt):
        model.learn(128, callback=[kickstart, Stop()])
    assert len(optimizer._optimizer_step_pre_hooks) == 1
    kickstart.detach()
    assert not optimizer._optimizer_step_pre_hooks


def test_the_teacher_never_changes() -> None:
    teacher = follower()
    before = {name: x.clone() for name, x in teacher.module.state_dict().items()}
    ppo().learn(256, callback=KickstartCallback(teacher, 1.0))
    assert all(torch.equal(x, before[name]) for name, x in teacher.module.state_dict().items())


def test_a_dqn_file_teaches_a_ppo_student() -> None:
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", 2), n_steps=64, device="cpu")
    kickstart = KickstartCallback(CARTPOLE, loss="kl")
    model.learn(128, callback=kickstart)
    assert kickstart.term is not None
    assert kickstart.term.settings.loss == "kl"


def test_bad_input_is_told_before_a_step_is_taken(tmp_path: Path) -> None:
    def begin(model: Any, teacher: object = None, **changes: Any) -> None:
        model.learn(128, callback=KickstartCallback(teacher or follower(), 1.0, **changes))

    sac = SAC("MlpPolicy", envs(Track), device="cpu")
    with pytest.raises(SettingError, match="PPO, A2C and DQN; this model is a SAC"):
        begin(sac)
    with pytest.raises(SettingError, match="use_sde"):
        begin(ppo(envs(Track), use_sde=True))
    with pytest.raises(TaskError, match="observations of shape"):
        begin(ppo(), CARTPOLE)
    with pytest.raises(TaskError, match="actions"):
        begin(ppo(), tracker())
    with pytest.raises(TeacherFileError):
        begin(ppo(), tmp_path / "none.zip")
    with pytest.raises(SettingError, match="Did you mean"):
        begin(ppo(), loss="cross_entrpy")
    with pytest.raises(SettingError, match="somewhere above"):
        KickstartCallback(follower(), 0.0)


def test_without_the_extra_the_pip_line_is_told() -> None:
    code = (
        "import sys; sys.modules['stable_baselines3'] = None\n"
        "from rldistill.errors import MissingExtraError\n"
        "try:\n    import rldistill.integrations.sb3\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "rldistill[sb3]"' in done.stdout


@pytest.mark.slow
def test_a_kickstarted_ppo_is_ahead_of_a_plain_one() -> None:
    """CartPole, the shipped DQN teacher, 20,480 steps, six seeds each: an exact rank test."""
    returns = {kicked: [trained(seed, kicked) for seed in range(6)] for kicked in (True, False)}
    from scipy.stats import mannwhitneyu

    assert mannwhitneyu(returns[True], returns[False], alternative="greater").pvalue < 0.01


def trained(seed: int, kicked: bool) -> float:
    """Mean return of the last 50 training episodes."""
    env = make_vec_env("CartPole-v1", 8, seed=seed)
    model = PPO("MlpPolicy", env, n_steps=128, batch_size=256, n_epochs=4, seed=seed, device="cpu")
    model.learn(20_480, callback=KickstartCallback(CARTPOLE, 1.0) if kicked else None)
    assert model.ep_info_buffer is not None
    return float(np.mean([episode["r"] for episode in list(model.ep_info_buffer)[-50:]]))
