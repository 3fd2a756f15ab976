"""Checkpoints of rsl_rl: what is refused and why, what the folder tells. Outputs: conformance."""

import numpy as np
import pytest
import rsl_rl_files
import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import DeterministicHead, GaussianHead
from rldistill.errors import TeacherFileError
from rldistill.teachers.load import load_teacher


@pytest.mark.parametrize("prefix", ["memory_a.rnn", "memory_s.rnn", "rnn.rnn"])
@pytest.mark.parametrize(("cell", "name"), [(nn.LSTM, "an LSTM"), (nn.GRU, "a GRU")])
def test_a_recurrent_policy_is_refused_by_name(prefix, cell, name, tmp_path):
    actor, critic, std = rsl_rl_files.networks()
    state = rsl_rl_files.named("actor.", actor) | rsl_rl_files.named("critic.", critic)
    state |= {"std": std} | rsl_rl_files.named(f"{prefix}.", cell(6, 4))
    path = rsl_rl_files.save({"model_state_dict": state}, tmp_path, 1)
    with pytest.raises(TeacherFileError, match=f"not supported yet: {name}"):
        load_teacher(path)
    models = {"std": std} | rsl_rl_files.named("mlp.", actor)
    models |= rsl_rl_files.named("rnn.rnn.", cell(6, 4))
    path = rsl_rl_files.save({"actor_state_dict": models}, tmp_path, 2)
    with pytest.raises(TeacherFileError, match=f"not supported yet: {name}"):
        load_teacher(path)


def test_convolutions_are_refused_by_name(tmp_path):
    actor, _, std = rsl_rl_files.networks()
    state = {"std": std} | rsl_rl_files.named("actor.", actor)
    state["actor_cnns.camera.0.weight"] = torch.ones(2, 1, 3, 3)
    path = rsl_rl_files.save({"model_state_dict": state}, tmp_path, 1)
    with pytest.raises(TeacherFileError, match="not supported yet: convolutions"):
        load_teacher(path)


def test_a_critic_of_other_observations_gives_no_value(tmp_path):
    notes = load_teacher(rsl_rl_files.version_2(tmp_path).path).info.notes
    assert any("sees other observations (9 numbers)" in note for note in notes)


def test_groups_of_the_run_tell_a_privileged_critic_of_as_many_numbers(tmp_path):
    """As many numbers are not the same numbers: the file beside the checkpoint decides."""
    made = rsl_rl_files.version_3(tmp_path)
    assert load_teacher(made.path).critic is not None
    assert any("observation groups policy" in n for n in load_teacher(made.path).info.notes)
    card = tmp_path / "params" / "agent.yaml"
    before = load_teacher(made.path).info.fingerprint
    card.write_text(card.read_text().replace("critic:\n  - policy", "critic: [privileged]"))
    policy = load_teacher(made.path)
    assert policy.critic is None
    assert policy.info.fingerprint != before


def test_an_unknown_activation_is_an_error(tmp_path):
    made = rsl_rl_files.version_3(tmp_path)
    (tmp_path / "params" / "agent.yaml").write_text("policy:\n  activation: crelu\n")
    with pytest.raises(TeacherFileError, match="it names crelu"):
        load_teacher(made.path)


def test_the_activation_that_no_file_tells_is_said_to_be_a_default(tmp_path):
    assert "elu (default)" in load_teacher(rsl_rl_files.version_1(tmp_path).path).info.notes[0]


def test_bounds_are_the_tasks_or_none(tmp_path):
    path = rsl_rl_files.version_1(tmp_path).path
    assert load_teacher(path).info.head == GaussianHead((-np.inf,) * 2, (np.inf,) * 2)
    task = spaces.Box(-3.0, 4.0, (2,))
    assert load_teacher(path, action_space=task).info.head == GaussianHead((-3.0,) * 2, (4.0,) * 2)


def test_without_a_deviation_the_task_decides(tmp_path):
    """Two outputs may be two actions, or one with a deviation that depends on the state."""
    actor, critic, _ = rsl_rl_files.networks()
    content = {
        "actor_state_dict": rsl_rl_files.named("mlp.", actor),
        "critic_state_dict": rsl_rl_files.named("mlp.", critic),
    }
    path = rsl_rl_files.save(content, tmp_path, 1)
    with pytest.raises(TeacherFileError, match="depends on the state"):
        load_teacher(path)
    with pytest.raises(TeacherFileError, match="depends on the state"):
        load_teacher(path, action_space=spaces.Box(-1.0, 1.0, (1,)))
    policy = load_teacher(path, action_space=spaces.Box(-1.0, 1.0, (2,)))
    assert isinstance(policy.info.head, DeterministicHead)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"std": torch.ones(3)}, "std has 3 numbers, the actor 2"),
        ({"actor_obs_normalizer._mean": torch.zeros(1, 5),
          "actor_obs_normalizer._std": torch.ones(1, 5)}, "a normaliser of 5 and 5"),
        ({"actor.extra": torch.ones(1)}, "not supported yet"),
        ({"estimator.0.weight": torch.ones(2, 2)}, "without a known place"),
        ({"critic.2.weight": torch.ones(3, 7), "critic.2.bias": torch.ones(3)}, "one number"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_told(changes, message, tmp_path):
    actor, critic, std = rsl_rl_files.networks()
    state = {"std": std} | rsl_rl_files.named("actor.", actor)
    state |= rsl_rl_files.named("critic.", critic) | changes
    path = rsl_rl_files.save({"model_state_dict": state}, tmp_path, 1)
    with pytest.raises(TeacherFileError, match=message):
        load_teacher(path)
