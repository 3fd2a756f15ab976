"""rldistill methods: the table of methods."""

from commands import Command

from rldistill.methods.catalogue import DEFAULT, ROWS


def test_every_row_is_listed_and_the_default_is_marked(rldistill: Command) -> None:
    result = rldistill("methods")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line[2:].split()[0] for line in lines[:-1]] == list(ROWS)
    assert lines[list(ROWS).index(DEFAULT)].startswith(f"* {DEFAULT} ")
    assert lines[-1] == "* the default"


def test_for_machines(rldistill: Command) -> None:
    records = rldistill("methods", "--json").records
    assert [record["name"] for record in records] == list(ROWS)
    assert all(
        set(record) == {"name", "loss", "summary", "source", "default"} for record in records
    )
    assert [record["name"] for record in records if record["default"]] == [DEFAULT]
