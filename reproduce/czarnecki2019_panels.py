"""What is run for Figures 3 to 6 of Czarnecki et al. 2019: data, and how worlds and teachers arise.

World number n of a figure and its teacher depend on n alone, so that 1,000 worlds contain the
first 100. Worlds from FIRST_TUNING_WORLD on choose learning rates and are shown in no figure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rldistill.lab.grid import random_grid
from rldistill.lab.mdp import Mdp
from rldistill.lab.simulate import Arm
from rldistill.lab.solve import values
from rldistill.lab.teachers import (
    QLearning,
    Teacher,
    adversarial_teacher,
    corrupt_states,
    optimal_teacher,
    q_learning,
    teacher_from_table,
)
from rldistill.lab.worlds import make_world, pad_with_copies

WORLD_SEED = 2019
NOISE_SEED = 1902
FIRST_TUNING_WORLD = 1_000_000
# The paper's teacher learns for 30,000 iterations; with about 10 steps per episode this is it.
Q_LEARNING_STEPS = 300_000
TEMPERATURES = (0.0, 0.01, 0.1)
ACTION_COUNTS = (4, 40, 400, 4000)
RATES = (0.0001, 0.001, 0.01, 0.1, 1.0)

WorldMaker = Callable[[int], Mdp]
TeacherMaker = Callable[[Mdp, int], Teacher]


@dataclass(frozen=True)
class Panel:
    """One picture: several methods on the same worlds with the same teachers.

    Attributes:
        figure: of the paper.
        name: of worlds and teachers; what is drawn depends on it.
        variant: of the learning rates, after the name in the names of files.
        title: over the picture.
        world: from its number.
        teacher: from a world and its number.
        arms: what is compared, by name; see ARMS.
        online: credit by one-step temporal differences with a learnt critic; else Monte Carlo.
        rate: learning rate of every arm, or None: each arm's best on the tuning worlds.
        tuned_as: the panel of this figure whose choice of rates is used; "" for its own.
        num_tuning: tuning worlds.
        block: worlds that are run before the next method's turn.
    """

    figure: int
    name: str
    title: str
    world: WorldMaker
    teacher: TeacherMaker
    arms: tuple[str, ...]
    variant: str = ""
    online: bool = True
    rate: float | None = None
    tuned_as: str = ""
    num_tuning: int = 3
    block: int = 10

    @property
    def file(self) -> str:
        """Name and variant."""
        return f"{self.name}{self.variant}"


def grid(number: int) -> Mdp:
    """Grid world number n."""
    return random_grid(np.random.default_rng([WORLD_SEED, number]))


def padded_grid(num_actions: int, number: int) -> Mdp:
    """The same, with copies of its actions."""
    return pad_with_copies(grid(number), num_actions)


def corridor(number: int) -> Mdp:
    """The corridor: one world, whatever the number; its repetitions differ in the draws alone."""
    del number
    return make_world("corridor").mdp


def q_teacher(temperature: float, world: Mdp, number: int) -> Teacher:
    """softmax(Q / temperature) of a table learnt by Q-learning."""
    table = q_learning([world], QLearning(num_steps=Q_LEARNING_STEPS, seed=number))[0]
    return teacher_from_table(world, table, temperature)


def best_teacher(world: Mdp, number: int) -> Teacher:
    """Greedy in Q*."""
    del number
    return optimal_teacher(world)


def noisy_teacher(share: float, world: Mdp, number: int) -> Teacher:
    """The greedy teacher with its actions shuffled in a share of the states; V_pi is its own."""
    rng = np.random.default_rng([NOISE_SEED, number])
    policy = corrupt_states(optimal_teacher(world).policy, share, rng)
    return Teacher(policy, values(world, policy))


def worst_teacher(world: Mdp, number: int) -> Teacher:
    """Greedy for the smallest return, with the critic that such a teacher learns: of -reward."""
    del number
    adversary = adversarial_teacher(world)
    return Teacher(adversary.policy, -adversary.values)


def exact_worst_teacher(world: Mdp, number: int) -> Teacher:
    """The same policy with its true value."""
    del number
    return adversarial_teacher(world)


CONTROL = ("student", "teacher", "uniform")
CLONING = ("on-policy-distill", "entropy-regularised", "kl-regularised")
NINE = (
    "baseline",
    "on-policy-distill",
    "on-policy-distill+R",
    "value-gated+R",
    "entropy-regularised",
    "kl-regularised",
    "td-v0",
    "td-teacher-v",
    "teacher-v-reward",
)
# Where the teacher's value matters.
VALUED = ("value-gated+R", "td-teacher-v", "teacher-v-reward")
SEVEN = tuple(name for name in NINE if not name.startswith("td-"))
FOUR = ("on-policy-distill", "entropy-regularised", "exp-entropy-regularised", "baseline")

ARMS: dict[str, Arm] = {name: Arm(row=name) for name in (*NINE, *FOUR)} | {
    "student": Arm(row="on-policy-distill"),
    "teacher": Arm(row="teacher-distill"),
    "uniform": Arm(row="teacher-distill", uniform=True),
}


def figure3() -> list[Panel]:
    """Who acts: Q-learning teachers at three temperatures."""
    return [
        Panel(
            figure=3,
            name=f"temperature-{temperature:g}",
            title=f"temperature {temperature:g}",
            world=grid,
            teacher=partial(q_teacher, temperature),
            arms=CONTROL,
        )
        for temperature in TEMPERATURES
    ]


def figure4() -> list[Panel]:
    """From 4 to 4,000 actions."""
    return [
        Panel(
            figure=4,
            name=f"actions-{count}",
            title=f"{count:,} actions",
            world=partial(padded_grid, count),
            teacher=best_teacher,
            arms=FOUR,
            # A student with 4,000 actions takes most of a minute: no rates of its own.
            tuned_as="actions-400" if count == 4000 else "",
            num_tuning=3 if count <= 40 else 2,
            block=10 if count <= 40 else 2,
        )
        for count in ACTION_COUNTS
    ]


def figure5() -> list[Panel]:
    """Imperfect teachers; the rates are chosen with the perfect one."""
    noise = [
        Panel(
            figure=5,
            name=f"noise-{round(100 * share)}",
            title=f"TD, {share:.0%} teacher noise",
            world=grid,
            teacher=partial(noisy_teacher, share),
            arms=NINE,
            tuned_as="td",
        )
        for share in (0.15, 0.25)
    ]
    return [
        Panel(5, "monte-carlo", "Monte Carlo", grid, best_teacher, SEVEN, online=False),
        Panel(5, "td", "TD", grid, best_teacher, NINE),
        *noise,
    ]


def figure6() -> list[Panel]:
    """The corridor; the rates are chosen with the optimal teacher."""
    exact, tuned = "adversary, true V", "optimal"
    return [
        Panel(6, "optimal", "optimal teacher", corridor, best_teacher, NINE),
        Panel(6, "adversarial", "adversary", corridor, worst_teacher, NINE, tuned_as=tuned),
        Panel(6, "adversarial-exact", exact, corridor, exact_worst_teacher, VALUED, tuned_as=tuned),
    ]


def at_rate(panels: list[Panel], variant: str, rate: float | None) -> list[Panel]:
    """The same panels with one learning rate for all, or (None) with the best of each method."""
    return [replace(panel, variant=variant, rate=rate) for panel in panels]


# The paper's learning rate is not known. With SLOW the curves of its Figure 3 are met.
SLOW, FAST = 0.001, 0.1
RATE_VARIANT, BEST_VARIANT = f"-rate-{FAST:g}", "-best-rates"

# In the order in which they are run: what takes longest comes last.
PANELS: tuple[Panel, ...] = (
    *at_rate(figure3(), "", SLOW),
    *at_rate(figure6(), "", SLOW),
    *at_rate(figure5(), "", SLOW),
    *at_rate(figure4()[:2], "", SLOW),
    *at_rate(figure6(), BEST_VARIANT, None),
    *at_rate(figure5(), BEST_VARIANT, None),
    *at_rate(figure3(), RATE_VARIANT, FAST),
    *at_rate(figure4()[:2], BEST_VARIANT, None),
    *at_rate(figure4()[2:], "", SLOW),
    *at_rate(figure4()[2:], BEST_VARIANT, None),
)


def panel_of(figure: int, file: str) -> Panel:
    """The panel of that figure, name and variant."""
    return next(panel for panel in PANELS if (panel.figure, panel.file) == (figure, file))
