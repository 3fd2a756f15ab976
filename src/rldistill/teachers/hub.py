"""Files of the Hugging Face Hub, through its own cache: the only file that imports its client."""

import os
from pathlib import Path, PurePosixPath
from typing import Any

from rldistill.errors import TeacherFileError, near_names, require
from rldistill.teachers.archive import safe_text
from rldistill.teachers.uris import HubFile

# What a policy may lie in, the likeliest first, and what belongs to one and is fetched with it.
POLICIES = (".zip", ".cleanrl_model", ".onnx", ".npz", ".safetensors", ".pt", ".pth")
BESIDE = ("vec_normalize.pkl", "vecnormalize.pkl", "obs_rms.npz", "config.yml", "args.yml")


def fetch(wanted: HubFile) -> Path:
    """The path of a file of a repository in the local cache; downloaded where it is not there.

    What repositories of stable-baselines3 keep beside a policy (VecNormalize, config) is fetched
    too, and so is a card NAME.toml. With HF_HUB_OFFLINE=1 the cache alone is looked into.

    Raises:
        TeacherFileError: no such repository or file, several policies, or no connection and not in
            the cache.
        MissingExtraError: huggingface_hub is not installed.
    """
    names = _names(wanted)
    file = wanted.file or _only_policy(wanted, names)
    if wanted.file is not None and names and file not in names:
        raise TeacherFileError(f"{_said(wanted)} has no {file}{near_names(file, names)}")
    path = _download(wanted, file)
    folder = PurePosixPath(file).parent
    card = str(PurePosixPath(file).with_suffix(".toml"))
    for name in (*(str(folder / beside) for beside in BESIDE), card):
        if name in names and name != file:
            _download(wanted, name)
    return path


def _client() -> Any:
    return require("huggingface_hub", extra="hub")


def _said(wanted: HubFile) -> str:
    return f"hf://{wanted.repository}" + (f"@{wanted.revision}" if wanted.revision else "")


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _names(wanted: HubFile) -> list[str]:
    """Files of the repository; of the cached part of it, where the Hub cannot be reached."""
    client = _client()
    if not _is_offline():
        try:
            return list(client.list_repo_files(wanted.repository, revision=wanted.revision))
        except Exception as error:
            if _is_answer(error):
                raise _translated(wanted, "", error) from error
    try:
        root = client.snapshot_download(
            wanted.repository, revision=wanted.revision, local_files_only=True
        )
    except Exception as error:  # the client's errors have no common class
        raise _translated(wanted, wanted.file or "", error) from error
    found = Path(root)
    return [path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()]


def _is_answer(error: Exception) -> bool:
    """Whether the Hub itself answered, rather than that it was not reached."""
    return type(error).__name__ in (
        *("RepositoryNotFoundError", "GatedRepoError", "RevisionNotFoundError"),
        *("EntryNotFoundError", "RemoteEntryNotFoundError", "HFValidationError"),
    )


def _only_policy(wanted: HubFile, names: list[str]) -> str:
    for suffix in POLICIES:
        found = sorted(name for name in names if name.lower().endswith(suffix))
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(safe_text(name) for name in found[:8])
            raise TeacherFileError(
                f"{_said(wanted)} holds several policies: name one, hf://{wanted.repository}/FILE: "
                f"{listed}"
            )
    listed = ", ".join(safe_text(name) for name in names[:8]) or "nothing"
    raise TeacherFileError(f"{_said(wanted)} holds no policy file, but {listed}")


def _download(wanted: HubFile, file: str) -> Path:
    try:
        return Path(
            _client().hf_hub_download(
                wanted.repository,
                file,
                revision=wanted.revision,
                local_files_only=_is_offline(),
            )
        )
    except Exception as error:  # the client's errors have no common class
        raise _translated(wanted, file, error) from error


def _translated(wanted: HubFile, file: str, error: Exception) -> TeacherFileError:
    said = f"{_said(wanted)}/{file}" if file else _said(wanted)
    if _is_answer(error):
        reason = "does not exist on the Hugging Face Hub, or is not public"
    elif _is_offline():
        reason = "is not in the local cache, and HF_HUB_OFFLINE forbids to download it"
    else:
        reason = "is not in the local cache, and the Hugging Face Hub cannot be reached"
    return TeacherFileError(f"{said} {reason} ({type(error).__name__})")
