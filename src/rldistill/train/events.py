"""TensorBoard event files of a run: one scalar per number of its Progress records."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final


@final
class EventWriter(AbstractContextManager["EventWriter"]):
    """Writes TensorBoard scalars; tensorboard itself is imported at the first record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def add(self, record: Mapping[str, Any], step: int) -> None:
        """Write the numbers of a record at an environment step."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._folder))
        values = [
            Summary.Value(tag=f"rldistill/{name}", simple_value=float(value))
            for name, value in record.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        ]
        self._writer.add_event(
            Event(step=step, wall_time=time.time(), summary=Summary(value=values))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
