import torch

from rldistill.core import Trajectory


def test_phantom_steps_are_not_counted_as_steps():
    flags = torch.zeros(4, 2, dtype=torch.bool)
    valid = torch.ones(4, 2, dtype=torch.bool)
    valid[2, 0] = False
    numbers = torch.zeros(4, 2)
    trajectory = Trajectory(
        numbers[..., None], numbers, numbers, flags, flags, valid, numbers[..., None], numbers[:1].T
    )
    assert trajectory.num_steps == 7
