"""Progress and results on a terminal; plain lines where there is none."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from rldistill.cli.terminal import interval, number
from rldistill.train.progress import Progress

# Without a terminal a line is printed at most this often, in seconds; looks are always printed.
QUIET_SECONDS = 5.0
# What the decisions of a look are called, for people.
DECISIONS = {
    "reject": "not there yet",
    "nominate": "to be confirmed",
    "continue": "not settled yet",
    "give-up": "given up",
}
NOTHING = number(None)
# What a summary may say of student, teacher and random policy, under NAME_ and this.
MEASURED = ("return", "low", "high", "iqm", "std", "parameters", "bytes", "latency_seconds")
COLOURS = {"holds": "green", "fails": "red", "unsure": "yellow"}


def show(progress: Iterator[Progress]) -> None:
    """Draw a run as it goes: a live panel on a terminal, else a line now and then."""
    console = Console()
    if console.is_terminal:
        show_live(console, progress)
    else:
        show_lines(progress)


def show_live(console: Console, progress: Iterator[Progress]) -> None:
    """One table that is redrawn in place; messages and looks scroll above it."""
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for record in progress:
            if record.message and record.phase != "done":
                live.console.print(escape(record.message), highlight=False)
            if record.decision:
                live.console.print(escape(look_line(record)), highlight=False)
            live.update(panel(record))


def show_lines(progress: Iterator[Progress]) -> None:
    """Plain lines."""
    printed = 0.0
    for record in progress:
        if record.message:
            if record.phase != "done":
                sys.stdout.write(record.message + "\n")
        elif record.decision:
            sys.stdout.write(look_line(record) + "\n")
        elif (
            record.phase == "learning"
            and record.loss is not None
            and time.monotonic() - printed >= QUIET_SECONDS
        ):
            printed = time.monotonic()
            sys.stdout.write(progress_line(record) + "\n")
        sys.stdout.flush()


def panel(record: Progress) -> Table:
    """The live table."""
    table = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=record.total_steps, completed=record.counted, width=30)
    table.add_row(record.unit, f"{record.counted:,} of at most {record.total_steps:,}")
    table.add_row("", bar)
    table.add_row("speed", f"{record.per_second:,.0f} {record.unit}/s")
    table.add_row("loss", number(record.loss))
    if record.agreement is not None:
        table.add_row("agreement", f"{100 * record.agreement:.1f} %")
    if record.student_return is not None:
        table.add_row("return", f"{number(record.student_return)} {return_interval(record)}")
    table.add_row("time left", f"at most {time_left(record)}")
    return table


def progress_line(record: Progress) -> str:
    """One line of numbers."""
    parts = [
        f"{record.counted:>9,} {record.unit}",
        f"{record.per_second:,.0f}/s",
        f"loss {number(record.loss)}",
    ]
    if record.agreement is not None:
        parts.append(f"agreement {100 * record.agreement:.1f} %")
    if record.student_return is not None:
        parts.append(f"return {number(record.student_return)} {return_interval(record)}")
    return "  ".join([*parts, f"at most {time_left(record)} left"])


def look_line(record: Progress) -> str:
    """One line about a look at the student."""
    what = "screened" if record.phase == "screening" else f"candidate {record.candidate}"
    fraction = "" if record.fraction is None else f", fraction {record.fraction:.3f}"
    return (
        f"{record.counted:>9,} {record.unit}  {what}: {record.episodes} episodes, return "
        f"{number(record.student_return)} {return_interval(record)}{fraction}: "
        f"{DECISIONS.get(record.decision, record.decision)}"
    )


def return_interval(record: Progress) -> str:
    """[low, high] of the latest return."""
    return interval(record.return_low, record.return_high)


def time_left(record: Progress) -> str:
    """Until all steps are taken or all rows worked through, testing not counted."""
    if record.counted == 0:
        return "?"
    left = max(record.total_steps - record.counted, 0)  # the last round may go beyond
    seconds = left / max(record.per_second, 1e-9)
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def show_summary(summary: dict[str, Any]) -> None:
    """The table at the end of `distill` and `evaluate`, and the lines below it."""
    console = Console(highlight=False)
    columns = {who: cells(summary, who) for who in ("student", "teacher", "random")}
    shown = {who: cell for who, cell in columns.items() if cell["mean return"] != NOTHING}
    table = Table(box=None, show_header=True, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("", *shown):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for what in columns["student"]:
        row = [cell[what] for cell in shown.values()]
        # What is said of nobody is left out: distill measures less than evaluate.
        if any(text != NOTHING for text in row):
            table.add_row(what, *map(escape, row))
    if shown:
        console.print(table)
    for line in summary_lines(summary):
        console.print(line, soft_wrap=True)


def cells(summary: dict[str, Any], who: str) -> dict[str, str]:
    """What is known of student, teacher or random policy, row by row."""
    value = {key: summary.get(f"{who}_{key}") for key in MEASURED}
    seconds = value["latency_seconds"]
    return {
        "mean return": number(value["return"]),
        "95 % interval": interval(value["low"], value["high"]) or NOTHING,
        "IQM": number(value["iqm"]),
        "deviation": number(value["std"]),
        "parameters": NOTHING if value["parameters"] is None else f"{value['parameters']:,}",
        "bytes": NOTHING if value["bytes"] is None else f"{value['bytes']:,}",
        "one decision": NOTHING if seconds is None else f"{1e6 * seconds:.0f} us",
        "acts by": (summary.get("act") or {}).get(who) or NOTHING,
    }


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The lines below the table."""
    lines: list[str] = []
    if summary.get("fraction") is not None:
        paired = "paired" if summary["paired"] else "unpaired"
        between = interval(summary["fraction_low"], summary["fraction_high"])
        lines.append(f"fraction   {summary['fraction']:.3f} {between} of the teacher's, {paired}")
    lines += agreement_lines(summary.get("agreement_detail"))
    if summary.get("train_seconds") is not None:
        steps = summary.get("env_steps")
        taken = "" if steps is None else f"{steps:,} environment steps, "
        lines.append(
            f"cost       {taken}{summary['train_seconds']:.1f} s of training, "
            f"{summary['total_seconds']:.1f} s in all"
        )
    word = summary.get("verdict")
    if summary.get("reason"):
        said = escape(str(word or "no verdict"))
        colour = COLOURS.get(word or "", "yellow")
        lines.append(f"verdict    [bold {colour}]{said}[/]: {escape(summary['reason'])}")
    if summary.get("run"):
        lines.append(f"run        {escape(summary['run'])}")
    return lines


def agreement_lines(detail: dict[str, Any] | None) -> list[str]:
    """One line: how alike the two act where each of them goes."""
    if not detail:
        return []
    parts: list[str] = []
    for who in ("student", "teacher"):
        found = detail[f"{who}_states"]
        kl = "no finite KL" if found["kl"] is None else f"KL {number(found['kl'])} nats"
        share = f"{100 * found['top_action']:.1f} % same action"
        parts.append(f"on the {who}'s states {share}, {kl}")
    return [f"agreement  {'; '.join(parts)}"]
