import pytest
import torch

from rldistill.core import Trajectory
from rldistill.data.latest import LatestRound
from rldistill.errors import SettingError


def trajectory(num_valid: int) -> Trajectory:
    shape = (5, 2)
    no = torch.zeros(shape, dtype=torch.bool)
    valid = (torch.arange(10) < num_valid).view(shape)
    zeros = torch.zeros(*shape)
    return Trajectory(
        zeros[..., None], zeros, zeros, no, no, valid, zeros[..., None], zeros[0, :, None]
    )


def test_the_next_round_replaces_the_one_before():
    """Its length is in steps that may be learnt from."""
    memory = LatestRound()
    assert len(memory) == 0
    memory.put(trajectory(7))
    second = trajectory(3)
    memory.put(second)
    assert memory.trajectory is second
    assert len(memory) == 3


def test_an_empty_one_has_no_trajectory():
    memory = LatestRound()
    with pytest.raises(SettingError, match="no trajectory was collected yet"):
        _ = memory.trajectory
    memory.put(trajectory(7))
    memory.clear()
    assert len(memory) == 0


def test_it_is_collected_again_and_never_saved():
    memory = LatestRound()
    memory.put(trajectory(7))
    assert memory.state_dict() == {}
    assert memory.nbytes == 0
    memory.load_state_dict({})
    assert len(memory) == 0
