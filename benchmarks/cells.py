"""Cells of a table: each is one command whose last JSON line is kept; a table resumes by cell."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 20 * 60


@dataclass(frozen=True)
class Cell:
    """One command of a table.

    Attributes:
        name: file name of its result.
        arguments: after the program.
        program: what is run; `run` knows only `rldistill`, others keep their results themselves.
    """

    name: str
    arguments: tuple[str, ...]
    program: str = "rldistill"

    @property
    def command(self) -> str:
        """As a user types it."""
        return " ".join((self.program, *self.arguments))

    def result(self, folder: Path) -> dict[str, Any] | None:
        """What it gave when it was run with these arguments, or None."""
        path = folder / f"{self.name}.json"
        record = json.loads(path.read_text()) if path.exists() else None
        return record["result"] if record and record["command"] == self.command else None

    def run(self, folder: Path, scratch: Path) -> dict[str, Any]:
        """Run it and keep the last JSON line; an error is kept as {"error": ...}."""
        arguments = [*self.arguments, "--json"]
        if self.arguments[0] == "distill":
            arguments += ["--out", str(scratch / self.name), "--force"]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "rldistill", *arguments],
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
                check=False,
            )
            lines = done.stdout.strip().splitlines()
            result = (
                json.loads(lines[-1]) if done.returncode == 0 else {"error": done.stderr[-500:]}
            )
        except subprocess.TimeoutExpired:
            result = {"error": f"not done after {LIMIT_SECONDS} s"}
        # The folder of the run is one of this machine and says nothing to others.
        result.pop("run", None)
        self.keep(folder, result)
        return result

    def keep(self, folder: Path, result: dict[str, Any]) -> None:
        """Write a result where `result` finds it."""
        folder.mkdir(parents=True, exist_ok=True)
        record = {"command": self.command, "result": result}
        (folder / f"{self.name}.json").write_text(json.dumps(record, indent=1) + "\n")


def run_missing(cells: list[Cell], folder: Path, scratch: Path) -> None:
    """Run the cells that have no result yet, one after the other."""
    for cell in cells:
        if cell.result(folder) is None:
            print(cell.command, flush=True)
            result = cell.run(folder, scratch)
            print(
                "   ",
                result.get("verdict"),
                result.get("fraction"),
                result.get("error"),
                flush=True,
            )


def cell_text(value: Any, form: str = "{}") -> str:
    """A value for a table; a cell that was not run says so.

    >>> cell_text(0.5, "{:.2f}"), cell_text(None)
    ('0.50', '-')
    """
    return "-" if value is None else form.format(value)
