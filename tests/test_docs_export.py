"""The snippets of docs/export.md are programs: they are compiled and run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from small_runs import SHIPPED

from rldistill import ExportSettings, export_policy
from rldistill.exporters.compiler import STRICT

PAGE = Path(__file__).parents[1] / "docs" / "export.md"


def snippet(language: str) -> str:
    marked = r"<!-- tested: tests/test_docs_export\.py -->\n```" + language + r"\n(.*?)```"
    found = re.findall(marked, PAGE.read_text(), re.S)
    assert len(found) == 1
    return found[0]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_the_c_program_compiles_and_decides(tmp_path: Path) -> None:
    settings = ExportSettings(name="lander", observations=100)
    export_policy(SHIPPED / "lunarlander-ppo.zip", tmp_path, "c", settings=settings)
    (tmp_path / "main.c").write_text(snippet("c"))
    program = tmp_path / "main"
    command = ["gcc", *STRICT, str(tmp_path / "main.c"), "-o", str(program), "-lm"]
    subprocess.run(command, check=True, timeout=120)
    done = subprocess.run([program], capture_output=True, text=True, check=True, timeout=10)
    action, probability = done.stdout.split()
    assert action in "0123"
    assert 0.25 <= float(probability) <= 1.0


def test_the_python_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = snippet("python").replace('"runs/mine"', repr(str(SHIPPED / "cartpole-dqn.zip")))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "1.0\n"
