"""The actor-critic learner: rows that credit actions over time, or gate their loss by values."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, final

import torch
from torch import Tensor, nn

from rldistill.core import NetworkPolicy, QValueHead, Recurrent, State
from rldistill.data.latest import LatestRound
from rldistill.data.round_windows import RoundWindows, Window
from rldistill.errors import SettingError
from rldistill.methods.method import Method
from rldistill.methods.terms import Alignment
from rldistill.students.recurrent import RecurrentStudent, scale_outputs
from rldistill.train.critic import Critic
from rldistill.train.experience import Appraiser, Experience
from rldistill.train.learners import Memory, OneStudent, finite_loss
from rldistill.train.stepper import Stepper


@final
class ActorCriticLearner(OneStudent):
    """Follows grad log pi_theta(a_t | s_t) R_hat_t - lambda grad l(s_t) on the latest round.

    Per row of a round, with rho = pi_theta / pi_old and A the advantage of R_hat:

        - min(rho A, clip(rho, 1 - eps, 1 + eps) A) + lambda w l(s) - entropy_bonus H(pi_theta)
        + value_weight |V_theta(s) - target|^2 / 2

    where w is the gate's weight (1 without), for a proximal row times max(rho, 1 - eps). Without
    clipping, reuse and critic its gradient is that of the paper.

    Source: Czarnecki et al. 2019 (arXiv:1902.02186), equation 1; Schulman et al. 2017
    (arXiv:1707.06347), equation 7; Spigler 2025 (PPD, arXiv:2407.15134), equation 4, where rho is
    differentiated through as in its code.

    Attributes:
        alignment: the loss and the log-probabilities.
        loss_weight: lambda of this round.
    """

    def __init__(
        self,
        student: NetworkPolicy,
        teacher: NetworkPolicy,
        method: Method,
        alignment: Alignment,
        generator: torch.Generator,
        window: Window | None = None,
    ) -> None:
        require_value(teacher, method)
        self.alignment = alignment
        self.loss_weight = 1.0
        self._method = method
        self._generator = generator
        self._appraiser = Appraiser(teacher, method)
        critic = None
        if self._appraiser.num_columns:
            critic = _critic_for(student, method, self._appraiser.num_columns)
        self._stepper = Stepper(student, method.learning, critic)
        self._window = window or Window()

    def learn(self, memory: Memory, num_updates: int) -> float:
        """Take num_updates steps on shuffled minibatches of the latest round.

        Returns:
            The mean alignment loss, or minus the mean credit of a step where there is none.

        Raises:
            NotFiniteError: a reward or the loss is NaN or infinite.
        """
        assert isinstance(memory, LatestRound)
        experience = self.appraise(memory)
        total = whole = torch.zeros((), device=self._stepper.device)
        size = self._method.learning.batch_size
        if self.student.info.is_recurrent:
            losses = self._losses_of_windows(memory, experience, num_updates)
        else:
            batches = minibatches(len(experience), size, num_updates, self._generator)
            losses = (self.loss(experience.rows(rows)) for rows in batches)
        with self._stepper.training():
            for loss, shown in losses:
                self._stepper.step(loss)
                total, whole = total + shown, whole + loss.detach()
        # What is shown may be finite although what is minimised is not: a mean reward always is.
        finite_loss(float(whole), self._stepper)
        return finite_loss(float(total) / max(num_updates, 1), self._stepper)

    def appraise(self, memory: LatestRound) -> Experience:
        """The latest round with its advantages and targets."""
        networks = (self.student, self._stepper.critic)
        return self._appraiser.appraise(
            memory.trajectory, self.alignment, networks, self.loss_weight
        )

    def _losses_of_windows(
        self, memory: LatestRound, experience: Experience, num_updates: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The losses of shuffled windows of the round, each of its steps once in every pass."""
        critic = self._stepper.critic
        both = (self.student.module, critic)
        networks = tuple(network for network in both if isinstance(network, Recurrent))
        states: list[State] = [memory.trajectory.carried.student]
        if self._appraiser.critic_memory is not None:
            states.append(self._appraiser.critic_memory[0])
        windows = RoundWindows(memory.trajectory, self._window, networks, tuple(states))
        at_once = windows.at_once(self._method.learning.batch_size)
        for chosen in minibatches(len(windows), at_once, num_updates, self._generator):
            rows, outputs = windows.unroll(chosen)
            if len(rows):
                values = outputs[1] if critic is not None else None
                yield self._loss(experience.rows(rows), outputs[0], values)

    def loss(self, batch: Experience) -> tuple[Tensor, Tensor]:
        """What is minimised [], and what is shown of it [] (no gradient)."""
        critic = self._stepper.critic
        values = None if critic is None else critic(batch.observations)
        return self._loss(batch, self.student.module(batch.observations), values)

    def _loss(self, batch: Experience, raw: Tensor, values: Tensor | None) -> tuple[Tensor, Tensor]:
        """loss() of what the student and its critic gave."""
        settings, credit = self._method.actor_critic, self._method.credit
        total = torch.zeros((), device=raw.device)
        shown = -batch.credit.mean()
        ratio = torch.ones_like(batch.log_prob)
        if credit is not None or self._method.proximal:
            log_prob = self.alignment.student_log_prob(raw, batch.actions)
            ratio = (log_prob - batch.log_prob).exp()
        if credit is not None:
            gain = ratio * batch.advantages
            if settings.clip > 0.0:
                near = ratio.clamp(1.0 - settings.clip, 1.0 + settings.clip)
                gain = torch.minimum(gain, near * batch.advantages)
            total = total - gain.mean()
        if self._method.loss is not None:
            apart = self.alignment(batch.teacher_raw, raw)
            shown = apart.detach().mean()
            weighed = batch.weights * apart
            if self._method.proximal:
                weighed = weighed * ratio.clamp(min=1.0 - settings.clip)
            total = total + self.loss_weight * weighed.mean()
        if settings.entropy_bonus > 0.0:
            entropy = self.alignment.student_entropy(raw)
            total = total - settings.entropy_bonus * entropy.mean()
        if values is not None:
            total = total + self._critic_loss(batch, values)
        return total, shown

    def _critic_loss(self, batch: Experience, values: Tensor) -> Tensor:
        settings = self._method.actor_critic
        loss = settings.value_weight * 0.5 * (values - batch.targets).square().sum(-1).mean()
        if settings.value_distillation > 0.0:
            own = values[:, self._appraiser.reward_column]
            apart = (own - batch.teacher_values).square().mean()
            loss = loss + settings.value_distillation * 0.5 * apart
        return loss

    def training(self) -> AbstractContextManager[None]:
        """While steps are taken from outside."""
        return self._stepper.training()

    def step(self, loss: Tensor) -> None:
        """One step of the same optimiser down another loss [], for learners of two policies."""
        self._stepper.step(loss)

    def finite(self, loss: float) -> float:
        """The loss itself; raises NotFiniteError where it is NaN or infinite."""
        return finite_loss(loss, self._stepper)

    @property
    def unit(self) -> float:
        """The unit of its values, in raw reward."""
        return self._appraiser.unit

    @torch.no_grad()
    def values(self, observations: Tensor) -> Tensor:
        """V_theta of observations [N, ...], in raw reward [N]."""
        assert self._stepper.critic is not None, "the rows that ask have credit"
        return self.unit * self._stepper.critic(observations)[:, self._appraiser.reward_column]

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, critic, optimiser, counters and the unit of rewards."""
        return super().state_dict() | {"scale": self._appraiser.scale.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        super().load_state_dict(state)
        self._appraiser.scale.load_state_dict(state["scale"])


def _critic_for(student: NetworkPolicy, method: Method, num_columns: int) -> nn.Module:
    """An MLP beside the student; a network like the student where that is recurrent."""
    network = student.module
    if isinstance(network, RecurrentStudent):
        critic = RecurrentStudent(
            network.spec, network.shape, network.pixels, QValueHead(num_columns)
        )
        scale_outputs(critic, 0.0)
        return critic.to(student.device)
    (num_inputs,) = student.info.observation_shape
    return Critic(num_inputs, method.actor_critic.critic_hidden, num_columns).to(student.device)


def minibatches(
    num_rows: int, size: int, count: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Row indices of `count` minibatches: shuffled passes, each split into equal parts.

    >>> [len(x) for x in minibatches(10, 4, 4, torch.Generator())]
    [4, 3, 3, 4]
    """
    parts: list[Tensor] = []
    for _ in range(count):
        if not parts:
            order = torch.randperm(num_rows, generator=generator, device=generator.device)
            parts = list(order.tensor_split(-(-num_rows // size)))
        yield parts.pop(0)


def require_value(teacher: NetworkPolicy, method: Method) -> None:
    """Refuse a teacher without a value that can be compared with the row's, where it needs one.

    Raises:
        SettingError: it has none, its unit is unknown, or it has another discount than the row.
    """
    units = teacher.info.value_units
    if not method.needs_teacher_value:
        return
    if units == "raw":
        own, theirs = method.actor_critic.gamma, teacher.info.gamma
        if own is not None and theirs is not None and own != theirs:
            raise SettingError(
                f"{method.name} compares values of gamma {own:g} with the teacher's, which are of "
                f"gamma {theirs:g}; leave gamma out, or --fit-critic STEPS learns values of {own:g}"
            )
        return
    found = "has no value function" if units == "none" else f"has values in {units} units"
    raise SettingError(
        f"{method.name} needs the teacher's value in units of raw reward; {teacher.info.name} "
        f"{found}. --fit-critic STEPS learns one from its roll-outs"
    )
