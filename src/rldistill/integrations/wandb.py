"""Runs in Weights & Biases: the same numbers as the TensorBoard events. The only file that imports
wandb.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from rldistill.errors import RldistillError, require
from rldistill.train.job import Job
from rldistill.train.progress import Progress

PREFIX = "rldistill/"


def logged_to_wandb(progress: Iterator[Progress], job: Job, project: str) -> Generator[Progress]:
    """Pass a run's records on, and log the numbers of each to a project.

    What wandb is told besides: the recipe as its config, and the verdict as its summary. It works
    offline with WANDB_MODE=offline, as wandb itself does. Whatever ends the run ends the log.

    Args:
        progress: what distilling(job) yields.
        job: the run.
        project: name of the project; it is made where there is none.

    Raises:
        MissingExtraError: wandb is not installed.
        RldistillError: wandb refuses: not logged in, no network, a wrong name.
    """
    wandb: Any = require("wandb", extra="wandb")
    root = job.keeper.folder.root
    try:
        log = wandb.init(project=project, name=root.name, config=dict(job.recipe), dir=str(root))
    except Exception as error:  # wandb has many kinds, none of them ours
        raise RldistillError(
            f"Weights & Biases: {error}; log in with `wandb login`, or set WANDB_MODE=offline"
        ) from error
    failed = True
    try:
        for record in progress:
            log.log(numbers(record.to_json()), step=record.counted)
            yield record
        log.summary.update(numbers(job.keeper.summary or {}) | words(job.keeper.summary or {}))
        failed = False
    finally:
        log.finish(exit_code=int(failed))


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record, named as in the TensorBoard events.

    >>> numbers({"loss": 0.5, "message": "x", "paired": True, "fraction": None})
    {'rldistill/loss': 0.5}
    """
    return {
        f"{PREFIX}{name}": value
        for name, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def words(record: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a record.

    >>> words({"verdict": "holds", "fraction": 1.0})
    {'rldistill/verdict': 'holds'}
    """
    return {f"{PREFIX}{name}": text for name, text in record.items() if isinstance(text, str)}
