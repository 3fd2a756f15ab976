"""Tables 1, B1, B2 and 2, figure 5 and the temperature sweep, ours beside the paper's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rusu2015_cells import result
from rusu2015_paper import DQN, TABLE_1, TABLE_2, TABLE_B1, TABLE_B2
from rusu2015_suites import LOSSES, NETS, TEMPERATURES, Cell, Suite

from rldistill.evaluation.combined import geometric_mean
from rldistill.maths import stats

NOT_RUN = "not run"


@dataclass(frozen=True)
class Column:
    """One column of a table: a name, the cell of a game and a seed, and the paper's numbers."""

    name: str
    cell: Callable[[str, int], Cell]
    paper: dict[str, float]


def scores(suite: Suite, game: str, cell: Callable[[str, int], Cell]) -> list[float]:
    """The mean return of each seed that was run."""
    found = [result(suite, cell(game, seed)) for seed in range(suite.seeds)]
    return [float(np.mean(one["returns"][game])) for one in found if one is not None]


def reference(suite: Suite, game: str) -> tuple[float, float] | None:
    """Mean returns of teacher and uniform policy over the seeds; None where none was played."""
    played = references(suite, game)
    if not played:
        return None
    teacher, random = zip(*played, strict=True)
    return float(np.mean(teacher)), float(np.mean(random))


def references(suite: Suite, game: str) -> list[tuple[float, float]]:
    """Mean returns of teacher and uniform policy of each seed that was run."""
    cells = [Cell("reference", (game,), seed=seed) for seed in range(suite.seeds)]
    found = [one for one in (result(suite, cell) for cell in cells) if one is not None]
    return [
        (float(np.mean(one["returns"][game])), float(np.mean(one["random"][game]))) for one in found
    ]


def kept(suite: Suite, game: str, values: Sequence[float], raw: bool) -> list[float]:
    """Of each seed: return over the teacher's, or the fraction of the way from the uniform policy.

    None of it where teacher and uniform policy were not played.
    """
    known = reference(suite, game)
    if known is None:
        return []
    teacher, random = known
    if raw:
        return [value / teacher for value in values]
    return [(value - random) / (teacher - random) for value in values]


def is_raw(suite: Suite, games: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether raw ratios mean something: all returns are above 0."""
    known = [reference(suite, game) for game in games]
    returns = [one[0] for one in known if one is not None]
    for column in columns:
        for game in games:
            returns += scores(suite, game, column.cell)
    return all(value > 0 for value in returns)


def with_interval(values: Sequence[float], percent: bool = False) -> str:
    """Mean and 95 % interval over seeds; the mean alone of one seed."""
    if not values:
        return NOT_RUN
    times = 100.0 if percent else 1.0
    digits = 1 if percent else 2
    mean = f"{times * float(np.mean(values)):.{digits}f}"
    if len(values) < 2:
        return f"{mean} (1 seed)"
    found = stats.estimate(values)
    assert found.low is not None
    assert found.high is not None
    return f"{mean} [{times * found.low:.{digits}f}, {times * found.high:.{digits}f}]"


def geometric(suite: Suite, games: Sequence[str], column: Column, raw: bool) -> list[float]:
    """The geometric mean over games, of each seed that has all of them."""
    means: list[float] = []
    for seed in range(suite.seeds):
        shares: list[float] = []
        for game in games:
            found = result(suite, column.cell(game, seed))
            if found is not None:
                shares += kept(suite, game, [float(np.mean(found["returns"][game]))], raw)
        if len(shares) == len(games):
            means.append(geometric_mean(shares))
    return means


def table(title: str, suite: Suite, games: Sequence[str], columns: Sequence[Column]) -> list[str]:
    """One table in the layout of the paper: per column the score, then its share of the teacher."""
    raw = is_raw(suite, games, columns)
    heads = [f"{column.name} | % teacher | paper: % DQN" for column in columns]
    lines = [f"### {title}", "", "| game | teacher | " + " | ".join(heads) + " |"]
    lines.append("|---" * (2 + 3 * len(columns)) + "|")
    for game in games:
        words = [game, with_interval([teacher for teacher, _ in references(suite, game)])]
        for column in columns:
            values = scores(suite, game, column.cell)
            words += [with_interval(values), with_interval(kept(suite, game, values, raw), True)]
            theirs = column.paper.get(game)
            words.append("-" if theirs is None else f"{100 * theirs / DQN[game]:.1f}")
        lines.append("| " + " | ".join(words) + " |")
    words = ["geometric mean", ""]
    for column in columns:
        words += ["", with_interval(geometric(suite, games, column, raw), True)]
        theirs = [100 * value / DQN[game] for game, value in column.paper.items()]
        words.append(f"{geometric_mean(theirs):.1f}" if theirs else "-")
    lines.append("| " + " | ".join(words) + " |")
    of = (
        "raw returns over the teacher's"
        if raw
        else "(return - random) / (teacher - random), since a return is not above 0"
    )
    return [*lines, "", f"Percentages and geometric means are of {of}.", ""]


def paper_of(rows: dict[str, dict[str, float]], name: str) -> dict[str, float]:
    """One column of the paper."""
    return {game: values[name] for game, values in rows.items()}


def columns_1(suite: Suite) -> list[Column]:
    net = suite.nets["100%"]
    return [
        Column(
            loss.upper(),
            lambda game, seed, loss=loss: Cell("distill", (game,), net, loss, seed),
            paper_of(TABLE_1, loss),
        )
        for loss in LOSSES
    ]


def columns_b1(suite: Suite) -> list[Column]:
    return [
        Column(
            size,
            lambda game, seed, size=size: Cell("distill", (game,), suite.nets[size], "kl", seed),
            paper_of(TABLE_B1, size),
        )
        for size in NETS[1:]
    ]


def columns_b2(suite: Suite) -> list[Column]:
    games = suite.merge_games
    kinds = (("multi-dqn", "multi-dqn", ""), ("multi-nll", "merge", "nll"),
             ("multi-kl", "merge", "kl"))  # fmt: skip
    return [
        Column(
            name,
            lambda game, seed, kind=kind, method=method: Cell(
                kind, games, suite.multi, method, seed
            ),
            paper_of(TABLE_B2, name),
        )
        for name, kind, method in kinds
    ]


def columns_2(suite: Suite) -> list[Column]:
    return [
        Column(
            "one net, KL",
            lambda game, seed: Cell("merge", tuple(suite.tasks), suite.multi_all, "kl", seed),
            paper_of(TABLE_2, "all-kl"),
        )
    ]


def columns_tau(suite: Suite) -> list[Column]:
    return [
        Column(
            f"tau {tau}",
            lambda game, seed, tau=tau: Cell(
                "distill", (game,), suite.nets["25%"], f"kl:{tau}", seed
            ),
            {},
        )
        for tau in TEMPERATURES
    ]


def columns_scratch(suite: Suite) -> list[Column]:
    return [
        Column(
            "distilled",
            lambda game, seed: Cell("distill", (game,), suite.nets["25%"], "kl", seed),
            {},
        ),
        Column(
            "trained from scratch",
            lambda game, seed: Cell("scratch", (game,), suite.nets["25%"], "", seed),
            {},
        ),
    ]


def figure_5(suite: Suite) -> list[str]:
    """Variance of return over the last half, of teacher and student."""
    lines = ["### Figure 5: a student of a teacher that is still learning", ""]
    lines += ["| game | seed | variance of the teacher | variance of the student | looks |"]
    lines += ["|---|---|---|---|---|"]
    for game in suite.follow_games:
        for seed in range(min(2, suite.seeds)):
            found = result(suite, Cell("follow", (game,), suite.nets["25%"], "kl", seed))
            words = [NOT_RUN] * 3
            if found is not None and found["teacher_variance"] is not None:
                words = [f"{found[f'{who}_variance']:.3g}" for who in ("teacher", "student")]
                words.append(str(len(found["looks"])))
            lines.append(f"| {game} | {seed} | " + " | ".join(words) + " |")
    lines += ["", "The variance is over the last half of the looks, at equal times.", ""]
    for name in looks(suite):
        lines += [f"![Figure 5: {name}]({suite.name}-{name}.svg)", ""]
    return lines


def all_tables(suite: Suite) -> list[str]:
    """Everything that was run, and "not run" for the rest."""
    sweep = suite.loss_games[:2]
    return [
        *table("Table 1: criterion, same network", suite, suite.loss_games, columns_1(suite)),
        *table("Table B1: compression, KL", suite, list(suite.tasks), columns_b1(suite)),
        *table("Table B2: several games, one network", suite, suite.merge_games, columns_b2(suite)),
        *table("Table 2: all games, one network", suite, list(suite.tasks), columns_2(suite)),
        *figure_5(suite),
        *table("Temperature, 25 % network", suite, sweep, columns_tau(suite)),
        "The best temperature depends on the scale of Q; `relative` is a tenth of the teacher's "
        "own action gap and needs no such choice.",
        "",
        *table("25 % network: distilled or from scratch", suite, sweep, columns_scratch(suite)),
    ]


def looks(suite: Suite) -> dict[str, Any]:
    """What each cell of figure 5 saw, for the picture."""
    found: dict[str, Any] = {}
    for game in suite.follow_games:
        for seed in range(min(2, suite.seeds)):
            record = result(suite, Cell("follow", (game,), suite.nets["25%"], "kl", seed))
            if record is not None:
                found[f"{game}-seed{seed}"] = record["looks"]
    return found
