"""Statistics of stable-baselines3's VecNormalize, from a pickle, an npz or a live wrapper."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from rldistill.errors import NotFiniteError, TeacherFileError
from rldistill.teachers import arrays, pickle
from rldistill.teachers.archive import Archive, read_file
from rldistill.teachers.layers import Normaliser

DEFAULT_CLIP = 10.0
DEFAULT_EPSILON = 1e-8
MOST_FILE_BYTES = 64 << 20
MOST_CONFIG_BYTES = 1 << 20
NAMES = ("obs_rms.npz", "vecnormalize.pkl", "vec_normalize.pkl")
CONFIGS = ("config.yml", "args.yml")
_NORMALIZE = re.compile(r"\bnormalize[\"']?\s*(?:\n\s*-|:)\s*(.+)")
_CHECKPOINT = re.compile(r"(.*?)_?(\d+_steps)")
_Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What VecNormalize does to observations, and what it did to rewards.

    Attributes:
        mean, std: [O], observation units, std = sqrt(var + epsilon); None: nothing is done.
        clip: bound of normalised observations.
        reward_std: rewards were divided by it; 1.0: untouched; None: unknown.
        source: the file, for the record.
        data: its bytes, for the fingerprint.
    """

    mean: Tensor | None
    std: Tensor | None
    clip: float = DEFAULT_CLIP
    reward_std: float | None = None
    source: str = ""
    data: bytes = b""

    def layer(self) -> Normaliser | None:
        """The first layer of the policy, None where observations were not normalised."""
        if self.mean is None or self.std is None:
            return None
        return Normaliser(self.mean, self.std, self.clip)


def find_statistics(model: Path) -> Path | None:
    """The statistics that belong to a zip: beside it, or in a folder of its name (rl-zoo's layout).

    A checkpoint "x_1000_steps.zip" finds "x_vecnormalize_1000_steps.pkl". An npz is preferred.
    """
    names: list[str] = list(NAMES)
    if found := _CHECKPOINT.fullmatch(model.stem):
        names.insert(0, f"{found[1]}_vecnormalize_{found[2]}.pkl")
    folders = (model.parent, model.parent / model.stem)
    return next((f / name for f in folders for name in names if (f / name).is_file()), None)


def says_normalised(model: Path) -> str | None:
    """The name of a config beside a zip that says its observations were normalised, else None.

    rl-zoo's config.yml holds Python tags that an unsafe YAML loader would run: it is read as text.
    """
    for folder in (model.parent, model.parent / model.stem):
        for name in CONFIGS:
            if not (folder / name).is_file():
                continue
            try:
                text = read_file(folder / name, MOST_CONFIG_BYTES).decode("utf-8", "replace")
            except TeacherFileError:
                continue
            found = _NORMALIZE.search(text)
            if found and not re.match(r"false|null|none|['\"{].*norm_obs\W+False", found[1], re.I):
                return name
    return None


def load_statistics(path: Path) -> Statistics:
    """Statistics from vecnormalize.pkl (read as data, never run) or an npz with mean and var.

    The npz may hold clip and eps too. Where a pickle lies beside an npz, what became of the rewards
    is taken from it.

    Raises:
        TeacherFileError: missing, damaged, or not such a file.
        UnsafeFileError: beyond the bounds.
        NotFiniteError: a statistic is NaN or infinite, or a variance negative.
    """
    data = read_file(path, MOST_FILE_BYTES)
    if path.suffix == ".npz":
        found = _from_npz(data, path)
        beside = path.parent / "vecnormalize.pkl"
        reward_std = load_statistics(beside).reward_std if beside.is_file() else None
    else:
        found = _from_pickle(data, path)
        reward_std = found.reward_std
    return Statistics(
        mean=found.mean,
        std=found.std,
        clip=found.clip,
        reward_std=reward_std,
        source=str(path),
        data=data,
    )


def live_statistics(wrapper: Any) -> Statistics:
    """Statistics of a live VecNormalize."""
    names = ("norm_obs", "obs_rms", "clip_obs", "epsilon", "norm_reward", "ret_rms")
    state: dict[str, Any] = {name: getattr(wrapper, name, None) for name in names}
    for name in ("obs_rms", "ret_rms"):
        moments = state[name]
        state[name] = None if moments is None else {"mean": moments.mean, "var": moments.var}
    found = _from_state(state, "the model's VecNormalize")
    numbers = [] if found.mean is None or found.std is None else [*found.mean, *found.std]
    data = repr(([float(x) for x in numbers], found.clip, found.reward_std)).encode()
    return dataclasses.replace(found, data=data)


def _from_pickle(data: bytes, path: Path) -> Statistics:
    node = pickle.read(data, str(path))
    state = node.state if isinstance(node, pickle.Inert) else None
    if not isinstance(state, dict) or "norm_obs" not in state:
        raise TeacherFileError(f"{path} is not a pickled VecNormalize: it has no norm_obs")
    fields: dict[str, Any] = dict(state)
    for name in ("obs_rms", "ret_rms"):
        moments = fields.get(name)
        if isinstance(moments, pickle.Inert):
            fields[name] = moments.state
        elif isinstance(moments, dict):
            raise TeacherFileError(f"{path}: not supported yet: statistics of Dict observations")
    return _from_state(fields, str(path))


def _from_state(state: Mapping[str, Any], what: str) -> Statistics:
    epsilon = _scalar(state.get("epsilon", DEFAULT_EPSILON), f"{what}: epsilon")
    clip = _scalar(state.get("clip_obs", DEFAULT_CLIP), f"{what}: clip_obs")
    mean = std = None
    if state.get("norm_obs") is not False:
        mean, var = _moments(state.get("obs_rms"), what)
        mean, std = _checked(mean, var, epsilon, clip, what)
    reward_std: float | None = 1.0
    if state.get("norm_reward") is not False:
        reward_std = None
        if isinstance(state.get("ret_rms"), Mapping):
            variance = _scalar(_moments(state["ret_rms"], what)[1], f"{what}: ret_rms")
            reward_std = math.sqrt(max(variance, 0.0) + epsilon) or None
    return Statistics(mean=mean, std=std, clip=clip, reward_std=reward_std)


def _moments(moments: Any, what: str) -> tuple[_Array, _Array]:
    if not isinstance(moments, Mapping) or "mean" not in moments or "var" not in moments:
        raise TeacherFileError(f"{what}: running statistics with mean and var are required")
    fields: Mapping[str, Any] = moments
    return _array(fields["mean"], f"{what}: mean"), _array(fields["var"], f"{what}: var")


def _array(node: Any, what: str) -> _Array:
    live = isinstance(node, (np.ndarray, np.generic))
    return np.asarray(node) if live else arrays.decode(node, what)


def _scalar(node: Any, what: str) -> float:
    value = _array(node, what)
    if value.size != 1 or not np.isfinite(value).all():
        raise TeacherFileError(f"{what} must be one finite number")
    return float(value.reshape(()))


def _checked(
    mean: _Array, var: _Array, epsilon: float, clip: float, what: str
) -> tuple[Tensor, Tensor]:
    if mean.shape != var.shape or mean.size == 0:
        raise TeacherFileError(f"{what}: mean has shape {mean.shape}, var {var.shape}")
    scale = var.astype(np.float64).ravel() + epsilon
    if not np.isfinite(mean).all() or not np.isfinite(scale).all() or not (scale > 0.0).all():
        raise NotFiniteError(f"{what}: mean and var must be finite, and var + epsilon > 0")
    if not clip > 0.0:
        raise TeacherFileError(f"{what}: clip must be > 0, got {clip}")
    centre = torch.from_numpy(mean.astype(np.float64).ravel())
    return centre, torch.from_numpy(np.sqrt(scale))


def _from_npz(data: bytes, path: Path) -> Statistics:
    archive = Archive(data, str(path))

    def entry(*names: str) -> _Array | None:
        found = next((name for name in names if f"{name}.npy" in archive.names), None)
        return (
            None
            if found is None
            else arrays.read_npy(archive.read(f"{found}.npy"), f"{path}: {found}")
        )

    mean, var = entry("mean"), entry("var")
    if mean is None or var is None:
        raise TeacherFileError(f"{path}: mean and var are required; it holds {archive.names}")
    clip, epsilon = entry("clip", "clip_obs"), entry("eps", "epsilon")
    clip_obs = DEFAULT_CLIP if clip is None else _scalar(clip, f"{path}: clip")
    added = DEFAULT_EPSILON if epsilon is None else _scalar(epsilon, f"{path}: eps")
    centre, std = _checked(mean, var, added, clip_obs, str(path))
    return Statistics(mean=centre, std=std, clip=clip_obs)
