"""Ray: parts of a sweep as tasks on one machine or a cluster; the only file that imports ray."""

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final

from rldistill.errors import EnvironmentFailure, require

Item = TypeVar("Item")
Result = TypeVar("Result")
# Times that a task is run again after its node or process was lost.
RETRIES = 10
# Until an address that does not answer is given up.
SECONDS = 10


@final
@dataclass(frozen=True, slots=True)
class RayTasks:
    """One Ray task of one core per item.

    A task whose node is lost is run again elsewhere, so a function must give the same however often
    it was begun. All nodes must see the folders that function and items name.

    Attributes:
        address: of a cluster, "auto" for the one that this machine is part of; None: one is started
            here.

    Raises:
        MissingExtraError: ray is not installed.
    """

    address: str | None

    def run(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The results as they come.

        Raises:
            EnvironmentFailure: no cluster answers, or nodes were lost too often.
        """
        if not items:
            return
        ray: Any = require("ray", extra="ray")
        self.connect(ray)
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(call)
        waiting = [task.remote(function, item) for item in items]
        try:
            while waiting:
                ready, waiting = ray.wait(waiting, num_returns=1)
                yield ray.get(ready[0])
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except ray.exceptions.RayError as error:
            raise EnvironmentFailure(
                f"Ray lost a part of the sweep: {error}; go on with --resume"
            ) from error
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    def connect(self, ray: Any) -> None:
        """Connect once; a cluster that is connected already is used as it is.

        Raises:
            EnvironmentFailure: none answers.
        """
        if ray.is_initialized():
            return
        try:
            self.knock()
            ray.init(address=self.address or "local", log_to_driver=False, include_dashboard=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise EnvironmentFailure(
                f"no Ray cluster answers at {self.address or 'this machine'}: {error}"
            ) from error

    def knock(self) -> None:
        """Ray tries for minutes where nobody listens; OSError where nobody does, at once."""
        host, _, port = (self.address or "").rpartition(":")
        if host and port.isdigit() and "//" not in host:
            socket.create_connection((host, int(port)), SECONDS).close()


def call(function: Callable[[Item], Result], item: Item) -> Result:
    """What a task does: Ray makes tasks of functions alone, and not of all that can be called.

    >>> call(abs, -1)
    1
    """
    return function(item)
