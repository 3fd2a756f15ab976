"""What every test shares: one torch thread, steady Hypothesis settings, teachers made by others."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# The tests' networks are tiny: more threads only get in each other's way.
torch.set_num_threads(1)

# No deadline: the first example pays for imports and kernels, and a busy machine is not a fault.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def steady_weights() -> None:
    """Networks that a test makes start from the same weights, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_teachers() -> Path:
    """The folder of teachers made by others: $RLDISTILL_SHARED/teachers.

    By default the folder `shared` beside the checkout; tests that need it skip where it is absent.
    """
    shared = Path(os.environ.get("RLDISTILL_SHARED") or ROOT.parent / "shared")
    folder = shared / "teachers"
    if not folder.is_dir():
        pytest.skip(f"no teachers at {folder}; RLDISTILL_SHARED may name the folder that has them")
    return folder
