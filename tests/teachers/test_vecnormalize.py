"""VecNormalize statistics: read as data from pickle and npz, applied as stable-baselines3 does."""

import collections
import os
import pickle as python_pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rldistill.errors import NotFiniteError, RldistillError, TeacherFileError, UnsafeFileError
from rldistill.teachers.layers import Normaliser
from rldistill.teachers.vecnormalize import (
    Statistics,
    find_statistics,
    load_statistics,
    says_normalised,
)

NAMES = ("ppo-BipedalWalkerHardcore-v3", "trpo-LunarLanderContinuous-v2", "trpo-Swimmer-v3")


def test_the_layer_by_hand():
    """x = 3, mean 1, std 2: 1. Far out it is clipped."""
    layer = Normaliser(torch.tensor([1.0]), torch.tensor([2.0]), 5.0)
    assert layer(torch.tensor([[3.0], [1.0], [1e6], [-1e6]])).squeeze(1).tolist() == [
        1.0,
        0.0,
        5.0,
        -5.0,
    ]


def test_digits_survive_where_a_feature_hardly_varies():
    """x - mean cancels: in float32 alone nothing right would be left."""
    x, mean, std = np.float32(100.001), 100.00099, 1e-6
    layer = Normaliser(torch.tensor([mean], dtype=torch.float64), torch.tensor([std]).double(), 1e9)
    expected = (float(x) - mean) / std
    assert layer(torch.tensor([x])).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_pickle_and_the_plain_arrays_beside_it_agree(name, shared_teachers):
    folder = shared_teachers / "sb3" / name
    npz, pkl = load_statistics(folder / "obs_rms.npz"), load_statistics(folder / "vecnormalize.pkl")
    arrays = np.load(folder / "obs_rms.npz")
    torch.testing.assert_close(pkl.mean, torch.from_numpy(arrays["mean"]), rtol=0, atol=0)
    torch.testing.assert_close(pkl.std, torch.from_numpy(np.sqrt(arrays["var"] + arrays["eps"])))
    torch.testing.assert_close(npz.std, pkl.std)
    torch.testing.assert_close(npz.mean, pkl.mean)
    assert npz.clip == pkl.clip == 10.0
    assert npz.reward_std == pkl.reward_std
    assert pkl.reward_std > 1.0


@pytest.fixture
def wrapper(blank):
    """make(**settings): a VecNormalize of stable-baselines3 with moving statistics."""
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")

    def make(observation: int = 3, **settings):
        env = vec_env.VecNormalize(vec_env.DummyVecEnv([lambda: blank(observation, 2)]), **settings)
        rng = np.random.default_rng(0)
        if env.norm_obs:
            env.obs_rms.update(rng.standard_normal((100, observation)) * 3.0 + 1.0)
        env.ret_rms.update(rng.standard_normal(100) * 7.0)
        return env

    return make


@pytest.mark.parametrize(
    "settings", [{}, {"clip_obs": 2.5, "epsilon": 0.1}, {"norm_reward": False}]
)
def test_a_fresh_pickle_normalises_as_stable_baselines3(settings, wrapper, tmp_path):
    env = wrapper(**settings)
    env.save(tmp_path / "vecnormalize.pkl")
    found = load_statistics(tmp_path / "vecnormalize.pkl")
    x = (np.random.default_rng(1).standard_normal((1_000, 3)) * 20).astype(np.float32)
    ours = found.layer()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours, env.normalize_obs(x), rtol=1e-6, atol=1e-7)
    scale = env.unnormalize_reward(np.ones(1))[0]
    assert found.reward_std == pytest.approx(scale, rel=1e-6)


def test_without_norm_obs_there_is_no_layer(wrapper, tmp_path):
    wrapper(norm_obs=False).save(tmp_path / "v.pkl")
    found = load_statistics(tmp_path / "v.pkl")
    assert found.layer() is None
    assert found.reward_std > 1.0


def test_dict_observations_are_not_supported_yet(tmp_path):
    data = python_pickle.dumps({"norm_obs": True})
    (tmp_path / "v.pkl").write_bytes(data)
    with pytest.raises(TeacherFileError, match="not a pickled VecNormalize"):
        load_statistics(tmp_path / "v.pkl")


class Fake:
    """Pickles like a VecNormalize with a given state."""

    def __init__(self, **state):
        self.__dict__.update(state)


def written(path, **state):
    moments = Fake(mean=np.zeros(3), var=np.ones(3), count=1.0)
    fields = {"norm_obs": True, "obs_rms": moments, "clip_obs": 10.0, "epsilon": 1e-8} | state
    path.write_bytes(python_pickle.dumps(Fake(**fields)))
    return path


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"obs_rms": Fake(mean=np.zeros(3), var=np.ones(4))}, TeacherFileError),
        ({"obs_rms": Fake(mean=np.zeros(3), var=-np.ones(3))}, NotFiniteError),
        ({"obs_rms": Fake(mean=np.full(3, np.nan), var=np.ones(3))}, NotFiniteError),
        ({"obs_rms": Fake(mean=np.zeros(3))}, TeacherFileError),
        ({"obs_rms": Fake(mean=np.array([{}] * 3), var=np.ones(3))}, UnsafeFileError),
        ({"obs_rms": {"a": Fake(mean=np.zeros(3), var=np.ones(3))}}, TeacherFileError),
        ({"obs_rms": None}, TeacherFileError),
        ({"clip_obs": -1.0}, TeacherFileError),
        ({"clip_obs": "10"}, TeacherFileError),
        ({"epsilon": float("nan")}, TeacherFileError),
        ({"epsilon": -2.0}, NotFiniteError),
    ],
)
def test_bad_statistics_are_an_error_of_ours(state, error, tmp_path):
    with pytest.raises(error):
        load_statistics(written(tmp_path / "v.pkl", **state))


def test_a_payload_never_runs(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'run'}",)

    (tmp_path / "v.pkl").write_bytes(python_pickle.dumps(Payload()))
    with pytest.raises(TeacherFileError, match="not a pickled VecNormalize"):
        load_statistics(tmp_path / "v.pkl")
    written_path = tmp_path / "w.pkl"
    state = {"norm_obs": True, "obs_rms": collections.OrderedDict(mean=Payload(), var=1.0)}
    written_path.write_bytes(python_pickle.dumps(state))
    with pytest.raises(TeacherFileError):
        load_statistics(written_path)
    assert not (tmp_path / "run").exists()


def test_an_npz_needs_only_mean_and_var(tmp_path):
    np.savez(tmp_path / "s.npz", mean=np.zeros(3), var=np.full(3, 4.0))
    found = load_statistics(tmp_path / "s.npz")
    assert found.clip == 10.0
    assert found.std.tolist() == pytest.approx([2.0] * 3)
    assert found.reward_std is None
    np.savez(tmp_path / "s.npz", mean=np.zeros(3))
    with pytest.raises(TeacherFileError, match="mean and var are required"):
        load_statistics(tmp_path / "s.npz")


def test_an_npz_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "s.npz", mean=np.array([{}] * 3), var=np.ones(3))
    with pytest.raises(UnsafeFileError):
        load_statistics(tmp_path / "s.npz")


@given(st.data())
def test_damage_ends_in_an_error_of_ours_or_in_sound_statistics(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("v")
    content = bytearray(written(folder / "v.pkl").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "v.pkl").write_bytes(bytes(content))
    try:
        layer = load_statistics(folder / "v.pkl").layer()
    except RldistillError:
        return
    assert layer is None or bool(layer(torch.zeros(1, layer.mean.numel())).isfinite().all())


@pytest.mark.parametrize(
    ("model", "statistics"),
    [
        ("model.zip", "vecnormalize.pkl"),
        ("model.zip", "obs_rms.npz"),
        ("Env-v1.zip", "Env-v1/vecnormalize.pkl"),
        ("rl_model_1000_steps.zip", "rl_model_vecnormalize_1000_steps.pkl"),
    ],
)
def test_statistics_are_found_where_others_leave_them(model, statistics, tmp_path):
    assert find_statistics(tmp_path / model) is None
    (tmp_path / statistics).parent.mkdir(exist_ok=True)
    (tmp_path / statistics).touch()
    assert find_statistics(tmp_path / model) == tmp_path / statistics


def test_plain_arrays_are_preferred_to_a_pickle(tmp_path):
    for name in ("vecnormalize.pkl", "obs_rms.npz"):
        (tmp_path / name).touch()
    assert find_statistics(tmp_path / "model.zip").name == "obs_rms.npz"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("  - - normalize\n    - true\n  - - policy\n    - MlpPolicy\n", True),
        ("  - - normalize\n    - false\n", False),
        ("normalize: true\n", True),
        ("normalize: False\n", False),
        ("  - - normalize\n    - '{''norm_obs'': True, ''norm_reward'': False}'\n", True),
        ("normalize: \"{'norm_obs': False, 'norm_reward': True}\"\n", False),
        ("  - - normalize_advantage\n    - true\n", False),
        ("!!python/object/apply:os.system ['exit 1']\n", False),
        ("", False),
    ],
)
def test_a_config_beside_the_zip_is_read_as_text(text, says, tmp_path):
    (tmp_path / "config.yml").write_text(text)
    assert says_normalised(tmp_path / "model.zip") == ("config.yml" if says else None)


def test_no_statistics_no_layer():
    assert Statistics(mean=None, std=None).layer() is None
