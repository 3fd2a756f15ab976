"""Run folders written by hand, for tests of what reads them: any number of them in no time."""

import json
from pathlib import Path
from typing import Any

from made_evidence import made_evidence

from rldistill.evaluation.evidence_file import save_evidence
from rldistill.runs import RunFolder

STUDENT: dict[str, Any] = {
    "task": {"id": "Made-v0", "backend": "gymnasium", "env_kwargs": {}, "wrapper": None},
    "student_act": "mode", "architecture": "mlp:8", "method": "dagger", "parameters": 100,
    "seed": 0, "command": "rldistill distill teacher.zip --task Made-v0",
    "teacher": {"name": "PPO", "framework": "made by hand", "sha256": "0" * 64},
    "versions": {"python": "3.11", "rldistill": "0.1.0"},
}  # fmt: skip
OUTCOME: dict[str, Any] = {
    "verdict": "holds", "reason": "64 episodes of each policy show it", "floor": 0.95,
    "fraction": 0.98, "fraction_low": 0.97, "fraction_high": 0.99, "student_return": 98.0,
    "teacher_return": 100.0, "random_return": 0.0, "episodes": 64, "paired": True,
    "agreement": 0.9, "teacher_parameters": 1000, "student_parameters": 100, "env_steps": 4096,
    "train_seconds": 1.5, "total_seconds": 4.0,
}  # fmt: skip


def made_run(
    path: Path,
    *,
    student: dict[str, Any] | None = None,
    outcome: dict[str, Any] | None = None,
    finished: bool = True,
    evidence: dict[str, Any] | None = None,
) -> Path:
    """A run folder; what is given replaces values of STUDENT and OUTCOME.

    Args:
        path: of the folder.
        student, outcome: changed values.
        finished: has a verdict.
        evidence: arguments of made_evidence; None: the run kept none.
    """
    folder = RunFolder.create(path)
    told = STUDENT | (student or {})
    folder.student_json.write_text(json.dumps(told))
    if finished:
        folder.verdict_json.write_text(json.dumps(OUTCOME | (outcome or {})))
    if evidence is not None:
        save_evidence(folder.evidence, made_evidence(**evidence))
    folder.recipe_toml.write_text(
        f'task = "Made-v0"\nmethod = "dagger"\nseed = {told["seed"]}\nsteps = 4096\n'
    )
    for i in range(1, 5):
        record = {
            "round_index": i, "env_steps": 1024 * i, "train_seconds": 0.4 * i, "loss": 1 / i,
            "agreement": 0.2 * i, "student_return": 20.0 * i, "return_low": 20.0 * i - 5,
            "return_high": 20.0 * i + 5, "fraction": 0.2 * i, "episodes": 64, "samples": 8192 * i,
        }  # fmt: skip
        folder.append_metrics(record)
    return path


def seeds_of(folder: Path) -> list[Path]:
    """Two methods on two tasks with three seeds each, and a run that was cut off."""
    runs = [
        made_run(
            folder / f"{method}-{task}-{seed}",
            student={"method": method, "seed": seed, "task": {"id": f"{task}-v0"},
                     "parameters": size},
            outcome={"fraction": base + 0.03 * seed, "student_parameters": size,
                     "env_steps": 900 + 5000 * seed, "verdict": "holds" if base > 0.9 else "fails"},
        )
        for method, base, size in (("dagger", 0.93, 100), ("rusu-kl", 0.7, 400))
        for task in ("Made", "Other")
        for seed in range(3)
    ]  # fmt: skip
    return [*runs, made_run(folder / "cut-off", finished=False)]
