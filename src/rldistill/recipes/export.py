"""export_policy(): a policy leaves Python, checked against itself before a file is written."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.core import Acting
from rldistill.envs.backends import TaskSource
from rldistill.errors import ExportError, RunFolderError, SettingError, did_you_mean
from rldistill.evaluation.exported import ExportedActor, prove_exported
from rldistill.evaluation.verdict import Verdict
from rldistill.exporters.acting import Output, Precision
from rldistill.exporters.contract import SUFFIX, Evidence, write_contract
from rldistill.exporters.parity import compare
from rldistill.exporters.target import Runner, Target
from rldistill.exporters.targets import TARGETS
from rldistill.integrations import sb3_zip
from rldistill.recipes.export_scene import ExportSettings, Scene, load_for, set_scene
from rldistill.runs import atomic_write, make_folder, storage_advice, to_json

Array = np.ndarray[Any, Any]
ALL_TARGETS = {target.name: target for target in (*TARGETS, sb3_zip.TARGET)}


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
    paths = [folder / target.file_name(settings.name, settings.precision) for target in targets]
    _refuse_occupied(paths, settings.force)
    scene = set_scene(policy, task, settings)
    made = [_make(target, scene, settings) for target in targets]
    return _write(folder, list(zip(paths, made, strict=True)))


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
    assert scene.spec is not None
    assert scene.info is not None
    against, own = subject.policy, settings.against is None
    if not own:
        against = load_for(settings.against, None, scene.info)
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
    """Before anything is played: nothing is replaced unasked, and the folder can be written.

    Raises:
        RunFolderError: a file is there, or the folder cannot be written.
    """
    folder = paths[0].parent
    above = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(above, os.W_OK):
        raise RunFolderError(f"{above} is not writable: change its permissions or choose another")
    for path in paths:
        for one in (path, path.with_name(path.name + SUFFIX)):
            if one.exists() and not force:
                raise RunFolderError(
                    f"{one} exists already: choose another --name or --out, or replace it with "
                    "--force"
                )


def _write(folder: Path, files: list[tuple[Path, tuple[bytes, dict[str, Any]]]]) -> list[Exported]:
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
