"""Recipe: the settings of one run, from a TOML file, from flags, or from both."""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rldistill.errors import SettingError, did_you_mean
from rldistill.runs import RunFolder

LARGEST_RECIPE = 1 << 20

Act = Literal["mode", "sample"]


class Recipe(BaseModel):
    """What `rldistill distill` needs to know; recipe.toml in the run folder holds the same keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: str | None = None
    task: str | None = None
    student: str | None = None
    method: str | None = None
    steps: int | None = Field(default=None, ge=1, le=10**12)
    until: float | None = None
    num_envs: int | None = Field(default=None, ge=1, le=65_536)
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: str = "auto"
    env_kwargs: dict[str, Any] = Field(default_factory=dict)
    wrapper: str | None = None
    imports: tuple[str, ...] = ()
    vecnormalize: Path | None = None
    teacher_act: Act = "mode"
    student_act: Act = "mode"
    fit_critic: int | None = Field(default=None, ge=100, le=10**8)
    data: str | None = None
    out: Path | None = None

    @field_validator("env_kwargs", mode="before")
    @classmethod
    def _read_text(cls, value: object) -> object:
        return parse_env_kwargs(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.until is not None and not 0.0 < self.until <= 1.0:
            raise SettingError(f"until must lie in (0, 1], got {self.until:g}")
        if self.teacher is None and self.data is None:
            raise SettingError("a teacher is required (or --data with recorded labels)")
        if self.task is None and self.data is None:
            raise SettingError("a task is required, for example --task LunarLander-v3")
        return self


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, not yet checked.

    Raises:
        SettingError: the file is missing, too large, or not TOML.
    """
    try:
        if path.stat().st_size > LARGEST_RECIPE:
            raise SettingError(f"recipe {path} is larger than {LARGEST_RECIPE:,} bytes")
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingError(f"cannot read recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"recipe {path} is not TOML: {error}") from error


def saved_recipe(run: Path) -> dict[str, Any]:
    """The settings of an earlier run, for resuming it.

    Raises:
        RunFolderError, SettingError: it is not a run folder, or its recipe cannot be read.
    """
    return read_recipe(RunFolder.open(run).recipe_toml)


def make_recipe(*sources: dict[str, Any]) -> Recipe:
    """Check settings; a later source overrides an earlier one, None leaves it alone.

    Raises:
        SettingError: unknown keys (near names are given) or values out of range, all at once.

    >>> make_recipe({"teacher": "a.zip", "task": "CartPole-v1"}, {"seed": 3}).seed
    3
    """
    merged: dict[str, Any] = {}
    for source in sources:
        merged |= {
            key.replace("-", "_"): value for key, value in source.items() if value is not None
        }
    known = list(Recipe.model_fields)
    unknown = [key for key in merged if key not in known]
    if unknown:
        raise SettingError(
            "; ".join(f"unknown setting {key!r}.{did_you_mean(key, known)}" for key in unknown)
            + f" Known: {', '.join(known)}."
        )
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        problems = [
            f"{_place(e['loc'])}{e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        ]
        raise SettingError("; ".join(problems)) from error


def parse_env_kwargs(text: str) -> dict[str, Any]:
    """Environment keyword arguments from "name=value,..." (values as JSON) or a JSON object.

    Raises:
        SettingError: the text is neither.

    >>> parse_env_kwargs("gravity=-9.5,enable_wind=true,render_mode=rgb_array")
    {'gravity': -9.5, 'enable_wind': True, 'render_mode': 'rgb_array'}
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SettingError(f"--env-kwargs is not a JSON object: {error}") from error
        return dict(record)
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not equals or not name.strip() for name, equals, _ in pairs):
        raise SettingError(
            f"--env-kwargs must be name=value,... or a JSON object; got {text!r}, "
            "for example gravity=-9.5,enable_wind=true"
        )
    return {name.strip(): _json_or_text(value.strip()) for name, _, value in pairs}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""
