"""What the paper's Figures 3 to 6 say, one claim each; the ranges are explained in the claim."""

from collections.abc import Callable
from functools import partial

from czarnecki2019_claims import (
    ALL,
    EARLY,
    END,
    SLACK,
    TEACHER,
    Claim,
    Curve,
    CurveMaker,
    Quantity,
    Test,
    above,
    as_good_as_teacher,
    below,
    difference,
    difference_of_differences,
    growth,
    level,
    share,
    times_slower,
)
from czarnecki2019_panels import ACTION_COUNTS, TEMPERATURES

TestMaker = Callable[[str, CurveMaker], Test]

HEATS = tuple(f"temperature-{temperature:g}" for temperature in TEMPERATURES)


def figure3(variant: str) -> list[Claim]:
    """Who acts."""
    panels = {heat: partial(Curve, 3, f"{heat}{variant}") for heat in HEATS}

    def everywhere(text: str, *makers: TestMaker) -> Claim:
        return Claim(3, text, tuple(make(h, c) for h, c in panels.items() for make in makers))

    def pair(first: str, second: str, measure: str, points: tuple[int, ...] = END) -> TestMaker:
        return lambda heat, curve: below(
            f"{heat}: {first} - {second}", curve(first, measure), curve(second, measure), points
        )

    def equal(heat: str, curve: CurveMaker) -> Test:
        found = difference(curve("student", "kl_teacher"), curve("teacher", "kl_teacher"), (5000,))
        return Test(f"{heat}: student - teacher, nats", found, low=-0.1, high=0.1)

    def uniform_level(heat: str, curve: CurveMaker) -> Test:
        return Test(f"{heat}: uniform, nats", level(curve("uniform", "kl_student")), low=2.0)

    def kl_times(heat: str, curve: CurveMaker) -> Test:
        pair_of = curve("teacher", "kl_student"), curve("student", "kl_student")
        return Test(f"{heat}: times to a tenth", times_slower(*pair_of, 0.9), low=1.5, high=4.0)

    def return_times(heat: str, curve: CurveMaker) -> Test:
        found = times_slower(curve("teacher"), curve("student"), 0.95)
        return Test(f"{heat}: times to 95 %", found, low=2.0, high=4.5)

    def caught_up(heat: str, curve: CurveMaker) -> Test:
        found = share(curve("teacher"), curve("student"), curve("student"), (20_000,))
        return Test(f"{heat}: share of the way missing", found, low=-SLACK)

    return [
        everywhere(
            "KL where the student acts: student-driven is lowest (mean over the checkpoints)",
            pair("student", "teacher", "kl_student", ALL),
            pair("student", "uniform", "kl_student", ALL),
        ),
        everywhere(
            "KL where the student acts: teacher-driven needs 2 to 3 times the iterations "
            "(here: to a tenth of the start, 1.5 to 4)",
            kl_times,
        ),
        everywhere(
            "KL where the student acts: uniform is still above 2 nats at the end", uniform_level
        ),
        everywhere(
            "KL where the teacher acts: teacher-driven is best early (30 to 1,000)",
            pair("teacher", "student", "kl_teacher", (30, 100, 300, 1000)),
        ),
        everywhere("KL where the teacher acts: equal after 5,000 (to 0.1 nats)", equal),
        everywhere(
            "KL where the teacher acts: uniform is worst at the end",
            pair("student", "uniform", "kl_teacher"),
            pair("teacher", "uniform", "kl_teacher"),
        ),
        everywhere(
            "KL under uniform visits, at the end: uniform best, teacher-driven worst",
            pair("uniform", "student", "kl_uniform"),
            pair("student", "teacher", "kl_uniform"),
        ),
        everywhere(
            "Return: student-driven is ahead early (30 to 3,000)",
            pair("teacher", "student", "returns", EARLY),
            pair("uniform", "student", "returns", EARLY),
        ),
        everywhere("Return: teacher-driven has caught up by 20,000", caught_up),
        everywhere(
            "Return: student-driven needs about a third of the iterations (here: to 95 % of the "
            "teacher, 2 to 4.5 times)",
            return_times,
        ),
        Claim(
            3,
            "Return: the lead of student-driven is larger for more deterministic teachers",
            (
                Test(
                    "lead at temperature 0 - lead at 0.1 (30 to 3,000)",
                    difference_of_differences(
                        (panels[HEATS[0]]("student"), panels[HEATS[0]]("teacher")),
                        (panels[HEATS[-1]]("student"), panels[HEATS[-1]]("teacher")),
                        EARLY,
                    ),
                    low=0.0,
                ),
            ),
        ),
    ]


def figure4(variant: str) -> list[Claim]:
    """More actions."""
    panels = {count: partial(Curve, 4, f"actions-{count}{variant}") for count in ACTION_COUNTS}
    few, many = panels[4], {count: panels[count] for count in ACTION_COUNTS[2:]}

    def way(count: int, arm: str) -> tuple[str, Quantity]:
        """Share of the way from uniform to teacher that is missing at the end, at most 0."""
        curve = panels[count]
        return f"{count:,} actions, {arm}", share(curve(arm), curve(TEACHER), curve(arm))

    fast, own, other = "entropy-regularised", "exp-entropy-regularised", "on-policy-distill"
    return [
        Claim(
            4,
            "With 4 actions on-policy, entropy-regularised and baseline reach the teacher",
            tuple(as_good_as_teacher(few, arm) for arm in (other, fast, "baseline")),
        ),
        Claim(
            4,
            "With 4 actions entropy-regularised is the fastest (mean over 30 to 3,000)",
            tuple(
                above(f"{fast} - {arm}", few(fast), few(arm), EARLY)
                for arm in (other, own, "baseline")
            ),
        ),
        Claim(
            4,
            "With 4 actions expected entropy ends below entropy-regularised",
            (below(f"{own} - {fast}", few(own), few(fast)),),
        ),
        Claim(
            4,
            "From 40 actions on the baseline goes less than half of the way to the teacher",
            tuple(Test(*way(count, "baseline"), high=-0.5) for count in ACTION_COUNTS[1:]),
        ),
        Claim(
            4,
            "With 400 and 4,000 actions entropy-regularised ends below the uniform policy",
            tuple(
                Test(
                    f"{count:,} actions: {fast} - uniform",
                    growth(curve(fast), 0),
                    high=0.0,
                )
                for count, curve in many.items()
            ),
        ),
        Claim(
            4,
            "From 40 actions on expected entropy ends above entropy-regularised",
            tuple(
                above(f"{count:,} actions: {own} - {fast}", curve(own), curve(fast))
                for count, curve in panels.items()
                if count > 4
            ),
        ),
        Claim(
            4,
            "With 400 and 4,000 actions expected entropy ends above on-policy distillation",
            tuple(
                above(f"{count:,} actions: {own} - {other}", curve(own), curve(other))
                for count, curve in many.items()
            ),
        ),
        Claim(
            4,
            "With 400 and 4,000 actions expected entropy goes three quarters of the way or more",
            tuple(Test(*way(count, own), low=-0.25) for count in many),
        ),
        Claim(
            4,
            "With 400 and 4,000 actions on-policy distillation goes 0.6 of the way or more",
            tuple(Test(*way(count, other), low=-0.4) for count in many),
        ),
    ]
