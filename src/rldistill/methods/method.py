"""Method: one row of the table. A new row is data; it needs no new code."""

import math
from dataclasses import dataclass
from typing import Literal, final

from rldistill.errors import SettingError
from rldistill.methods.actor_critic import ActorCritic, check_estimator
from rldistill.methods.credit import Credit
from rldistill.methods.learner_settings import LearnerSettings, check_learner
from rldistill.methods.schedules import ALWAYS, Constant, Schedule, Weaning

# A round that no run comes to: by then every schedule is at its end.
LAST_ROUND = 1_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Who acts while data are collected (the behaviour policy q of Czarnecki et al. 2019, eq. 1).

    In round i each environment step is taken by the teacher with probability teacher_share.at(i),
    otherwise by the student; then, with probability epsilon, by a uniform action instead.
    teacher: share 1. student: share 0. mixture: in between. uniform: epsilon 1.

    Attributes:
        teacher_share: DAgger's beta_i.
        epsilon: chance of a uniform action.
        student_samples: the student acts by sampling (the theory's q = pi_theta), else by mode.
    """

    teacher_share: Schedule
    epsilon: float = 0.0
    student_samples: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= 1.0:
            raise SettingError(f"Control: epsilon must lie in [0, 1], got {self.epsilon}")
        # Every schedule is monotone: its ends bound it.
        for i in (0, LAST_ROUND):
            share = self.teacher_share.at(i)
            if not 0.0 <= share <= 1.0:
                raise SettingError(
                    f"Control: teacher_share must lie in [0, 1], got {share} in round {i}"
                )


TEACHER = Control(teacher_share=Constant(1.0))
STUDENT = Control(teacher_share=Constant(0.0))
UNIFORM = Control(teacher_share=Constant(0.0), epsilon=1.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """What the teacher's outputs are divided by before the softmax.

    Attributes:
        logits: for policies that already give log-probabilities.
        q_values: for Q-networks, in units of reward.
        relative: q_values counts in units of the teacher's action gap: its mean, over the first
            round's states, of max_a Q - mean_a Q. The right tau depends on the scale of Q, and
            tasks do not share one.
    """

    logits: float = 1.0
    q_values: float = 0.01
    relative: bool = False

    def __post_init__(self) -> None:
        if not (self.logits > 0 and self.q_values > 0):
            raise SettingError(
                f"temperatures must be above 0, got {self.logits} and {self.q_values}"
            )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How the per-state loss is minimised.

    Attributes:
        optimiser: "adam" or "rmsprop".
        learning_rate: constant over the run.
        batch_size: states per update, drawn uniformly from the memory.
        reuse: how often each collected state is used, on average: updates per round =
            reuse * new steps / batch_size.
        max_grad_norm: gradients are scaled down to this norm; 0 leaves them alone.
        average: decay of the running average of the weights that is tested and saved; 0 saves the
            last weights. Averaging replaces a learning-rate schedule where the end is not known.
    """

    optimiser: str = "adam"
    learning_rate: float = 3e-3
    batch_size: int = 512
    reuse: float = 8.0
    max_grad_norm: float = 0.0
    average: float = 0.99

    def __post_init__(self) -> None:
        if self.optimiser not in ("adam", "rmsprop"):
            raise SettingError(f"optimiser must be adam or rmsprop, got {self.optimiser!r}")
        if not (self.learning_rate > 0 and self.batch_size >= 1 and self.reuse > 0):
            raise SettingError(
                "learning_rate, batch_size and reuse must be above 0, got "
                f"{self.learning_rate}, {self.batch_size} and {self.reuse}"
            )
        if not self.max_grad_norm >= 0:
            raise SettingError(f"max_grad_norm must be at least 0, got {self.max_grad_norm}")
        if not 0.0 <= self.average < 1.0:
            raise SettingError(f"average must lie in [0, 1), got {self.average}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Weighs the loss in state s by the value gap xi(s) = V_pi(s) - V_pi_theta(s), in raw reward.

    Attributes:
        alpha: None counts the loss where xi > 0 and nowhere else (Czarnecki et al. 2019,
            proposition 2); a number weighs it by exp(alpha xi / sigma), at most LARGEST_GATE (Lai
            et al. 2020), where sigma is the deviation of returns, see ActorCritic.scale_rewards.
    """

    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None and not self.alpha > 0.0:
            raise SettingError(f"Gate: alpha must be above 0, got {self.alpha:g}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to distil.

    Attributes:
        name: the row's name in the table and on the command line.
        summary: one sentence.
        source: paper and equation.
        control: who acts.
        loss: the alignment loss l, a key of rldistill.methods.terms.LOSSES; None: no loss.
        loss_weight: lambda, of the loss.
        js_beta: weight of the teacher in the loss "js".
        teacher_temperature: divides the teacher's logits.
        student_temperature: divides the student's logits.
        memory: states kept for learning; 0 keeps only those of the current round (on-policy).
        round_steps: environment steps per round, summed over environments.
        learning: optimiser and its settings.
        credit: what actions are credited with over time; None: nothing, and no critic is trained.
        gate: weighs the loss by who is better from here on; None: it counts everywhere.
        proximal: the loss is multiplied by max(pi_theta / pi_old, 1 - clip) (PPD).
        actor_critic: settings of rows with credit or a gate.
        learner: settings of the learner of its own that the row needs; None: it needs none.
        published_steps: environment steps of the paper's own runs, for budgets that are a share of
            them; None: it names none.
        actions: "discrete" or "continuous" where the row is defined for those alone.
    """

    name: str
    summary: str
    source: str
    control: Control
    loss: str | None
    loss_weight: Schedule | Weaning = ALWAYS
    js_beta: float = 0.5
    teacher_temperature: Temperature = Temperature()
    student_temperature: float = 1.0
    memory: int = 1_000_000
    round_steps: int = 4096
    learning: Learning = Learning()
    credit: Credit | None = None
    gate: Gate | None = None
    proximal: bool = False
    actor_critic: ActorCritic = ActorCritic()
    learner: LearnerSettings | None = None
    published_steps: int | None = None
    actions: Literal["any", "discrete", "continuous"] = "any"

    def __post_init__(self) -> None:
        if not self.student_temperature > 0:
            raise SettingError(
                f"student_temperature must be above 0, got {self.student_temperature}"
            )
        if self.memory < 0 or self.round_steps < 1:
            raise SettingError(
                "memory must be at least 0 and round_steps at least 1, got "
                f"{self.memory} and {self.round_steps}"
            )
        weights = [self.loss_weight.at(i) for i in (0, LAST_ROUND)]
        # Not "below 0", which NaN is not.
        if not (min(weights) >= 0.0 and 0.0 < max(weights) < math.inf):
            raise SettingError(
                f"{self.name}: loss_weight must be finite, at least 0 and somewhere above; a row "
                f"without a loss has loss=None. It goes from {weights[0]:g} to {weights[1]:g}"
            )
        if self.is_actor_critic:
            self._check_actor_critic()
            check_estimator(self)
        elif self.loss is None:
            raise SettingError(f"{self.name}: neither a loss nor a credit: nothing to learn from")
        self._check_effects()
        check_learner(self)

    def _check_effects(self) -> None:
        idle = {
            "js_beta": self.js_beta != 0.5 and self.loss != "js",
            "loss_weight": self.loss_weight != ALWAYS and self.loss is None,
            "proximal": self.proximal and not self.is_actor_critic,
            "actor_critic": self.actor_critic != ActorCritic() and not self.is_actor_critic,
            "teacher_temperature": self.teacher_temperature != Temperature()
            and self.loss is None
            and not (self.credit is not None and self.credit.log_teacher > 0.0),
        }
        without = {
            "js_beta": "the loss js",
            "loss_weight": "a loss",
            "teacher_temperature": "a loss or credit for the teacher's log-probability",
        }
        for name, has_none in idle.items():
            if has_none:
                what = without.get(name, "credit or a gate")
                raise SettingError(f"{self.name}: {name} has no effect without {what}")
        if not 0.0 < self.js_beta < 1.0:
            raise SettingError(
                f"{self.name}: js_beta must lie between 0 and 1, both excluded; got {self.js_beta}"
            )

    def _check_actor_critic(self) -> None:
        acts = [self.control.teacher_share.at(i) for i in (0, LAST_ROUND)]
        if max(acts) > 0.0 or self.control.epsilon > 0.0 or not self.control.student_samples:
            raise SettingError(
                f"{self.name}: credit follows the actions of the student, so it must act by "
                "sampling, alone and without epsilon"
            )
        if self.student_temperature != 1.0 or self.memory != 0:
            raise SettingError(
                f"{self.name}: a row with credit learns from the latest round (memory 0) at "
                f"student_temperature 1; got {self.memory} and {self.student_temperature:g}"
            )
        lossless = {
            "credit for the next loss": self.credit is not None and self.credit.next_loss > 0.0,
            "a gate": self.gate is not None,
            "proximal": self.proximal,
        }
        for what, asked in lossless.items():
            if asked and self.loss is None:
                raise SettingError(f"{self.name}: {what} needs a loss")

    @property
    def is_actor_critic(self) -> bool:
        """Whether it learns from whole trajectories, with a critic."""
        return self.credit is not None or self.gate is not None

    @property
    def needs_teacher_value(self) -> bool:
        """Whether V_pi is used: a teacher without a critic needs one fitted."""
        credited = self.credit is not None and self.credit.needs_teacher_value
        distilled = self.is_actor_critic and self.actor_critic.value_distillation > 0.0
        return self.gate is not None or credited or distilled
