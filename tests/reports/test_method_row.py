"""Methods in words: every row of the table, and its schedules drawn."""

import pytest

from rldistill.methods.catalogue import ROWS
from rldistill.methods.schedules import FirstRounds
from rldistill.reports.method_row import bounds, in_words, matched, method_section, who_acts


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_words_in_all_columns(name: str) -> None:
    section = method_section(name, 20)
    (cells,) = section.tables[0].rows
    assert cells[0] == name
    assert all(len(str(cell)) > 3 for cell in cells[1:])
    assert "Source: " in section.words[0]


def test_schedules_are_drawn_where_something_changes() -> None:
    """DAgger's share by round; a row that is the same in every round has none."""
    (chart,) = method_section("dagger-linear", 40).charts
    assert chart.data.rows[0] == (0, 1.0)
    assert chart.data.rows[-1] == (29, 0.0)
    assert method_section("on-policy-distill", 40).charts == ()
    (weight,) = method_section("kickstarting", 5).charts
    assert [column.name for column in weight.data.columns] == ["round", "weight of the loss"]


def test_words_by_hand() -> None:
    assert who_acts(ROWS["dagger"]) == "the teacher in the first round, then the student, by mode"
    assert bounds(ROWS["viper"]).startswith("grown from the latest 1,000,000 states")
    assert in_words(FirstRounds(1)) == "1 in the first round, then 0"
    assert matched(ROWS["baseline"]) == "nothing: no loss"
    assert "only where the teacher's value is higher" in matched(ROWS["value-gated"])


def test_a_row_of_ones_own_is_named() -> None:
    assert method_section("mine", 3).words == ("mine: a row of its own, not one of the table.",)
