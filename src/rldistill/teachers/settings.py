"""The readable settings of a stable-baselines3 model: what its JSON says without its pickles."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import nn

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import safe_text
from rldistill.teachers.spaces import SpaceRecord, record_of_json
from rldistill.teachers.weights import activation_named

MOST_JSON_BYTES = 32 << 20
MOST_JSON_DEPTH = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKET = re.compile(rb"[^\[\]{}]+")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a model, from a file or a live object.

    Attributes:
        values: top-level entries; only plain numbers, strings and key names are relied on.
        policy_kwargs: arguments of its policy, classes as the text of their repr.
        policy_module: Python module of its policy class, "" if unknown.
        policy_text: what the policy class's readable fields say, to tell its subclasses apart.
        observation, action: its spaces.
        what: how error messages call the file.
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    policy_module: str = ""
    policy_text: str = ""
    observation: SpaceRecord = field(default_factory=SpaceRecord)
    action: SpaceRecord = field(default_factory=SpaceRecord)
    what: str = "the model"

    def number(self, name: str) -> float | None:
        """A finite number among the settings, None if there is none of that name."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        # JSON has whole numbers of any size, too large for a float.
        return float(value) if abs(value) < 1e300 and math.isfinite(value) else None

    def count(self, name: str, default: int) -> int:
        """A whole number >= 0 from the policy's arguments, else from the settings."""
        for source in (self.policy_kwargs, self.values):
            value = source.get(name)
            if type(value) is int and 0 <= value < 1 << 31:
                return value
        return default

    def flag(self, name: str, default: bool = False) -> bool:
        """A switch among the policy's arguments."""
        value = self.policy_kwargs.get(name)
        return value if isinstance(value, bool) else default

    def activation(self, default: type[nn.Module]) -> tuple[type[nn.Module], str]:
        """The activation class, and its name with a remark where it is the algorithm's default.

        Raises:
            TeacherFileError: the file names one that is not known.
        """
        text = self.policy_kwargs.get("activation_fn")
        if text is None:
            return default, f"{default.__name__.lower()} (default)"
        found = activation_named(str(text), self.what)
        return found, found.__name__.lower()

    @property
    def gamma(self) -> float | None:
        """The discount, None if there is none in [0, 1]."""
        gamma = self.number("gamma")
        return gamma if gamma is not None and 0.0 <= gamma <= 1.0 else None


def settings_of_json(data: bytes, what: str) -> Settings:
    """Settings from the `data` entry of a zip; its ":serialized:" pickles are not unpickled.

    Raises:
        TeacherFileError: not JSON, or not an object.
        UnsafeFileError: nested too deeply.
    """
    _check_depth(data, what)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = safe_text(str(error))
        raise TeacherFileError(f"{what}: its data is not valid JSON: {reason}") from error
    if not isinstance(values, dict):
        raise TeacherFileError(f"{what}: its data is a JSON {type(values).__name__}, not an object")
    entries: dict[str, Any] = values
    policy, kwargs = entries.get("policy_class"), entries.get("policy_kwargs")
    policy_fields: dict[str, Any] = policy if isinstance(policy, dict) else {}
    return Settings(
        values=entries,
        policy_kwargs=kwargs if isinstance(kwargs, dict) else {},
        policy_module=str(policy_fields.get("__module__", ""))[:200],
        policy_text=str(policy_fields.get("__init__", ""))[:200],
        observation=record_of_json(entries.get("observation_space")),
        action=record_of_json(entries.get("action_space")),
        what=what,
    )


def _check_depth(data: bytes, what: str) -> None:
    depth = 0
    for bracket in _NOT_BRACKET.sub(b"", _STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_JSON_DEPTH:
            raise UnsafeFileError(f"{what}: its data is JSON nested deeper than {MOST_JSON_DEPTH}")
