"""Run folders: what lies where, and how it is written."""

from rldistill.runs.files import (
    atomic_write,
    lock_folder,
    make_folder,
    read_json,
    storage_advice,
    sync_folder,
    to_json,
)
from rldistill.runs.folder import (
    RunFolder,
    default_run_path,
    is_live_object,
    list_runs,
    live_object,
)

__all__ = [
    "RunFolder",
    "atomic_write",
    "default_run_path",
    "is_live_object",
    "list_runs",
    "live_object",
    "lock_folder",
    "make_folder",
    "read_json",
    "storage_advice",
    "sync_folder",
    "to_json",
]
