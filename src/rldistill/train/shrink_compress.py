"""After the sweep: the smallest student with weights set to 0, and in int8, each with a verdict."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from rldistill.data.shards import ShardDataset
from rldistill.envs.spec import TaskInfo
from rldistill.errors import ExportError, MissingExtraError, SettingError
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.exported import ExportedActor, prove_exported
from rldistill.exporters.acting import Output, Precision
from rldistill.exporters.target import Subject, Target
from rldistill.exporters.targets import TARGETS
from rldistill.methods.terms import mean_action_gap, needs_action_gap
from rldistill.runs import atomic_write, read_json, to_json
from rldistill.students.store import load_student
from rldistill.train.job import Job
from rldistill.train.learners import PerStateLearner
from rldistill.train.looks import conclude
from rldistill.train.prepare import load, prepare
from rldistill.train.request import Request
from rldistill.train.shrink_rung import (
    DATA,
    Order,
    labelled,
    prover_of,
    share_memory,
)
from rldistill.train.shrink_sweep import COMPRESSED

# Updates of a pruned student on the states of the sweep.
TUNING_UPDATES = 2000
CALIBRATION_ROWS = 10_000
INT8_FORMATS = ("c", "onnx")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOrder:
    """A student to prune.

    Attributes:
        order: its rung's, with the error rate and seed of this test; fresh names all datasets.
        share: of the weights that are set to 0.
    """

    order: Order
    share: float

    @property
    def folder(self) -> Path:
        """The run folder of the pruned student."""
        return self.order.root / COMPRESSED / f"pruned-{100 * self.share:.4g}"


def prune(asked: PruneOrder) -> dict[str, Any]:
    """Set the smallest weights to 0, learn on with the others, and judge; or read that it was done.

    Source: Han et al. 2015 (arXiv:1506.02626): magnitude pruning, then training what is left.
    """
    order, result_file = asked.order, asked.folder / "result.json"
    if result_file.is_file():
        return read_json(result_file)
    shutil.rmtree(asked.folder, ignore_errors=True)
    with one_thread():
        job = pruned_job(asked)
        with job.keeper:
            job.keeper.start(job)
            masks = smallest(job.learner.tested.module, asked.share)
            tune(job, order, masks)
            with prover_of(job).arena:
                for _ in conclude(job):
                    pass
        result = {
            "name": f"{order.student}, {100 * asked.share:.4g} % of the weights 0",
            "share": asked.share,
            "parameters": int(read_json(asked.folder / "student.json")["parameters"]),
            "nonzero": sum(int((p != 0).sum()) for p in job.learner.tested.module.parameters()),
            "bytes": (asked.folder / "student.safetensors").stat().st_size,
            "folder": str(asked.folder.relative_to(order.root)),
            "verdict": job.keeper.summary,
        }
        atomic_write(result_file, to_json(result, indent=1))
    return result


def pruned_job(asked: PruneOrder) -> Job:
    """The job of a run that begins with the student of a rung."""
    order = asked.order
    job = prepare(
        Request(
            teacher=order.teacher,
            task=order.task,
            student=load_student(order.folder),
            out=asked.folder,
            resume=False,
            settings=order.settings,
        )
    )
    share_memory(job, order.capacity)
    prover = prover_of(job)
    prover.trial = type(prover.trial)(floor=prover.floor, error_rate=order.error_rate)
    prover.reference = order.reference
    return job


def smallest(module: nn.Module, share: float) -> dict[str, Tensor]:
    """For each matrix of weights by name, 0 where a weight is among the smallest of it, else 1.

    Each matrix loses the same share: the scales of layers do not compare.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -3.0]]))
    >>> smallest(layer, 0.5)["weight"].tolist()
    [[0.0, 1.0]]
    """
    masks: dict[str, Tensor] = {}
    for name, weight in module.named_parameters():
        if weight.ndim < 2:
            continue
        order = weight.detach().abs().flatten().argsort()
        mask = torch.ones(weight.numel(), dtype=weight.dtype)
        mask[order[: round(share * weight.numel())]] = 0.0
        masks[name] = mask.view_as(weight)
    return masks


def tune(job: Job, order: Order, masks: dict[str, Tensor]) -> None:
    """Learn with what is left of the weights, from all states of the sweep."""
    for name in order.fresh:
        for part in labelled(order.root / DATA / name):
            if len(job.memory) == 0 and needs_action_gap(job.settings.row, job.teacher_info.head):
                job.state.action_gap = mean_action_gap(job.outputs_of(part))
                job.restore_alignment()
            job.remember(part)
    assert isinstance(job.learner, PerStateLearner), "method_of() gives networks such a row"
    for _ in range(TUNING_UPDATES):
        apply_masks(job, masks)
        job.state.loss = job.learner.learn(job.memory, 1)
    apply_masks(job, masks)
    job.state.finish_round(0, job.learner.updates, 0.0)


@torch.no_grad()
def apply_masks(job: Job, masks: dict[str, Tensor]) -> None:
    """Set to 0 what is masked, in the student and in its running average."""
    for policy in (job.learner.student, job.learner.tested):
        for name, weight in policy.module.named_parameters():
            if name in masks:
                weight.mul_(masks[name])


def in_int8(order: Order, info: TaskInfo) -> dict[str, Any]:
    """The student of a rung in int8, in C or else in ONNX: its bytes and its verdict.

    Returns:
        name, bytes, format, verdict; or name and error, where neither format can be had here.
    """
    result_file = order.root / COMPRESSED / "int8.json"
    if result_file.is_file():
        return read_json(result_file)
    name, problems = f"{order.student}, int8", list[str]()
    result: dict[str, Any] | None = None
    targets = {target.name: target for target in TARGETS}
    for form in INT8_FORMATS:
        try:
            result = {"name": name, "format": form, **judge_int8(targets[form], order, info)}
            break
        except (ExportError, MissingExtraError, SettingError) as error:
            problems.append(f"{form}: {error}")
    if result is None:
        return {"name": name, "error": "; ".join(problems)}
    result_file.parent.mkdir(exist_ok=True)
    atomic_write(result_file, to_json(result, indent=1))
    return result


def judge_int8(target: Target, order: Order, info: TaskInfo) -> dict[str, Any]:
    """Build a file, run it, and play with it."""
    policy = load_student(order.folder)
    subject = Subject(
        policy=policy,
        name="policy",
        output=Output.ACTION,
        precision=Precision.INT8,
        observations=some_observations(order),
        observation_space=info.observation_space,
    )
    target.require(subject.output, subject.precision)
    data = target.build(subject)
    runner = target.run(data, subject)
    actor = ExportedActor(policy.info, lambda observations: runner(observations, None)["action"])
    settings = order.settings
    task = (order.task, info)
    request = Request(
        teacher=order.teacher, task=None, student=None, out=None, resume=False, settings=settings
    )
    teacher = load(request, info.teacher_shape, info.action_space)
    acting = settings.teacher_act, settings.seed
    verdict = prove_exported(actor, teacher, task, settings.floor, acting, order.error_rate)
    described = dict(target.describe(data, subject))
    footprint = described.get("footprint") or {"flash": len(data), "compiler": "size of the file"}
    return {
        "bytes": int(footprint["flash"]),
        "compiler": footprint["compiler"],
        "parameters": policy.info.acting_parameters,
        "verdict": verdict.as_dict(),
    }


def some_observations(order: Order) -> np.ndarray[Any, Any]:
    """Observations from all over the sweep's data: the ranges of int8 are taken from them."""
    share = CALIBRATION_ROWS // len(order.fresh) + 1
    parts = list[np.ndarray[Any, Any]]()
    for name in order.fresh:
        rows = next(ShardDataset(order.root / DATA / name).iterate()).observations
        parts.append(rows[:: max(1, len(rows) // share)][:share])
    return np.concatenate(parts)
