"""rldistill distill: a teacher into a small student, with proof."""

import shlex
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rldistill.cli.flags import (
    Environment,
    EnvironmentFlags,
    acting,
    head_name,
    one_of,
    real_number,
    whole_number,
)
from rldistill.cli.main import EXIT_CHECK, EXIT_ERROR, exit_code
from rldistill.cli.terminal import command_line, option, parse, print_json, switch
from rldistill.errors import EnvironmentFailure, NotFiniteError, SettingError

if TYPE_CHECKING:
    from rldistill.train.job import Job


@dataclass(frozen=True)
class Flags:
    """Distil a trained policy into a small one, and stop when it is shown to do the job.

    Example: rldistill distill teacher.zip --task LunarLander-v3 --student mlp:16,16 --until 0.95
    """

    teacher: Annotated[str | None, tyro.conf.Positional, option("TEACHER")] = None
    """Policy to distil: a stable-baselines3 zip, a file of weights with a card, or a run folder.
    With --data it labels the data anew, and may be left out."""
    task: Annotated[str | None, option("ID")] = None
    """Environment id, for example LunarLander-v3. With --data the default is the data's own."""
    student: Annotated[str | None, option("SPEC")] = None
    """Network: mlp: and hidden widths, for example mlp:32,32 or mlp:64,64,relu; for pixels
    nature:25%, impala:small, minatar or cnn:16x8s4,32x4s2,fc256.
    Default: at most a tenth of the teacher's parameters, an MLP or for pixels convolutions."""
    method: Annotated[str | None, option("ROW")] = None
    """Row of the method table; `rldistill methods` lists them and marks the default."""
    steps: Annotated[int | None, option("N"), whole_number("--steps")] = None
    """Environment steps, summed over environments, after which training ends at the latest.
    Default: 1,000,000."""
    scale: Annotated[float | None, option("SHARE"), real_number("--scale")] = None
    """In place of --steps: this share of the steps of the row's paper, where it names them."""
    until: Annotated[float | None, option("FRACTION"), real_number("--until")] = None
    """Stop once the student is shown to hold this fraction of the teacher's return.
    Default: 0.95, or no early stop where --steps is given."""
    num_envs: Annotated[int | None, option("N"), whole_number("--num-envs")] = None
    """Environments stepped together. Default: 64 where C++ (envpool) steps them, else 16."""
    seed: Annotated[int | None, option("N"), whole_number("--seed")] = None
    """Seed of everything random. Default: 0."""
    device: Annotated[
        str | None, option("auto|cpu|cuda"), one_of("--device", "auto", "cpu", "cuda")
    ] = None
    """Where networks run. Default: auto, the CPU, since a GPU is too large for small networks."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """The teacher's VecNormalize statistics. Default: the file beside it, if there is one."""
    card: Annotated[Path | None, option("FILE")] = None
    """Card of a TEACHER that is a file of weights (docs/cards.md). Default: NAME.toml beside it."""
    head: Annotated[str | None, option("NAME"), head_name("--head")] = None
    """What the outputs of an ONNX file, a script or py: mean: categorical, q-values, gaussian,
    squashed-gaussian or deterministic. Default: what the task's actions suggest."""
    trust: Annotated[bool, switch()] = False
    """Run code that lies in a TorchScript or torch.export file. Only for files you trust."""
    teacher_act: Annotated[str | None, option("mode|sample[:EPSILON]"), acting("--teacher-act")] = (
        None
    )
    """How the teacher acts: its likeliest action, or a sampled one; mode:0.05: 5 % random ones.
    Default: mode."""
    student_act: Annotated[str | None, option("mode|sample[:EPSILON]"), acting("--student-act")] = (
        None
    )
    """How the student acts when it is judged. Default: mode."""
    fit_critic: Annotated[int | None, option("STEPS")] = None
    """Learn the teacher's value from this many of its own steps first, for rows that need one."""
    window: Annotated[int | None, option("STEPS"), whole_number("--window")] = None
    """Steps through which the gradient of a recurrent student (gru:64) goes back. Default: 32."""
    burn_in: Annotated[int | None, option("STEPS"), whole_number("--burn-in")] = None
    """Steps that a recurrent student reads again before each window. Default: 0."""
    data: Annotated[str | None, option("DIR|minari:NAME")] = None
    """Learn offline, from a folder written by `rldistill collect` or a Minari dataset."""
    recipe: Annotated[Path | None, option("FILE")] = None
    """TOML file with any of these settings; flags override it."""
    out: Annotated[Path | None, option("DIR")] = None
    """Run folder. Default: a new one under runs/."""
    force: Annotated[bool, switch()] = False
    """Replace the run that is already in the --out folder."""
    resume: Annotated[Path | None, option("RUN")] = None
    """Continue the run in this folder with its own settings; give only what is to change."""
    environment: Environment = field(default_factory=EnvironmentFlags)
    no_report: Annotated[bool, switch()] = False
    """Leave out the page, report.html in the run folder."""
    wandb: Annotated[str | None, option("PROJECT")] = None
    """Log to this project of Weights & Biases too."""
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last has the verdict."""
    check: Annotated[bool, switch()] = False
    """Exit with code 3 when the verdict is not `holds`."""


def run(arguments: list[str]) -> int:
    """Distil, drawing progress; returns the exit code."""
    flags = parse(Flags, "distill", arguments)
    return distil_and_show(flags, command_line("distill", arguments))


def distil_and_show(flags: Flags, command: str) -> int:
    """Distil with these flags and show it in the way they ask for."""
    # Torch takes seconds to import: a wrong flag is told before that.
    recipe = recipe_of(flags)
    if not flags.json and sys.stderr.isatty():
        sys.stderr.write("loading ...\r")
        sys.stderr.flush()
    from rldistill.recipes.build import make_request
    from rldistill.train.prepare import prepare

    job = prepare(make_request(recipe, command=command, force=flags.force, resume=flags.resume))
    try:
        summary = draw(job, flags.json, flags.wandb)
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        sys.stderr.write(f"\nstopped; {how_to_resume(job)}\n")
        return exit_code(stop)
    except (EnvironmentFailure, NotFiniteError) as error:
        sys.stderr.write(f"error: {error}\n{how_to_resume(job)}\n")
        return EXIT_ERROR
    if not flags.no_report:
        write_report(job, flags.json)
    return EXIT_CHECK if flags.check and summary.get("verdict") != "holds" else 0


def write_report(job: "Job", as_json: bool) -> None:
    """The page, after the run has ended: whatever goes wrong here, the run is not lost by it."""
    try:
        from rldistill.reports.write import report

        path = report(job.keeper.folder.root)
    except Exception as error:
        sys.stderr.write(f"warning: the run is saved, but its report failed: {error}\n")
        return
    if not as_json:
        sys.stdout.write(f"report     {path}\n")


def draw(job: "Job", as_json: bool, wandb: str | None = None) -> dict[str, Any]:
    """Run the loop and show what it yields; returns the summary. Whatever ends it, it is saved."""
    from rldistill.cli.display import show, show_summary
    from rldistill.train.distill import distilling

    with ExitStack() as stack:
        progress = stack.enter_context(closing(distilling(job)))
        if wandb is not None:
            from rldistill.integrations.wandb import logged_to_wandb

            progress = stack.enter_context(closing(logged_to_wandb(progress, job, wandb)))
        if as_json:
            for record in progress:
                print_json(record.to_json())
        else:
            show(progress)
    summary = job.keeper.summary
    assert summary is not None, "the loop has ended"
    if as_json:
        print_json(summary)
    else:
        show_summary(summary)
    return summary


def how_to_resume(job: "Job") -> str:
    """The command that continues a run."""
    return f"continue with: rldistill distill --resume {shlex.quote(str(job.keeper.folder.root))}"


def recipe_of(flags: Flags) -> Any:
    """The settings from a resumed run, a recipe file and flags, in rising order of weight.

    Raises:
        SettingError: what is wrong with them, or has no effect beside the others.
    """
    from rldistill.recipes.models import (
        make_recipe,
        read_recipe,
        refuse_live_objects,
        saved_recipe,
    )

    given = asdict(flags)
    given |= given.pop("environment")
    given["trust"] = flags.trust or None
    for name in ("recipe", "force", "resume", "json", "check", "no_report", "wandb"):
        del given[name]
    written = {} if flags.recipe is None else read_recipe(flags.recipe)
    resumed = {} if flags.resume is None else saved_recipe(flags.resume)
    recipe = make_recipe(resumed, written, given)
    if flags.resume is not None and (recipe.out is not None or flags.force):
        raise SettingError("--resume continues in its own folder: --out and --force have no effect")
    if flags.force and recipe.out is None:
        raise SettingError(
            "--force replaces the run in the folder that --out names; without --out it has no "
            "effect, since every run gets a new folder"
        )
    if flags.check and recipe.teacher is None:
        raise SettingError(
            "--check needs a verdict, and without a TEACHER that labels the data there is none: "
            "name one, or judge the run with `rldistill evaluate RUN --task ID --against TEACHER "
            "--check`"
        )
    refuse_live_objects(recipe)
    return recipe
