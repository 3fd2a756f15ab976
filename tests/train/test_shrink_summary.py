"""What a sweep says: who beats whom, and what is and is not shown of smaller ones."""

from hypothesis import given
from hypothesis import strategies as st

from rldistill.train.shrink_summary import mark_frontier, sure_that_smaller_fails


def point(name, parameters, fraction, verdict):
    return {
        "name": name, "kind": "rung", "parameters": parameters, "fraction": fraction,
        "fraction_low": fraction - 0.1, "fraction_high": fraction + 0.1, "verdict": verdict,
        "reason": "shown", "updates": 7, "states": 9,
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1, max_size=12))
def test_the_frontier_is_what_no_other_beats(pairs):
    """Along it a larger student returns more; and whatever is off it is beaten by one on it."""
    points = [point(str(i), p, f / 20, "holds") for i, (p, f) in enumerate(pairs)]
    mark_frontier(points)
    on = sorted({(p["parameters"], p["fraction"]) for p in points if "parameters" in p["best_for"]})
    assert on
    assert [f for _, f in on] == sorted({f for _, f in on})
    for p in points:
        assert any(size <= p["parameters"] and f >= p["fraction"] for size, f in on)


def test_what_is_said_of_smaller_ones():
    best, fails = point("a", 9, 1.0, "holds"), point("b", 8, 0.5, "fails")
    open_one = point("c", 7, 0.95, "unsure")
    summary = {"winner": best, "next_smaller": fails, "frontier": [best, fails, open_one]}
    text = sure_that_smaller_fails(summary)
    assert "b, the next one: 8 parameters, fails, with at most 5 %" in text
    assert "unsettled c 0.950 [0.850, 1.050]" in text
    assert "none of the ladder" in sure_that_smaller_fails({**summary, "winner": None})
    unsure = sure_that_smaller_fails({**summary, "next_smaller": open_one})
    assert "c, the next one: 7 parameters, is neither shown to hold nor to fail" in unsure
    assert "unsettled" not in unsure
