"""From what was asked to a Training that is checked, and train_teacher(), which does it."""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, final

import torch
from gymnasium import spaces

from rldistill.core import NetworkPolicy, QValueHead, require_memoryless
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.spec import TaskInfo, TaskSpec, describe, kwargs_for_toml
from rldistill.errors import RunFolderError, SettingError
from rldistill.evaluation.own_views import recorded_views, through_views
from rldistill.evaluation.scores import task_info
from rldistill.rollout.control import Randomness
from rldistill.runs import RunFolder, default_run_path, live_object
from rldistill.students.build import make_student
from rldistill.students.cnn_specs import CnnSpec
from rldistill.students.defaults import default_student
from rldistill.students.multitask import TaskPart, make_multitask_student
from rldistill.train.keeper import Keeper
from rldistill.train.parallel_q import ParallelQ, ParallelQLearner
from rldistill.train.request import choose_device
from rldistill.train.stage import Stage
from rldistill.train.train_teacher import Training, TrainSettings, training

# Where nobody says which network is to be trained.
FLAT_NETWORK = "mlp:128,128,relu,layernorm"
METHOD = "parallel-q"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What was asked for.

    Attributes:
        tasks: one, or several for one network together.
        network: a spec; None: one that fits the observations.
        out: the run folder (None: a new one); force, resume: replace it, or continue it.
        settings: everything else.
    """

    tasks: Sequence[TaskSource]
    network: str | None = None
    out: Path | None = None
    force: bool = False
    resume: bool = False
    settings: TrainSettings = field(default_factory=TrainSettings)


def train_teacher(
    task: TaskSource | Sequence[TaskSource],
    network: str | None = None,
    *,
    out: str | Path | None = None,
    settings: TrainSettings | None = None,
) -> dict[str, Any]:
    """Train a Q-network that can be distilled from, on one task or on several together.

    Args:
        task: as in distill; or a list of them: one network learns all of them (Multi-DQN).
        network: a spec such as "mlp:128,128,relu,layernorm"; None: one that fits the observations.
        out: the run folder, which load_teacher takes; None: a new folder under runs/.
        settings: everything else.

    Returns:
        What verdict.json holds: of each task the mean return of greedy play with its interval,
        and what it took.

    Raises:
        RldistillError: one of its kinds; each says what was required, what came and what to do.
    """
    tasks: Sequence[Any] = task if isinstance(task, (list, tuple)) else [task]
    request = TrainRequest(
        tasks=tasks,
        network=network,
        out=None if out is None else Path(out),
        settings=settings or TrainSettings(),
    )
    job = prepare_training(request)
    for _ in training(job):
        pass
    assert job.summary is not None, "the loop has ended"
    return job.summary


def prepare_training(request: TrainRequest) -> Training:
    """Make and check everything; takes no step of training.

    Raises:
        SettingError, TaskError, RunFolderError, MissingExtraError: what is wrong with the request.
    """
    settings = request.settings
    device = choose_device(settings.device)
    specs = [task_spec(task) for task in request.tasks]
    if any(spec.teacher_view is not None for spec in specs):
        raise SettingError("teacher_view has no effect: what is trained sees student_view")
    infos = [task_info(spec) for spec in specs]
    check_tasks(infos, settings.learning)
    torch.manual_seed(settings.seed)
    network, policies = make_network(request.network, infos)
    randomness = Randomness.seeded(settings.seed, device)
    share = settings.learning.num_envs // len(specs)
    stages = tuple(
        Stage(
            task=spec,
            info=info,
            policy=policy.to(device),
            num_envs=share,
            seed=settings.seed,
            device=device,
            randomness=randomness,
        )
        for spec, info, policy in zip(specs, infos, policies, strict=True)
    )
    modules = [stage.policy.module for stage in stages]
    return Training(
        settings=settings,
        network=network,
        stages=stages,
        learner=ParallelQLearner(modules, settings.learning, randomness.batches),
        keeper=Keeper(open_folder(request, infos, network), settings.save_seconds),
        randomness=randomness,
        resume=request.resume,
        recipe=make_recipe(request, specs, infos, network),
        notes=tuple(make_notes(infos, network)),
    )


def check_tasks(infos: Sequence[TaskInfo], learning: ParallelQ) -> None:
    """Refuse what Q-learning cannot do.

    Raises:
        SettingError: no task, one twice, more tasks than environments, continuous actions.
    """
    ids = [info.id for info in infos]
    if not ids:
        raise SettingError("a task is required: --task ID")
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise SettingError(f"each task has one head; given more than once: {', '.join(twice)}")
    if learning.num_envs < len(ids):
        raise SettingError(f"num_envs is {learning.num_envs}; {len(ids)} tasks need as many")
    for info in infos:
        if not hasattr(info.action_space, "n"):
            raise SettingError(
                f"{info.id} has continuous actions, {info.action_space}; Q-learning needs Discrete"
            )


def make_network(
    spec: str | None, infos: Sequence[TaskInfo]
) -> tuple[NetworkPolicy, list[NetworkPolicy]]:
    """The network, and its part for each task.

    Raises:
        SettingError: the spec cannot be read, or several tasks need a multi-task network.
        TaskError: it does not fit a task.
    """
    if len(infos) > 1:
        return make_multitask_network(spec, infos)
    space = infos[0].observation_space
    policy = make_student(spec or default_network(space), space, infos[0].action_space)
    require_memoryless(policy.info, "Q-learning")
    head = QValueHead(policy.info.head.num_outputs)
    policy = NetworkPolicy(policy.module, replace(policy.info, head=head))
    return policy, [policy]


def make_multitask_network(
    spec: str | None, infos: Sequence[TaskInfo]
) -> tuple[NetworkPolicy, list[NetworkPolicy]]:
    """One network for all tasks, as its policy in the first one, and its policy in each.

    Raises:
        SettingError: it is no multi-task spec, or there is none and observations are numbers.
        TaskError: it does not fit a task.
    """
    wanted = spec or f"multi:{default_network(infos[0].observation_space)}"
    parts = [
        TaskPart(
            name=info.id, observation_space=info.observation_space, action_space=info.action_space
        )
        for info in infos
    ]
    network = make_multitask_student(wanted, parts)
    # Its outputs are Q-values, which make_multitask_student, made for students, does not give.
    network.seats = tuple(
        replace(seat, head=QValueHead(seat.head.num_outputs)) for seat in network.seats
    )
    policies = [network.policy(info.id) for info in infos]
    return policies[0], policies


def default_network(space: spaces.Box) -> str | CnnSpec:
    """With LayerNorm, without which parallelised Q-learning may diverge.

    >>> str(default_network(spaces.Box(0, 1, (10, 10, 4), "uint8")))
    'minatar:layernorm'
    """
    spec = default_student(space, QValueHead(1), 0)
    return replace(spec, layer_norm=True) if isinstance(spec, CnnSpec) else FLAT_NETWORK


def open_folder(
    request: TrainRequest, infos: Sequence[TaskInfo], network: NetworkPolicy
) -> RunFolder:
    """The run folder: made, or opened to resume.

    Raises:
        RunFolderError: it exists, is not ours, or cannot be written.
    """
    if request.resume:
        if request.out is None:
            raise SettingError("resume needs the run folder")
        return RunFolder.open(request.out)
    if request.force and request.out is None:
        raise SettingError("force replaces the run in the folder that out names; give out")
    title = "-".join(info.id for info in infos)
    where = request.out or default_run_path(title, network.info.name)
    return RunFolder.create(where, force=request.force)


def make_notes(infos: Sequence[TaskInfo], network: NetworkPolicy) -> list[str]:
    """Lines that are shown at the start."""
    info = network.info
    notes = [f"network  {info.name}: {info.acting_parameters:,} parameters"]
    if not any(isinstance(m, torch.nn.LayerNorm) for m in network.module.modules()):
        notes.append("warning  it has no LayerNorm, without which this algorithm may diverge")
    for one in infos:
        notes += [f"task     {describe(one)}", *(f"         {note}" for note in one.notes)]
    return notes


def make_recipe(
    request: TrainRequest,
    specs: Sequence[TaskSpec],
    infos: Sequence[TaskInfo],
    network: NetworkPolicy,
) -> dict[str, Any]:
    """recipe.toml: all that resuming needs."""
    settings, first = request.settings, specs[0]
    recipe: dict[str, Any] = {
        "method": METHOD,
        "tasks": [spec.id or live_object(info.id) for spec, info in zip(specs, infos, strict=True)],
        "network": network.info.name,
        "steps": settings.steps,
        "seed": settings.seed,
        "device": settings.device,
        "episodes": settings.episodes,
        "half": settings.half,
        "backend": first.backend,
        "env_kwargs": kwargs_for_toml(first.env_kwargs),
        "wrapper": first.wrapper,
        "imports": list(first.imports),
        **first.view_texts(),
        "learning": asdict(settings.learning),
        "command": settings.command,
    }
    return {name: value for name, value in recipe.items() if value not in (None, {}, [], "")}


def resumed_request(folder: Path, steps: int | None) -> TrainRequest:
    """The request of the run in a folder, to go on with.

    Raises:
        RunFolderError: there is none, or it is not one of teacher training.
    """
    try:
        recipe: dict[str, Any] = tomllib.loads(RunFolder.open(folder).recipe_toml.read_text())
        if recipe.get("method") != METHOD:
            raise RunFolderError(f"{folder} is not a run of `rldistill train`")
        views = recorded_views(recipe)
        asked = [
            TaskSpec(
                id=task,
                backend=recipe["backend"],
                env_kwargs=recipe.get("env_kwargs", {}),
                wrapper=recipe.get("wrapper"),
                imports=tuple(recipe.get("imports", ())),
            )
            for task in recipe["tasks"]
        ]
        tasks = [through_views(task, views) for task in asked]
        settings = TrainSettings(
            steps=recipe["steps"] if steps is None else steps,
            learning=ParallelQ(**recipe["learning"]),
            seed=recipe["seed"],
            device=recipe["device"],
            episodes=recipe["episodes"],
            half=recipe.get("half", False),
            command=recipe.get("command", ""),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{folder}: its recipe.toml is damaged: {error}") from error
    network = recipe["network"]
    return TrainRequest(tasks=tasks, network=network, out=folder, resume=True, settings=settings)
