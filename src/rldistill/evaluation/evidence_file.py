"""Evidence on disk: a safetensors file of plain arrays and a JSON record; reading runs nothing."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rldistill.core import CategoricalHead, Head, QValueHead, head_from_json, head_to_json
from rldistill.envs.naming import Feature
from rldistill.errors import RunFolderError, SettingError
from rldistill.evaluation.evidence import LARGE, Array, Episodes, PolicyCost, RunEvidence, States
from rldistill.runs import atomic_write, to_json

FORMAT = 1
MAX_BYTES = 4 * 2**20
_MOST_NAMES, _LONGEST_NAME = 4096, 200
_INTEGERS = ("visitor", "episode", "step")
_NUMBERS = ("features", "teacher_raw", "student_raw", "same", "kl")


def save_evidence(path: Path, evidence: RunEvidence) -> None:
    """Write it as one file, whole or not at all.

    Raises:
        RunFolderError: the folder is not writable, the disk is full, or there is too much of it.
    """
    states, episodes = evidence.states, evidence.episodes
    arrays = {name: getattr(states, name) for name in States.__slots__}
    arrays["extreme"] = states.extreme.astype(np.uint8)
    arrays |= {
        "seeds": episodes.seeds,
        "returns": episodes.returns,
        "lengths": episodes.lengths,
    }
    record = {
        "format": FORMAT,
        "task": evidence.task,
        "backend": evidence.backend,
        "paired": episodes.paired,
        "teacher_head": head_to_json(evidence.teacher_head),
        "student_head": head_to_json(evidence.student_head),
        "teacher_cost": asdict(evidence.teacher_cost),
        "student_cost": asdict(evidence.student_cost),
        "temperatures": list(evidence.temperatures),
        "feature_names": [[one.name, one.unit] for one in evidence.feature_names],
        "action_names": list(evidence.action_names),
    }
    own = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    data = save(own, metadata={"record": to_json(record)})
    if len(data) > MAX_BYTES:
        raise RunFolderError(
            f"{path}: the evidence takes {len(data):,} bytes, at most {MAX_BYTES:,} are kept"
        )
    atomic_write(path, data)


def load_evidence(path: Path) -> RunEvidence | None:
    """What save_evidence wrote, checked as the file of a stranger; None where there is no file.

    Raises:
        RunFolderError: it is damaged, too large, or not ours.
    """
    if not path.exists():
        return None
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise RunFolderError(f"{path} is not a file of ours: no plain file, or too large")
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            names = list(file.keys())
            if len(names) > 32:
                raise RunFolderError(f"{path} is not a file of ours: it has {len(names)} arrays")
            arrays: dict[str, Array] = {name: file.get_tensor(name) for name in names}
        record = json.loads(metadata["record"])
        return _checked(arrays, _Record(record))
    except RunFolderError:
        raise
    except (SafetensorError, SettingError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    except (OSError, RecursionError) as error:
        raise RunFolderError(f"cannot read {path}: {error}") from error


class _Record:
    """The JSON record, every entry read with its type."""

    def __init__(self, record: object) -> None:
        if not isinstance(record, dict):
            raise ValueError("its record is not a JSON object")
        self._entries = cast("dict[str, Any]", record)
        if self._entries.get("format") != FORMAT:
            raise ValueError(f"format {self._entries.get('format')!r:.20} is not {FORMAT}")

    def head(self, name: str) -> Head:
        return head_from_json(self._entries.get(name))

    def text(self, name: str) -> str:
        return _text(self._entries.get(name), name)

    def flag(self, name: str) -> bool:
        value = self._entries.get(name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        return value

    def temperatures(self) -> tuple[float, float]:
        value = self._entries.get("temperatures")
        if not isinstance(value, list) or len(cast("list[Any]", value)) != 2:
            raise ValueError("temperatures must be two numbers")
        first, second = (float(x) for x in cast("list[Any]", value))
        if not (0.0 < first < np.inf and 0.0 < second < np.inf):
            raise ValueError("temperatures must be above 0")
        return first, second

    def cost(self, name: str) -> PolicyCost:
        value = self._entries.get(name)
        entries = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        match entries:
            case {
                "parameters": int(parameters),
                "num_bytes": int(size),
                "latency_seconds": float(seconds),
            } if parameters >= 0 and size >= 0 and 0.0 <= seconds < np.inf:
                return PolicyCost(parameters, size, seconds)
            case _:
                raise ValueError(f"{name} must be parameters, num_bytes and latency_seconds")

    def texts(self, name: str) -> list[Any]:
        value = self._entries.get(name)
        if not isinstance(value, list) or len(cast("list[Any]", value)) > _MOST_NAMES:
            raise ValueError(f"{name} must be a list of at most {_MOST_NAMES} names")
        return cast("list[Any]", value)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValueError(f"{what} must be a plain text of at most {_LONGEST_NAME} characters")
    return value


def _checked(arrays: dict[str, Array], record: _Record) -> RunEvidence:
    heads = record.head("teacher_head"), record.head("student_head")
    states = _states(arrays, heads)
    pairs = record.texts("feature_names")
    names = tuple(Feature(_text(name, "a name"), _text(unit, "a unit")) for name, unit in pairs)
    if names and len(names) != states.features.shape[1]:
        raise ValueError("feature_names must be one per number of a state")
    actions = tuple(_text(name, "a name") for name in record.texts("action_names"))
    num_actions = _num_actions(heads[0])
    if len(actions) != num_actions:
        raise ValueError(f"action_names must be {num_actions}")
    return RunEvidence(
        task=record.text("task"),
        backend=record.text("backend"),
        episodes=_episodes(arrays, record.flag("paired")),
        states=states,
        teacher_head=heads[0],
        student_head=heads[1],
        teacher_cost=record.cost("teacher_cost"),
        student_cost=record.cost("student_cost"),
        temperatures=record.temperatures(),
        feature_names=names,
        action_names=actions,
    )


def _num_actions(head: Head) -> int:
    discrete = isinstance(head, CategoricalHead | QValueHead)
    return head.num_actions if discrete else len(head.low)


def _episodes(arrays: dict[str, Array], paired: bool) -> Episodes:
    seeds = _array(arrays, "seeds", np.int64, (None,))
    count = len(seeds)
    if count == 0:
        raise ValueError("there are no episodes")
    returns = _array(arrays, "returns", np.float64, (3, count))
    lengths = _array(arrays, "lengths", np.int64, (3, count))
    if not (np.isfinite(returns).all() and np.abs(returns).max() < 1e100 and (lengths >= 0).all()):
        raise ValueError("returns must be finite, and lengths at least 0")
    return Episodes(seeds, returns, lengths, paired)


def _states(arrays: dict[str, Array], heads: tuple[Head, Head]) -> States:
    count = len(_array(arrays, "visitor", np.int64, (None,)))
    parts = {name: _array(arrays, name, np.int64, (count,)) for name in _INTEGERS}
    if not np.isin(parts["visitor"], (0, 1)).all():
        raise ValueError("visitor must be 0 or 1")
    parts["extreme"] = _array(arrays, "extreme", np.uint8, (count,)) != 0
    outputs = (heads[0].num_outputs, heads[1].num_outputs)
    shapes: tuple[tuple[int | None, ...], ...] = (
        (count, None), (count, outputs[0]), (count, outputs[1]), (count,), (count,),
    )  # fmt: skip
    for name, shape in zip(_NUMBERS, shapes, strict=True):
        parts[name] = _array(arrays, name, np.float32, shape)
    for name in ("features", "same"):
        if not np.isfinite(parts[name]).all():
            raise ValueError(f"{name} must be finite")
    for name in ("teacher_raw", "student_raw"):
        # Minus infinity rules an action out.
        if np.isnan(parts[name]).any() or (parts[name] == np.inf).any():
            raise ValueError(f"{name} must be numbers")
    if np.isinf(parts["kl"]).any() or (parts["kl"] < -1e-3).any():
        raise ValueError("kl must not be infinite, nor below 0")
    seen = arrays["observations"]
    if seen.dtype.name not in ("float32", "uint8") or seen.ndim < 2 or len(seen) > count:
        raise ValueError("observations must be float32 or uint8, for at most every state")
    if seen.ndim == 2 and seen.shape[1] <= LARGE and len(seen) != count:
        raise ValueError("observations must be there for every state")
    return States(observations=seen, **parts)


def _array(arrays: dict[str, Array], name: str, dtype: Any, shape: tuple[int | None, ...]) -> Array:
    """An array of this type and shape; None is any length."""
    found = arrays[name]
    fits = found.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, found.shape, strict=True)
    )
    if found.dtype != dtype or not fits:
        raise ValueError(
            f"{name} must be {np.dtype(dtype).name} {shape}; got {found.dtype} {found.shape}"
        )
    return found
