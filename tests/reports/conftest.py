"""A browser for pages: Debian's chromium, driven by playwright; tests skip where it is missing."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rldistill.reports import page


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to outlast a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not drawn, for tests that are about something else: it takes seconds."""
    monkeypatch.setattr(page, "to_svg", lambda figure, prefix, label: "<svg></svg>")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("no chromium on this machine (on Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


Opener = Callable[..., Any]


@pytest.fixture
def opened(chromium: Any) -> Opener:
    """Opens a file in a browser, as a context; whatever it says or asks for fails the test."""

    @contextmanager
    def open_page(path: Path, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
        viewport = {"width": width, "height": 900}
        context = chromium.new_context(viewport=viewport, color_scheme=scheme)
        page = context.new_page()
        heard: list[str] = []
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:")) else heard.append(request.url)
            ),
        )
        page.goto(path.absolute().as_uri())
        yield page
        context.close()
        assert heard == []

    return open_page
