"""Files of the Hugging Face Hub, against a cache made here: nothing is downloaded."""

import shutil

import pytest

from rldistill.errors import TeacherFileError
from rldistill.teachers.load import load_teacher

pytest.importorskip("huggingface_hub")
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """cache(repository, {name: path}) puts files where the client's cache has them."""
    root = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def put(repository: str, files) -> None:
        folder = root / f"models--{repository.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(COMMIT)
        for name, path in files.items():
            target = folder / "snapshots" / COMMIT / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)

    return put


def test_a_named_file_and_the_only_policy_are_loaded(cache, ppo_zip):
    path = ppo_zip()
    (path.parent / "README.md").write_text("# a policy")
    cache("org/ppo-task", {"sub/ppo.zip": path, "README.md": path.parent / "README.md"})
    plain = load_teacher(path, announce=None).info.fingerprint
    for uri in ("hf://org/ppo-task/sub/ppo.zip", "hf://org/ppo-task"):
        info = load_teacher(uri, announce=None).info
        assert (info.source, info.fingerprint) == (uri, plain)


def test_several_policies_and_near_names_are_told(cache, ppo_zip):
    path = ppo_zip()
    cache("org/two", {"one.zip": path, "two.zip": path})
    with pytest.raises(TeacherFileError, match=r"several policies: name one.*one\.zip, two\.zip"):
        load_teacher("hf://org/two")
    with pytest.raises(TeacherFileError, match=r"has no on\.zip\. Did you mean one\.zip"):
        load_teacher("hf://org/two/on.zip")
    (path.parent / "notes.txt").write_text("x")
    cache("org/none", {"notes.txt": path.parent / "notes.txt"})
    with pytest.raises(TeacherFileError, match=r"holds no policy file, but notes\.txt"):
        load_teacher("hf://org/none")


@pytest.mark.parametrize("uri", ["hf://org/absent", "hf://org/absent/model.zip"])
def test_offline_what_is_not_in_the_cache_is_told(uri, cache):
    with pytest.raises(TeacherFileError, match="is not in the local cache, and HF_HUB_OFFLINE"):
        load_teacher(uri)
