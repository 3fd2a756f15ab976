"""Compiling an exported header: to run it here, and to know what it takes of a microcontroller."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.core import CategoricalHead, QValueHead
from rldistill.errors import ExportError
from rldistill.exporters.acting import Output, bounds_of
from rldistill.exporters.target import Subject

Array = np.ndarray[Any, Any]
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
HOST = ("cc", "gcc", "clang")
CORTEX_M4 = "arm-none-eabi-gcc"
CORTEX_M4_FLAGS = (
    *("-Os", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    *("-ffunction-sections", "-fdata-sections", "-fstack-usage"),
)
# Nothing is started and no system is linked: what is left is the policy and what it calls of libm.
LINK_FLAGS = ("-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs")
SECONDS = 120
POINTER = ctypes.POINTER(ctypes.c_float)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Memory that a header takes, in bytes.

    Attributes:
        flash: code, constants and what is called of the C library.
        ram: the state and the deepest stack of NAME_act, by the sum of its functions' frames.
        compiler: which compiler with which flags; "estimate" where there was none.
    """

    flash: int
    ram: int
    compiler: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def host_compiler() -> str:
    """The C compiler of this machine: $CC, else the first of cc, gcc and clang.

    Raises:
        ExportError: there is none.
    """
    names = [os.environ["CC"]] if os.environ.get("CC") else HOST
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise ExportError(
            "an exported header is compiled and compared before it is written, and no C compiler "
            f"was found ({', '.join(names)}): install one, or name it in the variable CC"
        )
    return found


def run_tool(command: list[str], what: str) -> str:
    """The output of a tool.

    Raises:
        ExportError: it failed; its first lines are said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"{what}: {error}") from error
    if done.returncode:
        raise ExportError(f"{what}: {done.stderr.strip()[:2000]}")
    return done.stdout


_BATCH = """
#include "NAME.h"
int rldistill_batch(const float *observations, const float *noise, int count, float *outputs);
int rldistill_batch(const float *observations, const float *noise, int count, float *outputs) {
    NAME_state state;
    NAME_reset(&state);
    for (int row = 0; row < count; ++row) {
        const float *seen = observations + (size_t)row * NAME_OBSERVATION_SIZE;
        float *out = outputs + (size_t)row * WIDTH;
        SET_NOISE
        int error = NAME_act(seen, &state, out);
        MORE
        if (error) {
            return error;
        }
    }
    (void)noise;
    return NAME_OK;
}
"""


@final
class Library:
    """A header compiled into a shared library and called row by row."""

    def __init__(self, header: bytes, subject: Subject, flags: tuple[str, ...] = ("-O2",)) -> None:
        self._subject = subject
        self._widths = _widths(subject)
        compiler = host_compiler()
        # What is loaded stays loaded when its file goes (and where it cannot go, it is left).
        with tempfile.TemporaryDirectory(prefix="rldistill-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / f"{subject.name}.h").write_bytes(header)
            source, library = folder / "batch.c", folder / "batch.so"
            source.write_text(_batch_source(subject, self._widths))
            command = [compiler, *STRICT, *flags, "-shared", "-fPIC", str(source), "-lm"]
            run_tool([*command, "-o", str(library)], f"{subject.name}.h does not compile")
            self._batch = ctypes.CDLL(str(library)).rldistill_batch
        self._batch.argtypes = [POINTER, POINTER, ctypes.c_int, POINTER]
        self._batch.restype = ctypes.c_int

    def __call__(self, observations: Array, noise: Array | None) -> Mapping[str, Array]:
        """Outputs by name, as of every exported file.

        Raises:
            ExportError: NAME_act gave an error code.
        """
        seen = np.ascontiguousarray(observations, np.float32)
        drawn = np.ascontiguousarray(np.zeros(1) if noise is None else noise, np.float32)
        outputs = np.zeros((len(seen), sum(self._widths)), np.float32)
        a, b, c = (x.ctypes.data_as(POINTER) for x in (seen, drawn, outputs))
        error = self._batch(a, b, len(seen), c)
        if error:
            raise ExportError(f"{self._subject.name}_act gave the error code {error}")
        found = dict(zip(_names(self._subject), _split(outputs, self._widths), strict=True))
        if isinstance(self._subject.policy.info.head, (CategoricalHead, QValueHead)):
            found["action"] = found["action"][:, 0].astype(np.int64)
        return found


def _split(outputs: Array, widths: tuple[int, ...]) -> list[Array]:
    return np.split(outputs, np.cumsum(widths)[:-1], 1)


def _names(subject: Subject) -> tuple[str, ...]:
    if isinstance(subject.policy.info.head, (CategoricalHead, QValueHead)):
        return ("action", "probabilities")
    return tuple(port.name for port in subject.ports.outputs)


def _widths(subject: Subject) -> tuple[int, ...]:
    head = subject.policy.info.head
    if isinstance(head, (CategoricalHead, QValueHead)):
        return (1, head.num_actions)
    return tuple(int(np.prod(port.shape)) for port in subject.ports.outputs)


def _batch_source(subject: Subject, widths: tuple[int, ...]) -> str:
    noise, more = subject.ports.noise, ""
    setting = ""
    if noise is not None:
        count = int(np.prod(noise.shape))
        setting = (
            f"for (int i = 0; i < {count}; ++i) {{\n"
            f"            state.{noise.name}[i] = noise[row * {count} + i];\n        }}"
        )
    if isinstance(subject.policy.info.head, (CategoricalHead, QValueHead)):
        more = "if (!error) { error = NAME_probs(seen, &state, out + 1); }"
    elif subject.output is Output.DISTRIBUTION:
        size = len(bounds_of(subject.policy.info.head)[0])
        more = (
            "if (!error) { error = NAME_gaussian(seen, &state, "
            f"out + {size}, out + {2 * size}); }}"
        )
    text = _BATCH.replace("SET_NOISE", setting).replace("MORE", more)
    return text.replace("WIDTH", str(sum(widths))).replace("NAME", subject.name)


_MEASURED = """
#include "NAME.h"
extern const float observation[];
extern float action[];
NAME_state state;
const float observation[NAME_OBSERVATION_SIZE] = {0};
float action[NAME_ACTION_SIZE];
int decide(void);
int decide(void) { return NAME_act(observation, &state, action); }
"""


def footprint(header: bytes, subject: Subject, constant_bytes: int) -> Footprint:
    """Flash and RAM on a Cortex-M4, by its compiler where it is installed, else an estimate.

    Args:
        header: the C text.
        subject: what it was made of.
        constant_bytes: of its constants: the estimate adds 2 KiB of code.
    """
    compiler = shutil.which(CORTEX_M4)
    if compiler is None:
        return Footprint(flash=constant_bytes + 2048, ram=1024, compiler="estimate")
    with tempfile.TemporaryDirectory(prefix="rldistill-") as name:
        folder = Path(name)
        (folder / f"{subject.name}.h").write_bytes(header)
        source, program = folder / "measured.c", folder / "measured.elf"
        source.write_text(_MEASURED.replace("NAME", subject.name))
        flags = [*STRICT, *CORTEX_M4_FLAGS]
        link = [*LINK_FLAGS, "-Wl,--gc-sections", "-Wl,--entry=decide", "-lm"]
        run_tool(
            [compiler, *flags, str(source), "-o", str(program), *link],
            f"{subject.name}.h does not compile for Cortex-M4",
        )
        sizes = run_tool([compiler.replace("-gcc", "-size"), str(program)], "size").splitlines()
        text, data, bss = (int(word) for word in sizes[1].split()[:3])
        frames = "".join(path.read_text() for path in folder.glob("*.su"))
        stack = sum(int(n) for n in re.findall(r"\t(\d+)\t", frames))
        size = int(np.prod(subject.policy.info.observation_shape))
        given = (
            4 * size
        )  # the observation above is a constant of the measurement, not of the policy
        what = f"{CORTEX_M4} {' '.join(CORTEX_M4_FLAGS[:5])}"
        return Footprint(flash=text + data - given, ram=data + bss + stack, compiler=what)
