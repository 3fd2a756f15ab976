"""Ensembles: means by hand, the surest per state, members that do not belong together."""

import math

import pytest
import torch
from gymnasium import spaces
from torch import nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
)
from rldistill.errors import MisfitError, SettingError
from rldistill.teachers.ensemble import make_ensemble
from rldistill.teachers.load import load_teacher


class Fixed(nn.Module):
    """The same raw outputs for the first and for the second state."""

    def __init__(self, rows):
        super().__init__()
        self.register_buffer("rows", torch.tensor(rows))

    def forward(self, observations):
        return self.rows[: len(observations)]


def member(head, rows, fingerprint: str = "a", shape=(3,)) -> NetworkPolicy:
    info = PolicyInfo(
        name="m",
        framework="test",
        observation_shape=shape,
        head=head,
        acting_parameters=5,
        parameters=5,
        fingerprint=fingerprint,
    )
    return NetworkPolicy(Fixed(rows), info)


SEEN = torch.zeros(2, 3)
HEAD = CategoricalHead(2)
# p = (0.9, 0.1), (0.5, 0.5) and p = (0.5, 0.5), (0.2, 0.8)
FIRST = [[math.log(9.0), 0.0], [3.0, 3.0]]
SECOND = [[1.0, 1.0], [0.0, math.log(4.0)]]


def test_probabilities_are_averaged_not_logits():
    policy = make_ensemble((member(HEAD, FIRST), member(HEAD, SECOND)), is_confident=False)
    probabilities = policy.raw(SEEN).softmax(-1)
    torch.testing.assert_close(probabilities, torch.tensor([[0.7, 0.3], [0.35, 0.65]]))


def test_the_surest_decides_in_each_state():
    policy = make_ensemble((member(HEAD, FIRST), member(HEAD, SECOND)), is_confident=True)
    torch.testing.assert_close(policy.raw(SEEN), torch.tensor([FIRST[0], SECOND[1]]))


@pytest.mark.parametrize("head", [QValueHead(2), DeterministicHead((-9.0,) * 2, (9.0,) * 2)])
def test_numbers_are_averaged(head):
    policy = make_ensemble((member(head, FIRST), member(head, SECOND)), is_confident=False)
    expected = (torch.tensor(FIRST) + torch.tensor(SECOND)) / 2
    torch.testing.assert_close(policy.raw(SEEN), expected)
    with pytest.raises(SettingError, match="confident: needs probabilities"):
        make_ensemble((member(head, FIRST), member(head, SECOND)), is_confident=True)


def test_gaussians_have_the_moments_of_their_mixture():
    """Means 0 and 2, deviations 1 and 3: mean 1, variance (1 + 9) / 2 + 1 = 6; by sampling too."""
    head = GaussianHead((-9.0,), (9.0,))
    one, two = member(head, [[0.0, 0.0]]), member(head, [[2.0, math.log(3.0)]])
    policy = make_ensemble((one, two), is_confident=False)
    raw = policy.raw(SEEN[:1])
    torch.testing.assert_close(raw, torch.tensor([[1.0, 0.5 * math.log(6.0)]]))
    draws = torch.cat([torch.randn(200_000), 2.0 + 3.0 * torch.randn(200_000)])
    assert abs(draws.var() - 6.0) < 0.15
    surest = make_ensemble((two, one), is_confident=True)
    torch.testing.assert_close(surest.raw(SEEN[:1]), torch.tensor([[0.0, 0.0]]))


def test_members_must_see_and_do_the_same():
    with pytest.raises(MisfitError, match="ensemble's first"):
        make_ensemble((member(HEAD, FIRST), member(QValueHead(2), FIRST)), is_confident=False)
    other = member(HEAD, FIRST, shape=(4,))
    with pytest.raises(MisfitError):
        make_ensemble((member(HEAD, FIRST), other), is_confident=False)


def test_its_fingerprint_changes_with_each_member_and_with_the_choice():
    def print_of(second: str, is_confident: bool) -> str:
        pair = (member(HEAD, FIRST), member(HEAD, SECOND, second))
        return make_ensemble(pair, is_confident=is_confident).info.fingerprint

    assert len({print_of("b", False), print_of("c", False), print_of("b", True)}) == 3


def test_files_are_loaded_as_members(ppo_zip, tmp_path):
    path = ppo_zip()
    one = load_teacher(path, announce=None)
    both = load_teacher(f"ensemble:{path},{path}", action_space=spaces.Discrete(2), announce=None)
    seen = torch.randn(4, 3)
    with torch.no_grad():
        torch.testing.assert_close(both.raw(seen).softmax(-1), one.raw(seen).softmax(-1))
        torch.testing.assert_close(both.value(seen), one.value(seen))
    assert both.info.acting_parameters == 2 * one.info.acting_parameters
    assert both.info.gamma == one.info.gamma
    with pytest.raises(MisfitError):
        load_teacher(f"ensemble:{path},{path}", action_space=spaces.Discrete(3), announce=None)
