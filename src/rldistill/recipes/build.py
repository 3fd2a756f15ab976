"""From a recipe to the plain arguments of the layers below."""

from pathlib import Path
from typing import Any

from rldistill.core import Acting
from rldistill.envs.views import View
from rldistill.recipes.models import Recipe
from rldistill.train.prepare import Request
from rldistill.train.settings import Settings


def make_settings(recipe: Recipe, command: str, force: bool) -> Settings:
    """The settings of a recipe; what it leaves out keeps the default."""
    given: dict[str, Any] = {} if recipe.method is None else {"method": recipe.method}
    return Settings(
        steps=recipe.steps,
        scale=recipe.scale,
        until=recipe.until,
        num_envs=recipe.num_envs,
        seed=recipe.seed,
        device=recipe.device,
        backend=recipe.backend,
        env_kwargs=recipe.env_kwargs,
        wrapper=recipe.wrapper,
        imports=recipe.imports,
        teacher_view=_view(recipe.teacher_view),
        student_view=_view(recipe.student_view),
        teacher_act=Acting.parse(recipe.teacher_act),
        student_act=Acting.parse(recipe.student_act),
        vecnormalize=recipe.vecnormalize,
        card=recipe.card,
        head=recipe.head,
        trust=recipe.trust,
        fit_critic=recipe.fit_critic,
        window=recipe.window,
        burn_in=recipe.burn_in,
        data=recipe.data,
        force=force,
        command=command,
        **given,
    )


def _view(text: str | None) -> View | None:
    return None if text is None else View.parse(text)


def make_request(recipe: Recipe, *, command: str, force: bool, resume: Path | None) -> Request:
    """The request of a recipe; live objects in it stay what recipe.toml says of them."""
    return Request(
        teacher=recipe.teacher,
        task=recipe.task,
        student=recipe.student,
        out=recipe.out if resume is None else resume,
        resume=resume is not None,
        settings=make_settings(recipe, command, force),
    )
