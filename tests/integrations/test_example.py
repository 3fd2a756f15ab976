"""examples/kickstart_sb3.py and the Python of docs/integrations.md run as they stand there."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def test_the_example_runs() -> None:
    path = ROOT / "examples" / "kickstart_sb3.py"
    spec = importlib.util.spec_from_file_location("kickstart_sb3", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert 1.0 <= module.main(steps=256, n_steps=32) <= 500.0


BLOCKS = (ROOT / "docs" / "integrations.md").read_text().split("```python\n")[1:]
FEWER = {"200_000": "2048", "100_000": "256", "10_000": "1024"}


def test_the_pages_examples_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one program, as they stand there, with fewer steps and a teacher of the name they use."""
    import rldistill

    shipped = Path(rldistill.__file__).parent / "teachers" / "shipped" / "cartpole-dqn.zip"
    (tmp_path / "teacher.zip").write_bytes(shipped.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        code = block.split("```")[0]
        for many, few in FEWER.items():
            code = code.replace(many, few)
        exec(compile(code, "integrations.md", "exec"), names)
    assert names["follow"].run.verdict in ("holds", "fails", "unsure")
