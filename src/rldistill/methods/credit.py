"""Credit: what an action is credited with over time (the reward terms r_hat of the paper).

One update of Czarnecki et al. 2019 (arXiv:1902.02186), equation 1, as a direction of ascent:

    E_q [ sum_t  grad log pi_theta(a_t | s_t) R_hat_t  -  grad l(s_t) ]
    R_hat_t = sum_{i >= t} gamma^(i - t) r_hat_i

pi is the teacher, pi_theta the student, V_pi the teacher's value. What follows a terminated step
counts 0; a truncated step bootstraps.
"""

from dataclasses import dataclass, fields
from math import inf
from typing import final

from rldistill.errors import SettingError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Weights of the terms of r_hat_i.

    r_hat_i = reward r_i + log_teacher log pi(a_i | s_i) - log_student log pi_theta(a_i | s_i)
              + shaping [gamma V_pi(s_{i+1}) - V_pi(s_i)] + bootstrap gamma V_pi(s_{i+1})
              - next_loss gamma l(s_{i+1})

    The loss at i itself is not credited: it is differentiated, and crediting it would count it
    twice.

    Attributes:
        reward: of the environment's reward.
        log_teacher: of the teacher's log-probability of the student's action.
        log_student: of minus the student's own.
        shaping: of the teacher's value as a potential (Ng et al. 1999). The paper's table prints
            V_pi_theta(s_i) for the second value, its text V_pi(s_i): only the latter telescopes and
            leaves the optimal policy as it was, so that is what this is.
        bootstrap: of the teacher's value after the step; for one_step rows.
        next_loss: of minus the row's loss in the next state.
        one_step: R_hat_t = r_hat_t: an action is credited with its own step alone.
    """

    reward: float = 0.0
    log_teacher: float = 0.0
    log_student: float = 0.0
    shaping: float = 0.0
    bootstrap: float = 0.0
    next_loss: float = 0.0
    one_step: bool = False

    def __post_init__(self) -> None:
        weights = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "one_step"}
        wrong = [
            f"{name} {weight:g}" for name, weight in weights.items() if not 0.0 <= weight < inf
        ]
        if wrong:
            raise SettingError(
                f"Credit: weights must be finite and at least 0, got {', '.join(wrong)}"
            )
        if not any(weights.values()):
            raise SettingError("Credit: one weight must be above 0; a row without credit has none")
        if self.bootstrap and not self.one_step:
            raise SettingError("Credit: bootstrap would count every later value; set one_step too")

    @property
    def needs_teacher_value(self) -> bool:
        """Whether V_pi is used."""
        return self.shaping > 0.0 or self.bootstrap > 0.0

    @property
    def needs_log_prob(self) -> bool:
        """Whether a log-probability is a part of the reward."""
        return self.log_teacher > 0.0 or self.log_student > 0.0
