"""Settings of the rows that need a learner of their own, one dataclass per learner."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from rldistill.errors import SettingError
from rldistill.methods.credit import Credit

if TYPE_CHECKING:
    from rldistill.methods.method import Method


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRegression:
    """Beside the loss: weight * || f(h_student(s)) - h_teacher(s) ||^2, with f linear and learnt.

    h is the last hidden layer of each network: what its last linear layer is given.

    Attributes:
        weight: beta.
    """

    weight: float = 0.01

    def __post_init__(self) -> None:
        if not self.weight > 0.0:
            raise SettingError(f"FeatureRegression: weight must be above 0, got {self.weight:g}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QLearning:
    """The student's outputs are Q-values, learnt from transitions; the row's loss is added.

    Attributes:
        gamma: discount per environment step; None takes the teacher's own, 0.99 where unknown.
        n_step: rewards that are summed before the target network's value.
        double: the student chooses the action that the target network values (Double DQN).
        target_period: updates after which the target network takes over the student's weights.
        student_temperature: divides the student's Q-values in the loss, in units of the deviation
            of returns, where the teacher has probabilities of its own. Where it has Q-values, both
            sides have the row's teacher_temperature.
    """

    gamma: float | None = None
    n_step: int = 3
    double: bool = False
    target_period: int = 500
    student_temperature: float = 0.1

    def __post_init__(self) -> None:
        if self.gamma is not None and not 0.0 <= self.gamma <= 1.0:
            raise SettingError(f"QLearning: gamma must lie in [0, 1], got {self.gamma:g}")
        if self.n_step < 1 or self.target_period < 1:
            raise SettingError(
                "QLearning: n_step and target_period must be at least 1, got "
                f"{self.n_step} and {self.target_period}"
            )
        if not self.student_temperature > 0.0:
            raise SettingError(
                f"QLearning: student_temperature must be above 0, got {self.student_temperature:g}"
            )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Student and peer take turns; each also learns from the other where the other is better.

    On the other's latest states the loss between the two is weighed by exp(alpha xi(s) / sigma), at
    most LARGEST_GATE, with xi = V_other(s) - V_own(s) and sigma the deviation of returns. The
    loaded teacher is the peer's alone: the row's loss, times loss_weight, pulls the peer to it.

    Attributes:
        alpha: how much the difference of values counts.
        passes: over the other's states in each turn.
    """

    alpha: float = 1.0
    passes: int = 1

    def __post_init__(self) -> None:
        if not self.alpha > 0.0 or self.passes < 1:
            raise SettingError(
                "Peer: alpha must be above 0 and passes at least 1, got "
                f"{self.alpha:g} and {self.passes}"
            )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A shared prior pi_0 stands in the teacher's place in the row's credit.

    It is fitted by the row's loss to its columns: the student (weight 1) and the loaded teacher
    (loss_weight), which never changes.
    """


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """The student is grown anew from the memory in each round, for trees and rule lists.

    Attributes:
        weighted: a state counts by what a wrong action may cost there: see
            rldistill.students.tree_targets.
        rows: with more states in the memory, so many are drawn, with replacement, by weight.
        kept: trees of the latest rounds that play at the end, by successive halving, for who is
            judged.
    """

    weighted: bool
    rows: int = 100_000
    kept: int = 32

    def __post_init__(self) -> None:
        if self.rows < 1 or self.kept < 1:
            raise SettingError(
                f"Growing: rows and kept must be at least 1, got {self.rows} and {self.kept}"
            )


LearnerSettings = FeatureRegression | QLearning | Peer | Prior | Growing


def regularised(alpha: float, beta: float) -> tuple[float, float]:
    """Distral's weights of log pi_0 and of -log pi_i: (alpha / beta, 1 / beta).

    Args:
        alpha: c_KL / (c_KL + c_entropy), 0 (entropy alone) to 1 (KL alone).
        beta: 1 / (c_KL + c_entropy), in 1 / units of reward.

    Raises:
        SettingError: out of range.

    Source: Teh et al. 2017 (arXiv:1707.04175), equation 1.

    >>> regularised(alpha=0.5, beta=5.0)
    (0.1, 0.2)
    """
    if not (0.0 < alpha <= 1.0 and beta > 0.0):
        raise SettingError(
            f"alpha must lie in (0, 1] and beta be above 0, got {alpha:g} and {beta:g}"
        )
    return alpha / beta, 1.0 / beta


def check_learner(row: "Method") -> None:
    """Refuse a row whose learner cannot do, or would ignore, what the row asks for.

    Raises:
        SettingError: what is wrong.
    """
    own = row.learner
    if own is None:
        return
    what = f"{row.name}: {type(own).__name__}"
    if row.loss is None:
        raise SettingError(f"{what} needs a loss")
    if isinstance(own, Peer | Prior):
        if row.credit is None or row.gate is not None or row.proximal:
            raise SettingError(f"{what} needs credit, and knows neither a gate nor proximal")
        if row.needs_teacher_value:
            raise SettingError(f"{what} does not use the teacher's value")
        if row.credit.next_loss:
            raise SettingError(f"{what} has no loss of the next state to credit")
        if isinstance(own, Peer) and row.credit != Credit(reward=1.0):
            raise SettingError(f"{what} compares values of the reward, so it credits that alone")
        return
    if row.is_actor_critic:
        raise SettingError(f"{what} learns from single steps: credit and a gate have no effect")
    if row.memory == 0:
        raise SettingError(f"{what} learns from a memory: memory must be above 0")
    if isinstance(own, Growing) and row.loss != "nll":
        raise SettingError(f"{what} fits the teacher's action: its loss is nll; got {row.loss}")
    if isinstance(own, QLearning):
        if row.actions != "discrete" or row.control.student_samples:
            raise SettingError(
                f"{what} is for discrete actions, of which the student takes the "
                "best (student_samples=False)"
            )
        if row.student_temperature != 1.0:
            raise SettingError(f"{what}: set its own student_temperature, not the row's")
