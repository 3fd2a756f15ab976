"""One run: the verdict in a sentence, and the sections that its own records make."""

from collections.abc import Mapping
from typing import Any

from rldistill.reports.data import cell_text
from rldistill.reports.page import Page
from rldistill.reports.record import RunRecord
from rldistill.reports.section import Cell, Column, Section, Table
from rldistill.reports.tasks_section import number_of, task_entries, word_of

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
        problems=tuple(f"{capital(text)}." for text in run.problems),
        notes=tuple(notes),
        footer=f"Run {run.name}{made}. Made by rldistill; all of it is in this file.",
    )


def capital(text: str) -> str:
    """A sentence that begins with a capital letter, unless with the name of a file.

    >>> capital("the run"), capital("verdict.json is damaged")
    ('The run', 'verdict.json is damaged')
    """
    return text if "." in text.split(" ", 1)[0] else f"{text[:1].upper()}{text[1:]}"


def sentence(run: RunRecord) -> str:
    """What the run shows, in a sentence; also where it shows little."""
    if not run.outcome:
        return unfinished(run)
    if several := tasks_sentence(run):
        return f"{size_words(run)} {several}."
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


def tasks_sentence(run: RunRecord) -> str:
    """On how many of several tasks the student holds, the worst and the best; "" for one task."""
    entries = task_entries(run)
    shares = sorted(
        (share, name)
        for name, entry in entries
        if (share := number_of(entry, "fraction")) is not None
    )
    if len(entries) < 2 or not shares:
        return ""
    held = sum(word_of(entry) == "holds" for _, entry in entries)
    (worst, where), (best, there) = shares[0], shares[-1]
    return (
        f"hold on {held} of {len(entries)} tasks: they keep from {percent(worst)} ({where}) to "
        f"{percent(best)} ({there}) of what the teacher of the task gains over the random policy"
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


def means_section(run: RunRecord) -> Section | None:
    """Mean returns of a run that kept no episodes; None where it kept no means either."""
    rows = tuple(
        (who, float(mean)) for who in WHO if (mean := run.number(f"{who}_return")) is not None
    )
    if not rows:
        return None
    columns = (Column("policy"), Column("mean return", "reward per episode"))
    words = ("The run kept no episodes, so there is no interval of these means.",)
    return Section("Returns", words, tables=(Table(columns, rows),))


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
