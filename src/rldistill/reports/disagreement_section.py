"""The states that divide the two policies most, with what each would do there."""

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rldistill.core import (
    Categorical,
    Deterministic,
    Distribution,
    Gaussian,
    Head,
    SquashedGaussian,
)
from rldistill.evaluation.evidence import STUDENT, RunEvidence
from rldistill.reports.plots import Choice, choices_plot
from rldistill.reports.section import Cell, Chart, Column, Media, Section, Table

Array = NDArray[Any]
SHOWN, PICTURES, LISTED = 4, 4, 10
MOST_ACTIONS = 8  # drawn: of more, the likeliest in these states
MOST_FEATURES = 30
ENLARGED = 168  # pixels of the shorter side of a frame that is smaller


def disagreement_section(evidence: RunEvidence) -> Section:
    """The worst states: both policies' choices drawn, the states as a table and as pictures."""
    states = evidence.states
    title = "Where they differ most"
    rows = np.flatnonzero(states.extreme)
    rows = rows[np.argsort(-states.difference[rows], kind="stable")]
    if not len(rows):
        return Section(title, ("In none of the states that were looked at do the two differ.",))
    has_kl = not np.isnan(states.kl[rows]).any()
    by = "KL divergence from the teacher's choice" if has_kl else "share of the action chosen alike"
    words = (
        f"Of each episode the state that divides the two most, by {by}; of these, the worst. They "
        "are extremes and say nothing of how often the two differ.",
    )
    pictures = _pictures(evidence, rows) if states.observations.ndim > 2 else ()
    return Section(title, words, (_chart(evidence, rows[:SHOWN]),),
                   (_table(evidence, rows[:LISTED]),), pictures)  # fmt: skip


def choice_of(head: Head, raw: Array, temperature: float) -> tuple[Array, Array | None]:
    """What a policy says in N states: probabilities [N, A], or likeliest values and deviations.

    Args:
        head: what the outputs mean.
        raw: [N, outputs].
        temperature: of a softmax.
    """
    said: Distribution = head(torch.from_numpy(raw))
    match said:
        case Categorical(logits):
            return (logits / temperature).softmax(-1).numpy(), None
        case Gaussian(mean, log_std):
            return mean.numpy(), log_std.exp().numpy()
        case SquashedGaussian(mean, log_std, low, high):
            # The deviation before tanh, times the slope of tanh at the mean.
            slope = (1.0 - mean.tanh() ** 2) * (high - low) / 2
            return said.mode().numpy(), (slope * log_std.exp()).numpy()
        case Deterministic(action):
            return action.numpy(), None


def _chart(evidence: RunEvidence, rows: Array) -> Chart:
    states, names = evidence.states, evidence.action_names
    teacher, teacher_spread = choice_of(
        evidence.teacher_head, states.teacher_raw[rows], evidence.temperatures[0]
    )
    student, student_spread = choice_of(
        evidence.student_head, states.student_raw[rows], evidence.temperatures[1]
    )
    shown = np.arange(len(names))
    if len(names) > MOST_ACTIONS:
        likely = np.maximum(np.abs(teacher), np.abs(student)).max(0)
        shown = np.sort(np.argsort(-likely, kind="stable")[:MOST_ACTIONS])
    choices: list[Choice] = []
    for i, row in enumerate(rows):
        spread = None
        if teacher_spread is not None and student_spread is not None:
            spread = (teacher_spread[i, shown].tolist(), student_spread[i, shown].tolist())
        choices.append(
            Choice(
                _name(evidence, int(row)), teacher[i, shown].tolist(), student[i, shown].tolist(),
                spread,
            )
        )  # fmt: skip
    discrete = evidence.is_discrete
    y_title = "probability" if discrete else "action [environment units]"
    what = "probability" if discrete else "likeliest value"
    table = tuple(
        (_name(evidence, int(row)), names[a], float(teacher[i, a]), float(student[i, a]))
        for i, row in enumerate(rows)
        for a in range(len(names))
    )
    columns = (
        Column("state"), Column("action"), Column(f"teacher's {what}"), Column(f"student's {what}")
    )  # fmt: skip
    left_out = len(names) - len(shown)
    return Chart(
        figure=choices_plot(choices, [names[i] for i in shown], y_title),
        title="What both would do there",
        alt=f"Both policies' choices in the {len(rows)} states that divide them most.",
        caption="A, B, ...: the states of the table below."
        + (" Lines: one deviation of the distribution." if teacher_spread is not None else "")
        + (f" {left_out} unlikelier actions are in the data alone." if left_out else "")
        + (_softmax_note(evidence) if discrete else ""),
        data=Table(columns, table),
    )


def _softmax_note(evidence: RunEvidence) -> str:
    if evidence.temperatures == (1.0, 1.0):
        return ""
    return (
        " Q-values are shown as a softmax with a temperature of a tenth of their mean action gap; "
        "who acts takes the greatest."
    )


def letter(place: int) -> str:
    """A, B, ... Z, then numbers.

    >>> letter(0), letter(26)
    ('A', '27')
    """
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _name(evidence: RunEvidence, row: int) -> str:
    """The letter of a state, and its divergence where it has one."""
    states = evidence.states
    extremes = np.flatnonzero(states.extreme)
    order = extremes[np.argsort(-states.difference[extremes], kind="stable")]
    place = int(np.flatnonzero(order == row)[0])
    kl = states.kl[row]
    return letter(place) if np.isnan(kl) else f"{letter(place)}: KL {kl:.3g} nats"


def _table(evidence: RunEvidence, rows: Array) -> Table:
    states = evidence.states
    teacher, _ = choice_of(
        evidence.teacher_head, states.teacher_raw[rows], evidence.temperatures[0]
    )
    student, _ = choice_of(
        evidence.student_head, states.student_raw[rows], evidence.temperatures[1]
    )
    names, features = evidence.action_names, evidence.feature_names[:MOST_FEATURES]
    columns = (
        Column("state"), Column("visited by"), Column("episode"), Column("step", "env steps"),
        Column("KL", "nats"), Column("teacher does"), Column("student does"),
        *(Column(name.name, name.unit) for name in features),
    )  # fmt: skip
    table: list[tuple[Cell, ...]] = []
    for i, row in enumerate(rows):
        kl = float(states.kl[row])
        table.append(
            (
                letter(i),
                "student" if states.visitor[row] == STUDENT else "teacher",
                int(states.episode[row]),
                int(states.step[row]),
                None if np.isnan(kl) else kl,
                action_in_words(names, teacher[i], evidence.is_discrete),
                action_in_words(names, student[i], evidence.is_discrete),
                *(float(states.features[row, j]) for j in range(len(features))),
            )
        )
    return Table(columns, tuple(table), title="The states")


def action_in_words(names: tuple[str, ...], said: Array, is_discrete: bool) -> str:
    """The likeliest action by its name and probability; the values of a continuous one.

    >>> action_in_words(("left", "right"), np.array([0.25, 0.75]), True)
    'right (0.75)'
    """
    if is_discrete:
        best = int(said.argmax())
        return f"{names[best]} ({said[best]:.2f})"
    values = ", ".join(f"{value:.3g}" for value in said[:6])
    return values if len(said) <= 6 else f"{values}, ..."


def _pictures(evidence: RunEvidence, rows: Array) -> tuple[Media, ...]:
    """The observations themselves, where they are pictures and were kept."""
    seen = evidence.states.observations
    shown = [int(row) for row in rows[:PICTURES] if row < len(seen)]
    return tuple(
        Media(
            title=f"State {_name(evidence, row)}",
            alt=f"What the policies see in state {letter(i)}.",
            media_type="image/png",
            data=picture_of(seen[row]),
            caption="The latest frame where several are stacked.",
        )
        for i, row in enumerate(shown)
    )


def picture_of(seen: Array) -> bytes:
    """An observation as a PNG: its last frame, or its colours; small ones are enlarged."""
    image = seen
    if image.ndim == 3:
        if image.shape[0] <= 16 < min(image.shape[1:]):  # channels first
            image = np.moveaxis(image, 0, -1)
        image = image if image.shape[-1] == 3 else image[..., -1]
    scaled = image.astype(np.float32)
    if image.dtype != np.uint8:
        low, high = float(scaled.min()), float(scaled.max())
        scaled = 255.0 * (scaled - low) / max(high - low, 1e-9)
    frame = Image.fromarray(scaled.clip(0, 255).astype(np.uint8))
    factor = max(1, ENLARGED // max(1, min(frame.size)))
    frame = frame.resize((frame.width * factor, frame.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    frame.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
