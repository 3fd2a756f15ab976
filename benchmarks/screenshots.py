"""The pictures of docs/report: pages as a browser shows them.

    python benchmarks/screenshots.py RUN RUNS

RUN is one run folder, RUNS a folder of several. Needs Chromium and `pip install playwright`.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from rldistill import report

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "report"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
Scheme = Literal["light", "dark"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("runs", type=Path)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        one = report(flags.run, out=Path(folder) / "one.html")
        several = report(flags.runs, out=Path(folder) / "several.html")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )

        def shoot(page_file: Path, name: str, size: tuple[int, int], scheme: Scheme) -> None:
            width, height = size
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(page_file.absolute().as_uri())
            page.screenshot(path=PICTURES / f"{name}.png")
            page.close()

        shoot(one, "one-light", (1100, 1150), "light")
        shoot(one, "phone", (390, 1000), "dark")
        shoot(several, "several-dark", (1100, 1150), "dark")
        browser.close()


if __name__ == "__main__":
    main()
