"""Who plays in a video, and the moments at which the other would have done something else."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from rldistill.core import CategoricalHead, NetworkPolicy, QValueHead
from rldistill.envs.rendered import RenderedEnv
from rldistill.errors import NotFiniteError
from rldistill.evaluation.agreement import Order, compare
from rldistill.evaluation.scores import Actor
from rldistill.reports.disagreement_section import action_in_words, choice_of
from rldistill.reports.frames import Shown

Array = NDArray[Any]
MOMENTS = 3


@final
@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A state of the student's episode, drawn by the task.

    Attributes:
        step: environment steps before it.
        kl: KL(teacher || student) in nats; None where it is not defined.
        teacher, student: what each would do, in words.
        picture: [height, width, 3] uint8.
    """

    step: int
    kl: float | None
    teacher: str
    student: str
    picture: Array


@final
class Player:
    """One side: plays its episode, and remembers what it saw and did.

    Attributes:
        name: "teacher" or "student".
        env: in which it plays.
        returned, step_count, over: how far it has come.
        seen: [1, ...] each, the observations before its steps.
        seen_by_teacher: the same states as the teacher sees them.
        taken: its actions, [1] or [1, D] each.
        seed: of its start.
    """

    def __init__(self, name: str, env: RenderedEnv, actor: Actor) -> None:
        self.name, self.env, self._actor = name, env, actor
        self.returned, self.step_count, self.over = 0.0, 0, False
        self._action = ""
        self._names = env.names.actions
        self._observation = np.zeros(0)
        self.seen: list[Array] = []
        self.seen_by_teacher: list[Array] = []
        self.taken: list[Array] = []
        self.seed = 0
        self._picture = np.zeros(0)

    def start(self, seed: int) -> None:
        """Begin the episode of this seed."""
        self.seed = seed
        self._observation = self.env.reset(seed)
        self._picture = self.env.draw()

    def advance(self, steps: int) -> None:
        """So many steps, and a new picture; nothing once the episode has ended."""
        if self.over:
            return
        for _ in range(steps):
            theirs = self.env.teacher_observations
            actions = self._actor(self._observation, np.array([self.step_count == 0]))
            if actions.dtype.kind == "f" and not np.isfinite(actions).all():
                raise NotFiniteError(f"the {self.name} gave an action that is NaN or infinite")
            self.seen.append(self._observation)
            self.seen_by_teacher.append(theirs)
            self.taken.append(actions)
            self._action = self._in_words(actions[0])
            self._observation, reward, self.over = self.env.step(actions)
            self.returned += reward
            self.step_count += 1
            if self.over:
                break
        self._picture = self.env.draw()

    def shown(self) -> Shown:
        """How it stands, to be drawn."""
        return Shown(
            self.name, self._picture, self.returned, self.step_count, self._action, self.over
        )

    def _in_words(self, action: Any) -> str:
        space = self.env.info.action_space
        if isinstance(space, spaces.Discrete):
            return self._names[int(action)]
        clipped = np.clip(action, space.low, space.high)  # as the environment takes it
        numbers = ", ".join(f"{x:+.2f}" for x in clipped[:6])
        return f"[{numbers}{', ...' if np.size(action) > 6 else ''}]"


def dividing_moments(
    teacher: NetworkPolicy, student: NetworkPolicy, player: Player, steps_apart: float
) -> tuple[Moment, ...]:
    """The states of an episode on which the two differ most, a second apart; played again to draw.

    Args:
        teacher, student: who is compared.
        player: the student's episode.
        steps_apart: the fewest steps between two of them.

    Returns:
        At most three, the worst first; fewer where the episode does not repeat itself.
    """
    if not player.seen:
        return ()
    theirs, own = (
        torch.from_numpy(np.concatenate(x)) for x in (player.seen_by_teacher, player.seen)
    )
    found = compare(teacher, student, own, theirs, Order.of_episode(len(own)))
    unlike = 1.0 - found.same if found.kl is None else found.kl
    steps = _apart(unlike.numpy(), max(1.0, steps_apart))
    heads, raw = (teacher.info.head, student.info.head), (found.teacher_raw, found.student_raw)
    said = [
        choice_of(head, outputs[steps].numpy(), temperature)[0]
        for head, outputs, temperature in zip(heads, raw, found.temperatures, strict=True)
    ]
    names = player.env.names.actions
    discrete = isinstance(heads[0], CategoricalHead | QValueHead)
    pictures = _redrawn(player, steps)
    return tuple(
        Moment(
            step,
            None if found.kl is None else float(found.kl[step]),
            action_in_words(names, said[0][i], discrete),
            action_in_words(names, said[1][i], discrete),
            pictures[step],
        )
        for i, step in enumerate(steps)
        if step in pictures
    )


def _apart(unlike: Array, steps_apart: float) -> list[int]:
    """The steps of greatest difference, none near another."""
    chosen: list[int] = []
    for step in np.argsort(-unlike, kind="stable"):
        if len(chosen) == MOMENTS or unlike[step] <= 0.0:
            break
        if all(abs(int(step) - other) >= steps_apart for other in chosen):
            chosen.append(int(step))
    return chosen


def _redrawn(player: Player, steps: list[int]) -> dict[int, Array]:
    """Pictures of these steps, of the same actions from the same start."""
    pictures: dict[int, Array] = {}
    if not steps:
        return pictures
    observation = player.env.reset(player.seed)
    for step, actions in enumerate(player.taken):
        if not np.array_equal(observation, player.seen[step]):
            break  # it is another episode: this task's starts do not repeat by seed
        if step in steps:
            pictures[step] = player.env.draw()
        if step == max(steps):
            break
        observation, _, _ = player.env.step(actions)
    return pictures
