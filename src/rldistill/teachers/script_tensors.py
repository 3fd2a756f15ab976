"""Named tensors out of TorchScript and torch.export files, as data: their code is not looked at."""

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import Archive, safe_text
from rldistill.teachers.pickle import Inert
from rldistill.teachers.tensors import TorchFile

MOST_DEEP = 32
MOST_JSON = 8 << 20
CONFIG = "model_weights_config.json"
# torch._export.serde.schema.ScalarType of those kinds that weights have.
DTYPES = {
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    13: torch.bfloat16,
}


def script_tensors(saved: TorchFile) -> dict[str, Tensor]:
    """The tensors of a TorchScript module and of the modules in it, named as in its state dict.

    Raises:
        TeacherFileError: it holds no module.
        UnsafeFileError: nested deeper than any module, or a tensor claims more than there is.
    """
    if not isinstance(saved.content, Inert) or not isinstance(saved.content.state, Mapping):
        raise TeacherFileError(f"{saved.what}: no module in a TorchScript file")
    nodes: dict[str, Any] = {}
    _collect(saved.content, "", 0, nodes, saved.what)
    return saved.tensors(nodes)


def _collect(module: Inert, prefix: str, depth: int, nodes: dict[str, Any], what: str) -> None:
    if depth > MOST_DEEP:
        raise UnsafeFileError(f"{what}: modules nested deeper than {MOST_DEEP}")
    state: Any = module.state
    for name, value in state.items() if isinstance(state, Mapping) else ():
        if not isinstance(value, Inert):
            continue
        if value.name.startswith("torch._utils._rebuild_"):
            nodes[f"{prefix}{name}"] = value
        elif value.name.startswith("__torch__."):
            _collect(value, f"{prefix}{name}.", depth + 1, nodes, what)


def export_tensors(archive: Archive, what: str) -> dict[str, Tensor]:
    """The weights of a torch.export file in the format of pt2 archives (torch >= 2.8).

    Raises:
        TeacherFileError: the older format, damaged, or weights that are pickled.
        UnsafeFileError: a tensor claims more than there is.
    """
    found = [name for name in archive.names if name.endswith(f"data/weights/{CONFIG}")]
    if len(found) != 1:
        raise TeacherFileError(
            f"{what}: not supported yet: weights of a torch.export file before torch 2.8; save it "
            "again, or its state_dict"
        )
    root = found[0].removesuffix(CONFIG)
    try:
        config: Any = json.loads(archive.read(found[0], MOST_JSON))["config"]
        entries = {str(name): _Entry(entry) for name, entry in dict(config).items()}
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise TeacherFileError(f"{what}: a damaged {CONFIG}: {safe_text(str(error))}") from error
    return {name: entry.tensor(archive, root, what) for name, entry in entries.items()}


class _Entry:
    """What the file says of one tensor."""

    def __init__(self, entry: Any) -> None:
        meta = entry["tensor_meta"]
        self.file = str(entry["path_name"])
        self.is_pickled = bool(entry.get("use_pickle"))
        self.dtype = DTYPES[int(meta["dtype"])]
        self.sizes = tuple(int(size["as_int"]) for size in meta["sizes"])
        self.strides = tuple(int(stride["as_int"]) for stride in meta["strides"])
        self.offset = int(meta["storage_offset"]["as_int"])

    def tensor(self, archive: Archive, root: str, what: str) -> Tensor:
        if self.is_pickled or f"{root}{self.file}" not in archive.names:
            raise TeacherFileError(f"{what}: weight {safe_text(self.file)} is missing or pickled")
        raw = archive.read(f"{root}{self.file}")
        plain, expected = len(raw) // self.dtype.itemsize, 1
        for size, stride in zip(reversed(self.sizes), reversed(self.strides), strict=True):
            if size < 1 or (size > 1 and stride != expected):
                raise TeacherFileError(f"{what}: {safe_text(self.file)} is not contiguous")
            expected *= size
        count = math.prod(self.sizes)
        if self.offset < 0 or len(self.sizes) > 8 or self.offset + count > plain:
            raise UnsafeFileError(f"{what}: {safe_text(self.file)} claims more than it holds")
        flat = torch.frombuffer(bytearray(raw), dtype=self.dtype, count=plain)
        return flat[self.offset : self.offset + count].reshape(self.sizes).clone()
