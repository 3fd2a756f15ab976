"""Minari datasets: read those of others, write ours. The only file that imports minari.

A Minari dataset has no teacher's labels: let a teacher label its observations, or learn from its
actions alone. Names are those of `minari list local`; nothing is downloaded and no environment is
made, since making one from a dataset's description would import whatever module it names.
"""

import copy
import shutil
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast, final

import gymnasium
import numpy as np
from gymnasium import spaces

from rldistill.data.flatten import flat_parts, is_pixels, space_in_order
from rldistill.data.manifest import DatasetMeta
from rldistill.data.minari_task import OURS, recorded_task
from rldistill.data.rows import Array, Episode, Rows
from rldistill.data.shards import ShardDataset
from rldistill.errors import DatasetError, NotFiniteError, did_you_mean, require
from rldistill.runs import to_json

_EPISODES_AT_ONCE = 64
# What h5py, PIL and minari raise on files that are not what they should be.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AssertionError,
    AttributeError,
    RuntimeError,
    ImportError,
    RecursionError,
)


def _minari() -> Any:
    """The modules minari needs to write and read HDF5 files, or the pip line for them."""
    require("h5py", extra="minari")
    return require("minari", extra="minari")


def _root() -> Path:
    from minari.storage.datasets_root_dir import get_dataset_path

    return get_dataset_path()


def _folder(name: str) -> Path:
    """Where the dataset of this name lies; a name cannot lead out of minari's folder."""
    _minari()
    from minari.dataset.minari_dataset import parse_dataset_id

    try:
        parse_dataset_id(name)
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{name!r} is not a name of a Minari dataset: expected group/name-v0, where group is "
            "optional and the version is not"
        ) from error
    return _root() / name


@final
class MinariDataset:
    """A Minari dataset on this machine, read episode by episode.

    Observations come as the environment layer gives them: pixels (a uint8 image) as they are, all
    else flat float32, in the order of gymnasium.spaces.flatten. Discrete actions start at 0.

    Args:
        name: as in `minari list local`, for example "D4RL/pen/human-v2".

    Attributes:
        task: the environment that the dataset says it is from, or why that is not known.

    Raises:
        DatasetError: unknown name, damaged files, or spaces that have no flat form.
        MissingExtraError: minari is not installed.
    """

    def __init__(self, name: str) -> None:
        minari, folder = _minari(), _folder(name)
        if not (folder / "data").is_dir():
            known = [p.parent.parent.relative_to(_root()) for p in _root().glob("**/data/*.json")]
            near = did_you_mean(name, [path.as_posix() for path in known])
            raise DatasetError(
                f"no Minari dataset {name} in {_root()}.{near} To fetch it: minari download {name}"
            )
        self.name = name
        try:
            raw = minari.dataset.minari_storage.MinariStorage.read_raw_metadata(folder / "data")
            deserialize = minari.serialization.deserialize_space
            self._space = space_in_order(raw["observation_space"], deserialize)
            self._actions = deserialize(raw["action_space"])
            self._dataset = minari.MinariDataset(folder / "data")
            self._length = int(self._dataset.total_steps)
            self.task = recorded_task(raw)
        except _DAMAGE as error:
            raise DatasetError(f"Minari dataset {name} cannot be read: {error!r}") from error
        self._pixels = is_pixels(self._space)
        if not self._space.is_np_flattenable:
            raise DatasetError(f"{name}: observations of {self._space} have no flat form")
        if not isinstance(self._actions, spaces.Discrete | spaces.Box):
            raise DatasetError(f"{name}: actions must be Discrete or Box; got {self._actions}")

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return self._space.shape or () if self._pixels else (spaces.flatdim(self._space),)

    @property
    def observation_dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8 if self._pixels else np.float32)

    @property
    def action_space(self) -> spaces.Discrete | spaces.Box:
        if isinstance(self._actions, spaces.Discrete):
            return spaces.Discrete(int(self._actions.n))
        low, high = (np.float32(x).ravel() for x in (self._actions.low, self._actions.high))
        return spaces.Box(low, high, dtype=np.float32)

    def __len__(self) -> int:
        return self._length

    def iterate(self) -> Iterator[Rows]:
        """Every row once, one episode at a time."""
        return (episode.rows for episode in self.episodes())

    def episodes(self) -> Iterator[Episode]:
        """Every episode once, in the dataset's order.

        Raises:
            DatasetError: an episode is damaged.
            NotFiniteError: it holds NaN or infinity.
        """
        source, number = iter(self._dataset.iterate_episodes()), 0
        while True:
            try:
                found = next(source, None)
                if found is None:
                    return
                episode = self._episode(found, number)
            except _DAMAGE as error:
                if isinstance(error, DatasetError | NotFiniteError):
                    raise
                raise DatasetError(f"{self.name}, episode {number}: {error!r}") from error
            yield episode
            number += 1

    def _episode(self, found: Any, number: int) -> Episode:
        size = len(found.rewards)
        seen = found.observations
        if not self._pixels:
            seen = np.concatenate(flat_parts(self._space, seen), 1, dtype=np.float32)
        rows = Rows(
            observations=seen[:size],
            actions=self._flat_actions(found.actions),
            rewards=np.asarray(found.rewards, np.float32),
            terminated=np.asarray(found.terminations, np.bool_),
            truncated=np.asarray(found.truncations, np.bool_),
            episode=np.full(size, number, np.int64),
            step=np.arange(size, dtype=np.int32),
            teacher_raw=None,
        )
        columns = (rows.actions, rows.terminated, rows.truncated)
        if seen.shape[1:] != self.observation_shape or not size <= len(seen) <= size + 1:
            raise DatasetError(f"{self.name}, episode {number}: observations of {seen.shape}")
        if seen.dtype != self.observation_dtype or any(len(x) != size for x in columns):
            raise DatasetError(f"{self.name}, episode {number}: columns differ in length or type")
        floats = [x for x in (seen, rows.actions, rows.rewards) if x.dtype.kind == "f"]
        if not all(np.isfinite(x).all() for x in floats):
            raise NotFiniteError(f"{self.name}, episode {number}: NaN or infinity")
        return Episode(rows, seen[size] if len(seen) > size else None)

    def _flat_actions(self, actions: Any) -> Array:
        if isinstance(self._actions, spaces.Box):
            size = spaces.flatdim(self._actions)
            return np.asarray(actions, np.float32).reshape(-1, size)
        index = np.asarray(actions, np.int64) - int(self._actions.start)
        if index.ndim != 1 or not ((index >= 0) & (index < self._actions.n)).all():
            raise DatasetError(f"{self.name}: an action lies outside {self._actions}")
        return index


def require_new_name(name: str) -> Path:
    """The folder of a Minari dataset that is still to be made.

    Raises:
        DatasetError: the name is taken or malformed.
        MissingExtraError: minari is not installed.
    """
    folder = _folder(name)
    if folder.exists():
        raise DatasetError(f"Minari dataset {name} exists already: choose another name or version")
    return folder


def export_minari(dataset: ShardDataset, name: str) -> int:
    """Write a dataset of ours as a new Minari dataset, lossless; the labels stay behind.

    The spaces are those of the rows, so flat, with actions from 0. The task itself is named as the
    environment to evaluate in, where gymnasium knows it. An episode cut off before its final
    observation was recorded loses its last decision.

    Args:
        name: group/name-v0, not yet taken.

    Returns:
        How many episodes were written.

    Raises:
        DatasetError: the name is taken or malformed, or there is no space.
        MissingExtraError: minari is not installed.
    """
    minari, folder = _minari(), require_new_name(name)
    buffers = filter(None, (_buffer(episode) for episode in dataset.episodes()))
    try:
        with warnings.catch_warnings():
            # Of what we leave out: author, e-mail, link to code.
            warnings.filterwarnings("ignore", message=".*is set to None|env_spec is None")
            written = minari.create_dataset_from_buffers(
                name,
                list(islice(buffers, _EPISODES_AT_ONCE)),
                eval_env=_task_spec(dataset.meta),
                algorithm_name=dataset.meta.teacher_name,
                description=_description(dataset.meta),
                observation_space=_observation_space(dataset.meta),
                action_space=dataset.action_space,
                jpeg_encoding=False,
            )
            while more := list(islice(buffers, _EPISODES_AT_ONCE)):
                written.update_dataset_from_buffer(more)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, _DAMAGE) and not isinstance(error, DatasetError):
            raise DatasetError(f"cannot write Minari dataset {name}: {error}") from error
        raise
    return int(written.total_episodes)


def _buffer(episode: Episode) -> Any:
    """minari's form of an episode, or None where nothing of it can be kept."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    rows, size = episode.rows, len(episode.rows)
    seen = rows.observations
    if episode.final_observation is None:
        size -= 1
    else:
        seen = np.concatenate([seen, episode.final_observation[None]])
    if size == 0:
        return None
    truncated = rows.truncated[:size].copy()
    truncated[-1] |= not rows.terminated[size - 1]  # minari's rule: an episode ends in one of both
    return EpisodeBuffer(
        observations=cast("Any", seen),
        actions=cast("Any", rows.actions[:size]),
        rewards=cast("Any", rows.rewards[:size]),
        terminations=cast("Any", rows.terminated[:size]),
        truncations=cast("Any", truncated),
    )


def _observation_space(meta: DatasetMeta) -> spaces.Box:
    if meta.observation_dtype == "uint8":
        return spaces.Box(0, 255, meta.observation_shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, meta.observation_shape, np.float32)


def _task_spec(meta: DatasetMeta) -> Any:
    try:
        spec = copy.deepcopy(gymnasium.spec(meta.task_id))
        spec.kwargs = {**spec.kwargs, **meta.env_kwargs}
        spec.to_json()
    except (gymnasium.error.Error, ValueError, TypeError):  # unknown here, or made of live objects
        return None
    return spec


def _description(meta: DatasetMeta) -> str:
    told = {
        "task": meta.task_id, "env_kwargs": meta.env_kwargs, "backend": meta.backend,
        "acting": meta.acting, "teacher": meta.teacher_name,
        "teacher_fingerprint": meta.teacher_fingerprint, "seed": meta.seed,
        "command": meta.command, "versions": meta.versions,
    }  # fmt: skip
    return f"{OURS}observations flat, actions from 0. {to_json(told)}"
