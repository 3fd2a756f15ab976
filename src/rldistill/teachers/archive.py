"""Zip archives made by strangers, read within bounds and in memory only.

Nothing is ever unpacked to disk, so a name cannot escape a folder; names that try are refused all
the same, since they prove that the archive is no honest policy file.
"""

import io
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rldistill.errors import TeacherFileError, UnsafeFileError, near_names

LARGEST_FILE = 1 << 30
CENTRAL_ENTRY = b"PK\x01\x02"
# Archives nested uncompressed in this one bring their own directory entries: allow for them.
MOST_SIGNATURES = 20_000
# Small entries (a bias of zeros) compress extremely well and are harmless.
RATIO_FREE_BYTES = 1 << 20
ENCRYPTED = 0x1


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold.

    Attributes:
        entries: number of files.
        unpacked_bytes: sum of the unpacked sizes.
        ratio: unpacked over packed size of any entry above 1 MiB. Deflate reaches 1,032.
    """

    entries: int = 2_000
    unpacked_bytes: int = LARGEST_FILE
    ratio: int = 100


def read_file(path: Path, most: int = LARGEST_FILE) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    Raises:
        TeacherFileError: missing (with near names), a folder or a device, empty, or not readable.
        UnsafeFileError: larger than `most`.
    """
    try:
        if path.is_dir() and (path / "run.json").is_file():
            raise TeacherFileError(
                f"{path} is a run that has not saved a student yet: continue it with `rldistill "
                f"distill --resume {path}`, or give the command that began it again"
            )
        if path.is_dir():
            zips = ", ".join(sorted(p.name for p in path.glob("*.zip"))[:8])
            inside = f" It holds {zips}." if zips else ""
            raise TeacherFileError(f"{path} is a folder; a file is required.{inside}")
        if not path.exists():
            raise TeacherFileError(f"{path} does not exist{_near(path)}")
        if not path.is_file():
            raise TeacherFileError(f"{path} is not a regular file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise TeacherFileError(f"{path} cannot be read: {error}") from error
    if len(data) > most:
        raise UnsafeFileError(
            f"{path} is larger than {most:,} bytes: no policy file of this kind is"
        )
    if not data:
        raise TeacherFileError(f"{path} is empty (0 bytes)")
    return data


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f", nor does the folder {path.parent}"
    return near_names(path.name, [p.name for p in path.parent.iterdir()])


@final
class Archive:
    """A checked zip file: names and bytes, nothing else.

    Raises:
        TeacherFileError: not a zip file, or a damaged one.
        UnsafeFileError: too many entries, too large unpacked, packed beyond the ratio, absolute or
            escaping names, duplicate names, encryption, links, exotic compression.
    """

    def __init__(self, data: bytes, what: str, limits: Limits | None = None) -> None:
        """Check the directory of an archive; entries are read on demand.

        Args:
            data: the whole file.
            what: how error messages call it.
            limits: bounds; None takes the defaults.
        """
        limits = limits or Limits()
        self._what = what
        if not data.startswith(b"PK"):
            start = safe_text(data[:8].decode("latin-1"))
            raise TeacherFileError(f"{what} is not a zip file: it begins with {start!r}")
        if data.count(CENTRAL_ENTRY) > MOST_SIGNATURES:
            raise UnsafeFileError(f"{what}: more than {limits.entries:,} entries")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            entries = self._zip.infolist()
        except Exception as error:  # whatever a mutated directory makes zipfile raise
            raise TeacherFileError(f"{what} is a damaged or truncated zip file: {error}") from error
        if entries and min(entry.header_offset for entry in entries) > 0:
            # What zipfile found is the directory of an archive inside this one, whose own is gone.
            raise TeacherFileError(
                f"{what} is a truncated zip file: its directory, which stands at the end, is "
                "missing; copy or download it again"
            )
        _check_totals(entries, what, limits)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            _check_entry(entry, what, limits)
            if entry.filename in self._entries:
                raise UnsafeFileError(
                    f"{what}: two entries are called {safe_text(entry.filename)!r}"
                )
            self._entries[entry.filename] = entry

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the entries, in the archive's order."""
        return tuple(self._entries)

    def read(self, name: str, most: int = LARGEST_FILE) -> bytes:
        """The unpacked bytes of one entry.

        Raises:
            TeacherFileError: no such entry, or its checksum is wrong.
            UnsafeFileError: it claims more than `most` bytes.
        """
        entry = self._entries.get(name)
        if entry is None:
            have = ", ".join(safe_text(known) for known in self.names[:8]) or "nothing"
            raise TeacherFileError(f"{self._what} has no entry {name!r}; it holds {have}")
        if entry.file_size > most:
            raise UnsafeFileError(
                f"{self._what}: {name} unpacks to {entry.file_size:,} bytes, more than {most:,}"
            )
        try:
            with self._zip.open(entry) as file:
                data = file.read(most + 1)
        except Exception as error:  # checksum, truncated stream, zlib: all mean damaged
            raise TeacherFileError(f"{self._what}: {name} is damaged: {error}") from error
        if len(data) != entry.file_size:
            raise TeacherFileError(
                f"{self._what}: {name} has {len(data):,} bytes, its header says {entry.file_size:,}"
            )
        return data


def _check_totals(entries: list[zipfile.ZipInfo], what: str, limits: Limits) -> None:
    if len(entries) > limits.entries:
        raise UnsafeFileError(
            f"{what}: {len(entries):,} entries, at most {limits.entries:,} allowed"
        )
    total = sum(entry.file_size for entry in entries)
    if total > limits.unpacked_bytes:
        raise UnsafeFileError(
            f"{what} unpacks to {total:,} bytes, at most {limits.unpacked_bytes:,} allowed"
        )


def _check_entry(entry: zipfile.ZipInfo, what: str, limits: Limits) -> None:
    name = entry.orig_filename
    shown = safe_text(name)
    parts = re.split(r"[/\\]", name)
    if (
        not name
        or "\\" in name
        or "\0" in name
        or parts[0] == ""
        or ".." in parts
        or ":" in parts[0]
    ):
        raise UnsafeFileError(f"{what}: entry {shown!r} is a path that leaves the archive")
    if entry.flag_bits & ENCRYPTED:
        raise UnsafeFileError(f"{what}: entry {shown!r} is encrypted")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UnsafeFileError(f"{what}: entry {shown!r} is a symbolic link")
    # Python's bz2 and lzma readers unpack a whole chunk at once, whatever size was asked for.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsafeFileError(f"{what}: entry {shown!r} is packed by method {entry.compress_type}")
    if entry.file_size > max(RATIO_FREE_BYTES, limits.ratio * entry.compress_size):
        raise UnsafeFileError(
            f"{what}: entry {shown!r} unpacks {entry.compress_size:,} bytes to "
            f"{entry.file_size:,}: a zip bomb (ratio above {limits.ratio})"
        )


def safe_text(text: str, most: int = 80) -> str:
    """Text from a file made fit for a terminal: printable characters only, shortened.

    >>> safe_text("model" + chr(27) + "[2J.zip")
    'model?[2J.zip'
    """
    clean = "".join(c if c.isprintable() else "?" for c in text[: most + 1])
    return clean if len(clean) <= most else clean[: most - 3] + "..."
