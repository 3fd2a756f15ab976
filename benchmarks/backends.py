"""Whether envpool's tasks are gymnasium's: several policies on both; writes benchmarks/backends.md.

    python benchmarks/backends.py --teachers FOLDER            runs what is missing
    python benchmarks/backends.py --teachers FOLDER --table    only writes the table
    python benchmarks/backends.py --teachers FOLDER --only LunarLander-v3

FOLDER holds the folders of teachers that tests/envs/matched.py names. Cells of both backends use
the same settings: 40 environments, the same number of whole episodes from each.
"""

import argparse
import re
import sys
import time
from pathlib import Path

from cells import Cell

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "envs"))

from matched import (  # noqa: E402  (lies beside the test that uses it too)
    BACKENDS,
    NUM_ENVS,
    TEACHERS,
    Player,
    Sample,
    differences,
    play,
    players,
)

RESULTS = HERE / "results" / "backends"
TABLE = HERE / "backends.md"
HEADER = (
    "| task | policy | episodes | envpool: return | gymnasium: return | difference, % of T - R | z "
    "| envpool: length | gymnasium: length | z |"
)


def cell_of(player: Player, backend: str) -> Cell:
    """One policy on one backend; its command names all that its result depends on."""
    words = re.sub(r"[^\w.-]+", "-", player.name)
    name = f"{player.task_id}.{words}.{backend}"
    settings = (player.source, str(player.randomness), str(player.episodes), str(NUM_ENVS))
    return Cell(name, (player.task_id, backend, *settings), "matched.play")


def sample_of(player: Player, backend: str) -> Sample | None:
    """What was measured, or None."""
    result = cell_of(player, backend).result(RESULTS)
    return None if result is None else Sample(**result["sample"])


def run_missing(task_id: str, teachers: Path) -> None:
    """Play and keep the cells of a task that have no result yet."""
    for player in players(task_id):
        for backend in BACKENDS:
            cell = cell_of(player, backend)
            if cell.result(RESULTS) is not None:
                continue
            started = time.process_time()
            sample = play(player, backend, teachers)
            seconds = time.process_time() - started
            cell.keep(RESULTS, {"sample": sample._asdict()})
            print(f"{cell.name}: {sample} in {seconds:.0f} CPU s", flush=True)


def row_of(player: Player, gap: float | None) -> str:
    """One line of the table; a policy that was not played on both backends says so."""
    start = f"| {player.task_id} | {player.name} | {player.episodes:,} |"
    one, other = (sample_of(player, backend) for backend in BACKENDS)
    if one is None or other is None:
        return f"{start} not run | not run | - | - | not run | not run | - |"
    of_return, of_length = differences(one, other)
    share = f"{100 * of_return.value / gap:+.1f}" if gap else "-"
    returns = (f"{sample.mean:,.1f} ± {sample.sd:,.1f}" for sample in (one, other))
    lengths = (f"{sample.length:,.1f}" for sample in (one, other))
    cells = (*returns, share, f"{of_return.z:+.1f}", *lengths, f"{of_length.z:+.1f}")
    return f"{start} {' | '.join(cells)} |"


def rows_of(task_id: str) -> list[str]:
    """The lines of a task; T is its first policy and R the random one, both on gymnasium."""
    entries = players(task_id)
    ends = [sample_of(player, "gymnasium") for player in (entries[0], entries[-1])]
    gap = None if None in ends else abs(ends[0].mean - ends[1].mean)
    return [row_of(player, gap) for player in entries]


def write_table() -> None:
    """benchmarks/backends.md from the results there are."""
    lines = [line for task_id in TEACHERS for line in rows_of(task_id)]
    text = [
        "# The same task on both backends",
        "",
        "`python benchmarks/backends.py --teachers FOLDER`. The same policy on envpool and on "
        "gymnasium: mean return ± standard deviation of single episodes, mean length, and the "
        "differences (envpool - gymnasium), in per cent of (teacher - random) and in standard "
        'errors (z). The first policy of a task is its teacher T. "50 % random" is T with half '
        "of its actions drawn at random. `tests/envs/test_equivalence.py` asks that each "
        "difference is below 3 % or below 3 standard errors.",
        "",
        HEADER,
        "|---|---|---|---|---|---|---|---|---|---|",
        *lines,
        "",
        *notes(),
    ]
    TABLE.write_text("\n".join(text))


def notes() -> list[str]:
    """What the table cannot say."""
    return [
        "What this does not show: equal means are not equal physics (envpool has Box2D 2.4 and "
        'gymnasium 2.3). "not run" is a cell without a result, not a difference of zero. z is '
        "not corrected for the number of comparisons: of 80, four are above 2 by chance alone.",
        "",
        "LunarLander before heights were corrected on envpool (see docs/decisions.md), 768 "
        "episodes of dqn-LunarLander-v2 from 64 environments, mean ± standard error:",
        "",
        "| environment | return | length |",
        "|---|---|---|",
        "| envpool, as it is | 160.6 ± 3.1 | 674 ± 14 |",
        "| envpool, heights less 0.005 | 151.6 ± 2.7 | 730 ± 13 |",
        "| gymnasium | 151.2 ± 2.8 | 733 ± 13 |",
        "| gymnasium, ground as envpool's | 162.6 ± 3.1 | 676 ± 13 |",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="only write the table")
    parser.add_argument("--only", choices=tuple(TEACHERS), help="one task")
    flags = parser.parse_args()
    if not flags.table:
        for task_id in [flags.only] if flags.only else TEACHERS:
            run_missing(task_id, flags.teachers)
            write_table()
    write_table()


if __name__ == "__main__":
    main()
