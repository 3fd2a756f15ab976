"""Recipe: the settings of one run, from a TOML file, from flags, or from both."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rldistill.errors import SettingError, did_you_mean
from rldistill.runs import RunFolder, is_live_object

LARGEST_RECIPE = 1 << 20

# With data alone nothing is played or judged: these have no effect then.
NEEDS_TEACHER = (
    "task", "until", "backend", "env_kwargs", "wrapper", "imports", "teacher_view",
    "student_view", "vecnormalize", "card",
    "head", "trust",
    "teacher_act",
    "student_act",
)  # fmt: skip
# Kinds of pydantic, in words of a user.
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "dict": "a table, name = value",
    "tuple": "a list",
    "path": "a path",
}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


class Recipe(BaseModel):
    """What `rldistill distill` needs to know; recipe.toml in the run folder holds the same keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: str | None = None
    task: str | None = None
    student: str | None = None
    method: str | None = None
    steps: int | None = Field(default=None, ge=1, le=10**12)
    scale: float | None = None
    until: float | None = None
    num_envs: int | None = Field(default=None, ge=1, le=65_536)
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "envpool", "gymnasium", "ale", "minatar"] = "auto"
    env_kwargs: dict[str, Any] = Field(default_factory=dict)
    wrapper: str | None = None
    imports: tuple[str, ...] = ()
    teacher_view: str | None = None
    student_view: str | None = None
    vecnormalize: Path | None = None
    card: Path | None = None
    head: str | None = None
    trust: bool = False
    teacher_act: str = "mode"
    student_act: str = "mode"
    fit_critic: int | None = Field(default=None, ge=100, le=10**8)
    window: int | None = Field(default=None, ge=1, le=10**6)
    burn_in: int | None = Field(default=None, ge=0, le=10**6)
    data: str | None = None
    out: Path | None = None

    @field_validator(
        "steps",
        "scale",
        "until",
        "num_envs",
        "seed",
        "fit_critic",
        "window",
        "burn_in",
        mode="before",
    )
    @classmethod
    def _refuse_text(cls, value: object, info: ValidationInfo) -> object:
        """Flags come as numbers; in TOML a number has no quotes, and true is not 1."""
        if isinstance(value, str | bool):
            kind = "float_type" if info.field_name in ("until", "scale") else "int_type"
            raise PydanticCustomError(kind, "not a number")
        return value

    @field_validator("teacher", "task", "student", "method", "wrapper", "data")
    @classmethod
    def _refuse_nothing(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise PydanticCustomError("empty", "the text is empty; give one, or leave it out")
        return value

    @field_validator("teacher_act", "student_act")
    @classmethod
    def _acts(cls, value: str, info: ValidationInfo) -> str:
        from rldistill.core import Acting  # torch: when it is needed

        return str(Acting.parse(value, info.field_name or "act"))

    @field_validator("teacher_view", "student_view")
    @classmethod
    def _views(cls, value: str | None, info: ValidationInfo) -> str | None:
        from rldistill.envs.views import View  # gymnasium: when it is needed

        return None if value is None else str(View.parse(value, info.field_name or "view"))

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
        if self.data is not None:
            self._check_effects()
        return self

    def _check_effects(self) -> None:
        """Offline no environment is stepped to learn from; without a teacher, none at all."""
        if self.num_envs is not None:
            raise SettingError(
                "num_envs has no effect with data: what is learnt from is recorded already; leave "
                "it out"
            )
        if self.teacher is not None:
            return
        fields = type(self).model_fields
        given = [
            name
            for name in NEEDS_TEACHER
            if getattr(self, name) != fields[name].get_default(call_default_factory=True)
        ]
        if given:
            raise SettingError(
                f"{', '.join(given)}: of no effect without a teacher, since recorded labels are "
                "learnt from and nothing is played. Leave it out, or name the TEACHER that labels "
                "the data anew and that the student is judged against"
            )


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
        problems = [in_words(problem) for problem in error.errors()]
        raise SettingError("; ".join(problems)) from error


def refuse_live_objects(recipe: Recipe) -> None:
    """For the command line, which has none.

    Raises:
        SettingError: the recipe is of a run that a Python program made with live objects.
    """
    for name in ("teacher", "task", "student"):
        value = getattr(recipe, name)
        if is_live_object(value):
            raise SettingError(
                f"the {name} of this run is {value} of a Python program, which the command line "
                f"cannot make: continue it there with rldistill.resume(RUN, {name}=...)"
            )
    require_whole(recipe.env_kwargs)


def require_whole(env_kwargs: Mapping[str, Any]) -> None:
    """Check that keyword arguments from a run folder are all there.

    Raises:
        SettingError: one was a live object, which is in no file.
    """
    for name, value in env_kwargs.items():
        if is_live_object(value):
            raise SettingError(
                f"the environment's {name} was {value}, which is in no file: give the whole task "
                "again in Python, rldistill.resume(RUN, task=TaskSpec(...))"
            )


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


def in_words(problem: Mapping[str, Any]) -> str:
    """One problem that pydantic found: which setting, what is required, what came.

    >>> in_words({"type": "int_parsing", "loc": ("steps",), "input": "many", "msg": "..."})
    "steps must be a whole number, got 'many'"
    """
    name, given = ".".join(map(str, problem["loc"])), problem["input"]
    limits: dict[str, Any] = problem.get("ctx", {})
    if problem["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", limits["expected"])
        near = did_you_mean(str(given), known)
        return f"{name} must be one of {', '.join(known)}, got {given!r}" + (near and f".{near}")
    for bound, words in BOUNDS.items():
        if bound in limits:
            return f"{name} must be {words} {limits[bound]:,}, got {given!r}"
    kind = KINDS.get(problem["type"].partition("_")[0])
    if kind is None:
        return f"{name}: ".removeprefix(": ") + problem["msg"].removeprefix("Value error, ")
    return f"{name} must be {kind}, got {given!r}"
