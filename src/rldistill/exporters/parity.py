"""Parity: the policy and its export on the same observations, before anything is written."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces

from rldistill.errors import ExportError
from rldistill.exporters.acting import Output, Precision
from rldistill.exporters.target import Runner, Subject
from rldistill.exporters.torch_files import reference

Array = np.ndarray[Any, Any]
# fp32 sums in another order differ by about 1e-6 of the largest number that is summed.
TOLERANCE = 1e-5
LARGE, DENORMAL = 1e4, 1e-40
# Batches of these sizes come first: a batch dimension that is not free would be seen.
FIRST_BATCHES = (1, 7)
BATCH = 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What a comparison showed.

    Attributes:
        observations: how many were recorded or drawn, edge values not counted.
        source: where they are from.
        edge_values: how many states of zeros, bounds, large numbers and denormals.
        tolerance: error allowed in fp32, times the largest number of the row where that is above 1;
            None where the precision makes errors of its own and a verdict judges.
        largest_error: over all outputs that are not actions by index, in their own units.
        same_actions: share of equal actions by index; None for continuous ones.
        ties: rows in which two actions lie within the tolerance, so that rounding may choose.
        different_at_ties: of these, how many chose differently.
    """

    observations: int
    source: str
    edge_values: int
    tolerance: float | None
    largest_error: float
    same_actions: float | None
    ties: int
    different_at_ties: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def edge_values(shape: tuple[int, ...], space: spaces.Box | None, dtype: str) -> Array:
    """Observations at the edges [N, ...]: zeros, bounds, large of either sign, denormals.

    >>> edge_values((2,), None, "float32").shape
    (9, 2)
    """
    if dtype == "uint8":
        return np.stack([np.full(shape, value, np.uint8) for value in (0, 1, 127, 255)])
    single = (0.0, 1.0, -1.0, LARGE, -LARGE, DENORMAL, -DENORMAL)
    rows = [np.full(shape, value) for value in single]
    signs = np.where(np.arange(int(np.prod(shape))) % 2, 1.0, -1.0).reshape(shape)
    rows += [LARGE * signs, DENORMAL * signs]
    if space is not None:
        bounds = (space.low, space.high)
        rows += [np.where(np.abs(x) < LARGE, x, np.sign(x) * LARGE) for x in bounds]
    return np.stack(rows).astype(np.float32)


def compare(subject: Subject, runner: Runner, edges: Array, source: str) -> Parity:
    """Compare an export with the policy on the subject's observations and on edge values.

    Args:
        subject: what was exported.
        runner: its file, loaded.
        edges: from edge_values.
        source: of the observations, in words.

    Raises:
        ExportError: in fp32 an action differs where there is no tie, or an error is above the
            tolerance; in any precision an output is not finite.
    """
    rows = np.concatenate([edges, subject.observations.astype(edges.dtype)])
    noise = _noise(subject, len(rows))
    wanted = _in_batches(reference(subject), rows, noise)
    got = _in_batches(runner, rows, noise)
    allowed = TOLERANCE * _sizes(subject, rows)
    exact = subject.precision is Precision.FP32
    error = _largest_error(wanted, got, allowed if exact else None)
    same, ties, at_ties = None, 0, 0
    if wanted["action"].dtype == np.int64:
        tied = _ties(subject, rows, noise, allowed)
        different = wanted["action"] != got["action"]
        same, ties = 1.0 - float(different.mean()), int(tied.sum())
        at_ties = int((different & tied).sum())
        if exact and (different & ~tied).any():
            row = int(np.flatnonzero(different & ~tied)[0])
            raise ExportError(
                f"the export chooses action {got['action'][row]}, the policy "
                f"{wanted['action'][row]}, in {int((different & ~tied).sum())} of {len(rows)} "
                f"states without a tie; nothing was written (first: {rows[row].ravel()[:8]})"
            )
    return Parity(
        observations=len(subject.observations),
        source=source,
        edge_values=len(edges),
        tolerance=TOLERANCE if exact else None,
        largest_error=error,
        same_actions=same,
        ties=ties,
        different_at_ties=at_ties,
    )


def _noise(subject: Subject, count: int) -> Array | None:
    port = subject.ports.noise
    if port is None:
        return None
    generator = np.random.default_rng(0)
    shape = (count, *port.shape)
    if port.name == "uniform":
        return generator.random(shape, np.float32)
    return generator.standard_normal(shape, np.float32)


def _in_batches(runner: Runner, rows: Array, noise: Array | None) -> dict[str, Array]:
    found: list[Mapping[str, Array]] = []
    start = 0
    while start < len(rows):
        size = FIRST_BATCHES[len(found)] if len(found) < len(FIRST_BATCHES) else BATCH
        part = slice(start, start + size)
        found.append(runner(rows[part], None if noise is None else noise[part]))
        start += size
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _sizes(subject: Subject, rows: Array) -> Array:
    """[N]: the largest number in each row's observation and raw outputs, at least 1."""
    raw = _raw(subject, rows)
    flat = rows.reshape(len(rows), -1)
    seen = np.maximum(flat.max(1).astype(float), -flat.min(1).astype(float))
    return np.maximum(1.0, np.maximum(seen, np.abs(raw).max(1)))


def _raw(subject: Subject, rows: Array) -> Array:
    with torch.no_grad():
        parts = [
            subject.policy.raw(torch.from_numpy(rows[i : i + BATCH]))
            for i in range(0, len(rows), BATCH)
        ]
        return torch.cat(parts).numpy()


def _ties(subject: Subject, rows: Array, noise: Array | None, allowed: Array) -> Array:
    """[N]: whether rounding may choose another action."""
    raw = _raw(subject, rows)
    if subject.output is Output.SAMPLE:
        assert noise is not None
        running = np.cumsum(torch.from_numpy(raw).softmax(-1).numpy(), 1)
        return np.abs(running - noise[:, None]).min(1) <= 2 * allowed
    if raw.shape[1] == 1:
        return np.zeros(len(rows), bool)
    top = np.sort(raw, 1)[:, -2:]
    return top[:, 1] - top[:, 0] <= 2 * allowed


def _largest_error(
    wanted: Mapping[str, Array], got: Mapping[str, Array], allowed: Array | None
) -> float:
    largest = 0.0
    for name, values in got.items():
        if values.dtype == np.int64 or name not in wanted:
            continue
        if not np.isfinite(values).all():
            raise ExportError(f"the export's {name} is NaN or infinite; nothing was written")
        error = np.abs(values - wanted[name]).max(1)
        largest = max(largest, float(error.max()))
        if allowed is not None and (error > allowed).any():
            row = int((error - allowed).argmax())
            raise ExportError(
                f"the export's {name} differs from the policy's by {error[row]:.3g}, "
                f"{allowed[row]:.3g} is allowed; nothing was written"
            )
    return largest
