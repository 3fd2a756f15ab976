"""shrink.json: the frontier of a sweep, its smallest student, and how sure the next one fails."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rldistill.evaluation.verdict import LEVEL
from rldistill.runs import atomic_write, to_json
from rldistill.train.shrink_rung import RUNGS, rung_name
from rldistill.train.shrink_sweep import FORMAT, SUMMARY, Rung, Sweep

FORMAT_VERSION = 1
NUMBERS = (
    *("student_return", "teacher_return", "random_return"),
    *("fraction", "fraction_low", "fraction_high", "episodes"),
)


def write_summary(sweep: Sweep, done: bool = False) -> dict[str, Any]:
    """Write and return what the sweep has found so far."""
    points = [point_of(rung) for rung in sweep.rungs if rung.results]
    points += [compressed_point(result) for result in sweep.compressed if "verdict" in result]
    mark_frontier(points)
    best, smaller = sweep.winner, sweep.next_smaller
    summary: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "identity": sweep.identity(),
        "reference": None if sweep.reference is None else asdict(sweep.reference),
        "teacher": {
            "name": sweep.policy.info.name,
            "parameters": sweep.policy.info.acting_parameters or None,
        },
        "error_rate": LEVEL,
        "claims": sweep.claims,
        "labelled": sweep.labelled,
        "datasets": list(sweep.datasets),
        "done": done,
        "winner": None if best is None else point_of(best),
        "next_smaller": None if smaller is None else point_of(smaller),
        "frontier": points,
        "failed": [result for result in sweep.compressed if "verdict" not in result],
    }
    atomic_write(sweep.root / SUMMARY, to_json(summary, indent=1) + "\n")
    return summary


def point_of(rung: Rung) -> dict[str, Any]:
    """A rung as a point of the frontier."""
    latest, folder = rung.results[-1], f"{RUNGS}/{rung_name(rung.index, rung.student)}"
    found = verdict_numbers(latest["verdict"])
    if latest["verdict"] is None:
        screening = latest["screening"]
        found["student_return"] = screening["student_return"]
        found["fraction"] = screening["fraction"]
    return {
        "name": rung.student,
        "kind": "rung",
        **{key: latest[key] for key in ("parameters", "bytes", "latency_us", "updates", "states")},
        "env_steps": sum(result["rows"] for result in rung.results),
        "folder": folder,
        **found,
    }


def compressed_point(result: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest student pruned, or in int8, as a point of the frontier."""
    return {
        "name": result["name"],
        "kind": "pruned" if "share" in result else "int8",
        "parameters": result.get("nonzero", result["parameters"]),
        "bytes": result["bytes"],
        "latency_us": None,
        "folder": result.get("folder"),
        **verdict_numbers(result["verdict"]),
    }


def verdict_numbers(verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    """The word and the numbers that the frontier shows."""
    if verdict is None:
        return {"verdict": None, "reason": "not judged yet", **dict.fromkeys(NUMBERS)}
    names = ("verdict", "reason", *NUMBERS)
    return {name: verdict[name] for name in names}


def mark_frontier(points: Sequence[dict[str, Any]]) -> None:
    """Say of each point which costs no other beats at as good a return.

    >>> points = [{"fraction": 1.0, "parameters": 9}, {"fraction": 0.9, "parameters": 9}]
    >>> mark_frontier(points)
    >>> [point["best_for"] for point in points]
    [['parameters'], []]
    """
    for point in points:
        point["best_for"] = [
            cost
            for cost in ("parameters", "bytes", "latency_us")
            if point.get(cost) is not None
            and point["fraction"] is not None
            and not any(beats(other, point, cost) for other in points)
        ]


def beats(one: Mapping[str, Any], other: Mapping[str, Any], cost: str) -> bool:
    """Whether one costs no more and returns no less than the other, and differs."""
    if one.get(cost) is None or one["fraction"] is None:
        return False
    mine, theirs = (one[cost], -one["fraction"]), (other[cost], -other["fraction"])
    return mine != theirs and mine[0] <= theirs[0] and mine[1] <= theirs[1]


def sure_that_smaller_fails(summary: Mapping[str, Any]) -> str:
    """How sure it is that nothing smaller in the ladder would do."""
    best, smaller = summary["winner"], summary["next_smaller"]
    if best is None:
        return "smallest  none of the ladder is shown to hold: give larger students, or more steps"
    line = f"smallest  {best['name']}: {best['parameters']:,} parameters; {best['reason']}"
    if smaller is None:
        return f"{line}\nsmaller   nothing smaller is in the ladder: name some with --ladder"
    words = {
        "fails": "fails, with at most 5 % chance that this is wrong",
        "unsure": "is neither shown to hold nor to fail",
        "holds": "holds",
    }
    word = words.get(smaller["verdict"], "has no verdict")
    told = (
        f"{line}\nsmaller   {smaller['name']}, the next one: {smaller['parameters']:,} parameters, "
        f"{word}: fraction {share_text(smaller)} after {smaller['updates']:,} updates on "
        f"{smaller['states']:,} states"
    )
    open_ones = [
        f"{point['name']} {share_text(point)}"
        for point in summary["frontier"]
        if point["kind"] == "rung"
        and point["verdict"] == "unsure"
        and point["parameters"] < best["parameters"]
        and point["name"] != smaller["name"]
    ]
    if open_ones:
        told += f"\nunsettled {', '.join(open_ones)}: also smaller, and not shown to fail"
    return told


def share_text(point: Mapping[str, Any]) -> str:
    """The fraction with its interval.

    >>> share_text({"fraction": 0.5, "fraction_low": 0.4, "fraction_high": 0.6})
    '0.500 [0.400, 0.600]'
    """
    if point["fraction"] is None:
        return "-"
    if point["fraction_low"] is None:
        return f"{point['fraction']:.3f}"
    return f"{point['fraction']:.3f} [{point['fraction_low']:.3f}, {point['fraction_high']:.3f}]"


def rung_line(result: Mapping[str, Any]) -> str:
    """One stage of one student for people."""
    found = verdict_numbers(result["verdict"])
    if result["verdict"] is None:
        found["fraction"] = result["screening"]["fraction"]
    word = found["verdict"] or "goes on"
    return (
        f"  {result['student']:<12} {result['parameters']:>8,} parameters  "
        f"{result['bytes']:>8,} bytes  {result['latency_us']:6.1f} us  "
        f"fraction {share_text(found)}  {word}"
    )


def compressed_line(result: Mapping[str, Any]) -> str:
    """One compressed form of the smallest student for people."""
    if "verdict" not in result:
        return f"  {result['name']}: not done: {result['error']}"
    found = result["verdict"]
    count = result.get("nonzero", result["parameters"])
    return (
        f"  {result['name']}: {count:,} weights, {result['bytes']:,} bytes, fraction "
        f"{share_text(found)}: {found['verdict'] or 'no verdict'}"
    )
