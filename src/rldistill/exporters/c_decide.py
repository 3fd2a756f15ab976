"""The C functions that decide: from the raw outputs of a network to an action or a distribution."""

import numpy as np

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.exporters.acting import Output, bounds_of
from rldistill.exporters.c_steps import CWriter, Value
from rldistill.exporters.steps import Clip, Squash
from rldistill.exporters.target import Subject

TAKES = "const float *observation, NAME_state *state"
ACT = f"static inline int NAME_act({TAKES}, float *action)"


def is_discrete(subject: Subject) -> bool:
    """Whether actions are an index."""
    return isinstance(subject.policy.info.head, (CategoricalHead, QValueHead))


def function(signature: str, body: list[str], says: str = "") -> list[str]:
    """The lines of a C function."""
    comment = [f"/* {says} */"] if says else []
    return [*comment, f"{signature} {{", *(f"    {line}" for line in body), "}", ""]


def _asking(pointers: str, size: int) -> list[str]:
    """The first lines of every function that decides."""
    return [
        f"float raw[{size}];",
        f"if ({' || '.join(f'!{name}' for name in pointers.split())}) {{",
        "    return NAME_ERROR_NULL;",
        "}",
        "const int error = NAME_raw(observation, state, raw);",
        "if (error) {",
        "    return error;",
        "}",
    ]


def acting(subject: Subject, writer: CWriter, size: int) -> list[str]:
    """NAME_act, and what gives the distribution; the writer gets the constants they need."""
    if is_discrete(subject):
        return _discrete(subject, size)
    return _continuous(subject, writer, size)


def _discrete(subject: Subject, size: int) -> list[str]:
    probs = f"static inline int NAME_probs({TAKES}, float *probabilities)"
    kind = "Q-values" if isinstance(subject.policy.info.head, QValueHead) else "logits"
    softmax = "NAME_softmax(raw, NAME_NUM_ACTIONS, probabilities);"
    probabilities = function(
        probs,
        [*_asking("probabilities", size), softmax, "return NAME_OK;"],
        f"probabilities[NAME_NUM_ACTIONS]: softmax of the {kind}.",
    )
    if subject.output is Output.SAMPLE:
        says = "action[0]: an index, drawn with state->uniform[0], which the caller sets each time."
        body = [
            *_asking("action", size),
            "if (!(state->uniform[0] >= 0.0f && state->uniform[0] < 1.0f)) {",
            "    return NAME_ERROR_NOISE;",
            "}",
            "NAME_softmax(raw, NAME_NUM_ACTIONS, raw);",
            "float passed = 0.0f;",
            "int chosen = 0;",
            "for (; chosen < NAME_NUM_ACTIONS - 1; ++chosen) {",
            "    passed += raw[chosen];",
            "    if (passed > state->uniform[0]) {",
            "        break;",
            "    }",
            "}",
        ]
    else:
        says = "action[0]: the index of the likeliest action; the lowest wins a tie."
        body = [
            *_asking("action", size),
            "int chosen = 0;",
            "for (int i = 1; i < NAME_NUM_ACTIONS; ++i) {",
            "    chosen = raw[i] > raw[chosen] ? i : chosen;",
            "}",
        ]
    return [
        *function(ACT, [*body, "action[0] = (float)chosen;", "return NAME_OK;"], says),
        *probabilities,
    ]


def _continuous(subject: Subject, writer: CWriter, size: int) -> list[str]:
    head, noise = subject.policy.info.head, subject.ports.noise
    low, high = bounds_of(head)
    count = len(low)
    has_std = subject.output is not Output.ACTION and not isinstance(head, DeterministicHead)
    body = _asking("action", size)
    if noise is not None:
        body += [
            f"if (!NAME_is_finite(state->normal, {count})) {{",
            "    return NAME_ERROR_NOISE;",
            "}",
            f"for (int i = 0; i < {count}; ++i) {{",
            f"    raw[i] += expf(raw[i + {count}]) * state->normal[i];",
            "}",
        ]
    ends = CWriter()
    if isinstance(head, SquashedGaussianHead):
        ends.step(Squash(low, high), Value("buffer_raw", (count,)))
    if np.isfinite([low, high]).any():
        ends.step(Clip(low, high), Value("buffer_raw", (count,)))
    body += [line.replace("buffer_raw", "raw") for line in ends.lines]
    body += [
        f"for (int i = 0; i < {count}; ++i) {{",
        "    action[i] = raw[i];",
        "}",
        "return NAME_OK;",
    ]
    how = "drawn with state->normal, which the caller sets each time" if noise else "by mode"
    says = f"action[NAME_ACTION_SIZE]: in the environment's units and within its bounds, {how}."
    writer.constants += [text.replace("NAME_k", "NAME_end") for text in ends.constants]
    act = function(ACT, [line.replace("NAME_k", "NAME_end") for line in body], says)
    of = "of the action"
    if isinstance(head, SquashedGaussianHead):
        of = "of the action before tanh"
    return [*act, *(_gaussian(count, size, of) if has_std else [])]


def _gaussian(count: int, size: int, says: str) -> list[str]:
    signature = f"static inline int NAME_gaussian({TAKES}, float *mean, float *std)"
    body = [
        *_asking("mean std", size),
        f"for (int i = 0; i < {count}; ++i) {{",
        "    mean[i] = raw[i];",
        f"    std[i] = expf(raw[i + {count}]);",
        "}",
        "return NAME_OK;",
    ]
    return function(signature, body, f"mean and std [NAME_ACTION_SIZE] {says}.")
