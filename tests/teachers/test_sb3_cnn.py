"""CnnPolicy of stable-baselines3: parity with its own predict on models trained for some steps."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.errors import MisfitError, TeacherFileError
from rldistill.teachers.load import load_teacher

pytest.importorskip("stable_baselines3")
import stable_baselines3


class Squares(gymnasium.Env):
    """A bright square left or right of the middle; saying where it is pays."""

    def __init__(self, action_space, shape=(1, 36, 36)):
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.action_space = action_space

    def _show(self):
        self.side = int(self.np_random.integers(2))
        picture = self.np_random.integers(0, 60, self.observation_space.shape, np.uint8)
        view = picture if picture.shape[0] <= 3 else np.moveaxis(picture, -1, 0)
        view[:, 8:28, 18 * self.side : 18 * self.side + 18] = 220
        return picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._show(), {}

    def step(self, action):
        reward = float(np.all(np.asarray(action) == self.side))
        return self._show(), reward, bool(self.np_random.random() < 0.1), False, {}


def pictures(count: int, shape) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), np.uint8)


DISCRETE, BOX = spaces.Discrete(3), spaces.Box(-2.0, 2.0, (2,), np.float32)
SMALL = {"features_extractor_kwargs": {"features_dim": 16}, "net_arch": [8]}
ON = {"n_steps": 16, "batch_size": 16, "n_epochs": 1}
OFF = {"buffer_size": 60, "learning_starts": 10, "batch_size": 8}
CASES = {
    "PPO": ("PPO", DISCRETE, {}, ON),
    "PPO Box, not shared": ("PPO", BOX, {"share_features_extractor": False}, ON),
    "A2C no layers": ("A2C", DISCRETE, {"net_arch": []}, {"n_steps": 8}),
    "PPO not scaled": ("PPO", DISCRETE, {"normalize_images": False}, ON),
    "DQN": ("DQN", DISCRETE, {}, OFF),
    "SAC": ("SAC", BOX, {}, OFF),
    "TD3": ("TD3", BOX, {}, OFF),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(1, 36, 36), (36, 36, 1)], ids=["first", "last"])
@torch.no_grad()
def test_a_trained_cnn_is_what_stable_baselines3_makes_of_it(case, shape, tmp_path):
    """Channels last as well, which stable-baselines3 transposes and the task shows."""
    if shape[0] == 36 and not case.startswith("PPO"):
        pytest.skip("the door is the same for all algorithms")
    name, action_space, kwargs, settings = CASES[case]
    model = getattr(stable_baselines3, name)(
        "CnnPolicy",
        Squares(action_space, shape),
        policy_kwargs=SMALL | kwargs,
        device="cpu",
        seed=0,
        **settings,
    )
    with torch.enable_grad():
        model.learn(24)
    model.save(tmp_path / "model.zip")
    policy = load_teacher(
        tmp_path / "model.zip", observation_shape=shape, action_space=action_space, announce=None
    )
    seen = pictures(48, shape)
    theirs, _ = model.predict(seen, deterministic=True)
    ours, _ = policy.predict(seen)
    if action_space is DISCRETE:
        raw = policy.raw(torch.from_numpy(seen)).topk(2).values
        clear = (raw[:, 0] - raw[:, 1] > 1e-5).numpy()
        assert clear.mean() > 0.9
        assert (ours == theirs)[clear].all()
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    if name in ("PPO", "A2C"):
        tensor = model.policy.obs_to_tensor(seen)[0]
        values = model.policy.predict_values(tensor).squeeze(-1)
        torch.testing.assert_close(policy.value(torch.from_numpy(seen)), values)
    if name in ("SAC", "TD3"):
        assert policy.critic is None
        assert any("convolutions of their own" in note for note in policy.info.notes)


def test_pictures_of_another_size_are_told(tmp_path):
    model = stable_baselines3.PPO(
        "CnnPolicy", Squares(DISCRETE), policy_kwargs=SMALL, device="cpu", **ON
    )
    model.save(tmp_path / "model.zip")
    with pytest.raises(MisfitError, match=r"takes observations of shape \(1, 36, 36\)"):
        load_teacher(tmp_path / "model.zip", observation_shape=(1, 84, 84))


def test_a_multi_input_policy_is_refused_and_says_why(tmp_path):
    class Both(gymnasium.Env):
        observation_space = spaces.Dict({"a": spaces.Box(0, 1, (3,)), "b": spaces.Box(0, 1, (2,))})
        action_space = DISCRETE

        def reset(self, *, seed=None, options=None):
            return self.observation_space.sample(), {}

    model = stable_baselines3.PPO("MultiInputPolicy", Both(), device="cpu")
    model.save(tmp_path / "model.zip")
    with pytest.raises(TeacherFileError, match=r"not supported yet: .*Dict observations"):
        load_teacher(tmp_path / "model.zip")
