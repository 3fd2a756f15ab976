"""Pages in a real browser: they fit any width, say nothing, ask nobody, sort, filter, are read."""

from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, seeds_of

from rldistill import report


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on one run with evidence."""
    run = made_run(tmp_path_factory.mktemp("one") / "run", evidence={})
    return report(run)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on twelve runs: two methods, two tasks, three seeds."""
    folder = tmp_path_factory.mktemp("several")
    runs = seeds_of(folder)
    return report(*runs, out=folder / "page.html")


@pytest.fixture(params=["one", "several"])
def page_file(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_nothing_overflows(opened: Any, page_file: Path, width: int) -> None:
    """On a phone, a tablet and a desktop the page is as wide as the window."""
    with opened(page_file, width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("h1").is_visible()
        outside = page.evaluate(
            "() => [...document.querySelectorAll('figure svg')].filter("
            "svg => svg.getBoundingClientRect().right > innerWidth).length"
        )
        assert outside == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened: Any, page_file: Path, scheme: str) -> None:
    """Contrast, headers, labels, names, landmarks, focus: nothing serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with opened(page_file, 1280, scheme) as page:
        found = axe.run(page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_readable_on_their_background(
    opened: Any, page_file: Path, scheme: str
) -> None:
    """Their text and lines stand out 4.5 and 3 to 1: WCAG 1.4.3 and 1.4.11. axe looks at no SVG."""
    with opened(page_file, 1280, scheme) as page:
        pairs = page.evaluate(
            """() => {
              const paper = getComputedStyle(document.body).backgroundColor, found = [];
              for (const text of document.querySelectorAll('figure svg text'))
                found.push([getComputedStyle(text).fill, paper, 4.5]);
              const style = getComputedStyle(document.documentElement);
              for (let i = 0; i < 6; i++)
                found.push([style.getPropertyValue(`--hue-${i}`), paper, 3]);
              return found;
            }"""
        )
        assert len(pairs) > 20
        for colour, paper, least in pairs:
            assert contrast(colour, paper) >= least, (colour, paper)


def contrast(one: str, other: str) -> float:
    """The WCAG contrast of two CSS colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    colour = colour.strip()
    if colour.startswith("#"):
        parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    else:
        parts = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in
              (part / 255 for part in parts)]  # fmt: skip
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rows(page: Any) -> list[list[str]]:
    """The visible cells of the table of runs."""
    return page.evaluate(
        "() => [...document.querySelector('[data-interactive] tbody').rows]"
        ".filter(row => !row.hidden).map(row => [...row.cells].map(cell => cell.textContent))"
    )


def test_a_click_sorts_and_a_second_one_turns_it_round(opened: Any, several: Path) -> None:
    """By number and not by text, what does not apply last; the header says how."""
    with opened(several) as page:
        head = page.locator("[data-interactive] th", has_text="steps").first
        for direction, reverse in (("ascending", False), ("descending", True)):
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == direction
            values = [row[13] for row in rows(page)]
            numbers = [int(value.replace(",", "")) for value in values if value != "-"]
            assert numbers == sorted(numbers, reverse=reverse)
            assert set(numbers) == {900, 5900, 10900}
            assert values[-1] == "-"


@pytest.mark.parametrize("width", [360, 1280])
def test_the_name_of_a_run_stays_in_sight(opened: Any, several: Path, width: int) -> None:
    """Also at the right end of the table of all runs, which is wider than the window."""
    with opened(several, width) as page:
        moved = page.evaluate(
            """() => {
                const box = document.querySelector("[data-interactive] .scroll");
                box.scrollLeft = 1e6;
                const name = box.querySelector("tbody th").getBoundingClientRect();
                return [box.scrollLeft, name.left - box.getBoundingClientRect().left, name.width];
            }"""
        )
    assert moved[0] > 50
    assert 0 <= moved[1] < 3
    assert moved[2] < 0.6 * width


def test_sorting_by_keyboard(opened: Any, several: Path) -> None:
    with opened(several) as page:
        page.locator("[data-interactive] th button").first.focus()
        page.keyboard.press("Enter")
        names = [row[0] for row in rows(page)]
        assert names == sorted(names)


def test_the_box_shows_rows_with_all_its_words(opened: Any, several: Path) -> None:
    """In any case and order; the count is said, and an empty box shows everything."""
    with opened(several) as page:
        box = page.get_by_label("Show rows with").first
        everything = len(rows(page))
        box.fill("OTHER-v0 dagger")
        found = rows(page)
        assert 0 < len(found) < everything
        assert all("Other-v0" in row and "dagger" in row for row in found)
        assert f"{len(found)} of {everything} shown" in page.locator("output").first.text_content()
        box.fill("")
        assert len(rows(page)) == everything


def test_without_javascript_everything_is_there(chromium: Any, several: Path) -> None:
    """The table is whole, and there is no box that does nothing."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(several.as_uri())
    assert page.locator("tbody").first.locator("tr").count() == 13
    assert not page.locator(".filter").first.is_visible()
    context.close()


def test_the_data_of_a_chart_can_be_downloaded(opened: Any, one: Path, tmp_path: Path) -> None:
    with opened(one) as page:
        link = page.get_by_role("link", name="Return of every episode as CSV")
        with page.expect_download() as waiting:
            link.click()
        assert waiting.value.suggested_filename == "return-of-every-episode.csv"
        text = Path(waiting.value.path()).read_text()
        assert text.splitlines()[0].startswith("episode,seed,student [reward")
        assert len(text.splitlines()) == 41


def test_it_prints_on_white(opened: Any, one: Path) -> None:
    """Also where the screen is dark: no dark page, no links to sections."""
    with opened(one, scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert luminance(ink) < 0.1
        assert not page.locator("nav").is_visible()


def test_nothing_is_wider_than_the_paper(opened: Any, page_file: Path) -> None:
    """A table that scrolls on the screen cannot on A4, with margins of 16 mm."""
    with opened(page_file, 672) as page:
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 672


def test_every_picture_has_words(opened: Any, page_file: Path) -> None:
    """Every figure has a text alternative and axis titles."""
    with opened(page_file) as page:
        labels = page.evaluate(
            "() => [...document.querySelectorAll('figure svg')].map(s => s.ariaLabel)"
        )
        assert labels
        assert all(label and len(label) > 20 for label in labels)
        ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
