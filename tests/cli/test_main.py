"""The entry: fast, near names, exit codes, signals."""

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from commands import Command

from rldistill.cli import main as main_module
from rldistill.cli.main import COMMANDS, Terminated, main, stopped_by_sigterm
from rldistill.errors import RldistillError, UsageError


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_entry_imports_nothing_heavy() -> None:
    """What makes --help slow is imported by the commands that need it."""
    done = python(
        "import sys; from rldistill.cli.main import main; code = main(['--help']);"
        "heavy = {'torch', 'numpy', 'tyro', 'pydantic', 'rich', 'gymnasium', 'scipy'};"
        "sys.exit(f'imported: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else code)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert f"  {command}" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["distill", "--taks", "x"], ["distill", "a.zip", "--task", "T", "--until", "1.5"],
     ["distill", "--help"], ["evaluate", "--help"], ["collect", "--help"], ["runs", "--help"]],
)  # fmt: skip
def test_help_and_wrong_flags_are_told_before_torch_is_imported(arguments: list[str]) -> None:
    done = python(
        f"import sys; from rldistill.cli.main import main; code = main({arguments!r});"
        "sys.exit(77 if 'torch' in sys.modules else code)"
    )
    assert done.returncode == (0 if "--help" in arguments else 1 if "--until" in arguments else 2)
    assert "Traceback" not in done.stderr


def test_python_m_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rldistill", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("rldistill ")


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]])
def test_the_overview(rldistill: Command, arguments: list[str]) -> None:
    result = rldistill(*arguments)
    assert result.code == 0
    assert "usage: rldistill COMMAND" in result.out
    assert "example: rldistill distill teacher.zip --task" in result.out


def test_an_unknown_command_has_near_names(rldistill: Command) -> None:
    result = rldistill("distil")
    assert result.code == 2
    assert result.out == ""
    assert "unknown command 'distil'. Did you mean distill?" in result.err


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(arguments: list[str]) -> int:
        raise error

    module = type("Module", (), {"run": staticmethod(run)})
    monkeypatch.setattr(main_module.importlib, "import_module", lambda name: module)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RldistillError("do this"), 1, "error: do this\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (Terminated(), 143, "interrupted\n"),
        (UsageError("give a number"), 2, "error: give a number\n"),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_exit_codes(
    rldistill: Command, monkeypatch: pytest.MonkeyPatch, error: Any, code: int, said: str
) -> None:
    """Our own errors are one line without a traceback."""
    raising(monkeypatch, error)
    result = rldistill("runs")
    assert (result.code, result.err) == (code, said)


def test_a_reader_that_has_gone_is_not_an_error() -> None:
    """As in `rldistill methods | head -1`."""
    done = subprocess.run(
        f"{sys.executable} -m rldistill methods | head -c 1", shell=True,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""


def test_sigterm_is_like_ctrl_c_while_a_command_runs() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_thread_may_run_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Only a main thread can take signals."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["methods"])))
    thread.start()
    thread.join()
    assert codes == [0]
    assert "dagger" in capsys.readouterr().out
