"""Appraising a round: from a trajectory to rows with credit, advantages and critic targets."""

from dataclasses import dataclass, fields
from typing import final

import torch
from torch import Tensor, nn

from rldistill.core import NetworkPolicy, Recurrent, State, Trajectory, restarted
from rldistill.core.recurrent import zero_state
from rldistill.errors import NotFiniteError
from rldistill.maths import returns
from rldistill.maths.returns import Outcomes
from rldistill.methods.credit import Credit
from rldistill.methods.method import Method
from rldistill.methods.rewards import StepTerms, gate_weights, step_credit
from rldistill.methods.terms import Alignment
from rldistill.train.critic import ReturnScale

# Where neither the row nor the teacher says one.
GAMMA = 0.99
# Student and critic of a round.
Networks = tuple[NetworkPolicy, nn.Module | None]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """The valid steps of a round, one row each; nothing here has a gradient.

    Attributes:
        observations: [N, ...].
        actions: [N] or [N, D].
        teacher_raw: [N, outputs].
        log_prob: [N] of the action under the student that took it, nats.
        credit: [N] r_hat.
        advantages: [N] of R_hat over the critic.
        targets: [N, columns] for the critic.
        weights: [N] of the loss, by the gate.
        teacher_values: [N], in the critic's unit; 0 where they are not used.
    """

    observations: Tensor
    actions: Tensor
    teacher_raw: Tensor
    log_prob: Tensor
    credit: Tensor
    advantages: Tensor
    targets: Tensor
    weights: Tensor
    teacher_values: Tensor

    def __len__(self) -> int:
        return len(self.log_prob)

    def rows(self, index: Tensor) -> "Experience":
        """Some of the rows."""
        every = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen = {name: x.index_select(0, index.to(x.device)) for name, x in every.items()}
        return Experience(**chosen)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Views:
    """What the networks say of the T + 1 states of a round, each [T + 1, B, ...]."""

    teacher_raw: Tensor
    student_raw: Tensor
    teacher_values: Tensor  # 0 where the row does not use them
    values: Tensor  # [T + 1, B, columns]


@final
class Appraiser:
    """Turns trajectories into experience.

    The critic has a column for R_hat where the row credits anything, and one for the return where
    the gate or value distillation compares it with the teacher's; one serves both where R_hat is
    the return.

    Attributes:
        scale: the unit of rewards and values.
        gamma: discount per environment step.
        num_columns: of the critic; 0: none is needed.
        reward_column: which column is the return.
    """

    def __init__(self, teacher: NetworkPolicy, method: Method) -> None:
        self.teacher = teacher
        self.method = method
        self.scale = ReturnScale()
        own = method.actor_critic.gamma
        self.gamma = next(g for g in (own, teacher.info.gamma, GAMMA) if g is not None)
        credit = method.credit
        compares = method.gate is not None or method.actor_critic.value_distillation > 0.0
        shared = credit == Credit(reward=1.0)
        self.reward_column = 0 if credit is None or shared else 1
        self.num_columns = int(credit is not None) + int(compares and not shared)
        # Of a recurrent critic of the teacher's, from round to round.
        self._teacher_memory: State | None = None
        # Of a recurrent critic of the student's, before the latest round and after it.
        self.critic_memory: tuple[State, State] | None = None

    @torch.no_grad()
    def appraise(
        self, trajectory: Trajectory, alignment: Alignment, networks: Networks, loss_weight: float
    ) -> Experience:
        """Credit, advantages, targets and gate weights of every valid step.

        Args:
            trajectory: [T, B], of the student as it is.
            alignment: the loss and the log-probabilities.
            networks: student and critic.
            loss_weight: lambda.

        Raises:
            NotFiniteError: a reward is NaN or infinite.
        """
        # A phantom step's reward is ignored, NaN included.
        if not bool(trajectory.rewards[trajectory.valid].isfinite().all()):
            raise NotFiniteError("the environment gave rewards that are NaN or infinite")
        outcomes = self._outcomes(trajectory)
        views = self._look(trajectory, networks)
        log_prob = alignment.student_log_prob(views.student_raw[:-1], trajectory.actions)
        weights = self._gate(views)
        credit = torch.zeros_like(log_prob)
        if self.method.credit is not None:
            terms = StepTerms(
                rewards=outcomes.rewards,
                terminated=trajectory.terminated,
                log_teacher=alignment.teacher_log_prob(trajectory.teacher_raw, trajectory.actions)
                if self.method.credit.log_teacher
                else log_prob,
                log_student=log_prob,
                teacher_values=views.teacher_values,
                losses=None
                if self.method.loss is None
                else loss_weight * weights * alignment(views.teacher_raw, views.student_raw),
            )
            credit = step_credit(self.method.credit, terms, self.gamma)
        advantages, targets = self._advantages(outcomes, credit, views.values)
        return _flatten(trajectory, views, (log_prob, credit, advantages, targets, weights[:-1]))

    def _look(self, trajectory: Trajectory, networks: Networks) -> _Views:
        student, critic = networks
        every = trajectory.states
        starts = torch.cat([trajectory.starts, trajectory.last_starts[None]])
        flat, shape = every.flatten(0, 1), every.shape[:2]
        theirs = trajectory.teacher_observations
        theirs = every if theirs is None else theirs
        teacher_values = torch.zeros(shape, device=flat.device)
        if self.method.needs_teacher_value:
            teacher_values = self._teacher_values(theirs, starts) / self.unit
        values = torch.zeros((*shape, 1), device=flat.device)
        if isinstance(critic, Recurrent):
            values = self._remembered_values(critic, every, starts)
        elif critic is not None:
            values = critic(flat).unflatten(0, shape)
        remembered = restarted(trajectory.carried.last_teacher, starts[-1])
        last_raw, _ = self.teacher.step(theirs[-1], remembered)
        return _Views(
            teacher_raw=torch.cat([trajectory.teacher_raw, last_raw[None]]),
            student_raw=student.unroll(every, trajectory.carried.student, starts)[0],
            teacher_values=teacher_values,
            values=values,
        )

    def _teacher_values(self, observations: Tensor, starts: Tensor) -> Tensor:
        """V_pi [T + 1, B]; what the critic remembers goes on with the next round's first step."""
        before = self._teacher_memory
        if before is None:
            before = self.teacher.initial_value_state(observations.shape[1])
        values, after = self.teacher.unroll_values(observations[:-1], before, starts[:-1])
        last, _ = self.teacher.unroll_values(observations[-1:], after, starts[-1:])
        self._teacher_memory = after
        return torch.cat([values, last])

    def _remembered_values(self, critic: Recurrent, every: Tensor, starts: Tensor) -> Tensor:
        """Values [T + 1, B, columns] of a recurrent critic, which goes on from round to round."""
        if self.critic_memory is None:
            before = zero_state(critic.state_shapes, every.shape[1], every.device)
        else:
            before = self.critic_memory[1]
        values, after = critic(every[:-1], before, starts[:-1])
        last, _ = critic(every[-1:], after, starts[-1:])
        self.critic_memory = (before, after)
        return torch.cat([values, last])

    @property
    def unit(self) -> float:
        """The unit of rewards and values, in raw reward."""
        return self.scale.value if self.method.actor_critic.scale_rewards else 1.0

    def _outcomes(self, trajectory: Trajectory) -> Outcomes:
        """The rewards of a round in the unit that takes them into account already."""
        ends = (trajectory.terminated, trajectory.truncated, trajectory.valid)
        self.scale.update(Outcomes(trajectory.rewards, *ends), self.gamma)
        return Outcomes(trajectory.rewards / self.unit, *ends)

    def _gate(self, views: _Views) -> Tensor:
        """Weights of the loss [T + 1, B]."""
        gate = self.method.gate
        if gate is None:
            return torch.ones_like(views.teacher_values)
        return gate_weights(gate, views.teacher_values - views.values[..., self.reward_column])

    def _advantages(
        self, outcomes: Outcomes, credit: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Advantages [T, B] of R_hat, and targets [T, B, columns]."""
        ends = (outcomes.terminated, outcomes.truncated, outcomes.valid)
        advantages = torch.zeros_like(credit)
        targets: list[Tensor] = []
        if self.method.credit is not None:
            one_step = self.method.credit.one_step
            advantages = self._estimate(Outcomes(credit, *ends), values[..., 0], one_step)
            targets.append(advantages + values[:-1, :, 0])
        if self.num_columns > len(targets):
            own = values[..., self.reward_column]
            targets.append(self._estimate(outcomes, own, False) + own[:-1])
        return advantages, torch.stack(targets or [torch.zeros_like(credit)], -1)

    def _estimate(self, outcomes: Outcomes, values: Tensor, one_step: bool) -> Tensor:
        """Advantages [T, B] over values [T + 1, B]."""
        settings = self.method.actor_critic
        if one_step:
            return returns.gae(outcomes, values, 0.0, 0.0)
        if settings.n_step is None:
            return returns.gae(outcomes, values, self.gamma, settings.lam)
        return returns.n_step(outcomes, values, self.gamma, settings.n_step) - values[:-1]


def _flatten(
    trajectory: Trajectory, views: _Views, parts: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
) -> Experience:
    """The valid steps as rows."""
    keep = trajectory.valid
    log_prob, credit, advantages, targets, weights = (x[keep] for x in parts)
    return Experience(
        observations=trajectory.observations[keep],
        actions=trajectory.actions[keep],
        teacher_raw=trajectory.teacher_raw[keep],
        log_prob=log_prob,
        credit=credit,
        advantages=advantages,
        targets=targets,
        weights=weights,
        teacher_values=views.teacher_values[:-1][keep],
    )
