"""What the paper claims, and whether it holds here: holds, does not hold, or cannot tell.

A claim compares two columns by their geometric means over games, seed by seed. It holds where the
95 % interval of the difference over seeds lies above 0, does not hold where it lies below, and
cannot be told otherwise, or where fewer than two seeds were run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rusu2015_cells import result
from rusu2015_suites import TEMPERATURES, Cell, Suite
from rusu2015_tables import (
    Column,
    columns_1,
    columns_2,
    columns_b1,
    columns_b2,
    columns_scratch,
    columns_tau,
    geometric,
    is_raw,
)

from rldistill.maths import stats

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot tell"


@dataclass(frozen=True)
class Claim:
    """One sentence, its answer, and the number behind it."""

    text: str
    answer: str
    why: str


def answer(differences: Sequence[float]) -> tuple[str, str]:
    """The answer to "is it above 0?", and the mean with its interval.

    >>> answer([0.1, 0.2, 0.15])[0], answer([-0.1, 0.1])[0], answer([0.3])[0]
    ('holds', 'cannot tell', 'cannot tell')
    """
    if not differences:
        return UNKNOWN, "not run"
    mean = f"{100 * float(np.mean(differences)):+.1f} points"
    if len(differences) < 2:
        return UNKNOWN, f"{mean}, one seed"
    found = stats.estimate(differences)
    assert found.low is not None
    assert found.high is not None
    why = f"{mean} [{100 * found.low:+.1f}, {100 * found.high:+.1f}], {len(differences)} seeds"
    if found.low > 0:
        return HOLDS, why
    return (FAILS if found.high < 0 else UNKNOWN), why


def above(
    suite: Suite, games: Sequence[str], better: Column, worse: Column | float
) -> tuple[str, str]:
    """Whether one column is above another, or above a number, in geometric mean."""
    columns = [better] if isinstance(worse, float | int) else [better, worse]
    raw = is_raw(suite, games, columns)
    ours = geometric(suite, games, better, raw)
    theirs = (
        [worse] * len(ours)
        if isinstance(worse, float | int)
        else geometric(suite, games, worse, raw)
    )
    count = min(len(ours), len(theirs))
    return answer([a - b for a, b in zip(ours[:count], theirs[:count], strict=True)])


def claims(suite: Suite) -> list[Claim]:
    """The claims of the paper that its tables support."""
    mse, nll, kl = columns_1(suite)
    net1, net2, net3 = columns_b1(suite)
    multi_dqn, multi_nll, multi_kl = columns_b2(suite)
    (everything,) = columns_2(suite)
    distilled, scratch = columns_scratch(suite)
    games, merged, every = suite.loss_games, suite.merge_games, list(suite.tasks)
    sweep = suite.loss_games[:2]
    taus = dict(zip(TEMPERATURES, columns_tau(suite), strict=True))
    compared = [
        ("KL is better than NLL (paper: 111 against 103 %)", above(suite, games, kl, nll)),
        ("NLL is better than MSE (paper: 103 against 79 %)", above(suite, games, nll, mse)),
        ("The 25 % net is at least as good as its teacher (108 %)",
         above(suite, every, net1, 1.0)),
        ("The 7 % net is about as good: above 95 % (102 %)", above(suite, every, net2, 0.95)),
        ("The 4 % net falls behind the 7 % net (84 against 102 %)",
         above(suite, every, net2, net3)),
        ("Several games: KL is better than NLL (117 against 105 %)",
         above(suite, merged, multi_kl, multi_nll)),
        ("Several games: KL is better than its teachers (117 %)",
         above(suite, merged, multi_kl, 1.0)),
        ("Several games: NLL is better than its teachers (105 %)",
         above(suite, merged, multi_nll, 1.0)),
        ("Several games: teachers are better than joint Q-learning (Multi-DQN, 84 %)",
         flipped(above(suite, merged, multi_dqn, 1.0))),
        ("Several games: KL is better than joint Q-learning (117 against 84 %)",
         above(suite, merged, multi_kl, multi_dqn)),
        ("All games in one net stay below their teachers (89 %)",
         flipped(above(suite, every, everything, 1.0))),
        ("Distilling the 25 % net beats training it from scratch (claimed, not measured there)",
         above(suite, sweep, distilled, scratch)),
    ]  # fmt: skip
    compared += [
        (f"tau 0.01 is better than tau {tau}", above(suite, sweep, taus["0.01"], taus[tau]))
        for tau in ("1", "0.1", "0.001", "relative")
    ]
    return [
        *(Claim(text, found, why) for text, (found, why) in compared),
        steadier(suite),
    ]


def flipped(found: tuple[str, str]) -> tuple[str, str]:
    """The answer to "is it below?"."""
    word, why = found
    return {HOLDS: FAILS, FAILS: HOLDS, UNKNOWN: UNKNOWN}[word], why


def steadier(suite: Suite) -> Claim:
    """Whether the student of a moving teacher varies less, in every run."""
    text = "A student of the best version so far varies less than its teacher"
    found = [
        result(suite, Cell("follow", (game,), suite.nets["25%"], "kl", seed))
        for game in suite.follow_games
        for seed in range(min(2, suite.seeds))
    ]
    pairs = [
        (one["student_variance"], one["teacher_variance"])
        for one in found
        if one is not None and one["teacher_variance"] is not None
    ]
    if not pairs:
        return Claim(text, UNKNOWN, "not run")
    less = sum(student < teacher for student, teacher in pairs)
    why = f"less in {less} of {len(pairs)} runs"
    if len(pairs) < 2 or 0 < less < len(pairs):
        return Claim(text, UNKNOWN, why)
    return Claim(text, HOLDS if less else FAILS, why)


def claims_table(suite: Suite) -> list[str]:
    """All claims as a table."""
    lines = ["### What the paper claims", "", "| claim | here | why |", "|---|---|---|"]
    lines += [f"| {claim.text} | **{claim.answer}** | {claim.why} |" for claim in claims(suite)]
    return [*lines, ""]
