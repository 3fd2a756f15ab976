"""Runs as Markdown: a summary for a README, and a model card as Hugging Face reads it."""

import json
import re
from collections.abc import Sequence

from rldistill.errors import SettingError
from rldistill.reports.data import cell_text, heading
from rldistill.reports.evidence_sections import read_evidence
from rldistill.reports.method_row import ROWS
from rldistill.reports.record import RunRecord, plain_text
from rldistill.reports.section import Cell, Column, Table
from rldistill.reports.single import LEADS, sentence
from rldistill.runs import RunFolder

WHO = ("student", "teacher", "random")
_SPECIAL = re.compile(r"([\\`*_{}\[\]|~$])")


def plain_markdown(text: object) -> str:
    """Text that Markdown shows as it is: nothing in it makes a link, a tag or a cell.

    >>> plain_markdown("a|b <script>")
    'a\\\\|b &lt;script&gt;'
    """
    said = plain_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", said)


def code_markdown(text: object) -> str:
    """Text as code, whatever quotes it has."""
    said = plain_text(text)
    longest = max((len(found) for found in re.findall(r"`+", said)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if said.startswith("`") or said.endswith("`") else ""
    return f"{fence}{pad}{said}{pad}{fence}"


def markdown_table(table: Table) -> str:
    """A table in pipes; numbers are on the right."""
    numbers = [
        any(isinstance(row[i], int | float) for row in table.rows)
        for i in range(len(table.columns))
    ]
    lines = [
        [plain_markdown(heading(column)) for column in table.columns],
        ["---:" if number else "---" for number in numbers],
        *([_cell(cell) for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    return plain_markdown(cell) if isinstance(cell, str) else cell_text(cell)


def summary(runs: Sequence[RunRecord]) -> str:
    """What a README can hold: one run in a sentence and a table, or a table of several."""
    if len(runs) == 1:
        return "\n\n".join(_one(runs[0])) + "\n"
    # It brings scipy's statistics.
    from rldistill.reports.several import several_page, summary_tables

    parts = [f"**{plain_markdown(several_page(runs).sentence)}**"]
    parts += [markdown_table(table) for table in summary_tables(runs)]
    return "\n\n".join(parts) + "\n"


def _one(run: RunRecord) -> list[str]:
    lead = LEADS.get(run.word or "", "")
    said = plain_markdown(sentence(run))
    parts = [f"**{lead}** {said}" if lead else said, *(plain_markdown(p) for p in run.problems)]
    if (table := numbers_table(run)) is not None:
        parts.append(markdown_table(table))
    row = ROWS.get(run.method)
    about = [
        f"Task: {code_markdown(run.task)}" if run.task else "",
        f"Method: {code_markdown(run.method)}" + (f", {plain_markdown(row.source)}" if row else ""),
        f"Student: {code_markdown(run.architecture)}",
    ]
    parts.append("\n".join(f"- {line}" for line in about if line))
    if run.student.get("command"):
        parts.append(f"Repeat it with {code_markdown(run.student['command'])}")
    return parts


def numbers_table(run: RunRecord) -> Table | None:
    """Mean returns and sizes of the three policies; None where none is known."""
    rows: list[tuple[Cell, ...]] = []
    for what, key in (("mean return", "return"), ("parameters", "parameters")):
        values = [run.number(f"{who}_{key}") for who in WHO]
        if any(value is not None for value in values):
            rows.append((what, *values))
    return Table((Column(""), *map(Column, WHO)), tuple(rows)) if rows else None


def model_card(folder: RunFolder, run: RunRecord) -> str:
    """A README.md for Hugging Face: YAML front matter with the results, then the summary.

    Args:
        folder: of the run.
        run: what it says.

    Raises:
        SettingError: the run has no student to make a card of, or no task.
    """
    if not run.student or run.task is None:
        raise SettingError(
            f"{run.name}: a model card needs a student and its task; {'; '.join(run.problems)}"
        )
    head = ["---", *front_matter(run, mean_reward(folder, run)), "---"]
    title = f"# {plain_markdown(run.architecture)} for {plain_markdown(run.task)}"
    teacher = run.student.get("teacher", {})
    made = (
        f"A student of {run.number('parameters') or 0:,} parameters, distilled by "
        f"rldistill from {plain_markdown(teacher.get('name', 'a teacher'))} "
        f"({plain_markdown(teacher.get('framework', 'of unknown make'))})."
    )
    use = '```python\nfrom rldistill import load_policy\n\npolicy = load_policy("this folder")\n```'
    return "\n\n".join(["\n".join(head), title, made, *_one(run), "## Use", use]) + "\n"


def mean_reward(folder: RunFolder, run: RunRecord) -> str | None:
    """Mean and deviation of the student's measured episodes, as leaderboards write them."""
    evidence, _ = read_evidence(folder)
    if evidence is not None:
        returns = evidence.episodes.returns[0]
        return f"{returns.mean():.2f} +/- {returns.std():.2f}"
    mean = run.number("student_return")
    return None if mean is None else f"{mean:.2f}"


def front_matter(run: RunRecord, reward: str | None) -> list[str]:
    """Lines of YAML; every text is quoted as JSON, which YAML reads too."""
    task = json.dumps(run.task)
    lines = [
        "library_name: rldistill",
        "tags:",
        *(f"- {tag}" for tag in ("reinforcement-learning", "policy-distillation", task)),
    ]
    metrics = [("mean_reward", None if reward is None else json.dumps(reward))]
    for name, key in (("fraction of the teacher's return", "fraction"), ("agreement", "agreement")):
        value = run.number(key)
        metrics.append((name, None if value is None else repr(float(value))))
    known = [(name, value) for name, value in metrics if value is not None]
    if not known:
        return lines
    lines += [
        "model-index:",
        f"- name: {json.dumps(f'{run.architecture} by {run.method}')}",
        "  results:",
        "  - task:",
        "      type: reinforcement-learning",
        "      name: reinforcement-learning",
        "    dataset:",
        f"      name: {task}",
        f"      type: {task}",
        "    metrics:",
    ]
    for name, value in known:
        quoted = json.dumps(name)
        kind = quoted if name == "mean_reward" else json.dumps(name.split()[0])
        lines += [f"    - type: {kind}", f"      name: {quoted}", f"      value: {value}"]
    return lines
