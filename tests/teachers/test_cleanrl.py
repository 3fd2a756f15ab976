"""CleanRL's files: what is refused and why, what the names alone decide. Outputs: conformance."""

import cleanrl_files
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import SquashedGaussianHead
from rldistill.errors import MisfitError, NotFiniteError, SettingError, TeacherFileError
from rldistill.teachers.load import load_teacher


def state(*sizes: int) -> dict[str, torch.Tensor]:
    return cleanrl_files.QNetwork(cleanrl_files.mlp(*sizes)).state_dict()


def test_the_bounds_of_sac_are_those_in_the_file(tmp_path):
    policy = load_teacher(cleanrl_files.sac(tmp_path).path)
    assert policy.info.head == SquashedGaussianHead((-2.0, 0.0), (2.0, 1.0))


def test_a_file_of_another_name_is_recognised_by_its_tensors(tmp_path):
    """agent.pt with CleanRL's names needs no card; other tensors still do."""
    torch.save(state(4, 6, 2), tmp_path / "agent.pt")
    assert load_teacher(tmp_path / "agent.pt").info.framework == "CleanRL"
    torch.save({"layer.weight": torch.ones(2, 3)}, tmp_path / "other.pt")
    with pytest.raises(TeacherFileError, match="lay a teacher card beside it"):
        load_teacher(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lstm.weight_ih_l0": torch.ones(8, 2), "network.0.weight": torch.ones(2, 2)}, "LSTM"),
        ({"network.0.weight": torch.ones(2, 3, 5, 5), "network.0.bias": torch.ones(2)}, "5 x 5"),
        ({"network.0.weight": torch.ones(2, 3), "network.2.weight": torch.ones(2, 9)}, "9 inputs"),
        ({"network.0.weight": torch.ones(2, 3), "more": torch.ones(1)}, "without a known place"),
        ({"atoms": torch.ones(3), "network.0.weight": torch.ones(4, 2)}, "no multiple of 3 atoms"),
        ({"something.weight": torch.ones(2, 2)}, "supported of CleanRL"),
        (({}, {}, {}, {}), "4 state dicts"),
        ([1], "dict of named tensors"),
        ({"actor_mean.0.weight": torch.ones(2, 3), "actor_logstd": torch.ones(1, 5)}, "5 numbers"),
    ],
)
def test_what_is_no_network_of_the_scripts_is_told(content, message, tmp_path):
    path = cleanrl_files.save(content, tmp_path, "odd")
    with pytest.raises(TeacherFileError, match=message):
        load_teacher(path)


def test_a_weight_that_is_not_a_number_is_an_error(tmp_path):
    tensors = state(4, 6, 2)
    tensors["network.0.bias"][1] = torch.nan
    with pytest.raises(NotFiniteError, match=r"network\.0\.bias"):
        load_teacher(cleanrl_files.save(tensors, tmp_path, "nan"))


def test_statistics_beside_ppo_become_its_first_layer(tmp_path):
    """ppo_continuous_action.py saves none: without them a note says so, with them it is applied."""
    made = cleanrl_files.ppo_continuous(tmp_path)
    assert any("plays like random" in note for note in load_teacher(made.path).info.notes)
    mean, var = np.array([1.0, -2.0, 0.5]), np.array([4.0, 0.25, 1.0])
    np.savez(tmp_path / "obs_rms.npz", mean=mean, var=var)
    policy = load_teacher(made.path)
    assert not any("plays like random" in note for note in policy.info.notes)
    seen = made.observations(16)
    normal = ((seen.double() - torch.tensor(mean)) / torch.tensor(var + 1e-8).sqrt()).float()
    with torch.no_grad():
        torch.testing.assert_close(policy.raw(seen), made.reference(normal.clamp(-10, 10)))
        torch.testing.assert_close(policy.value(seen), made.value(normal.clamp(-10, 10)))


def test_the_picture_is_the_tasks_where_the_weights_allow_it(tmp_path):
    made = cleanrl_files.dqn_atari(tmp_path)
    wide = load_teacher(made.path, observation_shape=(4, 86, 87))
    assert wide.info.observation_shape == (4, 86, 87)
    with pytest.raises(MisfitError, match="gives \\(3, 84, 84\\)"):
        load_teacher(made.path, observation_shape=(3, 84, 84))


def test_settings_without_effect_are_errors(tmp_path):
    made = cleanrl_files.dqn(tmp_path)
    with pytest.raises(SettingError, match="card has no effect on a file of CleanRL"):
        load_teacher(made.path, card=tmp_path / "card.toml")
    with pytest.raises(SettingError, match="head has no effect"):
        load_teacher(made.path, head=SquashedGaussianHead((0.0,), (1.0,)))


def test_values_of_continuous_ppo_are_called_normalised(tmp_path):
    assert load_teacher(cleanrl_files.ppo_continuous(tmp_path).path).info.value_units == (
        "normalised"
    )
    assert load_teacher(cleanrl_files.ppo(tmp_path).path).info.value_units == "raw"


def test_ddpg_is_told_from_td3_by_its_one_critic(tmp_path):
    made, one = cleanrl_files.actor("fc_mu"), cleanrl_files.critic(1)
    path = cleanrl_files.save((made.state_dict(), one.state_dict()), tmp_path, "ddpg")
    assert load_teacher(path).info.name == "DDPG"
    alone = cleanrl_files.save(made.state_dict(), tmp_path, "alone")
    assert load_teacher(alone).critic is None


def test_a_task_of_other_dimensions_is_told_with_both_sides(tmp_path):
    path = cleanrl_files.ppo_continuous(tmp_path).path
    with pytest.raises(MisfitError, match="gives 2 continuous action dimensions"):
        load_teacher(path, action_space=spaces.Box(-1.0, 1.0, (3,)))


def test_no_square_picture_is_an_error(tmp_path):
    layers = list(cleanrl_files.nature(3))
    layers[7] = nn.Linear(7 * 50, 8)
    q = cleanrl_files.QNetwork(nn.Sequential(*layers))
    with pytest.raises(TeacherFileError, match="no square picture of 4 channels"):
        load_teacher(cleanrl_files.save(q.state_dict(), tmp_path, "odd"))
