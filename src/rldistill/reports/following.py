"""The figure of a run that followed a moving teacher: both scores over the student's steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from rldistill.errors import RunFolderError
from rldistill.evaluation.stability import stability


def following_figure(looks: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Scores of the versions, of those that were followed, and of the student.

    Args:
        looks: lines of following.jsonl.
        title: of the figure.

    Raises:
        RunFolderError: there are none.

    Source: the layout of figure 5 of Rusu et al. 2016 (arXiv:1511.06295).
    """
    if not looks:
        raise RunFolderError("no version of the teacher was scored in this run")
    steps = [look["env_steps"] for look in looks]
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    teacher = [look["teacher_return"] for look in looks]
    axes.plot(steps, teacher, color="#888888", lw=1.2, marker=".", label="teacher, every version")
    followed = [look for look in looks if look["followed"]]
    axes.plot(
        [look["env_steps"] for look in followed],
        [look["teacher_return"] for look in followed],
        color="#c05a00",
        linestyle="none",
        marker="o",
        markerfacecolor="none",
        label="version that was followed",
    )
    student = [look["student_return"] for look in looks]
    axes.plot(steps, student, color="#0060a8", lw=1.8, marker=".", label="student")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("environment steps of the student")
    axes.set_ylabel("mean return")
    found = stability(looks)
    if found is not None:
        under = (
            f"variance over the last {found.looks} looks: teacher {found.teacher:.3g}, "
            f"student {found.student:.3g}"
        )
        title = f"{title}\n{under}" if title else under
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure
