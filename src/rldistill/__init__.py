"""Policy distillation for reinforcement learning: a trained policy into a smaller one.

Everything named in __all__ is imported when it is first used, so that `import rldistill` itself
loads neither torch nor numpy.

>>> import rldistill
>>> rldistill.RldistillError.__module__
'rldistill.errors'
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rldistill.core import Acting
    from rldistill.envs.spec import TaskSpec
    from rldistill.envs.views import View
    from rldistill.errors import RldistillError
    from rldistill.evaluation.advise import Advice, Answers, advise
    from rldistill.evaluation.evaluate import EvaluationSettings, evaluate
    from rldistill.evaluation.verdict import Verdict, verdict
    from rldistill.explain.explain import ExplainSettings, explain_policy
    from rldistill.explain.explanation import Explanation
    from rldistill.explain.verify import Proof, Question, verify_tree
    from rldistill.explain.write import write_explanation
    from rldistill.exporters.load import ExportedPolicy, load_exported
    from rldistill.methods.method import Method
    from rldistill.recipes.export import Exported, export_policy
    from rldistill.recipes.export_scene import ExportSettings
    from rldistill.recipes.resume import resume
    from rldistill.reports.write import report
    from rldistill.students.build import make_student
    from rldistill.students.multitask import TaskPart, make_multitask_student
    from rldistill.teachers.load import load_policy, load_teacher
    from rldistill.train.distill import distill
    from rldistill.train.result import Run
    from rldistill.train.settings import Settings
    from rldistill.train.shrink import Shrunk, shrink
    from rldistill.train.shrink_settings import ShrinkSettings

__version__ = "0.1.0"

__all__ = [
    "Acting",
    "Advice",
    "Answers",
    "EvaluationSettings",
    "ExplainSettings",
    "Explanation",
    "ExportSettings",
    "Exported",
    "ExportedPolicy",
    "Method",
    "Proof",
    "Question",
    "RldistillError",
    "Run",
    "Settings",
    "ShrinkSettings",
    "Shrunk",
    "TaskPart",
    "TaskSpec",
    "Verdict",
    "View",
    "advise",
    "distill",
    "evaluate",
    "explain_policy",
    "export_policy",
    "load_exported",
    "load_policy",
    "load_teacher",
    "make_multitask_student",
    "make_student",
    "report",
    "resume",
    "shrink",
    "verdict",
    "verify_tree",
    "write_explanation",
]

# Where each public name lives: what the imports above say, for the interpreter.
_HOMES = {
    "Acting": "rldistill.core",
    "Advice": "rldistill.evaluation.advise",
    "Answers": "rldistill.evaluation.advise",
    "EvaluationSettings": "rldistill.evaluation.evaluate",
    "ExplainSettings": "rldistill.explain.explain",
    "Explanation": "rldistill.explain.explanation",
    "ExportSettings": "rldistill.recipes.export_scene",
    "Exported": "rldistill.recipes.export",
    "ExportedPolicy": "rldistill.exporters.load",
    "Method": "rldistill.methods.method",
    "Proof": "rldistill.explain.verify",
    "Question": "rldistill.explain.verify",
    "RldistillError": "rldistill.errors",
    "Run": "rldistill.train.result",
    "Settings": "rldistill.train.settings",
    "ShrinkSettings": "rldistill.train.shrink_settings",
    "Shrunk": "rldistill.train.shrink",
    "TaskPart": "rldistill.students.multitask",
    "TaskSpec": "rldistill.envs.spec",
    "Verdict": "rldistill.evaluation.verdict",
    "View": "rldistill.envs.views",
    "advise": "rldistill.evaluation.advise",
    "distill": "rldistill.train.distill",
    "evaluate": "rldistill.evaluation.evaluate",
    "explain_policy": "rldistill.explain.explain",
    "export_policy": "rldistill.recipes.export",
    "load_exported": "rldistill.exporters.load",
    "load_policy": "rldistill.teachers.load",
    "load_teacher": "rldistill.teachers.load",
    "make_multitask_student": "rldistill.students.multitask",
    "make_student": "rldistill.students.build",
    "report": "rldistill.reports.write",
    "resume": "rldistill.recipes.resume",
    "shrink": "rldistill.train.shrink",
    "verdict": "rldistill.evaluation.verdict",
    "verify_tree": "rldistill.explain.verify",
    "write_explanation": "rldistill.explain.write",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562) and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
