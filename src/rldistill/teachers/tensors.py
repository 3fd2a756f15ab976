"""Files of torch.save with a flat dict of tensors, read by our own allow-list reader.

torch.load(weights_only=True) runs no code either, but allocates what a file claims and expands what
its strides say. Here every storage, shape and stride is checked against the bytes that exist.
Both formats are read: zip archives (torch >= 1.6) and the older row of pickles.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers import pickle
from rldistill.teachers.archive import LARGEST_FILE, Archive, safe_text
from rldistill.teachers.pickle import Inert

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MOST_ELEMENTS = LARGEST_FILE // 4
MOST_DIMENSIONS = 8
STORAGES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


def read_tensors(data: bytes, what: str) -> dict[str, Tensor]:
    """Names and tensors of a saved state dict, on the CPU, in the file's order.

    Args:
        data: the whole file.
        what: how error messages call it.

    Raises:
        TeacherFileError: not such a file, damaged, or inconsistent.
        UnsafeFileError: it claims more than it holds, or exceeds the bounds.
    """
    saved = read_saved(data, what)
    return saved.tensors(saved.content)


def read_saved(data: bytes, what: str) -> "TorchFile":
    """A file of torch.save of any structure, its tensors still closed.

    Raises:
        TeacherFileError: not such a file, damaged, or not supported yet.
        UnsafeFileError: it claims more than it holds, or exceeds the bounds.
    """
    return _from_zip(data, what) if data.startswith(b"PK") else _from_legacy(data, what)


def _from_zip(data: bytes, what: str) -> "TorchFile":
    archive = Archive(data, what)
    index = [name for name in archive.names if name.split("/")[1:] == ["data.pkl"]]
    if len(index) != 1:
        raise TeacherFileError(f"{what}: a torch archive has one data.pkl, this one {len(index)}")
    root = index[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.names and archive.read(f"{root}byteorder", 16) != b"little":
        raise TeacherFileError(f"{what}: not supported yet: big-endian tensors")
    content = pickle.read(archive.read(index[0], pickle.MOST_BYTES), what)

    def load(key: str, num_bytes: int) -> bytes:
        return archive.read(f"{root}data/{key}", num_bytes)

    return TorchFile(content, load, what)


def _from_legacy(data: bytes, what: str) -> "TorchFile":
    stream = io.BytesIO(data)
    if pickle.read_next(stream, what) != LEGACY_MAGIC:
        raise TeacherFileError(f"{what} is not a file of torch.save")
    protocol, system = pickle.read_next(stream, what), pickle.read_next(stream, what)
    if (
        protocol != LEGACY_PROTOCOL
        or not isinstance(system, dict)
        or not system.get("little_endian")
    ):
        raise TeacherFileError(
            f"{what}: not supported yet: torch file of protocol {protocol!r:.20}"
        )
    content = pickle.read_next(stream, what)
    keys = pickle.read_next(stream, what)
    storages = _legacy_storages(stream, content, keys, what)

    def load(key: str, num_bytes: int) -> bytes:
        del num_bytes  # compared by the caller
        if key not in storages:
            raise TeacherFileError(f"{what}: storage {safe_text(key)!r} is missing")
        return storages[key]

    return TorchFile(content, load, what)


def _legacy_storages(stream: io.BytesIO, content: Any, keys: Any, what: str) -> dict[str, bytes]:
    """Raw storages follow the pickles: for each key a count (int64) and its elements."""
    if not isinstance(content, dict) or not isinstance(keys, list):
        raise TeacherFileError(f"{what}: a dict of tensors and its keys are required")
    item_sizes = {}
    for node in content.values():
        storage = _storage(_tensor_args(node, what)[0], what)
        item_sizes[storage.key] = storage.dtype.itemsize
    raw: dict[str, bytes] = {}
    for key in keys:
        if not isinstance(key, str) or key not in item_sizes:
            raise TeacherFileError(f"{what}: a storage belongs to no tensor")
        count = int.from_bytes(stream.read(8), "little", signed=True)
        size = max(count, 0) * item_sizes[key]
        if size > len(stream.getbuffer()) - stream.tell():
            raise TeacherFileError(f"{what} is truncated: {size:,} bytes of a tensor are missing")
        raw[key] = stream.read(size)
    return raw


@final
@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: torch.dtype
    num_elements: int


def _storage(node: Any, what: str) -> _Storage:
    match node:
        case Inert(
            name=pickle.PERSISTENT,
            args=(("storage", Inert(name=kind), str() as key, _, int() as count, *view),),
        ) if kind in STORAGES and count >= 0 and view in ([], [None]):
            return _Storage(key, STORAGES[kind], count)
        case _:
            raise TeacherFileError(f"{what}: a tensor without a plain storage of numbers")


def _tensor_args(node: Any, what: str) -> tuple[Any, ...]:
    if isinstance(node, Inert) and node.name == "torch._utils._rebuild_parameter" and node.args:
        node = node.args[0]
    match node:
        case Inert(name="torch._utils._rebuild_tensor_v2", args=args) if len(args) in (6, 7):
            return args
        case _:
            kind = node.name if isinstance(node, Inert) else type(node).__name__
            raise TeacherFileError(f"{what}: a tensor is required, got {safe_text(kind)}")


@final
@dataclass(slots=True)
class TorchFile:
    """What was given to torch.save.

    Attributes:
        content: plain dicts, lists, tuples, numbers and strings; an Inert for each tensor and for
            all else.
        load: the bytes of a storage.
        what: how error messages call the file.
    """

    content: Any
    load: Callable[[str, int], bytes]
    what: str
    cache: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    num_elements: int = 0

    def tensors(self, content: Any) -> dict[str, Tensor]:
        """The tensors of a state dict inside the content.

        Raises:
            TeacherFileError: it is no flat dict of named tensors.
            UnsafeFileError: a tensor claims more than the file holds.
        """
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise TeacherFileError(f"{self.what}: a dict of named tensors is required")
        named: dict[str, Any] = content
        return {name: self._tensor(node) for name, node in named.items()}

    def _tensor(self, node: Any) -> Tensor:
        storage_node, offset, size, stride = _tensor_args(node, self.what)[:4]
        storage = _storage(storage_node, self.what)
        _check_view(storage.num_elements, offset, size, stride, self.what)
        self.num_elements += math.prod(size)
        if self.num_elements > MOST_ELEMENTS:
            raise UnsafeFileError(f"{self.what}: tensors of more than {MOST_ELEMENTS:,} numbers")
        return self._flat(storage).as_strided(size, stride, offset).clone()

    def _flat(self, storage: _Storage) -> Tensor:
        num_bytes = storage.num_elements * storage.dtype.itemsize
        key = f"{storage.key} {storage.dtype}"
        if key not in self.cache:
            raw = self.load(storage.key, num_bytes)
            if len(raw) != num_bytes:
                raise UnsafeFileError(
                    f"{self.what}: a storage claims {num_bytes:,} bytes and has {len(raw):,}"
                )
            # frombuffer refuses an empty buffer
            flat = torch.frombuffer(bytearray(raw), dtype=storage.dtype) if raw else torch.empty(0)
            self.cache[key] = flat.to(storage.dtype)
        return self.cache[key]


def _check_view(num_elements: int, offset: Any, size: Any, stride: Any, what: str) -> None:
    """Refuse a view that reaches outside its storage or blows it up by a stride of 0."""
    plain = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
    numbers = (offset, *size, *stride) if plain else (None,)
    if len(numbers) > 1 + 2 * MOST_DIMENSIONS or not all(
        type(n) is int and n >= 0 for n in numbers
    ):
        raise UnsafeFileError(f"{what}: a tensor with an impossible shape")
    sizes: tuple[int, ...] = size
    last = offset + sum((n - 1) * s for n, s in zip(sizes, stride, strict=True))
    count = math.prod(sizes)
    if count > num_elements or (count > 0 and last >= num_elements):
        raise UnsafeFileError(
            f"{what}: a tensor of shape {sizes} leaves its storage of {num_elements} numbers"
        )
