"""rldistill lab: small problems solved exactly; what a method's update is, in words and numbers."""

import inspect
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from rldistill.cli.flags import one_of, whole_number
from rldistill.cli.main import EXIT_USAGE
from rldistill.cli.terminal import number, option, parse, print_json, switch
from rldistill.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from rldistill.lab.exact import Problem, Update
    from rldistill.lab.field import Evidence
    from rldistill.lab.flow import Outcome

TOPICS = {"field": "is the update of a method the gradient of anything?"}
USAGE = "usage: rldistill lab field --method METHOD --world WORLD [flags]"
# Following an update takes thousands of exact updates: only where they are cheap.
MAX_FOLLOWED_PARAMETERS = 4
FOLLOWED_TIME = 300.0
# The loss that --loss figure2 takes the place of.
CROSS_ENTROPY = "cross-entropy"


@dataclass(frozen=True)
class Described:
    """What is known of a row before anything is computed."""

    loss: str | None  # in words; None: it has none to choose
    logs_teacher: bool
    is_gradient: bool | None
    why: str


@dataclass(frozen=True)
class Flags:
    """Is the expected update of a method the gradient of anything? Exact, on a small world.

    Example: rldistill lab field --method on-policy-distill+R --world counterexample --loss figure2
    """

    method: Annotated[str, option("ROW")]
    """A row of Table 1, for example n-distill, or with the return: n-distill+R; or another row of
    `rldistill methods` for discrete actions without a learner of its own, as in its first round."""
    world: Annotated[str, option("NAME")]
    """counterexample, corridor, grid, chain or random."""
    loss: Annotated[
        str | None, option("cross-entropy|figure2"), one_of("--loss", "cross-entropy", "figure2")
    ] = None
    """figure2: the loss of the paper's Fig. 2, -4 pi(R|sR), in the counterexample.
    Default: cross-entropy, for rows with a loss."""
    seed: Annotated[int, option("N"), whole_number("--seed")] = 0
    """Seed of the world, where it is random, and of the sampled parameters. Default: 0."""
    size: Annotated[int | None, option("N"), whole_number("--size")] = None
    """Cells of a corridor (19), side of a grid (20), states of a chain (5) or random world (5)."""
    actions: Annotated[int | None, option("N"), whole_number("--actions")] = None
    """How many actions; more than the world has are padded with copies. Default: the world's."""
    points: Annotated[int, option("N"), whole_number("--points")] = 5
    """Parameter points at which the Jacobian is looked at: standard normal logits. Default: 5."""
    json: Annotated[bool, switch()] = False
    """One JSON object: method, world, is_gradient, asymmetry and the other evidence."""


def run(arguments: list[str]) -> int:
    """Answer; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        rows = "\n".join(f"  {name}  {text}" for name, text in TOPICS.items())
        sys.stdout.write(f"{inspect.getdoc(Flags)}\n\n{USAGE}\n\ntopics:\n{rows}\n")
        return 0
    topic, rest = arguments[0], arguments[1:]
    if topic not in TOPICS:
        sys.stderr.write(f"unknown: lab {topic!r}.{did_you_mean(topic, TOPICS)}\n{USAGE}\n")
        return EXIT_USAGE
    return field(parse(Flags, "lab field", rest))


def field(flags: Flags) -> int:
    """Print whether the update is a gradient, and the evidence."""
    import numpy as np

    from rldistill.lab.field import examine

    if flags.points < 1 or flags.seed < 0:
        raise SettingError(
            f"--points must be at least 1 and --seed at least 0, got {flags.points} and "
            f"{flags.seed}"
        )
    problem = make_problem(flags)
    update = update_of(flags.method, problem)
    rng = np.random.default_rng(flags.seed)
    points = rng.standard_normal((flags.points, problem.student.num_parameters))
    evidence = examine(update, points)
    outcome = followed(update, problem)
    if flags.json:
        print_json(record_of(flags, problem, evidence, outcome))
    else:
        sys.stdout.write("\n".join(lines_of(flags, problem, evidence, outcome)) + "\n")
    return 0


def make_problem(flags: Flags) -> "Problem":
    """The world, with the loss that the flags ask for."""
    from rldistill.lab.worlds import WorldSettings, figure2_loss, make_world

    row = describe(flags.method)
    if flags.loss is not None and row.loss != CROSS_ENTROPY:
        has = "has no loss to choose" if row.loss is None else f"has the loss {row.loss}"
        raise SettingError(f"--loss has no effect: {flags.method} {has}")
    settings = WorldSettings(seed=flags.seed, size=flags.size, num_actions=flags.actions)
    problem = make_world(flags.world, settings)
    if flags.loss == "figure2":
        return replace(problem, loss=figure2_loss(problem))
    return problem


def loss_name(flags: Flags) -> str | None:
    """The loss that is looked at; None where the row has none."""
    return flags.loss or describe(flags.method).loss


def describe(method: str) -> Described:
    """The row as the lab knows it, else as the method table does.

    Raises:
        SettingError: neither knows it; near names are given.
    """
    from rldistill.lab import rows
    from rldistill.methods.catalogue import ROWS

    if method in ROWS and method not in rows.ROWS:
        row = ROWS[method]
        logs = row.credit is not None and row.credit.log_teacher > 0.0
        logs = logs or row.loss in ("reverse_kl", "reverse_cross_entropy")
        return Described(row.loss and row.loss.replace("_", "-"), logs, None, "")
    if method not in rows.ROWS and did_you_mean(method, rows.ROWS) == "":
        near = did_you_mean(method, ROWS)
        if near:
            raise SettingError(f"unknown method {method!r}.{near}")
    exact = rows.get_row(method)
    logs = exact.has_reverse_loss or exact.log_teacher > 0.0
    loss = CROSS_ENTROPY if exact.has_loss else None
    return Described(loss, logs, exact.is_gradient, exact.why)


def update_of(method: str, problem: "Problem") -> "Update":
    """The lab's own expected update; of a row that it does not know, that of the method table."""
    from rldistill.lab import exact, rows

    if method in rows.ROWS:
        return exact.exact_update(method, problem)
    from rldistill.evaluation.fields import method_update
    from rldistill.methods.catalogue import get_method

    return method_update(get_method(method), problem)


def followed(update: "Update", problem: "Problem") -> "Outcome | None":
    """Where the update leads from a student that takes every first action with chance 0.9."""
    import numpy as np

    from rldistill.lab.flow import follow

    count = problem.student.num_parameters
    if count > MAX_FOLLOWED_PARAMETERS:
        return None
    return follow(update, np.full(count, np.log(1 / 9)), dt=0.1, max_time=FOLLOWED_TIME)


def record_of(
    flags: Flags, problem: "Problem", evidence: "Evidence", outcome: "Outcome | None"
) -> dict[str, Any]:
    """What --json prints."""
    row = describe(flags.method)
    return {
        "method": flags.method,
        "world": flags.world,
        "is_gradient": evidence.is_gradient,
        "asymmetry": evidence.asymmetry,
        "tolerance": evidence.tolerance,
        "largest_slope": evidence.largest,
        "pair": list(evidence.pair),
        "slopes": list(evidence.slopes),
        "theta": evidence.theta.tolist(),
        "work": evidence.work,
        "loss": loss_name(flags),
        "seed": flags.seed,
        "states": problem.mdp.num_states,
        "actions": problem.mdp.num_actions,
        "parameters": problem.student.num_parameters,
        "points": evidence.num_points,
        "coordinates": evidence.num_coordinates,
        "clamped": problem.num_clamped,
        "table_says_gradient": row.is_gradient,
        "followed": None if outcome is None else outcome.kind,
        "followed_time": None if outcome is None else outcome.time,
    }


def lines_of(
    flags: Flags, problem: "Problem", evidence: "Evidence", outcome: "Outcome | None"
) -> list[str]:
    """The answer in words."""
    row, mdp = describe(flags.method), problem.mdp
    name = loss_name(flags)
    loss = "" if name is None else f", loss {name}"
    verdict = (
        "No asymmetry was found: the update looks like the gradient of an objective."
        if evidence.is_gradient
        else "The update is NOT the gradient of any function."
    )
    (i, j), (first, second) = evidence.pair, evidence.slopes
    lines = [
        f"{flags.method} on {flags.world}: {mdp.num_states} states, {mdp.num_actions} actions, "
        f"{problem.student.num_parameters} parameters{loss}",
        verdict,
        f"asymmetry  max |J - J^T| = {evidence.asymmetry:.3g} at {evidence.num_points} points; "
        f"at most {evidence.tolerance:.0e} counts as 0; largest |J| {number(evidence.largest)}",
    ]
    if not evidence.is_gradient:
        lines += [
            f"where      d update[{i}] / d theta[{j}] = {number(first)}, but "
            f"d update[{j}] / d theta[{i}] = {number(second)}",
            f"work       {number(evidence.work)} once around a circle of radius 0.5 in that plane; "
            "a gradient does none",
        ]
    if evidence.num_coordinates < problem.student.num_parameters:
        lines.append(
            f"note       {evidence.num_coordinates} of {problem.student.num_parameters} parameters "
            "were looked at: those in which the update is largest"
        )
    if outcome is not None:
        lines.append(f"followed   {outcome_words(outcome)}")
    if problem.num_clamped and row.logs_teacher:
        lines.append(
            f"note       {problem.num_clamped} teacher probabilities below {problem.floor:g} were "
            "clamped there before the logarithm"
        )
    if row.is_gradient is None:
        why = "the lab has no formula of this row: its own code was asked, in its first round"
        return [*lines, f"in theory  not known: {why}"]
    return [*lines, *table_lines(row.is_gradient, row.why, evidence.is_gradient)]


def table_lines(expected: bool, why: str, found: bool) -> list[str]:
    """What is true of the row in general, and whether this world shows it."""
    word = "a gradient" if expected else "no gradient"
    lines = [f"in theory  {word} in general: {why}"]
    if expected != found:
        lines.append("           this world does not show it; a one-step world, for one, cannot")
    return lines


def outcome_words(outcome: "Outcome") -> str:
    """Where following the update led."""
    where = "[" + ", ".join(number(float(value)) for value in outcome.theta) + "]"
    if outcome.kind == "cycle":
        return (
            f"it comes back to theta = {where} after {number(outcome.time)} units of time "
            "(learning rate x updates): a cycle"
        )
    if outcome.kind == "fixed point":
        return f"it stands still at theta = {where} from time {number(outcome.time)} on"
    return (
        f"after {number(outcome.time)} units of time (learning rate x updates) it is at theta = "
        f"{where} and moves at {number(outcome.speed)}"
    )
