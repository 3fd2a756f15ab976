"""Mutated files: whatever bytes change, loading ends in an error of ours or in a sound policy."""

import io
import json
import zipfile
from pathlib import Path

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rldistill.errors import RldistillError
from rldistill.teachers.load import load_teacher


def check_mutant(path: Path) -> bool:
    """A mutated file is refused by an error of ours, or gives a policy that works."""
    try:
        policy = load_teacher(path)
    except RldistillError:
        return False
    with torch.no_grad():
        raw = policy.raw(torch.zeros(2, *policy.info.observation_shape))
    assert raw.shape == (2, policy.info.head.num_outputs)
    assert bool(raw.isfinite().all())
    return True


FUZZ = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5
)


def edited(data: bytes, changes: list[tuple[float, int]]) -> bytes:
    content = bytearray(data)
    for place, byte in changes:
        content[int(place * len(content))] = byte
    return bytes(content)


@FUZZ
@given(edits)
def test_a_zip_with_changed_bytes_is_refused_or_sound(ppo_zip, changes):
    path = ppo_zip()
    path.write_bytes(edited(path.read_bytes(), changes))
    check_mutant(path)


@FUZZ
@given(edits)
def test_json_with_changed_bytes_is_refused_or_sound(ppo_zip, saved, blank, changes):
    """The settings of a real model, with the checksum of the zip put right."""
    box = {":type:": "<class 'gym.spaces.box.Box'>", "dtype": "float32", "_shape": [3]}
    data = {
        "clip_range": 0.2,
        "gamma": 0.99,
        "observation_space": box | {"low": "[-inf -inf -inf]", "high": "[inf inf inf]"},
        "action_space": {":type:": "<class 'gym.spaces.discrete.Discrete'>", "n": 2},
        "policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.ReLU'>"},
        "policy_class": {"__module__": "stable_baselines3.common.policies"},
    }
    check_mutant(ppo_zip(data=edited(json.dumps(data).encode(), changes)))


@FUZZ
@given(edits, st.booleans())
def test_tensors_with_a_changed_pickle_are_refused_or_sound(ppo_zip, ppo_tensors, changes, zipped):
    """The index of the tensors, where sizes, offsets and names stand, with right checksums."""
    stream = io.BytesIO()
    torch.save(ppo_tensors(), stream, _use_new_zipfile_serialization=zipped)
    data = stream.getvalue()
    if zipped:
        mutant = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(mutant, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                new.writestr(
                    name, edited(content, changes) if name.endswith("data.pkl") else content
                )
        data = mutant.getvalue()
    else:
        data = edited(data[:1_500], changes) + data[1_500:]
    check_mutant(ppo_zip(**{"policy.pth": data}))
