"""Runs that differ in their seed alone belong together: groups, and their scores by task.

A score is the fraction (S - R) / (T - R) of a run's verdict: the only scale that tasks share. A
multi-task run has one score per task. The best of several seeds is never taken for a method.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np

from rldistill.maths.stats import FloatArray
from rldistill.reports.record import RunRecord, plain_text
from rldistill.reports.tasks_section import number_of, task_entries, word_of

MOST_GROUPS = 6  # drawn: as many as there are colours
# Of the recipe: runs that differ in one of these are no seeds of one group.
SETTINGS = ("steps", "scale", "until", "num_envs", "teacher_act", "student_act", "data")


@final
@dataclass(frozen=True, slots=True)
class TaskScore:
    """What a run's verdict says of one task."""

    task: str
    fraction: float | None
    word: str | None


@final
@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one method with one kind of student.

    Attributes:
        name: what tells it from the other groups.
        runs: oldest first.
    """

    name: str
    runs: tuple[RunRecord, ...]

    @property
    def scores(self) -> dict[str, FloatArray]:
        """Fractions of its runs by task, tasks without any left out.

        A copy of a run, of equal seed and score, says nothing new: it counts once.
        """
        found: dict[str, list[float]] = defaultdict(list)
        seen: set[tuple[str, int, float]] = set()
        for run in self.runs:
            for score in task_scores(run):
                if score.fraction is None:
                    continue
                told = (score.task, -1 if run.seed is None else run.seed, score.fraction)
                if run.seed is None or told not in seen:
                    found[score.task].append(score.fraction)
                seen.add(told)
        return {task: np.array(values) for task, values in sorted(found.items())}

    @property
    def parameters(self) -> float | None:
        """Mean size of its students."""
        sizes = [run.number("student_parameters") or run.number("parameters") for run in self.runs]
        known = [size for size in sizes if size]
        return float(np.mean(known)) if known else None


def task_scores(run: RunRecord) -> list[TaskScore]:
    """One per task: of a multi-task run those that its verdict lists, else its only one.

    Those of a multi-task run are listed under `tasks` in verdict.json; see task_entries.
    """
    entries = task_entries(run)
    if entries:
        return [
            TaskScore(name, number_of(entry, "fraction"), word_of(entry)) for name, entry in entries
        ]
    if run.task is None or run.state != "finished":
        return []
    return [TaskScore(task_name(run), run.number("fraction"), run.word)]


def task_name(run: RunRecord) -> str:
    """The id of its task with the settings that are not the default: they make it another task."""
    played = run.student.get("task")
    changed = played.get("env_kwargs") if isinstance(played, Mapping) else None
    if not isinstance(changed, Mapping) or not changed:
        return str(run.task)
    return f"{run.task} ({', '.join(f'{key}={value}' for key, value in sorted(changed.items()))})"


def group_runs(runs: Sequence[RunRecord]) -> list[Group]:
    """Runs by method and student, largest groups first; names say only what differs.

    Student and teacher count where some task has several: then their runs are no seeds of one
    group. Where each task has its own, as it must where tasks are of different sizes, the runs of a
    method are compared over all tasks. So do settings in which runs of one task, method and student
    differ.
    """
    students = _several_in_a_task(runs, lambda run: run.architecture)
    one_student = len({run.architecture for run in runs}) == 1
    teachers = _several_in_a_task(runs, lambda run: _teacher(run)[1])
    settings = [
        name for name in SETTINGS
        if _several_in_a_task(runs, partial(_setting, name=name), alike=_method_and_student)
    ]  # fmt: skip
    keyed: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)
    for run in runs:
        key = (
            run.method,
            run.architecture if students or one_student else "",
            *(_teacher(run) if teachers else ("", "")),
            ", ".join(f"{name} {_setting(run, name)}" for name in settings),
        )
        keyed[key].append(run)
    # Where all groups share a part, it tells nothing apart.
    varies = [len({key[i] for key in keyed}) > 1 for i in range(5)]
    shown = varies if any(varies) else [True, True, False, False, False]
    ordered = sorted(keyed.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Group(
            " · ".join(part for part, show in zip(key, shown, strict=True) if show and part),
            tuple(found),
        )
        for key, found in ordered
    ]


def _several_in_a_task(
    runs: Sequence[RunRecord],
    told: Callable[[RunRecord], str],
    alike: Callable[[RunRecord], tuple[str, ...]] = lambda run: (),
) -> bool:
    """Whether runs of one task, and alike in this, are told differently."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for run in runs:
        found[str(run.task), *alike(run)].add(told(run))
    return any(len(values) > 1 for values in found.values())


def _method_and_student(run: RunRecord) -> tuple[str, ...]:
    return run.method, run.architecture


def _setting(run: RunRecord, name: str) -> str:
    return str(run.recipe.get(name, "-"))


def _teacher(run: RunRecord) -> tuple[str, str]:
    """Its name, and the start of its hash."""
    teacher = run.student.get("teacher")
    known: Mapping[str, Any] = teacher if isinstance(teacher, Mapping) else {}
    return plain_text(known.get("name", "no teacher")), str(known.get("sha256", ""))[:6]


def common_scores(groups: Sequence[Group]) -> tuple[list[str], list[list[FloatArray]]]:
    """Tasks on which every group has a score, and the scores of each group on them.

    Returns:
        The tasks, and for each group one sample per task; both empty where there is no such task.
    """
    tables = [group.scores for group in groups]
    if not tables:
        return [], []
    tasks = sorted(set(tables[0]).intersection(*tables[1:]))
    return tasks, [[table[task] for task in tasks] for table in tables] if tasks else []
