"""rldistill advise: which method fits, by the decision tree of "Distilling Policy Distillation"."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from rldistill.cli.dialogue import Answered, Dialogue, answer_words, require_effect, terminal
from rldistill.cli.measuring import DEFAULT_STEPS, MEASURABLE, ROUNDS, Bench
from rldistill.cli.terminal import option, parse, print_json, switch
from rldistill.errors import SettingError
from rldistill.evaluation.advise import Advice, Answers, advise, moot, reachable
from rldistill.evaluation.decision_tree import QUESTIONS

YesNo = Literal["yes", "no"]


@dataclass(frozen=True)
class Flags:
    """Which row of the method table fits? Asks what it needs; each answer can be a flag.

    Example: rldistill advise --teacher teacher.zip --task LunarLander-v3 --measure --improve no
    """

    off_teacher_states: Annotated[YesNo | None, option("yes|no")] = None
    """Will the student be evaluated outside the teacher's states?"""
    guarantees: Annotated[YesNo | None, option("yes|no")] = None
    """Do you need a guarantee that training converges?"""
    improve: Annotated[YesNo | None, option("yes|no")] = None
    """Do you want a student better than its teacher, rather than one that is there fast?"""
    strong_teacher: Annotated[YesNo | None, option("yes|no")] = None
    """Is the teacher strong at the task?"""
    teacher_has_value: Annotated[YesNo | None, option("yes|no")] = None
    """Does the teacher have a value function, in units of raw reward?"""
    measure: Annotated[bool, switch()] = False
    """Measure what can be measured and no flag answers; needs --teacher and --task."""
    teacher: Annotated[str | None, option("FILE")] = None
    """The teacher to measure; a terminal offers it, --measure does it."""
    task: Annotated[str | None, option("ID")] = None
    """Where to measure it, for example LunarLander-v3."""
    student: Annotated[Path | None, option("RUN")] = None
    """A student trained on the teacher's states, to see how far its states drift. Default: one is
    trained for --steps and thrown away."""
    steps: Annotated[int | None, option("N")] = None
    """Environment steps of that training. Default: 50,000."""
    best: Annotated[float | None, option("RETURN")] = None
    """The best return known on the task. Default: where gymnasium's registry calls it solved."""
    episodes: Annotated[int | None, option("N")] = None
    """Of each policy, rounded up to 16 rounds. Default: 128."""
    seed: Annotated[int | None, option("N")] = None
    """Of everything that is measured. Default: 0."""
    backend: Annotated[
        Literal["auto", "envpool", "gymnasium", "ale", "minatar"] | None,
        option("auto|envpool|gymnasium|ale|minatar"),
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
    json: Annotated[bool, switch()] = False
    """One JSON object per line, one per answer; the last has the row and the reason."""


# Which question a setting of the measurements is for; the others are for all of them.
ONLY_FOR = {
    "student": "off_teacher_states",
    "steps": "off_teacher_states",
    "best": "strong_teacher",
}


def run(arguments: list[str]) -> int:
    """Ask, measure and answer; returns the exit code."""
    flags = parse(Flags, "advise", arguments)
    given = answers_of(flags)
    require_effect(given)
    console = terminal()
    check_measuring(flags, given, asked_by_hand=console is not None)
    bench = None if flags.teacher is None else make_bench(flags)
    if console is not None and bench is None and not flags.json:
        console.print("some answers can be measured: --teacher FILE --task ID")
    dialogue = Dialogue(given, bench and bench.measure, not flags.measure, console)
    records = shown(dialogue, flags.json)
    answers = Answers(**{one.question.name: one.answer for one in records})
    unused = moot(Answers(**{**given.given(), **answers.given()}))
    advice = advise(answers)
    if flags.json:
        print_json(record_of(advice, answers, records, list(unused)))
    else:
        sys.stdout.write("\n".join(lines_of(advice, list(unused))) + "\n")
    return 0


def answers_of(flags: Flags) -> Answers:
    """The answers given as flags."""
    given = {name: getattr(flags, name) for name in QUESTIONS}
    return Answers(**{name: text == "yes" for name, text in given.items() if text is not None})


def check_measuring(flags: Flags, given: Answers, asked_by_hand: bool) -> None:
    """Refuse settings of measurements that cannot happen.

    Raises:
        SettingError: one has no effect, or one that is needed is missing.
    """
    own = {"json", "measure", "teacher", *QUESTIONS}
    settings = [field.name for field in fields(flags) if field.name not in own]
    used = [name for name in settings if getattr(flags, name) is not None]
    if flags.teacher is None:
        if flags.measure:
            raise SettingError("--measure needs what to measure: --teacher FILE and --task ID")
        if used:
            raise SettingError(f"{flag(used[0])} has no effect without --teacher FILE")
        return
    if flags.task is None:
        raise SettingError("--teacher is measured on a task: give --task ID")
    if not flags.measure and not asked_by_hand:
        raise SettingError("--teacher has no effect without --measure where there is no terminal")
    open_questions = [name for name in reachable(given) if name not in given.given()]
    measurable = [name for name in open_questions if name in MEASURABLE]
    if not measurable:
        raise SettingError(
            f"{'--measure' if flags.measure else '--teacher'} has no effect: with these answers "
            f"nothing is asked that can be measured ({', '.join(map(flag, MEASURABLE))})"
        )
    for name in used:
        if ONLY_FOR.get(name, measurable[0]) not in measurable:
            raise SettingError(
                f"{flag(name)} has no effect: {flag(ONLY_FOR[name])} is not measured with these "
                "answers"
            )
    if flags.student is not None and flags.steps is not None:
        raise SettingError("--steps has no effect with --student: no student is trained")


def make_bench(flags: Flags) -> Bench:
    """What measures, from the flags."""
    from rldistill.envs.spec import TaskSpec
    from rldistill.evaluation.situation import Trial
    from rldistill.recipes.models import parse_env_kwargs

    if flags.episodes is not None and flags.episodes < ROUNDS:
        raise SettingError(f"--episodes must be at least {ROUNDS}, got {flags.episodes}")
    task = TaskSpec(
        id=flags.task or "",
        backend=flags.backend or "auto",
        env_kwargs=parse_env_kwargs(flags.env_kwargs or ""),
        wrapper=flags.wrapper,
        imports=flags.imports or (),
    )
    num_envs = 8 if flags.episodes is None else -(-flags.episodes // ROUNDS)
    return Bench(
        teacher_file=flags.teacher or "",
        task=task,
        vecnormalize=flags.vecnormalize,
        student_file=flags.student,
        best=flags.best,
        steps=DEFAULT_STEPS if flags.steps is None else flags.steps,
        trial=Trial(rounds=ROUNDS, num_envs=num_envs, seed=flags.seed or 0),
    )


def shown(dialogue: Dialogue, as_json: bool) -> list[Answered]:
    """Hold the dialogue and print each answer as it comes."""
    records: list[Answered] = []
    for one in dialogue.answered():
        records.append(one)
        if as_json:
            print_json(one.to_json())
            continue
        if one.by == "terminal" and sys.stdout.isatty():
            continue  # the person has just typed it there
        sys.stdout.write(f"{one.question.words}  {answer_words(one)}\n")
        if one.measured is not None and dialogue.console is None:
            sys.stdout.write(f"    {one.measured.because}\n")
        sys.stdout.flush()
    return records


def record_of(
    advice: Advice, answers: Answers, records: list[Answered], unused: list[str]
) -> dict[str, Any]:
    """The last line of --json."""
    measured = {one.question.name: one.measured for one in records if one.measured is not None}
    return advice.to_json() | {
        "answers": answers.given(),
        "measured": {name: found.to_json() for name, found in measured.items()},
        "unused": unused,
    }


def lines_of(advice: Advice, unused: list[str]) -> list[str]:
    """The advice for people."""
    others = ", ".join(advice.feasible[1:])
    lines = [
        "",
        f"row        {advice.row}",
        f"also fits  {others}" if others else "           no other row fits",
        *(f"note       {flag(name)} was not needed, after what was measured" for name in unused),
        "why",
    ]
    for step in advice.path:
        lines += [f"  - {step.reason}", f"    {step.evidence}"]
    lines += ["mind", *(f"  - {words}" for words in advice.caveats)]
    return lines


def flag(name: str) -> str:
    """The flag of a field."""
    return "--import" if name == "imports" else "--" + name.replace("_", "-")
