"""The checkpoint of a run that is not a Job: named states, random states, a record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldistill.errors import RldistillError, RunFolderError
from rldistill.rollout.control import Randomness
from rldistill.runs import to_json
from rldistill.train.checkpoint import flatten, load_checkpoint, save_checkpoint, unflatten
from rldistill.train.identity import check_identity

States = Mapping[str, Mapping[str, Any]]


def save_states(
    folder: Path,
    identity: Mapping[str, Any],
    states: States,
    counters: Mapping[str, Any],
    randomness: Randomness,
) -> None:
    """Write all of it as one file, whole or not at all.

    Args:
        folder: of the checkpoint.
        identity: what must be equal when it is taken over.
        states: state dicts by name.
        counters: plain numbers.
        randomness: all random states.

    Raises:
        RunFolderError: the folder is not writable or the disk is full; the old file is intact.
    """
    tensors = {
        "control": randomness.control.get_state(),
        "batches": randomness.batches.get_state(),
    }
    rest: dict[str, Any] = {}
    for name, state in states.items():
        found, rest[name] = flatten(name, state)
        tensors |= found
    record = {
        "identity": dict(identity),
        "states": rest,
        "counters": dict(counters),
        "numpy": to_json(randomness.uniform.bit_generator.state),
    }
    save_checkpoint(folder, tensors, record)


def load_states(
    folder: Path, identity: Mapping[str, Any], randomness: Randomness
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The states and counters of save_states; the random states are restored in place.

    Raises:
        RunFolderError: there are none, they are damaged, or they are those of another run.
    """
    tensors, record = load_checkpoint(folder)
    try:
        check_identity(record["identity"], dict(identity))
        states = {name: unflatten(state, tensors) for name, state in record["states"].items()}
        randomness.control.set_state(tensors["control"])
        randomness.batches.set_state(tensors["batches"])
        randomness.uniform.bit_generator.state = json.loads(record["numpy"])
        return states, dict(record["counters"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        if isinstance(error, RldistillError):
            raise
        raise RunFolderError(f"{folder.parent}: the checkpoint is damaged: {error}") from error
