"""One run: the verdict in a sentence, and the sections that its own records make."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rldistill.maths import stats
from rldistill.reports.data import cell_text
from rldistill.reports.page import Page
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Cell, Column, Section, Table

if TYPE_CHECKING:
    from rldistill.evaluation.evidence import Episodes, RunEvidence

WHO = ("student", "teacher", "random")
LEADS = {
    "holds": "The student holds.",
    "fails": "The student fails.",
    "unsure": "Not settled.",
}


def run_page(run: RunRecord) -> Page:
    """What stands around the sections of one run."""
    notes = [f"The test: {run.outcome['reason']}."] if run.outcome.get("reason") else []
    made = f", made {run.created[:19].replace('T', ' ')} UTC" if run.created else ""
    return Page(
        title=f"{run.architecture} on {run.task or 'an unnamed task'}",
        word=run.word if run.word in LEADS else "",
        lead=LEADS.get(run.word or "", ""),
        sentence=sentence(run),
        problems=tuple(f"{text[:1].upper()}{text[1:]}." for text in run.problems),
        notes=tuple(notes),
        footer=f"Run {run.name}{made}. Made by rldistill; all of it is in this file.",
    )


def sentence(run: RunRecord) -> str:
    """What the run shows, in a sentence; also where it shows little."""
    if not run.outcome:
        return unfinished(run)
    student, teacher = run.number("student_return"), run.number("teacher_return")
    if student is None or teacher is None:
        return f"There is no verdict: {run.outcome.get('reason') or 'nothing was played'}."
    returns = f"return {cell_text(float(student))} against {cell_text(float(teacher))}"
    said = f"{size_words(run)} {returns} per episode"
    fraction = run.number("fraction")
    if fraction is None:
        return f"There is no verdict: {said}, and {run.outcome.get('reason', '')}."
    low, high = run.number("fraction_low"), run.number("fraction_high")
    between = "" if low is None or high is None else f" (95 % interval {percent(low, high)})"
    asked = run.number("floor")
    floor = "" if asked is None else f"; at least {percent(asked)} was asked for"
    return (
        f"{said}: {percent(fraction)} of what the teacher gains over the random policy"
        f"{between}{floor}."
    )


def percent(*shares: float) -> str:
    """Shares as percentages.

    >>> percent(0.95), percent(1.0008, 1.0148)
    ('95 %', '100.1 to 101.5 %')
    """
    texts = [
        f"{100 * share:.1f}" if abs(share) >= 0.01 else f"{100 * share:.2g}" for share in shares
    ]
    return " to ".join(text.removesuffix(".0") for text in texts) + " %"


def size_words(run: RunRecord) -> str:
    """How large the student is beside its teacher."""
    own, theirs = run.number("student_parameters"), run.number("teacher_parameters")
    if own is None:
        return "Its episodes"
    share = f" ({percent(own / theirs)} of the teacher's {theirs:,})" if theirs else ""
    return f"Its {own:,} parameters{share}"


def unfinished(run: RunRecord) -> str:
    """What there is to say of a run without a verdict."""
    steps = run.number("env_steps") or next(
        (int(p["env_steps"]) for p in reversed(run.curve) if "env_steps" in p), None
    )
    seen = next((p for p in reversed(run.curve) if "student_return" in p), None)
    done = f"after {int(steps):,} environment steps" if steps else "before it took a step"
    latest = "" if seen is None else f"; its latest tested return is {seen['student_return']:.4g}"
    return f"There is no verdict: the run ended {done}{latest}."


def returns_section(run: RunRecord, episodes: "Episodes | None") -> Section:
    """Mean returns of the three policies, with intervals where their episodes are kept."""
    columns = (
        Column("policy"), Column("mean return", "reward per episode"),
        Column("95 % interval, low", "reward per episode"),
        Column("95 % interval, high", "reward per episode"),
        Column("IQM", "reward per episode"), Column("deviation", "reward per episode"),
        Column("episodes"),
    )  # fmt: skip
    found = [_returns_row(run, who, i, episodes) for i, who in enumerate(WHO)]
    rows = tuple(row for row in found if row is not None)
    if not rows:
        return Section("Returns", ("No episode was measured.",))
    words = (
        "Mean returns of the episodes that were played after the test had ended; their intervals "
        "are bootstrap intervals over episodes.",
    )
    return Section("Returns in numbers", words, tables=(Table(columns, rows),))


def _returns_row(
    run: RunRecord, who: str, index: int, episodes: "Episodes | None"
) -> tuple[Cell, ...] | None:
    if episodes is None:
        mean = run.number(f"{who}_return")
        return None if mean is None else (who, float(mean), None, None, None, None, None)
    returns = episodes.returns[index]
    found = stats.estimate(returns)
    spread, middle = float(returns.std()), float(stats.iqm(returns))
    return (who, found.value, found.low, found.high, middle, spread, len(returns))


def cost_section(run: RunRecord, evidence: "RunEvidence | None") -> Section:
    """Size, latency, cost."""
    sizes = size_rows(run, evidence)
    columns = (Column("what"), Column("student"), Column("teacher"), Column("student / teacher"))
    costs = [
        (name, value)
        for name, value in (
            ("environment steps of training", run.number("env_steps")),
            ("training [s]", run.number("train_seconds")),
            ("everything but imports [s]", run.number("total_seconds")),
        )
        if value is not None
    ]
    tables: list[Table] = []
    if sizes:
        tables.append(Table(columns, tuple(sizes), title="Size and speed"))
    if costs:
        tables.append(Table((Column("what"), Column("amount")), tuple(costs), title="Cost"))
    words = () if tables else ("The run did not get far enough to know.",)
    return Section("Size, latency, cost", words, tables=tuple(tables))


def size_rows(run: RunRecord, evidence: "RunEvidence | None") -> list[tuple[Cell, ...]]:
    """Parameters, bytes and latency of both policies, as far as they are known."""
    pairs: dict[str, tuple[float | None, float | None]] = {
        "parameters": (run.number("student_parameters"), run.number("teacher_parameters"))
    }
    if evidence is not None:
        own, theirs = evidence.student_cost, evidence.teacher_cost
        pairs["memory [bytes]"] = own.num_bytes, theirs.num_bytes
        pairs["one decision [µs]"] = 1e6 * own.latency_seconds, 1e6 * theirs.latency_seconds
    return [
        (name, own, theirs, None if own is None or not theirs else own / theirs)
        for name, (own, theirs) in pairs.items()
        if own is not None or theirs is not None
    ]


def settings_section(run: RunRecord) -> Section:
    """Settings, versions, and the command that repeats it."""
    tables: list[Table] = []
    settings = flat(run.recipe)
    if settings:
        tables.append(Table((Column("setting"), Column("value")), settings, title="Settings"))
    versions = flat(run.student.get("versions", {}))
    if versions:
        columns = (Column("package"), Column("version"))
        tables.append(Table(columns, versions, title="Versions"))
    teacher = flat(run.student.get("teacher", {}))
    if teacher:
        tables.append(Table((Column("teacher"), Column("value")), teacher, title="Teacher"))
    command = run.student.get("command")
    words = ("This command repeats it:",) if command else ()
    return Section(
        "Settings, versions, command",
        words or ("The run was not started by a command.",),
        tables=tuple(tables),
        code=(str(command),) if command else (),
    )


def flat(values: Mapping[str, Any]) -> tuple[tuple[Cell, ...], ...]:
    """Names and values as rows; what is nested is written out.

    Numbers are texts here: a seed is no amount.

    >>> flat({"seed": 1000, "env_kwargs": {"gravity": -9.5}, "imports": []})
    (('seed', '1000'), ('env_kwargs.gravity', '-9.5'), ('imports', '-'))
    """
    rows: list[tuple[Cell, ...]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}.{inner}", text) for inner, text in flat(value)]
        elif isinstance(value, list):
            rows.append((name, ", ".join(map(str, value)) or "-"))
        elif value is not None:
            rows.append((name, str(value)))
    return tuple(rows)
