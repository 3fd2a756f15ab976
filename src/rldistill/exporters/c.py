"""One C99 header: the whole policy, without dependencies, allocation or globals."""

import re
from typing import Any

import numpy as np

from rldistill.core import CategoricalHead, QValueHead
from rldistill.exporters import c_functions
from rldistill.exporters.acting import Precision, bounds_of
from rldistill.exporters.c_decide import acting, function, is_discrete
from rldistill.exporters.c_int8 import ranges_of
from rldistill.exporters.c_source import MOST_STACK_BYTES, require_name
from rldistill.exporters.c_steps import CWriter, Value
from rldistill.exporters.quantise import balanced, calibration
from rldistill.exporters.steps import end_shape
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
    decide = acting(subject, writer, end_shape(steps, shape)[0])
    text = "\n".join(
        [
            *_opening(subject),
            *_types(subject, writer),
            *writer.constants,
            *(function.strip("\n") + "\n" for function in _functions(subject, writer)),
            *_raw_function(writer, raw),
            *decide,
            *_closing(),
        ]
    )
    return re.sub(r"\bNAME(?=[_.])", subject.name, text).encode()


def _functions(subject: Subject, writer: CWriter) -> list[str]:
    needed = [c_functions.IS_FINITE, *writer.functions.values()]
    if is_discrete(subject):
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
        " * gives NAME_OK, or one of the codes below and leaves action as it was. Do not compile",
        " * it with -ffast-math: that removes the check for NaN.",
        " */",
        f"#ifndef {subject.name.upper()}_H",
        f"#define {subject.name.upper()}_H",
        "",
        *includes,
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
    ]


def _closing() -> list[str]:
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
    codes[-1] = codes[-1].replace(",", "", 1)
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
    signature = (
        "static inline int NAME_raw(const float *observation, NAME_state *state, float *raw)"
    )
    return function(signature, body)


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
