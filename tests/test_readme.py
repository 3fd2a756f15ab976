"""The README's Python example does what it says, in a folder of its own."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TEACHER = ROOT / "src" / "rldistill" / "teachers" / "shipped" / "cartpole-dqn.zip"
MARK = "<!-- tested: tests/test_readme.py -->\n```python\n"


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, on a teacher with the name that it uses."""
    text = (ROOT / "README.md").read_text()
    assert text.count(MARK) == 1
    code = text.split(MARK)[1].split("```")[0]
    shutil.copy(TEACHER, tmp_path / "teacher.zip")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["run"].verdict == "holds"
    assert names["action"] in (0, 1)
    assert re.match(r"holds (1\.0|0\.9\d*) \d+\n", capsys.readouterr().out)
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
