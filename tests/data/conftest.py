"""Fixtures of the data tests."""

import os
from pathlib import Path

import pytest
from recording import Recording, record


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, and waiting for the disk takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def recording() -> Recording:
    """Three environments, 40 steps in uneven chunks; the end cuts episodes off."""
    return record(3, [7, 1, 20, 12])


@pytest.fixture
def minari_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for Minari datasets."""
    pytest.importorskip("minari")
    home = tmp_path / "minari"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(home))
    return home
