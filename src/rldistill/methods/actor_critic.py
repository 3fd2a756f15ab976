"""Settings of rows with credit or a gate: how they estimate and follow the gradient."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from rldistill.errors import SettingError

if TYPE_CHECKING:
    from rldistill.methods.method import Method


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCritic:
    """How a row with credit estimates and follows the gradient.

    Attributes:
        gamma: discount per environment step; None takes the teacher's own, 0.99 where unknown.
        lam: lambda of GAE.
        n_step: n-step returns with the critic as baseline, instead of GAE.
        clip: PPO's epsilon; 0 leaves the probability ratio alone (with reuse 1 and a batch as large
            as the round: one plain policy-gradient step).
        scale_rewards: the reward and the teacher's value count in units of the running deviation of
            the discounted return, so that they weigh about as much as losses in nats.
        critic_hidden: widths of the critic's hidden layers.
        value_weight: of the critic's squared error / 2.
        value_distillation: of (V_theta - V_pi)^2 / 2, beside the critic's own target.
        entropy_bonus: of the student's entropy, nats.
    """

    gamma: float | None = None
    lam: float = 0.95
    n_step: int | None = None
    clip: float = 0.2
    scale_rewards: bool = True
    critic_hidden: tuple[int, ...] = (64, 64)
    value_weight: float = 0.5
    value_distillation: float = 0.0
    entropy_bonus: float = 0.0

    def __post_init__(self) -> None:
        shares = {"lam": self.lam, "gamma": 1.0 if self.gamma is None else self.gamma}
        for name, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise SettingError(f"ActorCritic: {name} must lie in [0, 1], got {share:g}")
        for name in ("clip", "value_weight", "value_distillation", "entropy_bonus"):
            if not getattr(self, name) >= 0.0:
                raise SettingError(
                    f"ActorCritic: {name} must be at least 0, got {getattr(self, name):g}"
                )
        if self.n_step is not None and self.n_step < 1:
            raise SettingError(f"ActorCritic: n_step must be at least 1, got {self.n_step}")


def check_estimator(row: "Method") -> None:
    """Refuse settings of advantages and ratios that a row does not have.

    Raises:
        SettingError: which one has no effect, and why.
    """
    given, usual = row.actor_critic, ActorCritic()
    one_step = row.credit is not None and row.credit.one_step
    returns_too = row.gate is not None or given.value_distillation > 0.0
    for name in ("lam", "n_step"):
        if one_step and not returns_too and getattr(given, name) != getattr(usual, name):
            raise SettingError(
                f"{row.name}: {name} has no effect where an action is credited with its own step "
                "alone"
            )
    if given.n_step is not None and given.lam != usual.lam:
        raise SettingError(f"{row.name}: lam has no effect beside n_step; give one of them")
    if row.credit is None and not row.proximal and given.clip != usual.clip:
        raise SettingError(f"{row.name}: clip has no effect without credit or proximal")
