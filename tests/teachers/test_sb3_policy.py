"""Zips of stable-baselines3 that are refused: what is not supported, and what does not fit."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill.errors import NotFiniteError, TeacherFileError
from rldistill.teachers.load import load_teacher


def conv() -> dict[str, torch.Tensor]:
    return {"features_extractor.cnn.0.weight": torch.ones(1, 1, 5, 5)}


@pytest.mark.parametrize(
    ("tensors", "data", "named"),
    [
        (conv(), {}, "features_extractor.cnn.0 with a kernel of 5 x 5 pixels"),
        ({"features_extractor.extractors.a.x": torch.ones(1)}, {}, "a MultiInput policy"),
        ({"lstm_actor.weight_ih_l0": torch.ones(1)}, {}, "a recurrent policy"),
        ({"actor.latent_pi.0.running_mean": torch.ones(1)}, {}, "batch normalisation"),
        (
            {},
            {"policy_class": {"__module__": "sb3_contrib.common.maskable.policies"}},
            "MaskablePPO",
        ),
        (
            {},
            {"policy_kwargs": {"features_extractor_class": "<class 'my.Net'>"}},
            "features extractor",
        ),
        (
            {},
            {"observation_space": {":type:": "<class 'gym.spaces.dict.Dict'>"}},
            "Dict observations",
        ),
        ({}, {"action_space": {":type:": "<class 'x.MultiDiscrete'>"}}, "MultiDiscrete actions"),
        (
            {},
            {
                "observation_space": {
                    ":type:": "<class 'gym.spaces.box.Box'>",
                    "dtype": "uint8",
                    "_shape": [3, 8, 8],
                }
            },
            "pixel observations",
        ),
    ],
)
def test_what_is_not_supported_is_named(tensors, data, named, ppo_zip, ppo_tensors):
    with pytest.raises(TeacherFileError, match=f"not supported yet: {named}"):
        load_teacher(ppo_zip(ppo_tensors() | tensors, data))


@pytest.mark.parametrize("algorithm", ["MaskablePPO", "RecurrentPPO", "CrossQ"])
def test_real_files_that_are_not_supported_are_named(algorithm, saved, blank, recwarn):
    contrib = pytest.importorskip("sb3_contrib")
    box = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action, policy = (box, "MlpPolicy") if algorithm == "CrossQ" else (2, "MlpPolicy")
    policy = "MlpLstmPolicy" if algorithm == "RecurrentPPO" else policy
    settings = {"buffer_size": 5} if algorithm == "CrossQ" else {}
    _, path = saved(getattr(contrib, algorithm), blank(3, action), policy, **settings)
    with pytest.raises(
        TeacherFileError, match=r"not supported yet: .*supported are MLP and CNN policies"
    ):
        load_teacher(path)


def test_a_class_of_somebody_else_is_read_by_its_tensors_and_noted(ppo_zip):
    data = {"clip_range": 0.2, "policy_class": {"__module__": "my.own"}}
    assert any("comes from my.own" in note for note in load_teacher(ppo_zip(data=data)).info.notes)


def test_a_missing_tensor_is_named(ppo_zip, ppo_tensors):
    for name in ppo_tensors():
        tensors = ppo_tensors()
        del tensors[name]
        if name.endswith(".bias"):
            continue  # a layer without a bias is sound
        with pytest.raises(TeacherFileError):
            load_teacher(ppo_zip(tensors))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("action_net.weight", (2, 6)),
        ("action_net.bias", (3,)),
        ("value_net.weight", (1, 4)),
        ("value_net.weight", (2, 5)),
        ("mlp_extractor.value_net.0.weight", (5, 4)),
        ("mlp_extractor.policy_net.0.weight", (5, 3, 1)),
        ("log_std", (3,)),
        ("log_std", (4, 2)),
        ("surprise", (1,)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, shape, ppo_zip, ppo_tensors):
    with pytest.raises(TeacherFileError):
        load_teacher(ppo_zip(ppo_tensors() | {name: torch.zeros(shape)}))


@pytest.mark.parametrize(
    "data",
    [
        {"observation_space": {":type:": "<class 'x.Box'>", "_shape": [4]}},
        {"action_space": {":type:": "<class 'x.Discrete'>", "n": 3}},
    ],
)
def test_spaces_that_contradict_the_network_are_refused(data, ppo_zip):
    with pytest.raises(TeacherFileError, match=r"its (observation|action) space"):
        load_teacher(ppo_zip(data=data))


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(bad, ppo_zip, ppo_tensors):
    tensors = ppo_tensors()
    tensors["action_net.weight"][0, 0] = bad
    with pytest.raises(NotFiniteError, match=r"action_net\.weight holds NaN or infinity"):
        load_teacher(ppo_zip(tensors))


def test_finite_weights_that_overflow_are_refused(ppo_zip, ppo_tensors):
    tensors = ppo_tensors()
    tensors["mlp_extractor.policy_net.0.bias"][:] = 5.0
    tensors["action_net.weight"][:] = 3e38
    with pytest.raises(NotFiniteError, match="on an observation of zeros"):
        load_teacher(ppo_zip(tensors))


def test_a_zip_of_something_else_is_told_by_its_entries(tmp_path, write_zip):
    path = write_zip(tmp_path / "x.zip", {"readme.txt": b"hello"})
    with pytest.raises(TeacherFileError, match=r"no zip of stable-baselines3.*holds readme\.txt"):
        load_teacher(path)
