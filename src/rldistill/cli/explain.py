"""rldistill explain: a policy in words, or proofs about a tree."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rldistill.cli.flags import Environment, EnvironmentFlags, whole_number
from rldistill.cli.main import EXIT_CHECK
from rldistill.cli.terminal import option, parse, print_json, switch
from rldistill.errors import UsageError

if TYPE_CHECKING:
    from rldistill.explain.explanation import Explanation
    from rldistill.explain.saliency import Saliency
    from rldistill.explain.verify import Proof

# Flags of one of the two uses; the other ones are for both.
EXPLAINING = ("against", "episodes", "num_envs", "leaves", "features", "vecnormalize", "out")
PROVING = ("box", "never", "always")
LEAVES_SHOWN, CHANGES_SHOWN = 12, 4
ANSWERS = {
    "yes": "yes, everywhere in the box: every leaf was looked at",
    "no": "no",
    "open": "open: only rounding could decide, at the border of what linear leaves do",
}


@dataclass(frozen=True)
class Flags:
    """Explain a policy: rules, how they are used, what matters; --verify proves claims of a tree.

    Example: rldistill explain runs/mine --task LunarLander-v3 --out explained
    """

    policy: Annotated[Path, tyro.conf.Positional, option("POLICY")]
    """A run folder of ours, or a stable-baselines3 zip. What is no tree gets a surrogate tree."""
    task: Annotated[str, option("ID")]
    """Environment id, for example LunarLander-v3."""
    against: Annotated[Path | None, option("TEACHER")] = None
    """A teacher: how often POLICY does what it does, rule by rule."""
    episodes: Annotated[int | None, option("N"), whole_number("--episodes")] = None
    """Episodes played, and again for each feature that is shuffled. Default: 128."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments stepped together. Default: 64, or --episodes where that is less."""
    leaves: Annotated[int | None, option("N"), whole_number("--leaves")] = None
    """Leaves of the surrogate tree of a POLICY that is no tree. Default: 16."""
    features: Annotated[int | None, option("N"), whole_number("--features")] = None
    """At most so many features (or groups of them) are played shuffled. Default: 24."""
    seed: Annotated[int | None, option("N"), whole_number("--seed")] = None
    """Seed of everything random. Default: 0."""
    names: Annotated[Path | None, option("FILE.toml")] = None
    """Names of features and actions: lists `features` ("pole angle [rad]") and `actions`."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """VecNormalize statistics of POLICY. Default: the file beside it, if there is one."""
    out: Annotated[Path | None, option("DIR")] = None
    """Writes explain.json, rules.txt and tree.svg (of pixels: saliency.png) there."""
    force: Annotated[bool, switch()] = False
    """Replace an explanation that is in --out."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    verify: Annotated[bool, switch()] = False
    """Prove what a tree can do inside a box of observations; nothing is played."""
    box: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, option("CONDITION")] = ()
    """With --verify: "pole angle < -0.1", by name or index; several of them are joined."""
    never: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, option("ACTION")] = ()
    """With --verify: it never does this; of continuous actions: "main engine > 0.5"."""
    always: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, option("ACTION")] = ()
    """With --verify: it always does this, or one of these."""
    in_space: Annotated[bool, switch()] = False
    """With --verify: only inside the bounds that the task declares for its observations."""
    json: Annotated[bool, switch()] = False
    """One JSON object on the last line."""


def run(arguments: list[str]) -> int:
    """Explain or prove; returns the exit code."""
    flags = parse(Flags, "explain", arguments)
    refuse_without_effect(flags)
    if flags.verify:
        proof = prove(flags)
        if flags.json:
            print_json(proof.to_json())
        else:
            sys.stdout.write("\n".join(proof_lines(proof)) + "\n")
        return EXIT_CHECK if proof.answer in ("no", "open") else 0
    explanation, written = explained(flags)
    if flags.json:
        files = [str(path) for path in written]
        print_json(explanation.to_json() | {"files": files})
        return 0
    show(explanation)
    sys.stdout.write("".join(f"wrote      {path}\n" for path in written))
    return 0


def refuse_without_effect(flags: Flags) -> None:
    """Flags of the other use do nothing.

    Raises:
        UsageError: one of them was given.
    """
    if flags.verify:
        given = [name for name in EXPLAINING if getattr(flags, name) is not None]
        given += ["seed"] if flags.seed is not None else []
        given += ["force"] if flags.force else []
        where = "with --verify, which plays nothing"
    else:
        given = [name for name in PROVING if getattr(flags, name)]
        given += ["in_space"] if flags.in_space else []
        where = "without --verify"
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} has no effect {where}")
    if flags.force and flags.out is None:
        raise UsageError("--force has no effect without --out")


def explained(flags: Flags) -> "tuple[Explanation, tuple[Path, ...]]":
    """Explain, and write the files where --out says."""
    from rldistill.explain.explain import ExplainSettings, explain_policy
    from rldistill.explain.write import prepare_folder, write_explanation

    given: dict[str, Any] = {
        "episodes": flags.episodes,
        "most_features": flags.features,
        "seed": flags.seed,
    }
    settings = ExplainSettings(
        num_envs=flags.num_envs,
        leaves=flags.leaves,
        names=flags.names,
        vecnormalize=flags.vecnormalize,
        **{name: value for name, value in given.items() if value is not None},
    )
    if flags.against is None:
        flags.environment.refuse_views("teacher_view", why="has no effect without --against")
    task = flags.environment.task(flags.task)
    if flags.out is not None:
        prepare_folder(flags.out, flags.force)
    explanation = explain_policy(flags.policy, task, against=flags.against, settings=settings)
    written = () if flags.out is None else write_explanation(explanation, flags.out)
    return explanation, written


def prove(flags: Flags) -> "Proof":
    """Ask the question of these flags."""
    from rldistill.explain.verify import Question, verify_tree

    question = Question(
        box=flags.box,
        never=flags.never,
        always=flags.always,
        in_space=flags.in_space,
        names=flags.names,
    )
    return verify_tree(flags.policy, flags.environment.task(flags.task), question)


def show(explanation: "Explanation") -> None:
    """For people: what it is, the rules that are used most, what matters."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rldistill.explain.write import change_lines, heading_lines, lost_words, rule_lines

    console = Console()

    def say(line: str, style: str | None = None) -> None:
        console.print(escape(line), style=style, highlight=False)

    for line in heading_lines(explanation):
        say(line)
    ordered = explanation.ordered
    if ordered:
        say("\nrules, the most used first; with 95 % intervals", "bold")
    for region in ordered[:LEAVES_SHOWN]:
        rule, used = rule_lines(region, explanation)
        say(rule, "cyan")
        say(used)
    if len(ordered) > LEAVES_SHOWN:
        rest = 100 * sum(one.share.value for one in ordered[LEAVES_SHOWN:])
        say(
            f"{len(ordered) - LEAVES_SHOWN} more rules for {rest:.3g} % of steps: all of them with "
            "--out DIR or --json"
        )
    if explanation.importance:
        say("\nreturn lost when a feature is shuffled; with 95 % intervals", "bold")
        table = Table.grid(padding=(0, 2))
        for one in explanation.importance:
            table.add_row(escape(one.name), escape(lost_words(one)))
        console.print(table)
    if explanation.changes is not None:
        say("")
        for line in list(change_lines(explanation, explanation.changes))[: 1 + CHANGES_SHOWN]:
            say(line)
    if explanation.saliency is not None:
        say(saliency_line(explanation.saliency))


def saliency_line(found: "Saliency") -> str:
    """Where a policy on pixels looks most."""
    heat = found.mean_heat
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    return (
        f"hiding the patch around row {row}, column {column} changes its distribution over actions "
        f"most: {heat.max():.3g} nats on average; the map is in saliency.png (--out DIR)"
    )


def proof_lines(proof: "Proof") -> list[str]:
    """A proof for people."""
    record = proof.to_json()
    lines = [
        f"box        {proof.box_words}",
        f"reached    {len(proof.leaves)} of {proof.num_leaves} leaves",
    ]
    if proof.claim is not None:
        lines += [f"claim      {proof.claim}", f"answer     {ANSWERS[proof.answer]}"]
    example = record["counterexample"]
    if example is not None:
        action = example["action_name"] or example["action"]
        lines += ["example    " + ", ".join(example["words"])]
        lines += [f"           there it does: {action}"]
        if example["outside_space"]:
            lines += ["           outside of what the task declares; --in-space stays inside"]
    for leaf in record["leaves"][:LEAVES_SHOWN]:
        own = {name: ends for name, ends in leaf["box"].items() if ends != record["box"].get(name)}
        inside = [bound_words(name, *ends) for name, ends in own.items()]
        can = action_words(proof, leaf)
        lines.append(f"leaf {leaf['leaf']:<5} {can}: {' and '.join(inside) or 'all of the box'}")
    if len(proof.leaves) > LEAVES_SHOWN:
        lines.append(f"           {len(proof.leaves) - LEAVES_SHOWN} more leaves: --json has them")
    return lines


def action_words(proof: "Proof", leaf: dict[str, Any]) -> str:
    """What a leaf can do."""
    if "actions" in leaf:
        undecided = [f"perhaps {name}" for name in leaf["open"]]
        return " or ".join([*leaf["actions"], *undecided])
    ends = zip(proof.names.actions, leaf["low"], leaf["high"], strict=True)
    return ", ".join(
        f"{name} {low:.4g}" if low == high else f"{name} {low:.4g} to {high:.4g}"
        for name, low, high in ends
    )


def bound_words(name: str, low: float | None, high: float | None) -> str:
    """A closed interval of one feature, for people.

    >>> bound_words("angle", None, -0.1), bound_words("angle", 0.0, 1.0)
    ('angle <= -0.1', '0 <= angle <= 1')
    """
    if low is None:
        return f"{name} <= {high:.6g}"
    return f"{name} >= {low:.6g}" if high is None else f"{low:.6g} <= {name} <= {high:.6g}"
