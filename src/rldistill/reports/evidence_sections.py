"""The sections of a run that show its evidence, and how that is read or made again."""

from pathlib import Path

from rldistill.core import Acting
from rldistill.envs.spec import BACKENDS, TaskSpec
from rldistill.errors import RunFolderError, SettingError
from rldistill.evaluation.evaluate import EvaluationSettings
from rldistill.evaluation.evidence import RunEvidence
from rldistill.evaluation.evidence_file import load_evidence
from rldistill.evaluation.own_views import recorded_views, refuse_code, through_views
from rldistill.evaluation.remeasure import remeasure
from rldistill.reports.disagreement_section import disagreement_section
from rldistill.reports.learning_section import learning_section
from rldistill.reports.record import RunRecord, plain_file, problem_of
from rldistill.reports.regions_section import agreement_section, visitation_section
from rldistill.reports.returns_section import costs_section, returns_section
from rldistill.reports.section import Section
from rldistill.reports.svg import drawing
from rldistill.runs import RunFolder

NO_EVIDENCE = (
    "no evidence was kept by this run (it is older, was cut off, or learnt from data alone): "
    "rldistill report RUN --teacher FILE plays teacher and student again and shows it"
)


def read_evidence(folder: RunFolder) -> tuple[RunEvidence | None, str]:
    """What the run kept, and what is wrong with it; "" for nothing."""
    try:
        found = load_evidence(plain_file(folder.evidence))
    except RunFolderError as error:
        return None, problem_of(error, folder)
    return found, "" if found is not None else NO_EVIDENCE


def remake_evidence(
    record: RunRecord,
    teacher: str | Path,
    *,
    task: TaskSpec | None = None,
    vecnormalize: Path | None = None,
) -> RunEvidence:
    """Play teacher and student of a run again, where it kept no evidence or a damaged one.

    The task is that of the run. A wrapper and modules to import are code: they are not taken from a
    run folder, which may be anybody's, but only from `task`.

    Raises:
        SettingError: the run does not say its task, or its task needs code that is not given.
        RldistillError: teacher or student cannot be read, or do not fit.
    """
    settings = EvaluationSettings(
        seed=record.seed or 0,
        student_act=acting_of(record.student.get("student_act")),
        teacher_act=acting_of(record.recipe.get("teacher_act")),
        vecnormalize=vecnormalize,
        card=card_of(record) if str(teacher) == record.recipe.get("teacher") else None,
    )
    spec = task_of(record) if task is None else task
    return remeasure(str(record.root), str(teacher), spec, settings)


def acting_of(said: object) -> Acting:
    """How a policy acted, as its run says; by mode where it does not.

    Raises:
        SettingError: the run says something that cannot be.

    >>> str(acting_of("sample:0.05")), str(acting_of(None))
    ('sample:0.05', 'mode')
    """
    return Acting() if said is None else Acting.parse(str(said), "how the run says that it acted")


def card_of(record: RunRecord) -> Path | None:
    """The card of the teacher's weights, where the run was given one: plain TOML, never code."""
    said = record.recipe.get("card")
    return Path(said) if isinstance(said, str) and said else None


def task_of(record: RunRecord) -> TaskSpec:
    """The task of a run as its folder names it.

    Raises:
        SettingError: it does not, or code is needed that only the user can name.
    """
    named = record.student.get("task")
    task = named if isinstance(named, dict) else {}
    for what, value in (("wrapper", task.get("wrapper")), ("import", record.recipe.get("imports"))):
        if value:
            raise SettingError(
                f"the task of {record.name} needs --{what} {value}, which is code: name it yourself"
            )
    if ":" in str(record.task):
        raise SettingError(f"{record.task} names a module, which is code; give --import MODULE")
    if record.task is None or not task:
        raise SettingError(
            f"{record.name} does not name one task that can be played again; of a student of "
            "several, load_policy(RUN, task=ID) gives the part of one"
        )
    views = recorded_views(task)
    for view in views.values():
        refuse_code(view, record.name)
    kwargs = task.get("env_kwargs")
    backend = task.get("backend")
    spec = TaskSpec(
        id=record.task,
        backend=backend if backend in BACKENDS else "auto",
        env_kwargs=kwargs if isinstance(kwargs, dict) else {},
    )
    return through_views(spec, views)


def evidence_sections(record: RunRecord, evidence: RunEvidence | None) -> tuple[Section, ...]:
    """All sections that show how a run went and what it came to; fewer where less is known."""
    with drawing():
        learning, costs = learning_section(record, evidence), costs_section(record, evidence)
        if evidence is None:
            return learning, costs
        return (
            returns_section(evidence),
            learning,
            agreement_section(evidence),
            disagreement_section(evidence),
            visitation_section(evidence),
            costs,
        )
