"""The example of docs/students.md does what it says, on a teacher with the name that it uses."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
TEACHER = ROOT / "src" / "rldistill" / "teachers" / "shipped" / "cartpole-dqn.zip"
MARK = "<!-- tested: tests/test_docs_students.py -->\n```python\n"


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module learns until it is shown to hold, and comes back from its folder."""
    text = (ROOT / "docs" / "students.md").read_text()
    assert text.count(MARK) == 1
    code = text.split(MARK)[1].split("```")[0]
    shutil.copy(TEACHER, tmp_path / "teacher.zip")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(compile(code, "students.md", "exec"), names)
    assert names["run"].verdict == "holds"
    assert capsys.readouterr().out.startswith("holds tensor(")
    state = torch.zeros(1, 4)
    assert torch.equal(names["policy"].raw(state), names["student"](state))
