"""One C99 header: the whole policy, without dependencies, allocation or globals."""

from typing import Any

import numpy as np

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.exporters import c_functions
from rldistill.exporters.acting import Output, Precision, bounds_of
from rldistill.exporters.c_source import MOST_STACK_BYTES, require_name
from rldistill.exporters.c_steps import CWriter, Value, ranges_of, raw_shape
from rldistill.exporters.quantise import balanced, calibration
from rldistill.exporters.steps import Squash
from rldistill.exporters.target import Subject

# The codes that a function returns, in the order of their numbers.
ERRORS = {
    "OK": "",
    "ERROR_NULL": "an argument is NULL",
    "ERROR_NOT_FINITE": "the observation holds NaN or infinity",
    "ERROR_OVERFLOW": "the network's outputs are not finite: the observation is far too large",
    "ERROR_NOISE": "what the caller put into the state to sample with is not in its range",
}


def build(subject: Subject) -> bytes:
    """The header as UTF-8 text.

    Raises:
        SettingError: the name is no C identifier, or a layer is not supported.
    """
    require_name(subject.name)
    steps, ranges = subject.steps, None
    if subject.precision is Precision.INT8:
        rows = calibration(subject)
        steps = balanced(steps, rows)
        ranges = ranges_of(steps, rows)
    writer = CWriter(ranges)
    shape = subject.policy.info.observation_shape
    raw = writer.steps(steps, Value("observation", shape))
    acting = _acting(subject, writer, raw_shape(steps, shape))
    text = "\n".join(
        [
            *_opening(subject),
            *_types(subject, writer),
            *writer.constants,
            *(function.strip("\n") + "\n" for function in _functions(subject, writer)),
            *_raw_function(writer, raw),
            *acting,
            *_closing(subject),
        ]
    )
    return text.replace("NAME", subject.name).encode()


def _is_discrete(subject: Subject) -> bool:
    return isinstance(subject.policy.info.head, (CategoricalHead, QValueHead))


def _functions(subject: Subject, writer: CWriter) -> list[str]:
    needed = [c_functions.IS_FINITE, *writer.functions.values()]
    if _is_discrete(subject):
        needed.append(c_functions.SOFTMAX)
    return needed


def _opening(subject: Subject) -> list[str]:
    includes = ["#include <math.h>", "#include <stddef.h>", "#include <stdint.h>"]
    heading = [f" * {line.replace('*/', '* /')}" for line in subject.heading]
    return [
        "/* NAME.h: a policy in C99, written by rldistill. Include it where it is used.",
        " *",
        *heading,
        " *",
        " * int NAME_act(const float *observation, NAME_state *state, float *action)",
        " * gives NAME_OK or one of the codes below, and then leaves action as it was. Do not compile",
        " * with -ffast-math: it removes the check for NaN.",
        " */",
        "#ifndef NAME_H",
        "#define NAME_H",
        "",
        *includes,
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
    ]


def _closing(subject: Subject) -> list[str]:
    del subject
    return ["#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]


def _types(subject: Subject, writer: CWriter) -> list[str]:
    size = int(np.prod(subject.policy.info.observation_shape))
    actions = len(bounds_of(subject.policy.info.head)[0]) or 1
    head = subject.policy.info.head
    counts = [f"NAME_OBSERVATION_SIZE = {size},", f"NAME_ACTION_SIZE = {actions},"]
    if isinstance(head, (CategoricalHead, QValueHead)):
        counts.append(f"NAME_NUM_ACTIONS = {head.num_actions},")
    codes = [
        f"    NAME_{code} = {number},{f' /* {text} */' if text else ''}"
        for number, (code, text) in enumerate(ERRORS.items())
    ]
    return [
        "enum {",
        *(f"    {line}" for line in counts),
        *codes,
        "};",
        "",
        "typedef struct NAME_state {",
        *(f"    {line}" for line in state_members(subject, writer)),
        "} NAME_state;",
        "",
        "/* Before the first decision of every episode. */",
        "static inline void NAME_reset(NAME_state *state) {",
        "    if (state) {",
        *(f"        {line}" for line in _resets(subject, writer)),
        "    }",
        "}",
        "",
    ]


def in_state(writer: CWriter) -> bool:
    """Whether the scratch of a network is too large for the stack."""
    return writer.floats.num_bytes + writer.shorts.num_bytes > MOST_STACK_BYTES


def state_members(subject: Subject, writer: CWriter) -> list[str]:
    """The fields of NAME_state: what is remembered, the noise, and large scratch."""
    noise = subject.ports.noise
    members = ["unsigned char remembers; /* nothing: this policy has no memory */"]
    if noise is not None:
        count = int(np.prod(noise.shape))
        members.append(f"float {noise.name}[{count}]; /* {noise.meaning} */")
    if in_state(writer):
        members += [*writer.floats.declarations(), *writer.shorts.declarations()]
    return members


def _resets(subject: Subject, writer: CWriter) -> list[str]:
    del writer
    noise = subject.ports.noise
    lines = ["state->remembers = 0;"]
    if noise is not None:
        count = int(np.prod(noise.shape))
        value = "0.5f" if noise.name == "uniform" else "0.0f"
        lines += [
            f"for (int i = 0; i < {count}; ++i) {{",
            f"    state->{noise.name}[i] = {value};",
            "}",
        ]
    return lines


def _raw_function(writer: CWriter, raw: Value) -> list[str]:
    """NAME_raw: the network's outputs, checked on both sides."""
    if in_state(writer):
        scratch = [*writer.floats.aliases(), *writer.shorts.aliases()]
    else:
        scratch = [*writer.floats.declarations(), *writer.shorts.declarations()]
    body = [
        "if (!observation || !state) {",
        "    return NAME_ERROR_NULL;",
        "}",
        "if (!NAME_is_finite(observation, NAME_OBSERVATION_SIZE)) {",
        "    return NAME_ERROR_NOT_FINITE;",
        "}",
        *scratch,
        *writer.lines,
        f"for (int i = 0; i < {raw.size}; ++i) {{",
        f"    raw[i] = {raw.name}[i];",
        "}",
        f"return NAME_is_finite(raw, {raw.size}) ? NAME_OK : NAME_ERROR_OVERFLOW;",
    ]
    signature = "static inline int NAME_raw(const float *observation, NAME_state *state, float *raw)"
    return _function(signature, body)


def _function(signature: str, body: list[str], says: str = "") -> list[str]:
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


def _acting(subject: Subject, writer: CWriter, size: int) -> list[str]:
    if _is_discrete(subject):
        return _discrete(subject, size)
    return _continuous(subject, writer, size)


ACT = "static inline int NAME_act(const float *observation, NAME_state *state, float *action)"


def _discrete(subject: Subject, size: int) -> list[str]:
    probs = "static inline int NAME_probs(const float *observation, NAME_state *state, float *probabilities)"
    kind = "Q-values" if isinstance(subject.policy.info.head, QValueHead) else "logits"
    softmax = "NAME_softmax(raw, NAME_NUM_ACTIONS, probabilities);"
    probabilities = _function(
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
        *_function(ACT, [*body, "action[0] = (float)chosen;", "return NAME_OK;"], says),
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
        from rldistill.exporters.steps import Clip

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
    act = _function(ACT, [line.replace("NAME_k", "NAME_end") for line in body], says)
    return [*act, *(_gaussian(count, size) if has_std else [])]


def _gaussian(count: int, size: int) -> list[str]:
    signature = (
        "static inline int NAME_gaussian(const float *observation, NAME_state *state, float *mean,"
        " float *std)"
    )
    body = [
        *_asking("mean std", size),
        f"for (int i = 0; i < {count}; ++i) {{",
        "    mean[i] = raw[i];",
        f"    std[i] = expf(raw[i + {count}]);",
        "}",
        "return NAME_OK;",
    ]
    return _function(signature, body, "mean and std [NAME_ACTION_SIZE] of the action before tanh.")


def scratch(subject: Subject) -> dict[str, Any]:
    """Bytes of the buffers of a network, and where they lie."""
    writer = CWriter()
    steps = subject.steps
    if subject.precision is Precision.INT8:
        rows = calibration(subject)
        steps = balanced(steps, rows)
        writer = CWriter(ranges_of(steps, rows))
    writer.steps(steps, Value("observation", subject.policy.info.observation_shape))
    total = writer.floats.num_bytes + writer.shorts.num_bytes
    return {"bytes": total, "in": "NAME_state" if in_state(writer) else "stack"}
