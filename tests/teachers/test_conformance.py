"""What every loader of files must do, on one list of files with an independent reference each.

tests/fakes has the files: networks written from what the other library's code builds.
"""

import hashlib

import cleanrl_files
import onnx_files
import pytest
import rsl_rl_files
import torch
from foreign import Made
from gymnasium import spaces

from rldistill.errors import MisfitError, RldistillError, TaskError
from rldistill.teachers.load import load_teacher

MAKERS = (*cleanrl_files.MAKERS, *rsl_rl_files.MAKERS, *onnx_files.MAKERS)


@pytest.fixture(scope="module", params=MAKERS, ids=lambda m: f"{m.__module__}.{m.__name__}")
def made(request, tmp_path_factory) -> Made:
    return request.param(tmp_path_factory.mktemp("foreign"))


def load(made: Made):
    return load_teacher(
        made.path,
        observation_shape=made.shape,
        action_space=made.action_space,
        announce=None,
        **made.settings,
    )


def test_its_info_says_what_it_is(made):
    info = load(made).info
    assert (info.name, info.observation_shape, info.gamma) == (made.name, made.shape, made.gamma)
    assert info.source == str(made.path)
    assert info.notes
    assert info.framework in info.notes[0]
    assert 0 < info.acting_parameters <= info.parameters
    assert (info.value_units == "none") == (load(made).critic is None)


@torch.no_grad()
def test_its_outputs_are_those_of_the_reference(made):
    """Every number within 1e-5 max(1, its magnitude), on 64 observations, and twice the same."""
    policy, seen = load(made), made.observations(64 if len(made.shape) == 1 else 8)
    theirs = made.reference(seen.float())
    ours = policy.raw(seen)
    assert ours.shape == (len(seen), policy.info.head.num_outputs)
    assert theirs.std() > 1e-2, "a reference that is the same everywhere proves nothing"
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert torch.equal(policy.raw(seen), ours)


@torch.no_grad()
def test_its_value_is_that_of_the_reference(made):
    policy, seen = load(made), made.observations(8)
    if made.value is not None:
        torch.testing.assert_close(
            policy.value(seen), made.value(seen.float()), rtol=1e-5, atol=1e-5
        )
    elif policy.critic is not None:  # greedy: the largest Q-value
        torch.testing.assert_close(policy.value(seen), policy.raw(seen).amax(-1))
    else:
        assert policy.info.value_units == "none"


def test_it_is_frozen(made):
    policy = load(made)
    assert not any(p.requires_grad for p in policy.module.parameters())
    assert not policy.raw(made.observations(2)).requires_grad
    assert not policy.module.training


def test_its_fingerprint_is_of_the_bytes_and_changes_with_them(made):
    """A byte of a weight changed is another teacher."""
    before, whole = load(made).info.fingerprint, made.path.read_bytes()
    assert len(before) == hashlib.sha256().digest_size * 2
    assert load(made).info.fingerprint == before
    try:
        made.path.write_bytes(whole + b"\0")
        try:
            after = load(made).info.fingerprint
        except RldistillError:
            return  # trailing bytes are refused, which is as good
        assert after != before
    finally:
        made.path.write_bytes(whole)


def test_a_task_that_it_does_not_fit_is_an_error(made):
    wrong = spaces.Discrete(17) if isinstance(made.action_space, spaces.Discrete) else None
    with pytest.raises(TaskError):
        load_teacher(
            made.path,
            observation_shape=made.shape,
            action_space=wrong or spaces.Discrete(2),
            announce=None,
            **made.settings,
        )
    with pytest.raises(MisfitError):
        load_teacher(
            made.path,
            observation_shape=(99,),
            action_space=made.action_space,
            announce=None,
            **made.settings,
        )


def test_a_file_cut_off_anywhere_is_an_error(made):
    whole = made.path.read_bytes()
    try:
        for share in range(1, 12):
            made.path.write_bytes(whole[: len(whole) * share // 12])
            with pytest.raises(RldistillError):
                load(made)
    finally:
        made.path.write_bytes(whole)
