"""What the paper's Figures 5 and 6 say: imperfect and adversarial teachers."""

from functools import partial

from czarnecki2019_claims import (
    EARLY,
    SLACK,
    TEACHER,
    Claim,
    Curve,
    CurveMaker,
    Test,
    above,
    as_good_as_teacher,
    below,
    difference,
    fall_from_peak,
    growth,
    level,
    share,
)
from czarnecki2019_panels import CLONING, NINE

Curves = dict[str, CurveMaker]

CLEAN = ("monte-carlo", "td")
NOISY = ("noise-15", "noise-25")
GUIDED = (*CLONING, "on-policy-distill+R", "value-gated+R")
SHAPED, GATED, PLUS = "teacher-v-reward", "value-gated+R", "on-policy-distill+R"


def figure5(variant: str) -> list[Claim]:
    """Imperfect teachers."""
    curve = {panel: partial(Curve, 5, f"{panel}{variant}") for panel in (*CLEAN, *NOISY)}
    return [*without_noise(curve), *with_noise(curve)]


def without_noise(curve: Curves) -> list[Claim]:
    """Figure 5, the two panels with a perfect teacher."""
    best = curve["td"](TEACHER)
    return [
        Claim(
            5,
            "Perfect teacher: all distillation reaches it, Monte Carlo and TD",
            tuple(as_good_as_teacher(curve[panel], arm) for panel in CLEAN for arm in GUIDED),
        ),
        Claim(
            5,
            "Perfect teacher: without it (baseline) students end below it",
            tuple(
                below(
                    f"{panel}: baseline - teacher", curve[panel]("baseline"), curve[panel](TEACHER)
                )
                for panel in CLEAN
            ),
        ),
        Claim(
            5,
            "Perfect teacher: Teacher V reward reaches it, Monte Carlo and TD",
            tuple(as_good_as_teacher(curve[panel], SHAPED) for panel in CLEAN),
        ),
        Claim(
            5,
            "Monte Carlo: Teacher V reward is slower than on-policy distillation (30 to 3,000)",
            (
                below(
                    "difference",
                    curve["monte-carlo"](SHAPED),
                    curve["monte-carlo"]("on-policy-distill"),
                    EARLY,
                ),
            ),
        ),
        Claim(
            5,
            "TD + V_0 goes less than three quarters of the way to the teacher",
            (Test("td", share(curve["td"]("td-v0"), best, curve["td"]("td-v0")), high=-0.25),),
        ),
        Claim(
            5,
            "TD + V_pi: as good as the teacher without noise, worse with more of it",
            (
                as_good_as_teacher(curve["td"], "td-teacher-v"),
                above(
                    "no noise - 15 %",
                    curve["td"]("td-teacher-v"),
                    curve["noise-15"]("td-teacher-v"),
                ),
                above(
                    "15 % - 25 %",
                    curve["noise-15"]("td-teacher-v"),
                    curve["noise-25"]("td-teacher-v"),
                ),
            ),
        ),
    ]


def with_noise(curve: Curves) -> list[Claim]:
    """Figure 5, the two panels with teacher noise."""
    best = curve["td"](TEACHER)

    def reaches_best(panel: str, arm: str) -> Test:
        found = share(curve[panel](arm), best, curve[panel](arm))
        return Test(f"{panel}, {arm}: share of the way to the perfect teacher", found, low=-SLACK)

    def stays(panel: str, arm: str) -> Test:
        found = share(curve[panel](arm), curve[panel](TEACHER), curve[panel](arm))
        return Test(f"{panel}, {arm}: distance, as a share of the way", found, low=-0.1, high=0.1)

    clone, last = "on-policy-distill", curve["noise-25"]
    return [
        Claim(
            5,
            "Noise: cloning is better on its way than at its end",
            tuple(
                Test(f"{panel}: peak - end", fall_from_peak(curve[panel](clone)), low=0.0)
                for panel in NOISY
            ),
        ),
        Claim(
            5,
            "Noise: cloning ends at the noisy teacher (to a tenth of the way)",
            tuple(stays(panel, arm) for panel in NOISY for arm in CLONING),
        ),
        Claim(
            5,
            "Noise: reward helps: on-policy + R ends above on-policy",
            tuple(above(panel, curve[panel](PLUS), curve[panel](clone)) for panel in NOISY),
        ),
        Claim(
            5,
            "Noise: learning without a teacher ends above cloning",
            tuple(
                above(f"{panel}: baseline - {arm}", curve[panel]("baseline"), curve[panel](arm))
                for panel in NOISY
                for arm in CLONING
            ),
        ),
        Claim(
            5,
            "Noise: the value gate (with R) still reaches the perfect teacher",
            tuple(reaches_best(panel, GATED) for panel in NOISY),
        ),
        Claim(
            5,
            "25 % noise: the value gate adds to on-policy + R",
            (above("gate - no gate", last(GATED), last(PLUS)),),
        ),
        Claim(
            5,
            "Noise: Teacher V reward still reaches the perfect teacher",
            tuple(reaches_best(panel, SHAPED) for panel in NOISY),
        ),
        Claim(
            5,
            "25 % noise: Teacher V reward ends above every other method",
            tuple(
                above(f"{SHAPED} - {arm}", last(SHAPED), last(arm)) for arm in NINE if arm != SHAPED
            ),
        ),
    ]


def figure6(variant: str) -> list[Claim]:
    """The corridor; returns between about -0.91 and 0.91."""
    return [
        *optimal_guide(partial(Curve, 6, f"optimal{variant}")),
        *adversary(
            partial(Curve, 6, f"adversarial{variant}"), Curve(6, f"optimal{variant}", TEACHER)
        ),
    ]


def optimal_guide(curve: CurveMaker) -> list[Claim]:
    """Figure 6, left."""

    def solves(arm: str, point: int) -> Test:
        return as_good_as_teacher(curve, arm, (point,))

    return [
        Claim(
            6,
            "Optimal teacher: all cloning is there almost at once (here: by 1,000)",
            tuple(solves(arm, 1000) for arm in GUIDED),
        ),
        Claim(
            6,
            "Optimal teacher: baseline and Teacher V reward by 10,000, slower than cloning",
            (
                solves("baseline", 10_000),
                solves(SHAPED, 10_000),
                *(
                    below(f"{arm} - on-policy (30 to 3,000)", curve(arm), curve(CLONING[0]), EARLY)
                    for arm in ("baseline", SHAPED)
                ),
            ),
        ),
        Claim(6, "Optimal teacher: TD + V_pi by 20,000", (solves("td-teacher-v", 20_000),)),
        Claim(
            6,
            "Optimal teacher: TD + V_0 stays near 0.35 (0.25 to 0.45)",
            (Test("return", level(curve("td-v0")), low=0.25, high=0.45),),
        ),
    ]


def adversary(curve: CurveMaker, goal: Curve) -> list[Claim]:
    """Figure 6, right."""

    def solves(arm: str) -> Test:
        found = share(curve(arm), goal, curve(arm))
        return Test(f"{arm}: share of the way to the optimum missing", found, low=-SLACK)

    stuck = ("on-policy-distill", PLUS, "entropy-regularised")
    return [
        Claim(
            6,
            "Adversary: on-policy, on-policy + R and entropy-regularised end at the worst return",
            tuple(
                Test(f"{arm} - adversary", difference(curve(arm), curve(TEACHER)), high=0.05)
                for arm in stuck
            ),
        ),
        Claim(
            6,
            "Adversary: TD + V_pi falls to about -0.5 (-0.75 to -0.25)",
            (Test("return", level(curve("td-teacher-v")), low=-0.75, high=-0.25),),
        ),
        Claim(
            6,
            "Adversary: the value gate (with R) climbs to about 0 (-0.1 to 0.25)",
            (
                Test("return at the end", level(curve(GATED)), low=-0.1, high=0.25),
                Test("end - 100", growth(curve(GATED), 100), low=0.0),
            ),
        ),
        Claim(6, "Adversary: the baseline solves the task", (solves("baseline"),)),
        Claim(6, "Adversary: Teacher V reward solves the task", (solves(SHAPED),)),
        Claim(
            6,
            "Adversary: Teacher V reward is slower than no teacher (30 to 3,000)",
            (below("difference", curve(SHAPED), curve("baseline"), EARLY),),
        ),
    ]
