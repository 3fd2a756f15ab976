"""What is inside a policy file, told without running or unpickling anything in it."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rldistill.core import CategoricalHead, NetworkPolicy, QValueHead
from rldistill.errors import SettingError, TaskError, TeacherFileError
from rldistill.teachers.archive import read_file, safe_text
from rldistill.teachers.card_modules import Standardise
from rldistill.teachers.files import Given, Kind, kind_of, load_file
from rldistill.teachers.layers import Normaliser
from rldistill.teachers.onnx_model import Port, read_onnx
from rldistill.teachers.pickle import PERSISTENT, Inert
from rldistill.teachers.sb3 import read_zip
from rldistill.teachers.tensors import STORAGES, read_saved
from rldistill.teachers.weight_files import read_weight_file

# What a pickle of tensors names besides what is stored: none of it is anything but numbers.
PLAIN = (
    *("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"),
    *("collections.OrderedDict", PERSISTENT, *STORAGES),
)
MOST_TENSORS = 400


def inspect_file(path: Path, card: Path | None = None) -> dict[str, Any]:
    """Everything that a file tells, as plain JSON types.

    Args:
        path: of any kind of file that load_teacher takes.
        card: of a file of weights; None looks beside it.

    Returns:
        file, kind, sha256, and where they are known framework, algorithm, architecture, parameters,
        acting_parameters, observation, actions, normaliser, value, gamma, notes, tensors (name to
        shape); `pickled`: what only unpickling would tell, left closed; `needs`: why it cannot be
        loaded as it is, None if it can.

    Raises:
        TeacherFileError, UnsafeFileError: it is no policy file, or a damaged one.
    """
    kind = kind_of(path, card)
    record: dict[str, Any] = {"file": str(path), "kind": kind.value}
    if kind is not Kind.STUDENT:
        record["sha256"] = hashlib.sha256(read_file(path)).hexdigest()
    record |= _contents(path, kind)
    try:
        policy = load_file(path, Given(card=card))
    except (SettingError, TaskError) as error:
        return record | {"needs": str(error)}
    except TeacherFileError as error:
        if "tensors" not in record and "inputs" not in record:
            raise
        return record | {"needs": str(error)}
    return record | _of_policy(policy) | {"needs": None}


def _contents(path: Path, kind: Kind) -> dict[str, Any]:
    """Tensors and pickled parts, without knowing what they are for."""
    if kind is Kind.STUDENT:
        return {"pickled": []}
    if kind is Kind.ONNX:
        model = read_onnx(path)
        return {
            "framework": f"ONNX ({model.producer})",
            "parameters": model.parameters,
            "operators": list(model.operators),
            "inputs": _ports([model.seen]),
            "outputs": _ports(list(model.outputs)),
            "pickled": [],
        }
    if kind is Kind.ZIP:
        saved = read_zip(path)
        closed = [
            name
            for name, value in saved.settings.values.items()
            if isinstance(value, Mapping) and ":serialized:" in value
        ]
        return {"tensors": _shapes(saved.tensors), "pickled": [safe_text(n) for n in closed]}
    if kind in (Kind.CLEANRL, Kind.RSL_RL):
        content = read_saved(read_file(path), str(path)).content
        return {"pickled": sorted({safe_text(name) for name in _foreign(content)})}
    file = read_weight_file(path)
    count = sum(tensor.numel() for tensor in file.tensors.values())
    return {
        "framework": file.kind,
        "parameters": count,
        "tensors": _shapes(file.tensors),
        "pickled": [],
    }


def _ports(ports: list[Port]) -> dict[str, list[int | None]]:
    return {safe_text(port.name): list(port.sizes) for port in ports}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, list[int]]:
    names = list(tensors)[:MOST_TENSORS]
    return {safe_text(name): list(tensors[name].shape) for name in names}


def _foreign(node: Any, depth: int = 0) -> Iterator[str]:
    """What a pickle names besides plain data and tensors."""
    if depth > 64:
        return
    if isinstance(node, Inert):
        if node.name not in PLAIN:
            yield node.name
        yield from _foreign([*node.args, node.state], depth + 1)
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _foreign(value, depth + 1)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _foreign(value, depth + 1)


def _of_policy(policy: NetworkPolicy) -> dict[str, Any]:
    info, head = policy.info, policy.info.head
    actions: dict[str, Any] = {"head": type(head).__name__.removesuffix("Head")}
    if isinstance(head, (CategoricalHead, QValueHead)):
        actions["count"] = head.num_actions
    else:
        actions |= {"dimensions": len(head.low), "low": _plain(head.low), "high": _plain(head.high)}
    layers = [module for module in policy.module.modules() if not list(module.children())]
    found = next((x for x in layers if isinstance(x, (Normaliser, Standardise))), None)
    return {
        "framework": info.framework,
        "algorithm": info.name,
        "architecture": [safe_text(str(layer), 100) for layer in layers if _shows(layer)],
        "parameters": info.parameters,
        "acting_parameters": info.acting_parameters,
        "observation": list(info.observation_shape),
        "actions": actions,
        "normaliser": None if found is None else type(found).__name__.lower(),
        "value": info.value_units,
        "gamma": info.gamma,
        "fingerprint": info.fingerprint,
        "notes": list(info.notes),
    }


def _shows(layer: nn.Module) -> bool:
    return not isinstance(layer, nn.Identity)


def _plain(bounds: tuple[float, ...]) -> list[float | None]:
    """Numbers; None where there is no bound, since JSON has no infinity."""
    return [x if abs(x) < float("inf") else None for x in bounds]


def describe(record: Mapping[str, Any]) -> list[str]:
    """The lines that `rldistill inspect` prints."""
    rows: list[tuple[str, Any]] = [("file", record["file"]), ("kind", record["kind"])]
    rows += [(name, record[name]) for name in ("framework", "algorithm") if name in record]
    if "architecture" in record:
        rows.append(("network", " > ".join(record["architecture"])))
    if "operators" in record:
        rows.append(("operators", ", ".join(record["operators"])))
    if "parameters" in record:
        acting = record.get("acting_parameters")
        more = "" if acting is None else f", {acting:,} of them acting"
        rows.append(("parameters", f"{record['parameters']:,}{more}"))
    for name in ("inputs", "outputs"):
        ports: Mapping[str, Any] = record.get(name, {})
        rows += [(name, f"{port} {sizes}") for port, sizes in ports.items()]
    rows += [(name, record[name]) for name in ("observation", "actions") if name in record]
    if "actions" in record:
        rows += [
            ("normaliser", record["normaliser"] or "none"),
            ("value", record["value"]),
            ("gamma", "unknown" if record["gamma"] is None else record["gamma"]),
        ]
    elif "tensors" in record:
        rows += [("tensor", f"{name} {shape}") for name, shape in record["tensors"].items()]
    pickled: list[str] = record["pickled"]
    rows.append(("pickled", ", ".join(pickled) + " (left closed)" if pickled else "nothing"))
    rows += [("note", note) for note in record.get("notes", [])[1:]]
    if "sha256" in record:
        rows.append(("sha256", record["sha256"]))
    if record["needs"] is not None:
        rows.append(("needs", record["needs"]))
    return [f"{name:<11} {value}" for name, value in rows]
