"""gather(): write a teacher's decisions to a dataset, for learning offline."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from rldistill.core import Acting, NetworkPolicy
from rldistill.data.manifest import DatasetMeta
from rldistill.data.minari import export_minari, require_new_name
from rldistill.data.shard_writer import ShardWriter
from rldistill.data.shards import ShardDataset
from rldistill.envs.backends import TaskSource, make, task_spec
from rldistill.envs.spec import TaskInfo, TaskSpec
from rldistill.errors import SettingError
from rldistill.evaluation.evaluate import one_thread
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.scores import count_envs, require_acting, task_info, training_seed
from rldistill.methods.method import TEACHER
from rldistill.rollout.collect import Collector
from rldistill.rollout.control import Controller, Randomness
from rldistill.teachers.load import load_teacher
from rldistill.train.keeper import versions
from rldistill.train.prepare import NUM_ENVS

# Steps that are held in memory before they go to the writer.
ROUND_STEPS = 16_384


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GatherSettings:
    """How to gather.

    Attributes:
        steps: environment steps, summed over environments; rounded up to whole vector steps.
        epsilon: share of uniform actions, for states beside the teacher's own.
        num_envs: environments stepped together; None as in distill.
        seed: of everything.
        teacher_act: how the teacher acts.
        vecnormalize: statistics of the teacher's observation normaliser.
        card: what network the teacher's weights are of; None looks beside them.
        head: what the outputs of an ONNX file, a script or a function mean, by name; None: what
            the task's actions suggest.
        trust: run code that lies in a file of TorchScript or torch.export.
        force: replace a dataset that is already there.
        minari: name under which to register the data as a Minari dataset too.
        command: recorded in the dataset.
    """

    steps: int
    epsilon: float = 0.0
    num_envs: int | None = None
    seed: int = 0
    teacher_act: Acting = Acting()
    vecnormalize: Path | None = None
    card: Path | None = None
    head: str | None = None
    trust: bool = False
    force: bool = False
    minari: str | None = None
    command: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingError(f"steps must be at least 1, got {self.steps}")
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")
        if not 0.0 <= self.epsilon <= 1.0:
            raise SettingError(f"epsilon must lie in [0, 1], got {self.epsilon:g}")
        if self.num_envs is not None and self.num_envs < 1:
            raise SettingError(f"num_envs must be at least 1, got {self.num_envs}")


def gather(
    teacher: Any, task: TaskSource, out: str | Path, settings: GatherSettings
) -> dict[str, Any]:
    """Let a teacher act, and write what it saw, did and would have done to a folder of shards.

    Args:
        teacher: a file, a run folder, or a live object.
        task: as in distill.
        out: the folder.
        settings: how much, and how.

    Returns:
        rows, episodes (whole ones), mean_return (of those; None without), bytes, out, minari (the
        name, or None).

    Raises:
        DatasetError: the folder is not empty or cannot be written; whole shards are intact.
        RldistillError: what else is wrong.
    """
    spec = with_own_views(task_spec(task), None, teacher)
    info = task_info(spec)
    policy = load_teacher(
        teacher,
        vecnormalize=settings.vecnormalize,
        card=settings.card,
        head=settings.head,
        trust=settings.trust,
        observation_shape=info.teacher_shape,
        action_space=info.action_space,
        announce=None,
    )
    require_acting(policy, settings.teacher_act, "teacher_act")
    if settings.minari is not None:
        require_new_name(settings.minari)
    meta = make_meta(policy, spec, info, settings)
    with one_thread(), ShardWriter(out, meta, settings.force) as writer:
        write_steps(writer, policy, spec, info, settings)
    dataset = ShardDataset(Path(out))
    if settings.minari is not None:
        export_minari(dataset, settings.minari)
    returns = [float(e.rows.rewards.sum()) for e in dataset.episodes() if e.rows.episode_ends[-1]]
    return {
        "rows": len(dataset),
        "episodes": len(returns),
        "mean_return": sum(returns) / len(returns) if returns else None,
        "bytes": dataset.nbytes,
        "out": str(out),
        "minari": settings.minari,
    }


def write_steps(
    writer: ShardWriter,
    policy: NetworkPolicy,
    spec: TaskSpec,
    info: TaskInfo,
    settings: GatherSettings,
) -> None:
    """Step the environments and write, until there are enough rows."""
    control = replace(TEACHER, epsilon=settings.epsilon)
    randomness = Randomness.seeded(settings.seed, torch.device("cpu"))
    controller = Controller(
        control, policy, policy, settings.teacher_act, info.action_space, randomness
    )
    num_envs = count_envs(spec, settings.num_envs, NUM_ENVS[info.backend])
    with make(spec, num_envs, training_seed(settings.seed)) as env:
        collector = Collector(env, controller, torch.device("cpu"))
        while writer.num_rows < settings.steps:
            left = settings.steps - writer.num_rows
            writer.add(collector.collect(min(left, ROUND_STEPS), 0))


def make_meta(
    policy: NetworkPolicy, spec: TaskSpec, info: TaskInfo, settings: GatherSettings
) -> DatasetMeta:
    """What dataset.json says."""
    return DatasetMeta(
        task_id=info.id,
        backend=info.backend,
        env_kwargs=dict(spec.env_kwargs),
        observation_shape=info.observation_space.shape,
        observation_dtype=str(info.observation_space.dtype),
        head=policy.info.head,
        teacher_name=policy.info.name,
        teacher_fingerprint=policy.info.fingerprint,
        acting=f"teacher, {settings.teacher_act}, epsilon {settings.epsilon:g}",
        command=settings.command,
        seed=settings.seed,
        versions=versions(),
        views=spec.view_texts(),
    )
