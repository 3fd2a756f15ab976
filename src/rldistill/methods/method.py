"""Method: one row of the table. A new row is data; it needs no new code."""

from dataclasses import dataclass
from typing import final

from rldistill.errors import SettingError
from rldistill.methods.schedules import Constant, Schedule


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
        if self.logits <= 0 or self.q_values <= 0:
            raise SettingError("temperatures must be above 0")


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
        if self.learning_rate <= 0 or self.batch_size < 1 or self.reuse <= 0:
            raise SettingError("learning_rate, batch_size and reuse must be above 0")
        if not 0.0 <= self.average < 1.0:
            raise SettingError(f"average must lie in [0, 1), got {self.average}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to distil.

    Attributes:
        name: the row's name in the table and on the command line.
        summary: one sentence.
        source: paper and equation.
        control: who acts.
        loss: the alignment loss l, a key of rldistill.methods.terms.LOSSES.
        teacher_temperature: divides the teacher's logits.
        student_temperature: divides the student's logits.
        memory: states kept for learning; 0 keeps only those of the current round (on-policy).
        round_steps: environment steps per round, summed over environments.
        learning: optimiser and its settings.
    """

    name: str
    summary: str
    source: str
    control: Control
    loss: str
    teacher_temperature: Temperature = Temperature()
    student_temperature: float = 1.0
    memory: int = 1_000_000
    round_steps: int = 4096
    learning: Learning = Learning()

    def __post_init__(self) -> None:
        if self.student_temperature <= 0:
            raise SettingError(
                f"student_temperature must be above 0, got {self.student_temperature}"
            )
        if self.memory < 0 or self.round_steps < 1:
            raise SettingError("memory must be at least 0 and round_steps at least 1")
