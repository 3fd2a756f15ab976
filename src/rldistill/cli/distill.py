"""rldistill distill: a teacher into a small student, with proof."""

import shlex
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from rldistill.cli.main import EXIT_CHECK, EXIT_ERROR, EXIT_INTERRUPTED
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
    """Policy to distil: a stable-baselines3 zip, or a run folder of ours."""
    task: Annotated[str | None, option("ID")] = None
    """Environment id, for example LunarLander-v3."""
    student: Annotated[str | None, option("SPEC")] = None
    """Network, for example mlp:32,32 or mlp:64,64,relu. Default: at most a tenth of the teacher."""
    method: Annotated[str | None, option("ROW")] = None
    """Row of the method table; `rldistill methods` lists them and marks the default."""
    steps: Annotated[int | None, option("N")] = None
    """Environment steps, summed over environments, after which training ends at the latest.
    Default: 1,000,000."""
    until: Annotated[float | None, option("FRACTION")] = None
    """Stop once the student is shown to hold this fraction of the teacher's return. Default: 0.95,
    or no early stop where --steps is given."""
    num_envs: Annotated[int | None, option("N")] = None
    """Environments stepped together. Default: 64 where C++ steps them, else 16."""
    seed: Annotated[int | None, option("N")] = None
    """Of everything. Default: 0."""
    device: Annotated[Literal["auto", "cpu", "cuda"] | None, option("auto|cpu|cuda")] = None
    """Where networks run. Default: the CPU, since a GPU is too large for small networks."""
    backend: Annotated[
        Literal["auto", "envpool", "gymnasium"] | None, option("auto|envpool|gymnasium")
    ] = None
    """Who steps the environments. Default: the fastest that is shown to be the same task."""
    env_kwargs: Annotated[str | None, option("K=V,...")] = None
    """For the environment: gravity=-9.5,enable_wind=true or a JSON object."""
    wrapper: Annotated[str | None, option("MODULE:FN")] = None
    """module:function, applied to each gymnasium environment."""
    imports: Annotated[tuple[str, ...] | None, option("MODULE...", "import")] = None
    """Modules imported first because they register environments."""
    vecnormalize: Annotated[Path | None, option("PATH")] = None
    """The teacher's VecNormalize statistics. Default: the file beside it, if there is one."""
    teacher_act: Annotated[Literal["mode", "sample"] | None, option("mode|sample")] = None
    """How the teacher acts. Default: mode."""
    student_act: Annotated[Literal["mode", "sample"] | None, option("mode|sample")] = None
    """How the student acts when it is judged. Default: mode."""
    fit_critic: Annotated[int | None, option("STEPS")] = None
    """Learn the teacher's value from this many of its own steps first, for rows that need one."""
    data: Annotated[str | None, option("DIR|minari:NAME")] = None
    """Learn offline from a folder written by `rldistill collect`, or minari:NAME."""
    recipe: Annotated[Path | None, option("FILE")] = None
    """TOML file with any of these settings; flags override it."""
    out: Annotated[Path | None, option("DIR")] = None
    """Run folder. Default: a new one under runs/."""
    force: Annotated[bool, switch()] = False
    """Replace an existing run folder."""
    resume: Annotated[Path | None, option("RUN")] = None
    """Continue this run folder; needs nothing else."""
    json: Annotated[bool, switch()] = False
    """One JSON object per line; the last has the verdict."""
    check: Annotated[bool, switch()] = False
    """Exit with 3 when the verdict is not `holds`."""


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
        summary = draw(job, flags.json)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.write(f"\nstopped; {how_to_resume(job)}\n")
        return EXIT_INTERRUPTED
    except (EnvironmentFailure, NotFiniteError) as error:
        sys.stderr.write(f"error: {error}\n{how_to_resume(job)}\n")
        return EXIT_ERROR
    return EXIT_CHECK if flags.check and summary.get("verdict") != "holds" else 0


def draw(job: "Job", as_json: bool) -> dict[str, Any]:
    """Run the loop and show what it yields; returns the summary. Whatever ends it, it is saved."""
    from rldistill.cli.display import show, show_summary
    from rldistill.train.distill import distilling

    with closing(distilling(job)) as progress:
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
    """The settings from a resumed run, a recipe file and flags, in rising order of weight."""
    from rldistill.recipes.models import (
        make_recipe,
        read_recipe,
        saved_recipe,
    )

    if flags.resume is not None and (flags.out is not None or flags.force):
        raise SettingError("--resume continues in its own folder: --out and --force have no effect")
    own = ("recipe", "force", "resume", "json", "check")
    given = {name: value for name, value in asdict(flags).items() if name not in own}
    resumed = {} if flags.resume is None else saved_recipe(flags.resume)
    return make_recipe(resumed, {} if flags.recipe is None else read_recipe(flags.recipe), given)
