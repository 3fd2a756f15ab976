"""What a task is asked to be (TaskSpec) and what it turned out to be (TaskInfo)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import gymnasium
from gymnasium import spaces

from rldistill.envs.features import Feature, ObservationPart
from rldistill.envs.views import View, text_of
from rldistill.errors import SettingError, did_you_mean
from rldistill.runs import live_object

BACKENDS = ("auto", "envpool", "gymnasium", "ale", "minatar")
# Where a task declares no limit: half an hour of Atari at 60 frames/s and 4 frames per decision.
DEFAULT_MAX_EPISODE_STEPS = 27_000
# Given to the environment by TaskSpec itself or by this library.
RESERVED_KWARGS = ("id", "max_episode_steps", "disable_env_checker", "num_envs", "seed")

EnvFactory = Callable[[], gymnasium.Env[Any, Any]]


@final
@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task as the user asks for it.

    Attributes:
        id: a registered id such as "LunarLander-v3"; for a live factory or vector environment an
            optional name.
        backend: one of BACKENDS; "auto" takes the fastest that is shown to be the same task.
        env_kwargs: keyword arguments of the environment's constructor.
        wrapper: "module:function" that takes and returns a gymnasium.Env, applied to each env.
        imports: modules imported first, because they register environments.
        factory: a callable that returns a new gymnasium.Env at each call.
        vector_env: a live gymnasium.vector.VectorEnv with NEXT_STEP autoreset; never closed here.
        max_episode_steps: limit in env steps, None for the one that the task declares, or
            DEFAULT_MAX_EPISODE_STEPS where it declares none.
        teacher_view: what the teacher sees; None: what the task gives.
        student_view: what the student sees, of the same steps; None: what the task gives.

    Raises:
        SettingError: a setting is unknown, out of range, or without effect beside the others.
    """

    id: str = ""
    backend: str = "auto"
    env_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    wrapper: str | None = None
    imports: tuple[str, ...] = ()
    factory: EnvFactory | None = None
    vector_env: gymnasium.vector.VectorEnv[Any, Any, Any] | None = None
    max_episode_steps: int | None = None
    teacher_view: View | None = None
    student_view: View | None = None

    def __post_init__(self) -> None:
        self._check_values()
        self._check_effects()

    @property
    def one_view(self) -> bool:
        """Whether teacher and student see the same."""
        return self.teacher_view == self.student_view

    @property
    def seats(self) -> tuple[View | None, View | None]:
        """What student and teacher see."""
        return self.student_view, self.teacher_view

    @property
    def views(self) -> tuple[View, ...]:
        """Those that are set."""
        return tuple(view for view in self.seats if view is not None)

    def seen_by_teacher(self) -> "TaskSpec":
        """The task as the teacher alone sees it, for whoever plays it by itself.

        >>> TaskSpec(id="CartPole-v1", student_view=View.parse("[0]")).seen_by_teacher().views
        ()
        """
        return self if self.one_view else replace(self, student_view=self.teacher_view)

    def seen_by_student(self) -> "TaskSpec":
        """The task as the student alone sees it."""
        return self if self.one_view else replace(self, teacher_view=self.student_view)

    def view_texts(self) -> dict[str, str]:
        """The views that are set, as text, by the names of their settings."""
        both = {
            "teacher_view": text_of(self.teacher_view),
            "student_view": text_of(self.student_view),
        }
        return {name: text for name, text in both.items() if text is not None}

    @property
    def is_live(self) -> bool:
        """Whether the environment comes from an object and not from its id."""
        return self.factory is not None or self.vector_env is not None

    def _check_values(self) -> None:
        if self.backend not in BACKENDS:
            raise SettingError(
                f"backend must be one of {', '.join(BACKENDS)}; got {self.backend!r}."
                f"{did_you_mean(self.backend, BACKENDS)}"
            )
        if self.max_episode_steps is not None and self.max_episode_steps < 1:
            raise SettingError(f"max_episode_steps must be >= 1; got {self.max_episode_steps}")
        if not self.id and not self.is_live:
            raise SettingError("a task needs an id, a factory or a vector environment; got none")
        for name in ("teacher_view", "student_view"):
            require_view(getattr(self, name), name)
        reserved = [name for name in RESERVED_KWARGS if name in self.env_kwargs]
        if reserved:
            raise SettingError(
                f"env_kwargs must not hold {', '.join(reserved)}: give it as a setting of the task"
            )

    def _check_effects(self) -> None:
        if self.factory is not None and self.vector_env is not None:
            raise SettingError("a task is either a factory or a vector environment; got both")
        if self.is_live and self.env_kwargs:
            raise SettingError("env_kwargs has no effect on a live environment; set it up yourself")
        if self.vector_env is not None and self.wrapper is not None:
            raise SettingError(
                "wrapper has no effect on a live vector environment; wrap it yourself"
            )
        needs_gymnasium = (
            "a live environment" if self.is_live else "wrapper" if self.wrapper else ""
        )
        if self.backend == "envpool" and any(view.draws for view in self.views):
            raise SettingError(
                "a view of pixels needs a task that draws itself, which envpool's do not; leave "
                "the backend out"
            )
        if self.backend not in ("auto", "gymnasium") and needs_gymnasium:
            raise SettingError(
                f"{needs_gymnasium} needs gymnasium environments and backend is {self.backend!r}; "
                "use backend 'auto' or 'gymnasium'"
            )


@final
@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """A task as it runs, after everything was normalised.

    Attributes:
        id: the task's id, or the name of the live object.
        backend: one of BACKENDS, but "auto".
        observation_space: Box, float32 [O] (flat) or uint8 pixels in their own shape.
        action_space: Discrete that starts at 0, or a flat float32 Box [D].
        observation_parts: the entries of a Dict or Tuple observation; empty for any other.
        equal_starts: two environments made with the same seed on this backend have equal first
            episodes, given equal actions. Starts are never equal across backends.
        max_episode_steps: an episode is truncated after this many env steps.
        notes: one line each: which backend and why, what was assumed, what would be faster.
        frame_stack: S, where an observation [S, H, W] is the last S frames, oldest first; else 1.
        teacher_space: what the teacher observes, where its view is another; None: the same.
        features: names of what is observed through a view; empty: those of the task.
    """

    id: str
    backend: str
    observation_space: spaces.Box
    action_space: spaces.Discrete | spaces.Box
    observation_parts: tuple[ObservationPart, ...] = ()
    equal_starts: bool
    max_episode_steps: int
    notes: tuple[str, ...] = ()
    frame_stack: int = 1
    teacher_space: spaces.Box | None = None
    features: tuple[Feature, ...] = ()

    @property
    def teacher_shape(self) -> tuple[int, ...]:
        """Shape of one observation of the teacher."""
        space = self.observation_space if self.teacher_space is None else self.teacher_space
        return space.shape


def require_view(view: object, name: str) -> None:
    """Check the type of a setting that holds a view.

    Raises:
        SettingError: it is no View.
    """
    if view is not None and not isinstance(view, View):
        raise SettingError(
            f'{name} must be a View, such as View.parse("[0,1,4:6]"); got {type(view).__name__}'
        )


def resolve_limit(asked: int | None, declared: int | None) -> tuple[int, tuple[str, ...]]:
    """The step limit of an episode, and a note where nobody named one.

    Args:
        asked: TaskSpec.max_episode_steps.
        declared: what the environment declares, None for nothing.

    >>> resolve_limit(None, 500), resolve_limit(100, 500), resolve_limit(None, None)[0]
    ((500, ()), (100, ()), 27000)
    """
    if asked is not None:
        return asked, ()
    if declared is not None:
        return declared, ()
    limit = DEFAULT_MAX_EPISODE_STEPS
    return limit, (f"the task declares no step limit: episodes are cut at {limit:,} steps",)


def describe(info: TaskInfo) -> str:
    """One line that says what was made, for a terminal or a log.

    >>> from gymnasium.spaces import Box, Discrete
    >>> describe(TaskInfo(id="Toy-v0", backend="gymnasium", observation_space=Box(-1, 1, (3,)),
    ...                   action_space=Discrete(2), equal_starts=True, max_episode_steps=50))
    'Toy-v0 on gymnasium: 3 numbers -> 2 actions, at most 50 steps, equal starts by seed'
    """
    acted = info.action_space
    inputs = in_words(info.observation_space.shape)
    if info.teacher_space is not None:
        inputs = f"teacher {in_words(info.teacher_space.shape)}, student {inputs}"
    if isinstance(acted, spaces.Discrete):
        outputs = f"{acted.n} actions"
    else:
        outputs = f"{acted.shape[0]} continuous actions"
    starts = "equal starts by seed" if info.equal_starts else "starts not equal by seed"
    limit = f"at most {info.max_episode_steps:,} steps"
    return f"{info.id} on {info.backend}: {inputs} -> {outputs}, {limit}, {starts}"


def in_words(shape: tuple[int, ...]) -> str:
    """The shape of an observation, for people.

    >>> in_words((8,)), in_words((4, 84, 84))
    ('8 numbers', 'pixels 4x84x84')
    """
    return f"{shape[0]} numbers" if len(shape) == 1 else f"pixels {'x'.join(map(str, shape))}"


def plain_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments as plain JSON types; other objects are named.

    >>> plain_kwargs({"size": (2, 3), "physics": object()})
    {'size': [2, 3], 'physics': '(a live object: object)'}
    """
    name = lambda value: live_object(type(value).__name__)  # noqa: E731
    return json.loads(json.dumps(dict(kwargs), default=name))


def kwargs_for_toml(kwargs: Mapping[str, Any]) -> dict[str, Any] | str:
    """Keyword arguments as a table, or as JSON text where TOML cannot hold them: it has no null."""
    plain = plain_kwargs(kwargs)
    text = json.dumps(plain)
    return text if "null" in text else plain
