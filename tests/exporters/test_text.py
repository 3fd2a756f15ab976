"""Steps as JSON come back as they were, and are refused where they are others."""

import json

import numpy as np
import pytest
from subjects import every_policy, observations_of, subject

from rldistill.errors import ExportError, SettingError
from rldistill.exporters import text
from rldistill.exporters.interpret import run_steps
from rldistill.exporters.lower import lower

POLICIES = every_policy()


@pytest.mark.parametrize("name", POLICIES)
def test_steps_come_back_to_the_bit(name: str) -> None:
    policy = POLICIES[name]
    record = json.loads(text.build(subject(policy)))
    rows = observations_of(policy, 20).astype(np.float32)
    assert (
        run_steps(text.steps_from_json(record["steps"]), rows) == run_steps(lower(policy), rows)
    ).all()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"kind": "Dens"}, "unknown step 'Dens'"),
        ({"kind": "Dense", "weight": [[1.0]]}, "a Dense needs"),
        ({"kind": "Activation", "name": "sin", "parameter": 0.0}, "unknown activation 'sin'"),
    ],
)
def test_unknown_steps_are_refused(record: dict, said: str) -> None:
    with pytest.raises((ExportError, SettingError), match=said):
        text.steps_from_json([record])
