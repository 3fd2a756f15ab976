"""Weights and a card become the network that the same weights make in plain torch."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import save_file
from small_cards import MLP, draw, mlp_weights, save, tensors
from torch import nn
from torch.nn.functional import conv2d, linear, max_pool2d

from rldistill import load_policy, load_teacher
from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import (
    MisfitError,
    NotFiniteError,
    SettingError,
    TaskError,
    TeacherFileError,
    UnsafeFileError,
)

STATES = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def card(head: str, network: str, more: str = "", actions: str = "") -> str:
    return (
        f'format = 1\nalgorithm = "X"\n[actions]\nhead = "{head}"\n{actions}\n'
        f"[network]\n{network}\n{more}"
    )


def quiet(path: Path, **settings):
    return load_teacher(path, announce=None, **settings)


@pytest.fixture
def mlp(tmp_path):
    return save(tmp_path, MLP, mlp_weights())


@torch.no_grad()
def test_an_mlp_with_its_critic(mlp):
    policy, w = quiet(mlp), tensors(mlp_weights())
    latent = linear(STATES, w["a.weight"], w["a.bias"]).tanh()
    torch.testing.assert_close(policy.raw(STATES), linear(latent, w["b.weight"], w["b.bias"]))
    value = linear(latent, w["v.weight"], w["v.bias"]).squeeze(-1)
    torch.testing.assert_close(policy.value(STATES), value)
    info = policy.info
    assert (info.name, info.head, info.observation_shape) == ("PPO", CategoricalHead(2), (3,))
    assert (info.gamma, info.value_units) == (0.9, "raw")
    assert (info.acting_parameters, info.parameters) == (32, 38)
    assert info.notes[0].startswith("PPO (npz, by card): 3 -> 2 (categorical), 32 acting")
    assert not any(p.requires_grad for p in policy.module.parameters())
    assert not policy.module.training


@torch.no_grad()
def test_every_format_of_weights_gives_the_same_teacher(tmp_path, mlp):
    expected = quiet(mlp).raw(STATES)
    w = tensors(mlp_weights())
    save_file(w, tmp_path / "w.safetensors")
    torch.save(w, tmp_path / "w.pth")
    torch.save(w, tmp_path / "w.tar", _use_new_zipfile_serialization=False)
    for name in ("w.safetensors", "w.pth", "w.tar"):
        policy = quiet(tmp_path / name, card=tmp_path / "teacher.toml")
        assert torch.equal(policy.raw(STATES), expected)


@torch.no_grad()
def test_kernels_of_jax_are_turned(tmp_path):
    """(in, out) and (height, width, in, out); flattened in the order height, width, channels."""
    w = draw(c__kernel=(2, 2, 3, 4), c__bias=(4,), a__kernel=(4 * 4 * 4, 2), n__scale=(2,),
             n__bias=(2,))  # fmt: skip
    text = card(
        "categorical",
        'actor = [{ conv2d = "c" }, "relu", { flatten = "hwc" }, { linear = "a" },'
        ' { layernorm = "n", epsilon = 1e-6 }]',
        '[observations]\nshape = [5, 5, 3]\nchannels = "last"\n[weights]\nlayout = "jax"\n',
    )
    policy = quiet(save(tmp_path, text, w))
    x = torch.rand(3, 5, 5, 3)
    t = tensors(w)
    out = conv2d(x.permute(0, 3, 1, 2), t["c.kernel"].permute(3, 2, 0, 1), t["c.bias"]).relu()
    out = out.permute(0, 2, 3, 1).flatten(1) @ t["a.kernel"]
    out = nn.functional.layer_norm(out, (2,), t["n.scale"], t["n.bias"], 1e-6)
    torch.testing.assert_close(policy.raw(x), out)


@torch.no_grad()
def test_pixels_are_scaled_and_pooled(tmp_path):
    w = draw(c__weight=(4, 2, 3, 3), c__bias=(4,), a__weight=(3, 16))
    text = card(
        "q-values",
        'actor = [{ conv2d = "c", stride = 2, padding = 1 }, "elu", { maxpool = 2 }, "flatten",'
        ' { linear = "a" }]',
        "[observations]\nshape = [2, 8, 8]\nscale = 255.0\n",
    )
    policy = quiet(save(tmp_path, text, w))
    frames = torch.randint(0, 256, (5, 2, 8, 8), dtype=torch.uint8)
    t = tensors(w)
    out = conv2d(frames.float() / 255, t["c.weight"], t["c.bias"], 2, 1)
    out = max_pool2d(nn.functional.elu(out), 2).flatten(1) @ t["a.weight"].T
    torch.testing.assert_close(policy.raw(frames), out)
    assert policy.info.head == QValueHead(3)
    torch.testing.assert_close(policy.value(frames), out.amax(-1))


@torch.no_grad()
def test_a_dueling_network_by_hand(tmp_path):
    w = draw(adv__weight=(4, 3), val__weight=(1, 3))
    text = card(
        "q-values",
        'actor = [{ dueling = { advantage = [{ linear = "adv" }],'
        ' value = [{ linear = "val" }] } }]',
    )
    policy, t = quiet(save(tmp_path, text, w)), tensors(w)
    a, v = STATES @ t["adv.weight"].T, STATES @ t["val.weight"].T
    torch.testing.assert_close(policy.raw(STATES), v + a - a.mean(-1, keepdim=True))


@torch.no_grad()
def test_a_gaussian_with_scales_at_both_ends(tmp_path):
    w = draw(W=(2, 3), b=(2,), log_std=(2,), shift=(3,), out=(2,)) | {
        "scale": np.array([0.0, 1.0, 2.0], np.float32)
    }
    text = card(
        "gaussian",
        'actor = [{ normaliser = { shift = "shift", divide = "scale", epsilon = 0.5,'
        " clip = 1.5 } },"
        ' { linear = ["W", "b"] }, { affine = { multiply = 3, add = "out" } }]',
        actions='log_std = "log_std"\nlow = -1.0\nhigh = [1.0, 2.0]',
    )
    policy, t = quiet(save(tmp_path, text, w)), tensors(w)
    x = ((STATES - t["shift"]) / (t["scale"] + 0.5)).clamp(-1.5, 1.5)
    mean = 3 * linear(x, t["W"], t["b"]) + t["out"]
    out = policy(STATES)
    torch.testing.assert_close(out.mean, mean)
    torch.testing.assert_close(out.log_std, t["log_std"].expand(7, 2))
    assert policy.info.head == GaussianHead((-1.0, -1.0), (1.0, 2.0))


@torch.no_grad()
def test_a_squashed_gaussian_with_deviations_of_the_state(tmp_path):
    w = draw(t__weight=(5, 3), m__weight=(2, 5), s__weight=(2, 5)) | {
        "s.bias": np.array([-90.0, 90.0], np.float32)
    }
    text = card(
        "squashed-gaussian",
        'trunk = [{ linear = "t" }, "relu"]\nactor = [{ linear = "m" }]',
        actions='log_std = [{ linear = "s" }]\nlow = -2.0\nhigh = 2.0',
    )
    policy, t = quiet(save(tmp_path, text, w)), tensors(w)
    latent = (STATES @ t["t.weight"].T).relu()
    raw = policy.raw(STATES)
    torch.testing.assert_close(raw[:, :2], latent @ t["m.weight"].T)
    assert bool((raw[:, 2] == -20).all())
    assert bool((raw[:, 3] == 2).all())
    assert policy.info.head == SquashedGaussianHead((-2.0, -2.0), (2.0, 2.0))
    torch.testing.assert_close(policy(STATES).mode(), 2 * (latent @ t["m.weight"].T).tanh())


@torch.no_grad()
def test_a_deterministic_policy_takes_the_bounds_of_the_task(tmp_path):
    text = card("deterministic", 'actor = [{ linear = ["W"] }, "tanh"]')
    path = save(tmp_path, text, draw(W=(2, 3)))
    assert quiet(path).info.head == DeterministicHead((-math.inf,) * 2, (math.inf,) * 2)
    box = spaces.Box(-3, 3, (2,))
    assert quiet(path, action_space=box).info.head == DeterministicHead((-3.0,) * 2, (3.0,) * 2)


def test_a_flat_network_sees_the_shape_of_the_task(tmp_path):
    """As those of MinAtar do, whose boards may come flat or not."""
    text = card("categorical", 'actor = ["flatten", { linear = "a" }]')
    path = save(tmp_path, text, draw(a__weight=(2, 12)))
    assert quiet(path).info.observation_shape == (12,)
    policy = quiet(path, observation_shape=(2, 3, 2))
    assert policy.info.observation_shape == (2, 3, 2)
    assert policy.raw(torch.zeros(4, 2, 3, 2, dtype=torch.uint8)).shape == (4, 2)
    with pytest.raises(MisfitError):
        quiet(path, observation_shape=(13,))


def test_a_teacher_with_other_actions_than_the_task_is_refused(mlp):
    with pytest.raises(MisfitError, match="chooses among 2 actions, the task takes one of 3"):
        quiet(mlp, action_space=spaces.Discrete(3))
    with pytest.raises(MisfitError, match="takes observations of shape"):
        quiet(mlp, observation_shape=(4,))


def test_the_card_is_found_beside_or_given(tmp_path, mlp):
    assert torch.equal(load_policy(mlp).raw(STATES), quiet(mlp).raw(STATES))
    (tmp_path / "teacher.toml").rename(tmp_path / "other.toml")
    with pytest.raises(TeacherFileError, match=r"lay a teacher card beside it \(teacher\.toml\)"):
        quiet(mlp)
    assert quiet(mlp, card=tmp_path / "other.toml").info.name == "PPO"
    with pytest.raises(TeacherFileError, match=r"oter\.toml does not exist.*other\.toml"):
        quiet(mlp, card=tmp_path / "oter.toml")


def test_settings_without_effect_are_refused(mlp):
    with pytest.raises(SettingError, match="card belongs to a file of weights"):
        quiet(Path("model.zip"), card="x.toml")
    with pytest.raises(SettingError, match="card belongs to a file of weights"):
        load_teacher(nn.Linear(2, 2), card="x.toml")
    with pytest.raises(SettingError, match="vecnormalize has no effect on a file of weights"):
        quiet(mlp, vecnormalize="x.npz")
    with pytest.raises(SettingError, match="head belongs to a live module"):
        quiet(mlp, head=CategoricalHead(2))


def test_the_fingerprint_is_of_weights_and_of_what_decides_in_the_card(tmp_path, mlp):
    first = quiet(mlp).info.fingerprint
    path = tmp_path / "teacher.toml"
    path.write_text(MLP.replace('"PPO"', '"A2C"') + "\n# a comment\n[task]\nmeasured = 3.0\n")
    assert quiet(mlp).info.fingerprint == first
    path.write_text(MLP.replace("tanh", "relu"))
    assert quiet(mlp).info.fingerprint != first
    path.write_text(MLP)
    np.savez(mlp, **{k: 2 * v for k, v in mlp_weights().items()})
    assert quiet(mlp).info.fingerprint != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.weight": np.full((5, 3), np.nan, np.float32)}, "weight a.weight holds NaN"),
        ({"a.weight": np.zeros((5, 3), np.int64)}, "a.weight is torch.int64, not a float"),
        ({"b.weight": np.zeros((2, 6), np.float32)}, r"network.actor: Linear.*does not take"),
        ({"b.weight": np.zeros((2, 5, 1), np.float32)}, r"network.actor\[0\]: a matrix is req"),
        ({"b.weight": np.zeros((0, 5), np.float32)}, r"network.actor\[0\]: a matrix is required"),
        ({"b.bias": np.zeros(3, np.float32)}, r"bias of network.actor\[0\] has shape \(3,\)"),
        ({"v.weight": np.zeros((2, 5), np.float32), "v.bias": np.zeros(2, np.float32)},
         "a critic gives one number, this one 2"),
        ({"more.weight": np.zeros(2, np.float32)}, r"1 tensors without a known place \(more"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_the_card(tmp_path, change, message):
    path = save(tmp_path, MLP, mlp_weights() | change)
    with pytest.raises((TeacherFileError, NotFiniteError), match=message):
        quiet(path)


def test_a_missing_tensor_is_named_and_others_can_be_ignored(tmp_path):
    weights = mlp_weights()
    del weights["a.weight"]
    with pytest.raises(TeacherFileError, match=r"tensor a\.weight is missing"):
        quiet(save(tmp_path, MLP, weights))
    steps = {"optimizer.step": np.zeros(1, np.int64)}
    ignoring = MLP + '[weights]\nignore = ["optimizer"]\n'
    assert quiet(save(tmp_path, ignoring, mlp_weights() | steps)).info.name == "PPO"


CONV = 'actor = [{ conv2d = "c" }, "flatten", { linear = "a" }]'


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (card("categorical", CONV), TeacherFileError, "give observations.shape"),
        (card("categorical", CONV, "[observations]\nshape = [2, 8]"), TeacherFileError,
         "network.actor|does not take"),
        (card("categorical", CONV, "[observations]\nshape = [3, 1048576, 1048576]"),
         UnsafeFileError, "observations of"),
        (card("categorical", CONV, '[observations]\nshape = [4]\nchannels = "last"'),
         TeacherFileError, "channels are last in pictures"),
        (card("categorical", 'actor = [{ conv2d = "c" }]', "[observations]\nshape = [3, 9, 9]"),
         TeacherFileError, "must give one row of numbers"),
        (card("categorical", 'actor = ["flatten"]', "[observations]\nshape = [3, 9, 9]"),
         TeacherFileError, "without a known place"),
        (card("categorical", "actor = []"), TeacherFileError, "actor has no layers"),
        (card("gaussian", 'actor = [{ linear = "a" }]'), TeacherFileError, "needs actions.log_std"),
        (card("gaussian", 'actor = [{ linear = "a" }]', actions='log_std = "c.bias"'),
         TeacherFileError, "actions.log_std gives 2 numbers, the actor 3"),
        (card("squashed-gaussian", 'actor = [{ linear = "a" }]', actions="log_std = -1.0"),
         TaskError, "give actions.low and actions.high"),
        (card("deterministic", 'actor = [{ linear = "a" }]', actions="log_std = -1.0"),
         TeacherFileError, "log_std has no effect"),
        (card("categorical", 'actor = [{ linear = "a" }]', actions="low = -1.0"),
         TeacherFileError, "have no effect with discrete actions"),
        (card("deterministic", 'actor = [{ linear = "a" }]', actions="low = 1.0\nhigh = 0.0"),
         TeacherFileError, "low is above"),
        (card("deterministic", 'actor = [{ linear = "a" }]', actions="low = [1.0, 2.0]"),
         TeacherFileError, "has 2 numbers, the network gives 3"),
    ],
)  # fmt: skip
def test_cards_that_do_not_fit_the_weights(tmp_path, text, error, message):
    path = save(tmp_path, text, draw(c__weight=(2, 3, 2, 2), c__bias=(2,), a__weight=(3, 8)))
    with pytest.raises(error, match=message):
        quiet(path)


def test_a_layer_that_blows_up_its_input_is_refused_without_memory(tmp_path):
    weights = draw(c__weight=(500, 1, 1, 1), a__weight=(2, 500))
    text = card("categorical", CONV, "[observations]\nshape = [1, 1024, 1024]")
    with pytest.raises(UnsafeFileError, match="numbers for one state"):
        quiet(save(tmp_path, text, weights))
