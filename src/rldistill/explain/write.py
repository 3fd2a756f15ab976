"""An explanation as files: explain.json, rules.txt, and tree.svg or saliency.png."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rldistill.errors import RunFolderError
from rldistill.explain.explanation import Changes, Explanation
from rldistill.explain.importance import Importance
from rldistill.explain.picture import percent
from rldistill.explain.regions import Region
from rldistill.explain.saliency import Saliency
from rldistill.maths.stats import Estimate
from rldistill.runs import atomic_write, to_json
from rldistill.runs.files import make_folder, storage_advice

FILES = ("explain.json", "rules.txt", "tree.svg", "saliency.png")


def prepare_folder(folder: Path, force: bool = False) -> None:
    """Make the folder of an explanation, before anything is played.

    Raises:
        RunFolderError: it cannot be made, or holds an explanation and force is not given.
    """
    found = [name for name in FILES if (folder / name).exists()]
    if found and not force:
        raise RunFolderError(
            f"{folder} already holds {found[0]}: choose another folder with --out, or replace it "
            "with --force"
        )
    try:
        make_folder(folder)
    except OSError as error:
        raise RunFolderError(storage_advice(error, folder)) from error


def write_explanation(explanation: Explanation, folder: Path) -> tuple[Path, ...]:
    """Write what there is, each file atomically; files of an older explanation are removed.

    Returns:
        The paths written.

    Raises:
        RunFolderError: the folder is not writable or the disk is full.
    """
    contents: dict[str, bytes | str] = {
        "explain.json": to_json(explanation.to_json(), indent=1) + "\n",
        "rules.txt": "\n".join(text_lines(explanation)) + "\n",
    }
    if explanation.svg is not None:
        contents["tree.svg"] = explanation.svg
    if explanation.saliency is not None:
        contents["saliency.png"] = saliency_png(explanation.saliency)
    for name in FILES:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        atomic_write(folder / name, content)
    return tuple(folder / name for name in contents)


def text_lines(explanation: Explanation) -> Iterator[str]:
    """The explanation as plain text, how faithful it is first."""
    yield from heading_lines(explanation)
    if explanation.regions:
        yield from ("", "Rules, the most used first; with 95 % intervals")
        for region in explanation.ordered:
            yield from ("", *rule_lines(region, explanation))
    if explanation.importance:
        yield from ("", "Return lost when a feature is shuffled; with 95 % intervals")
        yield from (f"  {one.name}: {lost_words(one)}" for one in explanation.importance)
    if explanation.changes is not None:
        yield ""
        yield from change_lines(explanation, explanation.changes)


def rule_lines(region: Region, explanation: Explanation) -> tuple[str, str]:
    """A rule, and how it is used."""
    rule = region.rule.words(explanation.names)
    return f"{region.number}. {rule}", f"   {usage(region, explanation.against)}"


def change_lines(explanation: Explanation, changes: Changes) -> Iterator[str]:
    """How near the policy is to doing something else."""
    how = "exact" if changes.exact else "by search: upper bounds"
    median = changes.quantiles[2]
    found = f"median {median:.3g} sd" if np.isfinite(median) else "none found for half of them"
    yield (
        f"Smallest changes of an observation that change the action ({how}), in standard "
        f"deviations (sd) of its features, for {changes.states} states: {found}"
        + ("; for example" if changes.examples else "")
    )
    yield from (f"  {one.words(explanation.names)}" for one in changes.examples)


def heading_lines(explanation: Explanation) -> Iterator[str]:
    """What was explained, how faithfully, and what to know of it."""
    yield (
        f"{explanation.policy} on {explanation.task}: return {number(explanation.returns)}, "
        f"{explanation.episodes} episodes"
    )
    surrogate = explanation.surrogate
    if surrogate is not None:
        yield (
            f"The rules are those of a surrogate tree of {surrogate.tree.num_leaves} leaves. It "
            f"does what {explanation.policy} does in {percent(surrogate.fidelity)} of "
            f"{explanation.counted}, "
            "counted on episodes that it was not fitted to."
        )
        yield (
            f"Left to play by itself it returns {number(surrogate.returns)}: it describes "
            f"{explanation.policy} and may not replace it."
        )
    elif explanation.is_tree:
        merged = explanation.num_leaves - len(explanation.regions)
        said = f", {merged} of them merged into neighbours that do the same" if merged else ""
        yield f"The rules are the policy itself: a tree of {explanation.num_leaves} leaves{said}."
    if explanation.agreement is not None:
        yield (
            f"It does what the teacher ({explanation.against}) does in "
            f"{percent(explanation.agreement)} of its {explanation.counted}."
        )
    yield from (f"note: {note}" for note in explanation.notes)


def usage(region: Region, against: str | None) -> str:
    """How often a region is used, what follows, how faithful it is."""
    if region.visits == 0:
        return "never visited"
    words = f"{percent(region.share)} of steps; return {number(region.return_after)} follows"
    if region.fidelity is not None:
        words += f"; as {against} does in {percent(region.fidelity)}"
    return words


def lost_words(one: Importance) -> str:
    """What shuffling a feature loses."""
    changed = f"changes {100 * one.actions_changed:.1f} % of actions"
    if one.unused:
        return "0 (the tree never asks for it)"
    if one.return_lost is None:
        return f"not played ({changed})"
    return f"{number(one.return_lost)} ({changed})"


def number(found: Estimate) -> str:
    """A number with its interval.

    >>> number(Estimate(1.0, 0.5, 1.5)), number(Estimate(1.0, None, None))
    ('1 [0.5, 1.5]', '1')
    """
    words = f"{found.value:.4g}"
    if found.low is None or found.high is None:
        return words
    return f"{words} [{found.low:.4g}, {found.high:.4g}]"


def saliency_png(found: Saliency) -> bytes:
    """Three pictures side by side: what was seen, what matters there, what matters on average."""
    # matplotlib.pyplot would pick a display; figures of one's own need none.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    axes[0].imshow(found.frame, cmap="gray", vmin=0, vmax=1)
    axes[0].set_title("what was seen")
    for axis, heat, title in (
        (axes[1], found.heat, "what matters there"),
        (axes[2], found.mean_heat, "on average over the states"),
    ):
        axis.imshow(found.frame, cmap="gray", vmin=0, vmax=1)
        shown = axis.imshow(heat, cmap="inferno", alpha=0.75, vmin=0, vmax=_top(heat))
        axis.set_title(title)
        figure.colorbar(shown, ax=axis, label="KL when hidden, nats")
    for axis in axes:
        axis.set_axis_off()
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=110, metadata={"Software": None})
    return written.getvalue()


def _top(heat: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
    """The end of the colours; above 0, so that a map without heat is dark."""
    return max(float(heat.max()), 1e-12)
