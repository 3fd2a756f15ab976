"""What is exported and what it is checked with: settings, policy, task and observations."""

import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.core import Acting, NetworkPolicy, require_memoryless
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.naming import task_names
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.envs.views import text_of
from rldistill.errors import RunFolderError, SettingError, between
from rldistill.evaluation.exported import record_observations
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.scores import task_info
from rldistill.evaluation.verdict import DEFAULT_FLOOR
from rldistill.exporters.acting import Output, Precision, parse
from rldistill.exporters.c_source import require_name
from rldistill.exporters.contract import Background
from rldistill.exporters.lower import find_normaliser
from rldistill.exporters.parity import edge_values
from rldistill.exporters.target import Subject
from rldistill.runs import RunFolder, read_json
from rldistill.students.cnn import Cnn
from rldistill.students.impala import Impala
from rldistill.teachers.load import load_teacher

Array = np.ndarray[Any, Any]
Names = tuple[dict[str, str], ...] | None
OBSERVATIONS = 10_000
PACKAGES = ("rldistill", "torch", "numpy", "onnx", "onnxruntime", "stable-baselines3")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """How to export; every field has a default.

    Attributes:
        precision: "fp32", "fp16", "int8" (ranges from recorded observations) or "int8-dynamic".
        output: "action" (the likeliest), "sample" or "distribution".
        name: of the files, and in front of every identifier in C.
        against: for int8 and fp16: the policy whose return must be held; None: the one exported.
        floor: the share of it.
        observations: how many are compared.
        seed: of everything random.
        vecnormalize: statistics of a zip.
        force: replace files of an earlier export of this name.
    """

    precision: str = "fp32"
    output: str = "action"
    name: str = "policy"
    against: Any = None
    floor: float = DEFAULT_FLOOR
    observations: int = OBSERVATIONS
    seed: int = 0
    vecnormalize: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        require_name(self.name)
        exact = parse(Precision, self.precision, "precision") is Precision.FP32
        parse(Output, self.output, "output")
        if self.observations < 1:
            raise SettingError(f"observations must be at least 1, got {self.observations}")
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")
        if not 0.0 < self.floor <= 1.0:
            raise SettingError(f"floor must lie in (0, 1], got {self.floor:g}")
        if exact and (self.against is not None or self.floor != DEFAULT_FLOOR):
            raise SettingError(
                "against and floor have no effect on fp32, whose outputs are compared one by one; "
                "they are about the verdict of fp16 and int8"
            )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all formats of one export share."""

    subject: Subject
    edges: Array
    source: str
    spec: TaskSpec | None
    info: TaskInfo | None
    background: Background
    versions: dict[str, str] = field(default_factory=dict[str, str])


def set_scene(source: Any, task: TaskSource | None, settings: ExportSettings) -> Scene:
    """Load the policy, find its task, and record what it sees there.

    Raises:
        SettingError: no task is known, and the precision needs a verdict.
    """
    card = _card(source)
    spec = task_spec(task) if task is not None else _own_task(card)
    if spec is not None:
        spec = with_own_views(spec, source).seen_by_student()
    exact = settings.precision == Precision.FP32
    if spec is None and not exact:
        raise SettingError(
            f"{settings.precision} makes errors of its own, so it is judged by what it returns: "
            "name the task (--task ID)"
        )
    info = None if spec is None else task_info(spec)
    policy = load_for(source, settings.vecnormalize, info)
    require_memoryless(policy.info, "an export")
    act = Acting(mode=settings.output != Output.SAMPLE)
    if spec is None:
        rows, found = _drawn(policy, settings), "drawn: no task was named"
    else:
        rows = record_observations(policy, spec, settings.observations, settings.seed, act)
        found = f"played in {spec.id or 'a live task'}, seed {settings.seed}"
    space = None if info is None else info.observation_space
    subject = Subject(
        policy=policy,
        name=settings.name,
        output=Output(settings.output),
        precision=Precision(settings.precision),
        observations=rows,
        heading=_heading(policy, info, settings),
        observation_space=space,
    )
    dtype = subject.ports.inputs[0].dtype
    return Scene(
        subject=subject,
        edges=edge_values(policy.info.observation_shape, space, dtype),
        source=found,
        spec=spec,
        info=info,
        background=_background(source, card, spec, info),
        versions=_versions(),
    )


def load_for(source: Any, vecnormalize: Path | None, info: TaskInfo | None) -> NetworkPolicy:
    """A policy, checked against the task where there is one."""
    with between("policy", "task"):
        return load_teacher(
            source,
            vecnormalize=vecnormalize,
            observation_shape=None if info is None else info.observation_space.shape,
            action_space=None if info is None else info.action_space,
            announce=None,
        )


def _drawn(policy: NetworkPolicy, settings: ExportSettings) -> Array:
    """Unit normals, in units of the policy's own normaliser where it has one."""
    generator = np.random.default_rng(settings.seed)
    shape = (settings.observations, *policy.info.observation_shape)
    network = policy.module
    if isinstance(network, (Cnn, Impala)) and network.pixels.scale > 1.0:
        return generator.integers(0, int(network.pixels.scale) + 1, shape, np.uint8)
    draws, step = generator.standard_normal(shape), find_normaliser(network)
    if step is not None:
        draws = draws * step.std.reshape(shape[1:]) + step.mean.reshape(shape[1:])
    return draws.astype(np.float32)


def _card(source: Any) -> dict[str, Any] | None:
    """What student.json says, where the source is a student of ours."""
    if not isinstance(source, (str, Path)):
        return None
    path = Path(source)
    file = (path if path.is_dir() else path.parent) / "student.json"
    if path.suffix == ".zip" or not file.is_file():
        return None
    return read_json(file)


def _own_task(card: dict[str, Any] | None) -> TaskSpec | None:
    match card:
        case {"task": {"id": str(name), "env_kwargs": dict(kwargs), **rest}} if name:
            wrapper = rest.get("wrapper")
            return TaskSpec(id=name, env_kwargs=kwargs, wrapper=wrapper)
        case _:
            return None


def _background(
    source: Any, card: dict[str, Any] | None, spec: TaskSpec | None, info: TaskInfo | None
) -> Background:
    task, view = None, None
    if info is not None and spec is not None:
        task = {"id": info.id, "backend": info.backend, "env_kwargs": dict(spec.env_kwargs)}
        view = text_of(spec.student_view)
    teacher = None if card is None else card.get("teacher")
    if isinstance(teacher, dict):
        teacher = {key: teacher.get(key) for key in ("name", "framework", "sha256", "act")}
    verdict = None
    try:
        if card is not None:
            verdict = read_json(RunFolder.open(Path(source)).verdict_json)
            verdict.pop("run", None)
    except RunFolderError:
        verdict = None  # a student by itself, or a run that was not judged
    features, actions = _names(spec, info)
    return Background(
        task=task,
        view=view,
        observation_space=None if info is None else info.observation_space,
        features=features,
        actions=actions,
        teacher=teacher,
        verdict=verdict,
    )


def _heading(
    policy: NetworkPolicy, info: TaskInfo | None, settings: ExportSettings
) -> tuple[str, ...]:
    known = policy.info
    task = "not known" if info is None else info.id
    return (
        f"policy     {known.name} ({known.framework}), {known.acting_parameters:,} parameters",
        f"sha256     {known.fingerprint or 'of a live object'}",
        f"task       {task}",
        f"precision  {settings.precision}, output {settings.output}",
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _names(spec: TaskSpec | None, info: TaskInfo | None) -> tuple[Names, Names]:
    """Name and unit of each number of an observation and of each action; None where not known."""
    if spec is None or info is None:
        return None, None
    names = task_names(spec, info)
    units = names.action_units or ("",) * len(names.actions)
    features = tuple({"name": one.name, "unit": one.unit} for one in names.features)
    pairs = zip(names.actions, units, strict=True)
    return features or None, tuple({"name": name, "unit": unit} for name, unit in pairs) or None
