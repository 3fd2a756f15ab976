"""TensorBoard event files of a run: one scalar per number of its Progress records."""

import contextlib
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, final

from rldistill.errors import RunFolderError
from rldistill.runs import storage_advice


@final
class EventWriter(AbstractContextManager["EventWriter"]):
    """Writes TensorBoard scalars; tensorboard itself is imported at the first record.

    Its own EventFileWriter writes in a thread, where a full disk goes unnoticed, and imports
    TensorFlow where that is installed: this writes its records to a plain file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: Any = None

    def add(self, record: Mapping[str, Any], step: int) -> None:
        """Write the numbers of a record at an environment step, or row of a dataset.

        Raises:
            RunFolderError: the folder is not writable or the disk is full.
        """
        from tensorboard.compat.proto import event_pb2, summary_pb2

        events: Any = event_pb2
        summaries: Any = summary_pb2
        values = [
            summaries.Summary.Value(tag=f"rldistill/{name}", simple_value=float(value))
            for name, value in record.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        ]
        summary = summaries.Summary(value=values)
        event = events.Event(step=step, wall_time=time.time(), summary=summary)
        try:
            self._records = self._records or self._open(events)
            self._records.write(event.SerializeToString())
            self._records.flush()
        except OSError as error:
            raise RunFolderError(storage_advice(error, self._folder)) from error

    def _open(self, events: Any) -> Any:
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._folder.mkdir(exist_ok=True)
        # TensorBoard reads a folder's files in the order of their names.
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        records = RecordWriter((self._folder / name).open("wb"))
        first = events.Event(wall_time=time.time(), file_version="brain.Event:2")
        records.write(first.SerializeToString())
        return records

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._records is not None:
            with contextlib.suppress(OSError):  # a full disk was told of by add()
                self._records.close()
