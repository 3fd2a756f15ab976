"""What lies where in a run folder, and how it is written: a file is replaced whole or not at all.

    run.json             the mark by which a folder is known as ours, and when it was made
    recipe.toml          the settings, flags merged in
    metrics.jsonl        one JSON object per line, appended
    student.safetensors  the weights; student.json says what they are
    following.jsonl      versions of a teacher that moves, and their scores, appended
    verdict.json         is the student as good as its teacher?
    evidence.safetensors the episodes it was judged by, and states on which the two differ
    report.html          all of it on one page
    checkpoint/          what resuming needs
    events/              TensorBoard
    .lock, .lock.pid     held by the one process that writes here

Whatever moment a process is killed at, every file above is absent, old or new, never half of each;
only the last line of metrics.jsonl may be torn, which reading ignores and appending repairs.
"""

import contextlib
import datetime
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rldistill.errors import RunFolderError, near_names
from rldistill.runs.files import (
    atomic_write,
    is_scaffolding,
    lock_folder,
    make_folder,
    read_json,
    storage_advice,
    to_json,
)
from rldistill.runs.lines import append_line, read_lines

FORMAT = "rldistill run"
FORMAT_VERSION = 1
_LIVE = "(a live object: "


@final
@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run. Make one with RunFolder.create or RunFolder.open."""

    root: Path

    @property
    def mark(self) -> Path:
        return self.root / "run.json"

    @property
    def recipe_toml(self) -> Path:
        return self.root / "recipe.toml"

    @property
    def metrics_jsonl(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def student_safetensors(self) -> Path:
        return self.root / "student.safetensors"

    @property
    def student_json(self) -> Path:
        return self.root / "student.json"

    @property
    def following_jsonl(self) -> Path:
        return self.root / "following.jsonl"

    @property
    def verdict_json(self) -> Path:
        return self.root / "verdict.json"

    @property
    def evidence(self) -> Path:
        return self.root / "evidence.safetensors"

    @property
    def report_html(self) -> Path:
        return self.root / "report.html"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def events(self) -> Path:
        return self.root / "events"

    @classmethod
    def create(cls, path: Path | str, force: bool = False) -> "RunFolder":
        """Make a new run folder, parents included; an empty folder is taken as it is.

        So is that of a run which ended before it saved a student: nothing of value lies in it, and
        the same command may be given again.

        Args:
            path: the folder.
            force: empty an existing run folder first. Only files that a run makes are deleted; a
                folder without our mark is never touched.

        Raises:
            RunFolderError: the folder is not empty, is in use, or cannot be written.
        """
        run = cls(Path(path).expanduser().absolute())
        try:
            run._refuse_occupied(force)
            make_folder(run.root)
            with lock_folder(run.root):
                run._refuse_occupied(force)  # another process may have come first
                run._clear()
                created = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
                mark = {"format": FORMAT, "format_version": FORMAT_VERSION, "created": created}
                atomic_write(run.mark, to_json(mark, indent=1))
        except (FileExistsError, NotADirectoryError) as error:
            raise RunFolderError(f"{error.filename} is a file; a folder is needed") from error
        except OSError as error:
            raise RunFolderError(storage_advice(error, run.root)) from error
        return run

    def _refuse_occupied(self, force: bool) -> None:
        if not self.root.exists():
            return
        names = {path.name for path in self.root.iterdir() if not is_scaffolding(path.name)}
        if self.mark.name in names:
            _read_mark(self.root)
            if not force and self.has_results:
                raise RunFolderError(
                    f"{self.root} already holds a run: choose another folder with --out, continue "
                    "it with --resume (rldistill.resume in Python), or replace it with --force"
                )
        elif names:
            raise RunFolderError(
                f"{self.root} is not empty and is not a run folder; it will not be overwritten, "
                "even with --force: choose another folder with --out"
            )

    @property
    def has_results(self) -> bool:
        """Whether anything lies here that would be missed: a student, a checkpoint, a verdict."""
        results = (self.student_json, self.student_safetensors, self.verdict_json, self.checkpoint)
        return any(path.exists() for path in results)

    def _clear(self) -> None:
        made = (self.verdict_json, self.student_json, self.student_safetensors, self.metrics_jsonl)
        own = (self.recipe_toml, self.following_jsonl, self.evidence, self.report_html)
        for path in (*made, *own):
            path.unlink(missing_ok=True)
        for folder in (self.checkpoint, self.events):
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """The run folder at path, for reading; take lock() before writing.

        Raises:
            RunFolderError: there is none, it is not ours, or a newer version wrote it.
        """
        root = Path(path).expanduser().absolute()
        if not root.is_dir():
            siblings = root.parent.iterdir() if root.parent.is_dir() else []
            near = near_names(root.name, [entry.name for entry in siblings if entry.is_dir()])
            raise RunFolderError(f"no run folder at {root}{near}")
        _read_mark(root)
        return cls(root)

    @classmethod
    def found(cls, source: Any) -> "RunFolder | None":
        """The run folder that a source names, or None where it names or is anything else."""
        if not isinstance(source, (str, os.PathLike)):
            return None
        try:
            return cls.open(Path(source))
        except RunFolderError:
            return None

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """A context in which this process alone may write here; see lock_folder."""
        return lock_folder(self.root)

    def append_metrics(self, record: Mapping[str, object]) -> None:
        """Add one line to metrics.jsonl; see append_line."""
        append_line(self.metrics_jsonl, record)

    def read_metrics(self) -> list[dict[str, Any]]:
        """All records of metrics.jsonl, oldest first; see read_lines."""
        return read_lines(self.metrics_jsonl)

    def append_following(self, record: Mapping[str, object]) -> None:
        """Add one line to following.jsonl; see append_line."""
        append_line(self.following_jsonl, record)

    def read_following(self) -> list[dict[str, Any]]:
        """All records of following.jsonl, oldest first; see read_lines."""
        return read_lines(self.following_jsonl)


def _read_mark(root: Path) -> str:
    """When the run was made; raises RunFolderError where root is not a run folder of ours."""
    try:
        mark = read_json(root / "run.json")
    except RunFolderError as error:
        raise RunFolderError(f"{root} is not a run folder: {error}") from error
    version, created = mark.get("format_version"), mark.get("created")
    if mark.get("format") != FORMAT or not isinstance(version, int) or not isinstance(created, str):
        raise RunFolderError(f"{root} is not a run folder: its run.json is not ours")
    if version > FORMAT_VERSION:
        raise RunFolderError(
            f"{root} was made by a newer rldistill (format {version}; this one reads "
            f"{FORMAT_VERSION}): upgrade rldistill"
        )
    return created


def list_runs(folder: Path | str) -> list[RunFolder]:
    """The run folders directly inside a folder, oldest first; anything else there is skipped.

    Raises:
        RunFolderError: the folder itself cannot be read.
    """
    found: list[tuple[str, Path]] = []
    try:
        for entry in Path(folder).expanduser().absolute().iterdir():
            with contextlib.suppress(RunFolderError):
                found.append((_read_mark(entry), entry))
    except OSError as error:
        raise RunFolderError(f"cannot list {folder}: {error.strerror}") from error
    return [RunFolder(root) for _, root in sorted(found)]


def default_run_path(task: str, student: str, parent: Path = Path("runs")) -> Path:
    """A path for a new run that does not exist yet: parent/<date-time>-<task>-<student>[-n]."""
    now = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    words = [re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:60] for text in (task, student)]
    name = "-".join([now, *filter(None, words)])
    number, path = 1, parent / name
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}"
    return path


def live_object(name: str) -> str:
    """What stands in files for an object of a Python program, which no file can hold.

    >>> live_object("MyNet")
    '(a live object: MyNet)'
    """
    return f"{_LIVE}{name})"


def is_live_object(value: object) -> bool:
    """Whether live_object wrote a value.

    >>> is_live_object(live_object("MyNet")), is_live_object("mlp:8")
    (True, False)
    """
    return isinstance(value, str) and value.startswith(_LIVE)
