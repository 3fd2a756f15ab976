"""What must be equal for a run to be gone on with, and how people read it."""

import re
from typing import Any, cast

from rldistill.errors import RunFolderError

SHA256 = re.compile(r"[0-9a-f]{64}")
# What a user calls a setting of an identity, where it is not its name.
WORDS = {"floor": "until"}


def check_identity(saved: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse a checkpoint of another run.

    Raises:
        RunFolderError: one line per setting that differs, with both sides.
    """
    different = [
        f"  {WORDS.get(name, name)}: the run has {in_words(saved.get(name))}, "
        f"you asked for {in_words(now[name])}"
        for name in now
        if saved.get(name) != now[name]
    ]
    if different:
        raise RunFolderError("\n".join(["cannot resume, this is another run:", *different]))


def in_words(value: object) -> str:
    """One value of an identity for people: a task's settings, a shortened sha256, a plain value.

    >>> in_words({"id": "A-v0", "backend": "gymnasium", "env_kwargs": {"g": 2}, "wrapper": None})
    'A-v0 on gymnasium with g=2'
    >>> in_words({"id": "A-v0", "backend": "gymnasium", "student_view": "drop:2"})
    'A-v0 on gymnasium, student view drop:2'
    >>> in_words("0123456789abcdef" * 4), in_words(None)
    ('sha256 0123456789ab...', 'none')
    """
    if isinstance(value, dict):
        task = cast("dict[str, Any]", value)
        words = f"{task.get('id')} on {task.get('backend')}"
        if settings := task.get("env_kwargs"):
            words += " with " + ", ".join(f"{k}={v}" for k, v in settings.items())
        words += f" in {task['wrapper']}" if task.get("wrapper") else ""
        for seat in ("student", "teacher"):
            if view := task.get(f"{seat}_view"):
                words += f", {seat} view {view}"
        return words
    if isinstance(value, str) and SHA256.fullmatch(value):
        return f"sha256 {value[:12]}..."
    return "none" if value is None else str(value)
