"""export_policy(): a policy leaves Python, checked against itself before a file is written."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

import numpy as np
from gymnasium import spaces

from rldistill.core import Acting, NetworkPolicy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import ExportError, RunFolderError, SettingError, between, did_you_mean
from rldistill.evaluation.exported import ExportedActor, prove_exported, record_observations
from rldistill.evaluation.scores import task_info
from rldistill.evaluation.verdict import DEFAULT_FLOOR, Verdict
from rldistill.exporters.acting import Output, Precision, parse
from rldistill.exporters.contract import SUFFIX, Background, Evidence, write_contract
from rldistill.exporters.c_source import require_name
from rldistill.exporters.parity import Parity, compare, edge_values
from rldistill.exporters.target import Runner, Subject, Target
from rldistill.exporters.targets import TARGETS
from rldistill.integrations import sb3_zip
from rldistill.runs import RunFolder, atomic_write, make_folder, read_json, storage_advice, to_json
from rldistill.teachers.load import load_teacher

Array = np.ndarray[Any, Any]
ALL_TARGETS = {target.name: target for target in (*TARGETS, sb3_zip.TARGET)}
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
class Exported:
    """One file that was written.

    Attributes:
        path: the file; its contract lies beside it.
        contract: what that says.
    """

    path: Path
    contract: dict[str, Any]


def export_policy(
    policy: Any,
    out: Path | str,
    to: str | Sequence[str] = "onnx",
    *,
    task: TaskSource | None = None,
    settings: ExportSettings = ExportSettings(),
) -> list[Exported]:
    """Write a policy in formats that need no Python, or no rldistill; each checked first.

    Everything is inside: normaliser, scaling and bounds of actions. Every file is loaded again and
    compared with the policy on recorded observations and on edge values; fp16 and int8 must
    moreover hold their return in the task. Where one fails, nothing is written.

    Args:
        policy: a run folder, a file or a live object, as in load_policy.
        out: folder of the files.
        to: one or several of onnx, c, torchscript, torch-export, json, sb3.
        task: where observations are recorded and the verdict is played; None: the task of the run,
            where POLICY is one.
        settings: everything else.

    Returns:
        What was written, one per format.

    Raises:
        SettingError: an unknown format, one that lacks the precision or output, a setting without
            effect, an unsupported layer, or no task where a verdict is needed.
        NotFiniteError: a weight is NaN or infinite.
        ExportError: an export differs from the policy, or does not hold.
        RunFolderError: the folder cannot be written.
    """
    targets = _targets([to] if isinstance(to, str) else list(to), settings)
    folder = Path(out).expanduser().absolute()
    scene = _set_scene(policy, task, settings)
    subject = scene.subject
    paths = [folder / target.file_name(subject) for target in targets]
    _refuse_occupied(paths, settings.force)
    made = [_make(target, scene, settings) for target in targets]
    return _write(folder, list(zip(paths, made, strict=True)))


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


def _targets(names: list[str], settings: ExportSettings) -> list[Target]:
    for name in names:
        if name not in ALL_TARGETS:
            known = ", ".join(ALL_TARGETS)
            near = did_you_mean(name, ALL_TARGETS)
            raise SettingError(f"to must be among {known}; got {name!r:.40}.{near}")
    if not names or len(set(names)) < len(names):
        raise SettingError(f"to must name formats, each once; got {', '.join(names) or 'none'}")
    targets = [ALL_TARGETS[name] for name in names]
    for target in targets:
        target.require(Output(settings.output), Precision(settings.precision))
    return targets


def _set_scene(source: Any, task: TaskSource | None, settings: ExportSettings) -> Scene:
    """Load the policy, find its task, and record what it sees there."""
    card = _card(source)
    spec = task_spec(task) if task is not None else _own_task(card)
    exact = settings.precision == Precision.FP32
    if spec is None and not exact:
        raise SettingError(
            f"{settings.precision} makes errors of its own, so it is judged by what it returns: "
            "name the task (--task ID)"
        )
    info = None if spec is None else task_info(spec)
    policy = _load(source, settings.vecnormalize, info)
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


def _make(target: Target, scene: Scene, settings: ExportSettings) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a file and its contract, after it was loaded, compared and judged."""
    subject = scene.subject
    data = target.build(subject)
    runner = target.run(data, subject)
    parity = compare(subject, runner, scene.edges, scene.source)
    verdict = None
    if subject.precision is not Precision.FP32:
        verdict = _judge(target, runner, scene, settings)
    evidence = Evidence(
        parity=parity,
        verdict=None if verdict is None else verdict.as_dict(),
        versions=scene.versions,
    )
    return data, write_contract(target, subject, data, scene.background, evidence)


def _judge(target: Target, runner: Runner, scene: Scene, settings: ExportSettings) -> Verdict:
    """Whether the export, playing, holds the return of the policy it is measured against.

    Raises:
        ExportError: it is not shown to.
    """
    subject = scene.subject
    assert scene.spec is not None and scene.info is not None
    against, own = subject.policy, settings.against is None
    if not own:
        against = _load(settings.against, None, scene.info)
    generator, noise = np.random.default_rng(settings.seed), subject.ports.noise

    def decide(observations: Array) -> Array:
        drawn = None
        if noise is not None:
            shape = (len(observations), *noise.shape)
            uniform = noise.name == "uniform"
            drawn = generator.random(shape) if uniform else generator.standard_normal(shape)
            drawn = drawn.astype(np.float32)
        return runner(observations, drawn)["action"]

    actor = ExportedActor(subject.policy.info, decide)
    act = Acting(mode=not own or noise is None)
    task = scene.spec, scene.info
    verdict = prove_exported(actor, against, task, settings.floor, (act, settings.seed))
    if verdict.verdict != "holds":
        word = verdict.verdict or "no verdict"
        raise ExportError(
            f"{target.name} in {subject.precision} does not hold {settings.floor:g} of "
            f"{against.info.name}: {word}: {verdict.reason}; nothing was written. fp32 would be "
            "exact; a larger student has more to spare"
        )
    return verdict


def _refuse_occupied(paths: list[Path], force: bool) -> None:
    for path in paths:
        for one in (path, path.with_name(path.name + SUFFIX)):
            if one.exists() and not force:
                raise RunFolderError(
                    f"{one} exists already: choose another --name or --out, or replace it with "
                    "--force"
                )


def _write(
    folder: Path, files: list[tuple[Path, tuple[bytes, dict[str, Any]]]]
) -> list[Exported]:
    """Each file whole or not at all, then its contract: a file without one is known as unfinished.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    try:
        make_folder(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise RunFolderError(f"{error.filename} is a file; a folder is needed") from error
    except OSError as error:
        raise RunFolderError(storage_advice(error, folder)) from error
    written: list[Exported] = []
    for path, (data, contract) in files:
        atomic_write(path, data)
        atomic_write(path.with_name(path.name + SUFFIX), to_json(contract, indent=1) + "\n")
        written.append(Exported(path=path, contract=contract))
    return written


def _load(source: Any, vecnormalize: Path | None, info: TaskInfo | None) -> NetworkPolicy:
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
    if len(policy.info.observation_shape) == 3:
        return generator.integers(0, 256, shape, np.uint8)
    draws = generator.standard_normal(shape)
    for module in policy.module.modules():
        mean, std = getattr(module, "mean", None), getattr(module, "std", None)
        if mean is not None and std is not None and mean.shape == shape[1:]:
            draws = draws * std.numpy() + mean.numpy()
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
            return TaskSpec(id=name, env_kwargs=kwargs, wrapper=wrapper)  # pyright: ignore
        case _:
            return None


def _background(
    source: Any, card: dict[str, Any] | None, spec: TaskSpec | None, info: TaskInfo | None
) -> Background:
    task = None
    if info is not None and spec is not None:
        task = {"id": info.id, "backend": info.backend, "env_kwargs": dict(spec.env_kwargs)}
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
    return Background(
        task=task,
        observation_space=None if info is None else info.observation_space,
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
