"""Teachers that are still learning: where their next version comes from."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, final

from rldistill.core import NetworkPolicy
from rldistill.errors import MisfitError, RldistillError, SettingError, TeacherFileError
from rldistill.train.progress import Progress

# What a checkpoint may be called; folders are taken where they hold a student.json.
SUFFIXES = (".zip", ".pt", ".pth", ".safetensors")
# A file is read once its size and time have stood still for this long.
SETTLE_SECONDS = 1.0
# A file that cannot be read is tried again until it has stood still for this long.
GIVE_UP_SECONDS = 30.0


@final
@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a teacher: a policy that does not change any more, and its name."""

    policy: NetworkPolicy
    version: str


class MovingTeacher(Protocol):
    """Gives a teacher's versions as they come.

    Attributes:
        messages: lines for people since they were last taken.
    """

    messages: list[str]

    @property
    def name(self) -> str:
        """What is followed, for people and for the identity of a run."""
        ...

    def poll(self) -> Snapshot | None:
        """A version that was not given before; None where there is none yet."""
        ...


Stamp = tuple[int, int]


@final
@dataclass(slots=True)
class CheckpointFolder:
    """A folder in which any trainer drops checkpoints, or the run folder of a trainer of ours.

    Versions are given by age. One that lies there half written is tried again and never taken: a
    file has to stand still first, and then be whole to its reader.

    Attributes:
        folder: where they are dropped.
        load: makes a policy of a path; raises what load_teacher raises.
        now: the clock, in seconds.
        only_latest: versions that came between two looks are passed over, but for the last.
    """

    folder: Path
    load: Callable[[Path], NetworkPolicy]
    now: Callable[[], float] = time.time
    only_latest: bool = True
    messages: list[str] = field(default_factory=list[str])
    _given: dict[Path, Stamp] = field(default_factory=dict[Path, Stamp])
    _watched: dict[Path, tuple[Stamp, float]] = field(
        default_factory=dict[Path, tuple[Stamp, float]]
    )

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise SettingError(
                f"a folder in which checkpoints appear is required; {self.folder} is none"
            )

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.folder)

    def poll(self) -> Snapshot | None:
        """The newest version that is whole and was not given; see MovingTeacher."""
        waiting = [path for path in self._settled() if self._given.get(path) != self._stamp(path)]
        for path in reversed(waiting) if self.only_latest else waiting:
            stamp = self._stamp(path)
            policy = self._try(path, stamp)
            if policy is None or stamp is None:
                continue
            for older in waiting if self.only_latest else [path]:
                if (seen := self._stamp(older)) is not None and seen <= stamp:
                    self._given[older] = seen
            return Snapshot(policy, f"{path.name}@{policy.info.fingerprint[:12]}")
        return None

    def _try(self, path: Path, stamp: Stamp | None) -> NetworkPolicy | None:
        try:
            policy = self.load(path)
        except MisfitError:
            raise  # of another task: waiting does not help
        except (RldistillError, OSError) as error:
            if stamp is not None and self.now() - self._watched[path][1] > GIVE_UP_SECONDS:
                self._given[path] = stamp
                self.messages.append(f"warning  {path.name} cannot be read, passed over: {error}")
            return None
        # Replaced while it was read: what was read may be of neither.
        return policy if self._stamp(path) == stamp else None

    def _settled(self) -> list[Path]:
        """Checkpoints that have stood still, oldest first."""
        now, found = self.now(), list[tuple[Stamp, Path]]()
        for path in self._candidates():
            stamp = self._stamp(path)
            if stamp is None:
                continue
            if path not in self._watched or self._watched[path][0] != stamp:
                # What is older than that when it is first seen need not be waited for.
                age = now - stamp[0] / 1e9
                self._watched[path] = (stamp, now - max(min(age, SETTLE_SECONDS), 0.0))
            if now - self._watched[path][1] >= SETTLE_SECONDS:
                found.append((stamp, path))
        return [path for _, path in sorted(found)]

    def _candidates(self) -> list[Path]:
        if (self.folder / "run.json").is_file():
            return [self.folder] if (self.folder / "student.json").is_file() else []
        try:
            entries = list(self.folder.iterdir())
        except OSError as error:
            raise TeacherFileError(f"cannot look into {self.folder}: {error.strerror}") from error
        visible = [path for path in entries if not path.name.startswith(".")]
        return [
            path
            for path in visible
            if (path.is_file() and path.suffix in SUFFIXES) or (path / "student.json").is_file()
        ]

    def _stamp(self, path: Path) -> Stamp | None:
        """When it was last written, in nanoseconds, and its size; None where it has gone."""
        try:
            there = (path / "student.json" if path.is_dir() else path).stat()
        except OSError:
            return None
        return there.st_mtime_ns, there.st_size


@final
@dataclass(slots=True)
class PushedTeacher:
    """Versions that whoever trains the teacher hands over, in the same process.

    Attributes:
        name: who trains it.
    """

    name: str
    messages: list[str] = field(default_factory=list[str])
    _next: Snapshot | None = None

    def give(self, policy: NetworkPolicy, version: str) -> None:
        """The teacher as it is now; a version not yet taken is replaced."""
        self._next = Snapshot(policy, version)

    def poll(self) -> Snapshot | None:
        """The latest version handed over; see MovingTeacher."""
        snapshot, self._next = self._next, None
        return snapshot


@final
@dataclass(slots=True)
class TrainedBeside:
    """A teacher that is trained here, a stretch before each of its versions.

    Attributes:
        name: who trains it.
        progress: the generator that trains it.
        snapshot: a frozen copy of the teacher as it is.
        stretch: environment steps of the teacher between two versions.
        every: looks from one version to the next; the student learns in between.
    """

    name: str
    progress: Generator[Progress, Any, Any]
    snapshot: Callable[[], NetworkPolicy]
    stretch: int
    every: int = 1
    messages: list[str] = field(default_factory=list[str])
    _steps: int = 0
    _ended: bool = False
    _looks: int = 0

    def poll(self) -> Snapshot | None:
        """Train for a stretch and give the teacher, where that is due and it has not finished."""
        self._looks += 1
        if self._ended or (self._looks - 1) % self.every:
            return None
        until = self._steps + self.stretch
        while self._steps < until:
            record = next(self.progress, None)
            if record is None:
                self._ended = True
                break
            self._steps = record.env_steps or 0
        return Snapshot(self.snapshot(), f"{self._steps} steps")
