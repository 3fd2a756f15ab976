"""Figures 2 to 6 of "Distilling Policy Distillation" (Czarnecki et al. 2019, arXiv:1902.02186).

    python reproduce/czarnecki2019.py                  runs what is missing, writes page and table
    python reproduce/czarnecki2019.py --mdps 1000      the paper's number of worlds
    python reproduce/czarnecki2019.py --figures 3 6    only these
    python reproduce/czarnecki2019.py --page           only the page and the table

Needs numba (pip install 'rldistill[lab]') for anything but a try. One iteration is one episode.
Results lie in reproduce/results/czarnecki2019, one file per method and panel; an interrupted run
continues. The page is reproduce/czarnecki2019.html; the table of claims and the pictures go into
docs/.
"""

import argparse
import sys
from pathlib import Path

from czarnecki2019_cells import Plan, run_panel
from czarnecki2019_page import write_page
from czarnecki2019_panels import PANELS

from rldistill.maths.compiled import numba_installed

FIGURES = (2, 3, 4, 5, 6)
DEFAULT = Plan()


def parse(arguments: list[str]) -> argparse.Namespace:
    """Flags; a short run must say where its results go: it must not mix with the kept ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mdps", type=int, default=DEFAULT.mdps, help="worlds per panel (%(default)s)"
    )
    parser.add_argument("--iterations", type=int, default=DEFAULT.iterations, help="episodes")
    parser.add_argument("--figures", type=int, nargs="*", choices=FIGURES, default=FIGURES)
    parser.add_argument("--threads", type=int, default=DEFAULT.threads, help="(%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT.minutes, help="at most, per panel (%(default)s)"
    )
    parser.add_argument("--results", type=Path, default=DEFAULT.folder, help="folder of the cells")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent.parent,
        help="root of the page (reproduce/) and the pictures (docs/)",
    )
    parser.add_argument("--page", action="store_true", help="run nothing")
    flags = parser.parse_args(arguments)
    if flags.iterations != DEFAULT.iterations and flags.results == DEFAULT.folder:
        parser.error("--iterations other than the default needs --results and --out of its own")
    if min(flags.mdps, flags.iterations, flags.threads) < 1:
        parser.error("--mdps, --iterations and --threads must be at least 1")
    return flags


def main(arguments: list[str]) -> None:
    flags = parse(arguments)
    plan = Plan(flags.mdps, flags.iterations, flags.threads, flags.minutes, flags.results)
    if not flags.page:
        if not numba_installed():
            print("numba is not installed: some hundred times slower. pip install 'rldistill[lab]'")
        try:
            for panel in PANELS:
                if panel.figure in flags.figures:
                    run_panel(panel, plan)
        finally:  # also when it is stopped: the page shows what there is
            write_page(plan, flags.out)
    else:
        write_page(plan, flags.out)


if __name__ == "__main__":
    main(sys.argv[1:])
