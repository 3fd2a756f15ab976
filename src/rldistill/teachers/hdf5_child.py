"""The child that reads HDF5: from stdin, to an npz on stdout. Run as a program, never imported.

It knows nothing of the package, so that it starts fast and its memory can be limited.
"""

import io
import sys
from typing import Any

import h5py
import numpy as np

MOST_MEMORY = 4 << 30
MOST_BYTES = 1 << 30
MOST_OBJECTS = 4_000
MOST_DEEP = 16


def limit_memory() -> None:
    """Let an allocation fail, and not the machine; Windows has no such limit."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


class Collector:
    """All datasets of numbers of a file, by "group/dataset"."""

    def __init__(self) -> None:
        self.found: dict[str, np.ndarray[Any, Any]] = {}
        self._objects = self._bytes = 0

    def collect(self, group: Any, prefix: str = "", depth: int = 0) -> None:
        """Take the datasets below a group; links that leave the file, and cycles, are refused."""
        for name in group:
            self._objects += 1
            if depth > MOST_DEEP or self._objects > MOST_OBJECTS:
                raise ValueError("unsafe: more groups than any policy has")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError("unsafe: a link in place of a dataset")
            item = group[name]
            if isinstance(item, h5py.Group):
                self.collect(item, f"{prefix}{name}/", depth + 1)
            elif item.dtype.kind in "fiu":  # text and the like are no weights
                self.found[f"{prefix}{name}"] = self._numbers(item)

    def _numbers(self, item: Any) -> np.ndarray[Any, Any]:
        if item.is_virtual or item.external:
            raise ValueError("unsafe: a dataset that lies in another file")
        self._bytes += 8 * item.size
        if self._bytes > MOST_BYTES:
            raise ValueError("unsafe: more numbers than any policy has")
        if item.dtype.kind != "f":
            return np.asarray(item[()], np.int64)
        return np.asarray(item[()], np.float32 if item.dtype.itemsize <= 4 else np.float64)


def main() -> None:
    """Read stdin, write stdout; what is wrong goes to stderr in one line, with exit code 1."""
    limit_memory()
    collector = Collector()
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as file:
            collector.collect(file)
    except Exception as error:  # whatever a mutated file makes the library raise
        sys.stderr.write(" ".join(f"{error}".split()) + "\n")
        sys.exit(1)
    packed = io.BytesIO()
    np.savez(packed, **collector.found)  # pyright: ignore[reportArgumentType]
    sys.stdout.buffer.write(packed.getvalue())


if __name__ == "__main__":
    main()
