"""Is the update of a Method the gradient of anything? The bridge from the method table to the lab.

The expected update of a row on a world of the lab is computed by the code that trains networks
(methods.terms, methods.rewards), on every transition of the world once, weighted by its exact
chance: nothing is sampled. What the lab contributes is what no method defines: visits and values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from rldistill.core import CategoricalHead
from rldistill.errors import SettingError
from rldistill.lab.exact import Problem
from rldistill.lab.field import Evidence, examine
from rldistill.lab.mdp import END, FloatArray
from rldistill.lab.solve import next_values, reward_table, step_matrix, visits
from rldistill.lab.student import Loss
from rldistill.lab.worlds import WorldSettings, make_world
from rldistill.methods.catalogue import get_method
from rldistill.methods.method import Method
from rldistill.methods.rewards import StepTerms, gate_weights, step_credit
from rldistill.methods.terms import Alignment, align

Update = Callable[[FloatArray], FloatArray]

# The log-probability of each action is taken from a table [S, A, A].
LARGEST_TABLE = 50_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """Where to look.

    Attributes:
        points: parameter points at which the Jacobian is looked at: standard normal logits.
        seed: of these points, and of a world made by name.
        round_index: which round's loss weight and control; an update is one of one round.
        gamma: discount of credit and values; None: the row's own, 1 where it leaves it open, which
            is what the worlds of the lab are. With less the update is no gradient in general: the
            student's visits are not discounted (Nota and Thomas 2020, arXiv:1906.07073).
    """

    points: int = 5
    seed: int = 0
    round_index: int = 0
    gamma: float | None = None


def examine_method(
    method: str | Method,
    world: str | Problem,
    settings: FieldSettings = FieldSettings(),
) -> Evidence:
    """Whether the expected update of a method on a world is a gradient, with the evidence.

    Args:
        method: a row's name, or a Method of one's own.
        world: a world's name, or a problem of the lab.
        settings: where to look.

    Raises:
        SettingError: an unknown name, a row with a learner of its own, or one that is not defined
            for discrete actions.

    >>> examine_method("kickstarting", "counterexample").is_gradient
    False
    """
    if settings.points < 1 or settings.seed < 0:
        raise SettingError(
            f"points must be at least 1 and seed at least 0, got {settings.points} and "
            f"{settings.seed}"
        )
    row = get_method(method) if isinstance(method, str) else method
    problem = (
        make_world(world, WorldSettings(seed=settings.seed)) if isinstance(world, str) else world
    )
    rng = np.random.default_rng(settings.seed)
    points = rng.standard_normal((settings.points, problem.student.num_parameters))
    return examine(method_update(row, problem, settings), points)


def method_update(
    method: Method, problem: Problem, settings: FieldSettings = FieldSettings()
) -> Update:
    """The map theta [P] -> E[update] [P] of one round: where theta moves, per episode.

    The learner divides by the steps of a round instead, a positive number that depends on theta: it
    moves along the same paths at another speed. Rewards count in their own unit, and advantages are
    those of an exact critic. Where the row remembers earlier rounds, this round is the first.

    Args:
        method: the row.
        problem: the world, its teacher (who acts by sampling) and the student.
        settings: round and discount.

    Raises:
        SettingError: the row is not defined here: a learner of its own, another family of actions,
            another loss than the problem's, or too many actions.
    """
    field = MethodField(method, problem, settings)
    return field.update


@final
class MethodField:
    """The expected update of one row on one problem.

    Attributes:
        method: the row.
        problem: the world.
        gamma: discount.
        loss_weight: lambda.
    """

    def __init__(self, method: Method, problem: Problem, settings: FieldSettings) -> None:
        shape = problem.teacher.shape
        if shape[0] * shape[1] ** 2 > LARGEST_TABLE:
            raise SettingError(
                f"{problem.mdp.name}: {shape[0]:,} states and {shape[1]:,} actions are too many "
                "here; make the world smaller, or ask the lab for one of its own rows"
            )
        if problem.loss is not None and method.loss != "cross_entropy":
            raise SettingError(
                f"{method.name} has the loss {method.loss}: another loss would change nothing; "
                "leave it out"
            )
        if method.learner is not None:
            raise SettingError(
                f"{method.name} has a learner of its own ({type(method.learner).__name__}), whose "
                "update is more than the row's loss and credit and is not computed here"
            )
        own = method.actor_critic.gamma if settings.gamma is None else settings.gamma
        self.method = method
        self.problem = problem
        self.gamma = 1.0 if own is None else own
        self.loss_weight = method.loss_weight.at(settings.round_index)
        self._round = settings.round_index
        head = CategoricalHead(shape[1])
        self._align: Alignment = align(method, head, head, None)
        self._teacher_raw = torch.from_numpy(problem.teacher).log()

    def update(self, theta: FloatArray) -> FloatArray:
        """The update [P] at theta [P]."""
        point = torch.from_numpy(theta.copy()).requires_grad_()
        logits = self._logits(point)
        (slope,) = torch.autograd.grad(self._surrogate(logits), point)
        return slope.numpy()

    def _logits(self, theta: Tensor) -> Tensor:
        """[S, A]."""
        student = self.problem.student
        if student.features is None:
            return theta.view(student.num_states, student.num_actions)
        return torch.from_numpy(student.features) @ theta

    def _surrogate(self, logits: Tensor) -> Tensor:
        """What the learner's loss estimates, per episode and with its sign turned.

        sum_s d(s) [ sum_a pi_theta(a | s) A(s, a) - lambda w(s) l(s) + bonus H ], where rho, the
        ratio to the student that acts, is 1 and carries the gradient of the first term.
        """
        row, settings = self.method, self.method.actor_critic
        policy = logits.detach().softmax(-1)
        weights = torch.from_numpy(visits(self.problem.mdp, self._control(policy)))
        gate = self._gate(policy)
        actions = torch.arange(logits.shape[1]).expand(logits.shape)
        log_prob = self._align.student_log_prob(
            logits[:, None, :].expand(*logits.shape, logits.shape[1]), actions
        )
        ratio = (log_prob - log_prob.detach()).exp()
        total = torch.zeros((), dtype=torch.float64)
        if row.credit is not None:
            table = self._credit(logits.detach(), policy, gate)
            advantage = table - (policy * table).sum(-1, keepdim=True)
            total = total + (weights[:, None] * policy * ratio * advantage).sum()
        if row.loss is not None:
            apart = gate * self._loss(logits)
            if row.proximal:
                apart = apart * (policy * ratio.clamp(min=1.0 - settings.clip)).sum(-1)
            total = total - self.loss_weight * (weights * apart).sum()
        if row.is_actor_critic and settings.entropy_bonus > 0.0:
            entropy = self._align.student_entropy(logits)
            total = total + settings.entropy_bonus * (weights * entropy).sum()
        return total

    def _control(self, policy: Tensor) -> FloatArray:
        """Who acts [S, A], as the row's Control says for this round."""
        control = self.method.control
        own = policy.numpy()
        if not control.student_samples:
            own = np.eye(own.shape[1])[own.argmax(1)]
        share = control.teacher_share.at(self._round)
        acting = share * self.problem.teacher + (1.0 - share) * own
        return (1.0 - control.epsilon) * acting + control.epsilon / own.shape[1]

    def _loss(self, logits: Tensor) -> Tensor:
        """l(s) [S]; with a loss of the lab, one of equal value and slope."""
        if self.problem.loss is None:
            return self._align(self._teacher_raw, logits)
        return foreign_loss(self.problem.loss, logits)

    def _gate(self, policy: Tensor) -> Tensor:
        """Weights of the loss [S]."""
        gate = self.method.gate
        if gate is None:
            return torch.ones(len(policy), dtype=torch.float64)
        own = self._values(policy, torch.from_numpy(reward_table(self.problem.mdp)))
        return gate_weights(gate, torch.from_numpy(self.problem.value_of_teacher) - own)

    def _credit(self, logits: Tensor, policy: Tensor, gate: Tensor) -> Tensor:
        """E[R_hat | s, a] [S, A] while the student acts."""
        credit = self.method.credit
        assert credit is not None
        table = self._step_credit(logits, gate)
        if credit.one_step:
            return table
        later = self._values(policy, table)
        return table + self.gamma * torch.from_numpy(next_values(self.problem.mdp, later.numpy()))

    def _values(self, policy: Tensor, table: Tensor) -> Tensor:
        """V [S] of a reward table [S, A]: V = E_a[table] + gamma P V."""
        steps = torch.from_numpy(step_matrix(self.problem.mdp, policy.numpy()))
        eye = torch.eye(len(steps), dtype=torch.float64)
        return torch.linalg.solve(eye - self.gamma * steps, (policy * table).sum(-1))

    def _step_credit(self, logits: Tensor, gate: Tensor) -> Tensor:
        """E[r_hat | s, a] [S, A]: step_credit of every transition, as trajectories of one step."""
        assert self.method.credit is not None
        mdp, shape = self.problem.mdp, logits.shape
        states, effects, outcomes = np.nonzero(mdp.chances)
        after = mdp.successors[states, effects, outcomes]
        # Every action of an effect has the same transitions.
        actions = [np.flatnonzero(mdp.effects == effect) for effect in range(mdp.num_effects)]
        counts = np.array([len(actions[effect]) for effect in effects])
        row = np.repeat(np.arange(len(states)), counts)
        action = torch.from_numpy(np.concatenate([actions[effect] for effect in effects]))
        here = torch.from_numpy(states[row])
        there = torch.from_numpy(np.maximum(after, 0)[row])
        values = torch.from_numpy(self.problem.value_of_teacher)
        losses = None
        if self.method.loss is not None:
            losses = (self.loss_weight * gate * self._loss(logits))[torch.stack([here, there])]
        rewards = mdp.rewards[states, effects, outcomes][row]
        terms = StepTerms(
            rewards=torch.from_numpy(rewards)[None],
            terminated=torch.from_numpy((after == END)[row])[None],
            log_teacher=self._align.teacher_log_prob(self._teacher_raw[here], action)[None],
            log_student=self._align.student_log_prob(logits[here], action)[None],
            teacher_values=values[torch.stack([here, there])],
            losses=losses,
        )
        worth = step_credit(self.method.credit, terms, self.gamma)[0]
        chances = torch.from_numpy(mdp.chances[states, effects, outcomes][row])
        table = torch.zeros(shape, dtype=torch.float64)
        return table.index_put_((here, action), chances * worth, accumulate=True)


def foreign_loss(loss: Loss, logits: Tensor) -> Tensor:
    """A loss [S] of the lab, given by value and slope, as a function that autograd can follow."""
    log_policy = logits.detach().log_softmax(-1).numpy()
    slope = torch.from_numpy(loss.slope(log_policy))
    value = torch.from_numpy(loss.value(log_policy))
    return value + ((logits - logits.detach()) * slope).sum(-1)
