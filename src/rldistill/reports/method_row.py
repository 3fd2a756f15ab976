"""A method as its row of the table: who acts, what is matched, what is credited, what bounds it."""

from rldistill.methods.catalogue import ROWS
from rldistill.methods.credit import Credit
from rldistill.methods.learner_settings import FeatureRegression, Growing, Peer, Prior, QLearning
from rldistill.methods.method import Method
from rldistill.methods.schedules import Constant, FirstRounds, Geometric, Linear, Schedule, Weaning
from rldistill.reports.plots.several import GROUP_LOOKS
from rldistill.reports.plots.style import add_legend, new_figure, title_axes
from rldistill.reports.section import Chart, Column, Section, Table

ROUNDS_DRAWN = 30

LOSSES = {
    "nll": "log-likelihood of the teacher's likeliest action",
    "mse": "squared error on the teacher's outputs",
    "kl": "KL(teacher || student)",
    "reverse_kl": "KL(student || teacher)",
    "js": "Jensen-Shannon divergence of teacher and student",
    "cross_entropy": "cross-entropy of the student under the teacher",
    "reverse_cross_entropy": "cross-entropy of the teacher under the student",
}
CREDITS = {
    "reward": "the task's reward",
    "log_teacher": "log-probability the teacher gives the student's action",
    "log_student": "minus the student's own log-probability",
    "shaping": "difference of the teacher's values, as a potential",
    "bootstrap": "the teacher's value after the step",
    "next_loss": "minus the loss in the next state",
}


def method_section(name: str, rounds: int) -> Section:
    """The row of a run, in words, with its schedules drawn.

    Args:
        name: of the row, as the run folder says.
        rounds: how many the run had; so far the schedules are drawn.
    """
    row = ROWS.get(name)
    if row is None:
        return Section("Method", (f"{name}: a row of its own, not one of the table.",))
    columns = tuple(
        Column(text)
        for text in ("row", "who acts", "what is matched", "what is credited", "what bounds it")
    )
    cells = (row.name, who_acts(row), matched(row), credited(row), bounds(row))
    table = Table(columns, (cells,), title=f"{row.name} as a row of the method table")
    words = (f"{row.summary} Source: {row.source}.",)
    return Section("Method", words, charts=schedule_charts(row, rounds), tables=(table,))


def who_acts(row: Method) -> str:
    """Who takes the steps that are learnt from.

    >>> who_acts(ROWS["rusu-kl"]), who_acts(ROWS["on-policy-distill"])
    ('the teacher, 5 % of actions at random', 'the student, by sampling')
    """
    control = row.control
    student = "the student, by sampling" if control.student_samples else "the student, by mode"
    share = control.teacher_share
    if control.epsilon == 1.0:
        return "nobody: actions at random"
    if share == Constant(1.0):
        actor = "the teacher"
    elif share == Constant(0.0):
        actor = student
    elif isinstance(share, FirstRounds):
        first = "round" if share.rounds == 1 else f"{share.rounds} rounds"
        actor = f"the teacher in the first {first}, then {student}"
    else:
        actor = f"the teacher in a share of steps ({in_words(share)}), else {student}"
    chance = f", {100 * control.epsilon:g} % of actions at random" if control.epsilon else ""
    return actor + chance


def matched(row: Method) -> str:
    """What is pulled together in each state."""
    if row.loss is None:
        return "nothing: no loss"
    parts = [LOSSES.get(row.loss, row.loss)]
    if row.loss_weight != Constant(1.0):
        parts.append(f"weight {in_words(row.loss_weight)}")
    if row.gate is not None:
        parts.append(
            "only where the teacher's value is higher"
            if row.gate.alpha is None
            else f"weighed by exp({row.gate.alpha:g} x value gap)"
        )
    if isinstance(row.learner, FeatureRegression):
        parts.append(f"and its last hidden layer, weight {row.learner.weight:g}")
    return ", ".join(parts)


def credited(row: Method) -> str:
    """What actions are credited with over time.

    >>> credited(ROWS["dagger"])
    'nothing: each state by itself'
    """
    if row.credit is not None:
        return credit_in_words(row.credit)
    if isinstance(row.learner, QLearning):
        return f"the task's reward, {row.learner.n_step}-step Q-learning"
    return "nothing: each state by itself"


def credit_in_words(credit: Credit) -> str:
    """The terms with a weight, and how far they reach."""
    terms = [
        text if getattr(credit, name) == 1.0 else f"{getattr(credit, name):g} x {text}"
        for name, text in CREDITS.items()
        if getattr(credit, name)
    ]
    reach = "of its own step alone" if credit.one_step else "from its step on"
    return f"{' + '.join(terms)}, {reach}"


def bounds(row: Method) -> str:
    """What keeps a step small: the memory, a clip, a norm."""
    memory = f"the latest {row.memory:,} states" if row.memory else "the latest round alone"
    if isinstance(row.learner, Growing):
        return (
            f"grown from {memory}, at most {row.learner.rows:,} of them in a round; the best of "
            f"the last {row.learner.kept} is found by playing"
        )
    parts = [f"learns from {memory}", f"batches of {row.learning.batch_size:,}"]
    if row.is_actor_critic and row.actor_critic.clip:
        parts.append(f"probability ratios within 1 ± {row.actor_critic.clip:g}")
    if row.learning.max_grad_norm:
        parts.append(f"gradients of norm at most {row.learning.max_grad_norm:g}")
    if row.learning.average:
        parts.append(f"tested weights are a running average ({row.learning.average:g})")
    if isinstance(row.learner, Peer):
        parts.append("a peer that learns beside it")
    if isinstance(row.learner, Prior):
        parts.append("a shared prior between teacher and student")
    return ", ".join(parts)


def in_words(schedule: Schedule | Weaning) -> str:
    """A schedule in a few words.

    >>> in_words(Geometric(0.5)), in_words(Linear(1.0, 0.0, 15))
    ('0.5 to the power of the round', 'from 1 to 0 over 15 rounds')
    """
    if isinstance(schedule, Constant):
        return f"{schedule.value:g}"
    if isinstance(schedule, FirstRounds):
        first = "round" if schedule.rounds == 1 else f"{schedule.rounds} rounds"
        return f"1 in the first {first}, then 0"
    if isinstance(schedule, Geometric):
        return f"{schedule.base:g} to the power of the round"
    if isinstance(schedule, Linear):
        return f"from {schedule.start:g} to {schedule.end:g} over {schedule.rounds:,} rounds"
    return f"{schedule.start:g} x what the student lacks of its teacher's return"


def schedule_charts(row: Method, rounds: int) -> tuple[Chart, ...]:
    """Share of the teacher and weight of the loss by round; none where both are constant."""
    schedules = {
        "teacher's share of steps": row.control.teacher_share,
        "weight of the loss": row.loss_weight,
    }
    drawn = {
        name: schedule
        for name, schedule in schedules.items()
        if not isinstance(schedule, Constant | Weaning)
    }
    if not drawn:
        return ()
    shown = range(max(2, min(rounds, ROUNDS_DRAWN)))
    figure = new_figure(height=2.4)
    axes = figure.add_subplot()
    for look, (name, schedule) in zip(GROUP_LOOKS, drawn.items(), strict=False):
        values = [schedule.at(r) for r in shown]
        (line,) = axes.plot(shown, values, look.line, drawstyle="steps-mid", label=name)
        line.set(color=look.colour)
    title_axes(axes, "round of collecting and learning", " or ".join(drawn))
    axes.set_ylim(-0.05, 1.05 * max(1.0, axes.get_ylim()[1]))
    add_legend(axes)
    columns = (Column("round"), *(Column(name) for name in drawn))
    rows = tuple((r, *(schedule.at(r) for schedule in drawn.values())) for r in shown)
    words = "; ".join(f"{name}: {in_words(schedule)}" for name, schedule in drawn.items())
    return (
        Chart(
            figure=figure,
            title="Schedules",
            alt=f"By round, {words}.",
            caption=f"{words}, as the row of the method table sets them.".capitalize(),
            data=Table(columns, rows),
        ),
    )
