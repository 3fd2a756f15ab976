"""The C header: it compiles under every warning, checks what it is given, and int8 stays near."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from subjects import by_layers, every_policy, observations_of, student, subject
from torch import nn

from rldistill.errors import ExportError, SettingError
from rldistill.exporters import c, compiler
from rldistill.exporters.parity import compare
from rldistill.exporters.target import Subject

POLICIES = every_policy()
WARNINGS = (*compiler.STRICT, "-Wconversion", "-Wdouble-promotion", "-Wshadow", "-Wundef")
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")


def compiled(folder: Path, case: Subject, body: str, *flags: str, language: str = "c") -> Path:
    """A program with this body of main, in which `state` and `seen` (zeros) are there."""
    (folder / "small.h").write_bytes(c.build(case))
    source = folder / f"main.{language}"
    source.write_text(
        '#include "small.h"\n#include <stdio.h>\n'
        "int main(void) {\n    static small_state state;\n"
        "    static float seen[small_OBSERVATION_SIZE];\n    float action[8] = {7.0f};\n"
        f"    small_reset(&state);\n{body}\n    (void)seen; (void)action;\n    return 0;\n}}\n"
    )
    program = folder / "main"
    subprocess.run(
        ["gcc" if language == "c" else "g++", *flags, str(source), "-o", str(program), "-lm"],
        check=True,
        timeout=120,
    )
    return program


def said_by(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["mlp, gelu", "mlp, squashed", "ppo, normalised", "impala"])
def test_it_compiles_without_a_warning(tmp_path: Path, name: str, precision: str) -> None:
    """Also where nothing of it is called, and no double creeps in, which a Cortex-M4 cannot do."""
    case = subject(POLICIES[name], precision=precision)
    compiled(tmp_path, case, "", "-O2", *WARNINGS)


def test_it_is_a_header_of_cpp_too(tmp_path: Path) -> None:
    case = subject(POLICIES["mlp, tanh"])
    flags = ("-x", "c++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    compiled(tmp_path, case, "    return small_act(seen, &state, action);", *flags, language="cpp")


@pytest.mark.parametrize("name", ["mlp, gelu", "linear tree", "cnn", "ppo, gSDE"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_nothing_is_read_or_written_beyond_its_end(
    tmp_path: Path, name: str, precision: str
) -> None:
    if "tree" in name and precision == "int8":
        pytest.skip("a tree has no weights")
    case = subject(POLICIES[name], precision=precision)
    body = '    printf("%d\\n", small_act(seen, &state, action));'
    checks = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert said_by(compiled(tmp_path, case, body, *compiler.STRICT, *checks)) == "0\n"


def test_it_allocates_nothing_and_has_no_variables() -> None:
    """No call of the heap; every object outside of functions is constant."""
    for name in ("mlp, elu", "cnn", "tree"):
        text = c.build(subject(POLICIES[name])).decode()
        assert not re.search(r"\b(malloc|calloc|realloc|free|alloca)\b", text)
        outside = re.findall(r"^static (?!inline|const)", text, re.M)
        assert outside == []
        assert set(re.findall(r"#include <(.*)>", text)) == {"math.h", "stddef.h", "stdint.h"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("small_act(seen, &state, action)", "OK"),
        ("small_act(0, &state, action)", "ERROR_NULL"),
        ("small_act(seen, 0, action)", "ERROR_NULL"),
        ("small_act(seen, &state, 0)", "ERROR_NULL"),
        ("small_probs(seen, &state, 0)", "ERROR_NULL"),
        ("(seen[3] = NAN, small_act(seen, &state, action))", "ERROR_NOT_FINITE"),
        ("(seen[0] = -INFINITY, small_probs(seen, &state, action))", "ERROR_NOT_FINITE"),
        ("(seen[0] = 3e38f, small_act(seen, &state, action))", "ERROR_OVERFLOW"),
    ],
)
def test_bad_input_is_answered_by_a_named_code(tmp_path: Path, line: str, code: str) -> None:
    """And what the caller's array held is still there."""
    case = subject(student("mlp:8,relu", "logits"))
    body = f'    printf("%d %g\\n", ({line}) == small_{code}, (double)action[0]);'
    same, left = said_by(compiled(tmp_path, case, body)).split()
    assert same == "1"
    assert code == "OK" or left == "7"


@pytest.mark.parametrize("number", ["1.0f", "-0.1f", "NAN"])
def test_noise_out_of_range_is_refused(tmp_path: Path, number: str) -> None:
    case = subject(POLICIES["mlp, relu"], "sample")
    line = f"(state.uniform[0] = {number}, small_act(seen, &state, action))"
    body = f'    printf("%d\\n", {line} == small_ERROR_NOISE);'
    assert said_by(compiled(tmp_path, case, body)) == "1\n"


def test_large_scratch_lies_in_the_state(tmp_path: Path) -> None:
    """So that the stack of a microcontroller is not what a convolution is written to."""
    small, large = subject(POLICIES["mlp, relu"]), subject(POLICIES["impala"])
    assert c.scratch(small)["in"] == "stack"
    told = c.scratch(large)
    assert told["in"] == "NAME_state"
    body = '    printf("%d\\n", (int)sizeof(small_state));'
    assert told["bytes"] <= int(said_by(compiled(tmp_path, large, body))) < told["bytes"] + 64


@pytest.mark.parametrize("name", ["mlp, tanh", "mlp, q", "ppo, normalised", "sac", "td3", "cnn"])
def test_int8_stays_near(name: str) -> None:
    """Within 3 % of the range of outputs, for each kind of layer that holds weights."""
    case = subject(POLICIES[name], precision="int8")
    runner = compiler.Library(c.build(case), case)
    parity = compare(case, runner, case.observations[:1], "drawn")
    assert parity.largest_error <= (0.1 if parity.same_actions is None else 0.3)
    assert parity.same_actions is None or parity.same_actions > 0.93


def test_int8_weights_take_a_byte_each() -> None:
    """The constants of the int8 header are int8_t for weights and float for one number per row."""
    case = subject(student("mlp:16,16", "logits"), precision="int8")
    text = c.build(case).decode()
    sizes = [int(n) for n in re.findall(r"static const int8_t \w+\[(\d+)\]", text)]
    assert sizes == [5 * 16, 16 * 16, 16 * 4]


def test_the_quantised_sum_of_a_wide_layer_cannot_overflow(tmp_path: Path) -> None:
    """All weights and inputs at their largest: an int32 sum of 16-bit inputs would overflow."""
    layer = nn.Linear(3000, 4)
    nn.init.ones_(layer.weight)
    rows = np.random.default_rng(0).standard_normal((64, 3000)).astype(np.float32)
    case = replace(
        subject(POLICIES["mlp, tanh"], precision="int8"),
        policy=by_layers([layer], "logits", inputs=3000),
        observations=rows,
    )
    body = (
        "    for (int i = 0; i < small_OBSERVATION_SIZE; ++i) { seen[i] = 1e6f; }\n"
        '    printf("%d\\n", small_act(seen, &state, action));'
    )
    checks = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
    assert said_by(compiled(tmp_path, case, body, *checks)) == "0\n"


def test_a_compiler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ExportError, match=r"no C compiler was found \(no-such-compiler\)"):
        compiler.Library(b"", subject(POLICIES["mlp, tanh"]))


def test_a_name_that_c_does_not_take_is_refused() -> None:
    with pytest.raises(SettingError, match="name must be a letter"):
        c.build(replace(subject(POLICIES["mlp, tanh"]), name="9 lives"))


def test_a_heading_cannot_end_its_comment() -> None:
    """Names in it come from files of others."""
    case = replace(subject(POLICIES["mlp, tanh"]), heading=("x */ int evil; /* NAMEs stay",))
    text = c.build(case).decode()
    assert "*/ int evil" not in text.replace("* /", "")
    assert "NAMEs stay" in text


@pytest.mark.skipif(shutil.which(compiler.CORTEX_M4) is None, reason="no compiler for Cortex-M4")
def test_flash_on_a_microcontroller_is_that_of_the_linked_program() -> None:
    """int8 takes less than fp32 by about three bytes per weight; libm's tanhf is counted."""
    policy = student("mlp:32,32", "logits")
    measured = {
        precision: compiler.footprint(c.build(case), case, 0)
        for precision in ("fp32", "int8")
        for case in (subject(policy, precision=precision),)
    }
    saved = measured["fp32"].flash - measured["int8"].flash
    weights = 5 * 32 + 32 * 32 + 32 * 4
    assert 2 * weights < saved < 3.2 * weights
    assert measured["int8"].flash > weights + 4 * 2 * 68 + 500
    assert compiler.CORTEX_M4 in measured["int8"].compiler


def test_without_that_compiler_it_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "CORTEX_M4", "no-such-compiler")
    case = subject(POLICIES["mlp, tanh"])
    told = compiler.footprint(b"", case, 100)
    assert (told.compiler, told.flash) == ("estimate", 100 + 2048)


def test_observations_are_those_of_the_caller() -> None:
    """What it is given is not written to: normalisers work on a copy."""
    case = subject(POLICIES["ppo, normalised"])
    runner = compiler.Library(c.build(case), case)
    given = observations_of(case.policy, 10)
    before = given.copy()
    runner(given, None)
    assert (given == before).all()
