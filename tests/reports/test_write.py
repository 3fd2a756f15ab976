"""Reports of runs that are whole, cut off, damaged, hostile, or very many."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, seeds_of

from rldistill import report
from rldistill.errors import RunFolderError, SettingError
from rldistill.reports import write
from rldistill.runs import RunFolder

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'&{{ 7*7 }}$x^2$'
# What would run, load or leave if it stood in a page as it is.
DANGEROUS = ("<script>alert", "<img src=x", 'onerror="', "49", "javascript:")


def test_one_run_has_all_its_sections(tmp_path: Path) -> None:
    """The verdict comes first, and the page is in the run folder."""
    path = report(made_run(tmp_path / "run", evidence={}))
    assert path == tmp_path / "run" / "report.html"
    page = path.read_text()
    titles = [part.split("</h2>")[0].split(">")[-1] for part in page.split("<h2 ")[1:]]
    assert titles == [
        "Returns", "Learning", "Agreement by region", "Where they differ most",
        "Where the two go", "Size, latency, cost", "Method", "Settings, versions, command",
    ]  # fmt: skip
    assert page.index("The student holds.") < page.index("<h2 ")
    assert "could not be made" not in page
    assert "rldistill distill teacher.zip --task Made-v0" in page
    assert len(page.encode()) < 5_000_000


def test_nothing_outside_is_asked_for(tmp_path: Path) -> None:
    """No address but those of namespaces; scripts and styles are inside, by policy too."""
    page = report(*seeds_of(tmp_path), out=tmp_path / "page.html").read_text()
    page = page.replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in page.replace("&#39;", "'")
    assert "src=" not in page


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", evidence={})
    assert report(run).read_bytes() == report(run).read_bytes()


@pytest.mark.parametrize("left", [(), ("student.json",), ("metrics.jsonl", "student.json")])
@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_cut_off_shows_what_there_is(tmp_path: Path, left: tuple[str, ...]) -> None:
    """Before a verdict, before a student, before anything: the page says so."""
    run = made_run(tmp_path / "run", finished=False)
    for name in left:
        (run / name).unlink()
    page = report(run).read_text()
    assert "There is no verdict" in page
    assert ("has not finished" if not left else "was cut off before it saved a student") in page
    assert ("Return against env steps" in page) == ("metrics.jsonl" not in left)
    assert "no evidence was kept" in page


@pytest.mark.usefixtures("undrawn")
def test_a_torn_line_and_a_damaged_one_are_left_out(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"env_steps": NaN}\n{"env_st\n[]\n{"env_steps": 5120, "episod')
    found = write.read_runs([RunFolder.open(run)])[0]
    assert [point["env_steps"] for point in found.curve] == [1024, 2048, 3072, 4096]
    report(run)


@pytest.mark.parametrize("name", ["student.json", "verdict.json", "recipe.toml"])
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"verdict": [], "task": 3, "seed": "x"}', '{"a": 1e999}', "[" * 9999,
     '{"verdict": 1, "fraction": "0.9", "teacher": {"name": {"a": [1]}}}', "\x00\xff"],
)  # fmt: skip
@pytest.mark.usefixtures("undrawn")
def test_wrong_types_and_damage_never_break_the_page(tmp_path: Path, name: str, text: str) -> None:
    run = made_run(tmp_path / "run")
    (run / name).write_bytes(text.encode("latin1"))
    write.html_report([RunFolder.open(run)])
    write.html_report([RunFolder.open(run), RunFolder.open(made_run(tmp_path / "other"))])


def hostile_run(folder: Path) -> Path:
    """HTML, scripts, formulas and templates wherever a text can stand."""
    return made_run(
        folder / "<script>alert(3)<",
        student={
            "architecture": HOSTILE, "method": HOSTILE, "command": HOSTILE,
            "task": {"id": HOSTILE}, "teacher": {"name": HOSTILE, HOSTILE: HOSTILE},
            "versions": {HOSTILE: HOSTILE},
        },
        outcome={"reason": HOSTILE, "verdict": HOSTILE,
                 "tasks": [{"task": HOSTILE, "fraction": 0.5}, {"task": "b", "fraction": 2}]},
        evidence={},
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
def test_names_with_html_are_shown_as_text(tmp_path: Path, count: int) -> None:
    """In words, tables, captions, alternatives and inside the drawings."""
    folders = [hostile_run(tmp_path / str(i)) for i in range(count)]
    page = report(*folders, out=tmp_path / "page.html").read_text()
    for text in DANGEROUS[:3]:
        assert text not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7*7 }}" in page


@pytest.mark.parametrize("count", [1, 3])
def test_a_hostile_page_runs_nothing(opened: Any, tmp_path: Path, count: int) -> None:
    """In a browser: no dialog, no error, no request; and no script could run if it got in."""
    folders = [hostile_run(tmp_path / str(i)) for i in range(count)]
    path = report(*folders, out=tmp_path / "page.html")
    with opened(path) as page:
        assert page.locator("h1").is_visible()
        assert page.locator("main script, main img[src=x]").count() == 0


def test_a_script_that_got_in_does_not_run(chromium: Any, tmp_path: Path) -> None:
    """The content policy is the second lock: only the page's own lines run."""
    path = report(*seeds_of(tmp_path), out=tmp_path / "page.html")
    evil = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
    path.write_text(path.read_text().replace("</main>", f"{evil}</main>"))
    context = chromium.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator("[data-interactive] th button").first.wait_for()
    assert page.title() != "taken"
    context.close()


@pytest.mark.usefixtures("undrawn")
def test_links_and_pipes_in_a_run_folder_are_not_followed(tmp_path: Path) -> None:
    """A run makes none; one could show a file of the reader's in a page that is passed on."""
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"command": "the secret"}))
    run = made_run(tmp_path / "run")
    (run / "student.json").unlink()
    (run / "student.json").symlink_to(secret)
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to("/dev/zero")
    page = report(run).read_text()
    assert "the secret" not in page
    assert "is a link" in page


@pytest.mark.usefixtures("undrawn")
def test_a_report_that_is_a_link_replaces_the_link(tmp_path: Path) -> None:
    """What it points to stays as it was."""
    run = made_run(tmp_path / "run")
    victim = tmp_path / "page.html"
    victim.write_text("<!doctype html>\n<!-- rldistill report --> old")
    (run / "report.html").symlink_to(victim)
    report(run)
    assert victim.read_text().endswith("old")


@pytest.mark.usefixtures("undrawn")
def test_files_of_a_gigabyte_are_not_read_whole(tmp_path: Path) -> None:
    """Sparse files: what is read of each is bounded."""
    run = made_run(tmp_path / "run")
    for name in ("metrics.jsonl", "verdict.json", "recipe.toml", "evidence.safetensors"):
        with (run / name).open("ab") as file:
            file.truncate(2**30)
    started = time.process_time()
    page = report(run).read_text()
    assert time.process_time() - started < 10
    assert "larger than" in page
    assert len(page) < 5_000_000


@pytest.mark.usefixtures("undrawn")
def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    mine = tmp_path / "index.html"
    for text in ("my home page", "how I made an rldistill report"):
        mine.write_text(text)
        with pytest.raises(RunFolderError, match="not a report of rldistill; it is not overwri"):
            report(run, out=mine)
        assert mine.read_text() == text
    assert report(run, out=tmp_path / "r.html") == report(run, out=tmp_path / "r.html")


def test_a_folder_of_runs_stands_for_all_of_them(tmp_path: Path) -> None:
    seeds_of(tmp_path / "runs")
    assert len(write.find_runs([tmp_path / "runs"])) == 13
    assert len(write.find_runs([tmp_path / "runs", tmp_path / "runs" / "cut-off"])) == 13
    with pytest.raises(RunFolderError, match="no run folder at"):
        write.find_runs([tmp_path / "nowhere"])
    (tmp_path / "thesis").mkdir()
    with pytest.raises(RunFolderError, match="is not a run folder"):
        write.find_runs([tmp_path / "thesis"])
    with pytest.raises(SettingError, match="video has no effect"):
        report(tmp_path / "runs", video=True)


def test_two_thousand_runs(tmp_path: Path) -> None:
    """Within 5 MB, and within a minute of one core: everything that is drawn is bounded."""
    model = made_run(tmp_path / "model")
    texts = {path.name: path.read_bytes() for path in model.iterdir() if path.is_file()}
    folder = tmp_path / "runs"
    for i in range(2000):
        run = folder / f"run-{i:04d}"
        run.mkdir(parents=True)
        student = json.loads(texts["student.json"])
        student |= {"seed": i, "architecture": f"mlp:{i % 40 + 1}", "task": {"id": f"T{i % 30}"}}
        for name in ("run.json", "verdict.json", "metrics.jsonl", "recipe.toml"):
            (run / name).write_bytes(texts[name])
        (run / "student.json").write_text(json.dumps(student))
    started = time.process_time()
    page = report(folder, out=tmp_path / "page.html").read_text()
    assert time.process_time() - started < 60
    assert len(page.encode()) < 5_000_000
    assert page.count('<th scope="row"') > 2000
    assert "60 of 2,000 runs are drawn" in page
    assert "Of 40 groups the 6 with the most runs are drawn" in page
