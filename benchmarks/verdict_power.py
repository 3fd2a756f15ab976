"""How often the verdict is wrong, and how soon it is right: writes benchmarks/verdict_power.md.

    python benchmarks/verdict_power.py --runs 1000

Whole runs are simulated through SequentialVerdict itself: 20 candidates, every one nominated (the
worst case), each confirmed in rounds of 32 episodes of student, teacher and random policy. Beside
it the same runs are judged by Welch's t-test at the same looks: "plain" with the candidate's level
at every look, "split" with that level divided by the number of looks.
"""

import argparse
import functools
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from rldistill.evaluation.sequential import MOST_EPISODES, SequentialVerdict
from rldistill.evaluation.verdict import FEWEST_EPISODES, Verdict
from rldistill.maths.betting import contrast

FLOOR = 0.95
ROUND = 32
NUM_CANDIDATES = 20
FRESH = 256  # episodes after the stop
CLIMB = tuple(np.linspace(0.5, 1.0, NUM_CANDIDATES))  # times the last fraction
PLATEAU = (1.0,) * NUM_CANDIDATES

Returns = tuple[np.ndarray, np.ndarray, np.ndarray]
Draw = Callable[[float, int, np.random.Generator], Returns]


# --- what the returns look like; the student's true fraction is exact -----------------------------

TEACHER, RANDOM, WORST = 250.0, -180.0, -499.0  # as on LunarLander


def _random_policy(count: int, generator: np.random.Generator) -> np.ndarray:
    return RANDOM + 110.0 * generator.standard_normal(count).clip(-2.9, 2.9)


def normal(fraction: float, count: int, generator: np.random.Generator, sd: float) -> Returns:
    mean = RANDOM + fraction * (TEACHER - RANDOM)
    student, teacher = generator.normal(mean, sd, count), generator.normal(TEACHER, sd, count)
    return student, teacher, _random_policy(count, generator)


def one_in_nine_zero(fraction: float, count: int, generator: np.random.Generator) -> Returns:
    """A sparse task: 1, or nothing in one episode of nine; the random policy gets nothing."""
    student, teacher = (generator.random((2, count)) > 1 / 9).astype(float)
    return fraction * student, teacher, np.zeros(count)


def ceiling(fraction: float, count: int, generator: np.random.Generator) -> Returns:
    """CartPole: 500, or an episode like the random policy's; the teacher never fails."""
    failed, random = 8.0 + generator.geometric(1 / 15, (2, count))
    student = np.where(generator.random(count) < fraction, 500.0, failed)
    return student, np.full(count, 500.0), random


def catastrophe(
    fraction: float, count: int, generator: np.random.Generator, depth: float = 1.0
) -> Returns:
    """One episode of 100 is a disaster, all others are equal and look better than they should.

    The disaster lies depth times as far below the random policy's mean as its worst episode.
    """
    disaster = RANDOM + depth * (WORST - RANDOM)
    clean = (RANDOM + fraction * (TEACHER - RANDOM) - 0.01 * disaster) / 0.99
    student = np.where(generator.random(count) < 0.01, disaster, clean)
    return student, np.full(count, TEACHER), _random_policy(count, generator)


def long_tail(fraction: float, count: int, generator: np.random.Generator) -> Returns:
    """No worst return: the student's have an exponential tail below, the others do not vary."""
    student = fraction - 0.5 * (generator.exponential(size=count) - 1)
    return student, np.ones(count), np.zeros(count)


CASES: dict[str, Draw] = {
    "normal, sd 50": functools.partial(normal, sd=50.0),
    "normal, sd 120": functools.partial(normal, sd=120.0),
    "1 in 9 is zero": one_in_nine_zero,
    "ceiling (500 or a failure)": ceiling,
    "1 % catastrophe": catastrophe,
    "exponential tail below": long_tail,
}
UNSEEN = "1 % catastrophe, 5x deeper than anything seen"


# --- whole runs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How one run ended: the test's word, its candidate, and episodes spent on that candidate."""

    word: str | None
    candidate: int
    episodes: int


def bet(fractions: Sequence[float], draw: Draw, generator: np.random.Generator) -> Outcome:
    """One run judged by SequentialVerdict; it ends at `holds` or with the last candidate."""
    state = SequentialVerdict(floor=FLOOR)
    for fraction in fractions:
        while state.decision == "continue":
            state = state.add_round(*draw(fraction, ROUND, generator))
        if state.decision == "holds" or state.candidate == len(fractions):
            break
        state = state.next_candidate()
    verdict: Verdict = state.conclude(*draw(fraction, FRESH, generator))
    return Outcome(verdict.verdict, state.candidate, state.episodes)


def welch(
    fractions: Sequence[float], draw: Draw, generator: np.random.Generator, split: bool
) -> Outcome:
    """The same run judged by a t-test on the contrast, with the same futility rule."""
    looks = (MOST_EPISODES - FEWEST_EPISODES) // ROUND + 1
    for candidate, fraction in enumerate(fractions, 1):
        level = 0.05 * 2.0**-candidate / (looks if split else 1)
        samples = draw(fraction, MOST_EPISODES, generator)
        for count in range(FEWEST_EPISODES, MOST_EPISODES + 1, ROUND):
            student, teacher, random = (sample[:count] for sample in samples)
            mean = contrast(student, teacher, random, FLOOR).values.mean()
            parts = np.array([student.var(ddof=1), FLOOR**2 * teacher.var(ddof=1)])
            parts = np.append(parts, (1 - FLOOR) ** 2 * random.var(ddof=1)) / count
            error = parts.sum()
            freedom = error**2 / ((parts**2).sum() / (count - 1)) if error > 0 else math.inf
            if mean > 0 and mean >= math.sqrt(error) * stdtrit(min(freedom, 1e9), 1 - level):
                return Outcome("holds", candidate, count)
            if count >= 128 and mean < 0:
                break
    return Outcome("unsure", len(fractions), count)


def repeat(
    judge: Callable[..., Outcome], fractions: Sequence[float], draw: Draw, runs: int, seed: int
) -> list[Outcome]:
    return [judge(fractions, draw, np.random.default_rng([seed, run])) for run in range(runs)]


def share(outcomes: Sequence[Outcome], word: str) -> float:
    return sum(outcome.word == word for outcome in outcomes) / len(outcomes)


# --- the table ------------------------------------------------------------------------------------

PLAIN, SPLIT = functools.partial(welch, split=False), functools.partial(welch, split=True)


def errors_table(runs: int, seed: int) -> list[str]:
    lines = [
        "| returns | betting, climb to 0.94 | betting, all at 0.95 | t plain, all at 0.95 | "
        "t split, all at 0.95 | `fails`, climb to 0.96 |",
        "|---|---|---|---|---|---|",
    ]
    for name, draw in {**CASES, UNSEEN: functools.partial(catastrophe, depth=5.0)}.items():
        climb = [0.94 * step for step in CLIMB]
        floor = [FLOOR * (1 - 1e-9) * step for step in PLATEAU]
        cells = [
            share(repeat(judge, fractions, draw, runs, seed), "holds")
            for judge, fractions in ((bet, climb), (bet, floor), (PLAIN, floor), (SPLIT, floor))
        ]
        cells.append(share(repeat(bet, [0.96 * step for step in CLIMB], draw, runs, seed), "fails"))
        lines.append(f"| {name} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |")
    return lines


def power_table(runs: int, seed: int) -> list[str]:
    lines = [
        "| returns | true fraction | candidate 1 | episodes | candidate 5 | episodes | "
        "t split, candidate 1 | episodes | `fails` of the last, fraction 0.8 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, draw in CASES.items():
        for fraction in (1.0, 0.98):
            cells: list[str] = []
            for judge, skipped in ((bet, 0), (bet, 4), (SPLIT, 0)):
                # Candidates of fraction 0 are given up at 128 episodes and only use up level.
                outcomes = repeat(judge, [0.0] * skipped + [fraction], draw, runs, seed)
                spent = [o.episodes if o.word == "holds" else math.inf for o in outcomes]
                middle = float(np.median(spent))
                cells.append(f"{100 * share(outcomes, 'holds'):.0f} %")
                cells.append(f"{middle:.0f}" if math.isfinite(middle) else "> 1,024")
            failing = share(repeat(bet, [0.8], draw, runs, seed), "fails")
            cells.append(f"{100 * failing:.0f} %")
            lines.append(f"| {name} | {fraction} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    errors = errors_table(options.runs, options.seed)
    power = power_table(min(options.runs, 400), options.seed)
    seconds = time.perf_counter() - started
    chance = 196 * math.sqrt(0.0475 / options.runs)
    text = f"""# How often the verdict is wrong, and how soon it is right

`python benchmarks/verdict_power.py --runs {options.runs} --seed {options.seed}`; {seconds:.0f} s on
{platform.machine()}, {os.cpu_count()} CPU cores, numpy {np.__version__}. Floor {FLOOR}, rounds of
{ROUND} episodes, at most {MOST_EPISODES:,} per candidate. What the returns are: see the script.

## Wrong words in whole runs of {NUM_CANDIDATES} candidates, all nominated

P(`holds`) while no candidate is above the floor, and P(`fails`) while the last is at 0.96. The
promise is at most 5 % in each row but the last two, whose returns have no bound that the samples
show. With {options.runs:,} runs a true 5 % reads 5 +- {chance:.1f} %.

{chr(10).join(errors)}

The last row is what no method can see: disasters deeper than any return of student, teacher or
random policy, before the first of them happens. The t-tests are Welch's on the same contrast, at
the same looks: "plain" with the candidate's level at every look, "split" with that level divided
by the number of looks.

## Power, and episodes needed

P(`holds`) and the median of the episodes (of each of the three policies) until then, runs that do
not get there counted as longest; {min(options.runs, 400)} runs each. Candidate 1 is judged at level
0.025, candidate 5 at 0.0016.

{chr(10).join(power)}

`fails` at 0.8 rests on the candidate's rounds (mostly 128 episodes) and {FRESH} fresh ones. The
t-test needs fewer episodes, but it is the one that is wrong most of the time in the rows of
ceiling and catastrophe above.
"""
    Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
