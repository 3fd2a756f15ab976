"""load_exported: an exported ONNX file that acts, checked against its contract."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.errors import ExportError, NotFiniteError, SettingError, ShapeError
from rldistill.exporters.contract import SUFFIX, read_contract
from rldistill.exporters.session import Session

Array = np.ndarray[Any, Any]


@final
class ExportedPolicy:
    """An exported policy in onnxruntime.

    Attributes:
        contract: what the JSON beside the file says.
    """

    def __init__(self, contract: Mapping[str, Any], data: bytes, seed: int) -> None:
        self.contract = contract
        names = tuple(port["name"] for port in contract["inputs"])
        self._session = Session(data, names)
        seen = contract["inputs"][0]
        self._shape, self._dtype = tuple(seen["shape"][1:]), seen["dtype"]
        self._noise = contract["inputs"][1] if len(contract["inputs"]) > 1 else None
        self._generator = np.random.default_rng(seed)

    def __repr__(self) -> str:
        policy = self.contract["policy"]
        return f"<ExportedPolicy {policy['name']} {self.contract['precision']}>"

    def predict(
        self,
        observation: Array,
        state: tuple[Array, ...] | None = None,
        episode_start: Array | None = None,
        deterministic: bool | None = None,
    ) -> tuple[Array, tuple[Array, ...] | None]:
        """Act on one observation or a batch, as NetworkPolicy.predict.

        Args:
            observation: [...] or [B, ...], raw.
            state: returned unchanged: no exported policy has one yet.
            episode_start: of no effect here.
            deterministic: None: as it was exported.

        Raises:
            ShapeError: the observation has another shape.
            NotFiniteError: it holds NaN or infinity.
            SettingError: the file acts in the other way.
        """
        del episode_start
        samples = self._noise is not None
        if deterministic is not None and deterministic == samples:
            how = "sample" if samples else self.contract["output"]
            raise SettingError(
                f"deterministic={deterministic} is not possible: the file was exported with "
                f"output {how!r}; export it with {'action' if samples else 'sample'!r}"
            )
        single = np.asarray(observation).shape == self._shape
        outputs = self.outputs(observation)
        return (np.asarray(outputs["action"][0]) if single else outputs["action"]), state

    def outputs(self, observation: Array) -> Mapping[str, Array]:
        """All outputs of the file by name, for one observation or a batch: [B, ...] each.

        Raises:
            ShapeError, NotFiniteError: as predict.
        """
        given = np.asarray(observation)
        single = given.shape == self._shape
        if given.dtype.kind not in "fiub" or (
            not single and (given.ndim == 0 or given.shape[1:] != self._shape)
        ):
            raise ShapeError(
                f"the observation has shape {given.shape} and type {given.dtype}; this file "
                f"expects numbers of shape {self._shape}, or a batch of them"
            )
        batch = (given[None] if single else given).astype(self._dtype)
        if batch.dtype.kind == "f" and not np.isfinite(batch).all():
            raise NotFiniteError("the observation holds NaN or infinity")
        return self._session(batch, self._draw(len(batch)))

    def _draw(self, count: int) -> Array | None:
        if self._noise is None:
            return None
        shape = (count, *self._noise["shape"][1:])
        if self._noise["name"] == "uniform":
            return self._generator.random(shape, np.float32)
        return self._generator.standard_normal(shape, np.float32)


def load_exported(path: str | Path, *, seed: int = 0) -> ExportedPolicy:
    """Load an exported ONNX file to act with; its contract and the file must belong together.

    Args:
        path: the folder that `rldistill export` wrote, an .onnx file in it, or its contract.
        seed: of the noise, where the file samples.

    Raises:
        ExportError: no ONNX file or several, no contract, or they do not belong together.
        MissingExtraError: onnxruntime is not installed.

    >>> load_exported("nowhere")
    Traceback (most recent call last):
    rldistill.errors.ExportError: nowhere: there is no such file or folder
    """
    file = Path(path)
    if not file.exists():
        raise ExportError(f"{file}: there is no such file or folder")
    if file.is_dir():
        found = sorted(file.glob(f"*.onnx{SUFFIX}"))
        if len(found) != 1:
            names = ", ".join(entry.name.removesuffix(SUFFIX) for entry in found) or "none"
            raise ExportError(f"{file} must hold one exported ONNX file; it holds {names}; name it")
        file = found[0]
    contract, data = read_contract(file)
    if contract["target"] != "onnx":
        raise ExportError(
            f"{file} was exported to {contract['target']}; load_exported runs ONNX files alone"
        )
    return ExportedPolicy(contract, data, seed)
