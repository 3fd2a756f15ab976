"""What a command did, for the tests of the command line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The objects of --json, one per line; NaN and infinity are not JSON."""

        def refuse(text: str) -> Any:
            raise AssertionError(f"{text} in --json")

        return [json.loads(line, parse_constant=refuse) for line in self.out.splitlines()]


Command = Callable[..., Result]
