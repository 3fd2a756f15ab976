"""How long one decision takes in each exported format, and how many a second in batches.

    python benchmarks/export_latency.py > benchmarks/export_latency.md

The same network in every row of a table: the shipped LunarLander teacher (PPO, 8-64-64-4), and an
mlp:16,16, whose weights are at random: time does not depend on them. Everything on one thread.
"""

import ctypes
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import stable_baselines3
import torch
from gymnasium import spaces

from rldistill import ExportSettings, export_policy, load_exported, load_teacher, make_student
from rldistill.core import NetworkPolicy
from rldistill.exporters import c, compiler, torch_files
from rldistill.exporters.acting import Output, Precision
from rldistill.exporters.target import Subject

TEACHER = Path(__file__).parents[1] / "src/rldistill/teachers/shipped/lunarlander-ppo.zip"
DECISIONS, BATCH, SECONDS = 2000, 1024, 0.5
# Each decision is timed by itself; the clock's own time is in it.
TIMED = """
#include <time.h>
#include "NAME.h"
void timed(const float *rows, int count, double *seconds, float *actions);
void timed(const float *rows, int count, double *seconds, float *actions) {
    NAME_state state;
    struct timespec before, after;
    NAME_reset(&state);
    for (int i = 0; i < count; ++i) {
        clock_gettime(CLOCK_MONOTONIC, &before);
        NAME_act(rows + i * NAME_OBSERVATION_SIZE, &state, actions + i);
        clock_gettime(CLOCK_MONOTONIC, &after);
        seconds[i] = (double)(after.tv_sec - before.tv_sec);
        seconds[i] += 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    }
}
"""
Row = tuple[str, float, float, float]
Array = np.ndarray[Any, Any]


def measured(name: str, decide: Callable[[Array], Any], rows: Array, single: bool = True) -> Row:
    """Name, p50 and p99 of one decision in seconds, decisions a second in batches of 1,024."""
    one = [rows[i] if single else rows[i : i + 1] for i in range(DECISIONS)]
    for row in one[:50]:
        decide(row)
    times = np.zeros(DECISIONS)
    for i, row in enumerate(one):
        started = time.perf_counter()
        decide(row)
        times[i] = time.perf_counter() - started
    return name, *quantiles(times), throughput(decide, rows)


def quantiles(times: Array) -> tuple[float, float]:
    return float(np.quantile(times, 0.5)), float(np.quantile(times, 0.99))


def throughput(decide: Callable[[Array], Any], rows: Array) -> float:
    batch = rows[:BATCH]
    decide(batch)
    # Time of this process alone: others that run meanwhile do not count.
    started, count = time.process_time(), 0
    while time.process_time() - started < SECONDS:
        decide(batch)
        count += len(batch)
    return count / (time.process_time() - started)


def in_c(policy: NetworkPolicy, precision: str, rows: Array) -> Row:
    """Timed inside of C, as its users call it."""
    case = subject(policy, precision, rows)
    header = c.build(case)
    library = compiler.Library(header, case)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.h").write_bytes(header)
        (folder / "timed.c").write_text(TIMED.replace("NAME", "policy"))
        flags = ["-O2", "-shared", "-fPIC", "-D_POSIX_C_SOURCE=199309L", "-std=c99"]
        command = [compiler.host_compiler(), *flags, str(folder / "timed.c"), "-lm", "-o"]
        compiler.run_tool([*command, str(folder / "timed.so")], "timed.c")
        timed = ctypes.CDLL(str(folder / "timed.so")).timed
        times, actions = np.zeros(DECISIONS), np.zeros(DECISIONS, np.float32)
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (rows, times, actions)]
        for _ in range(2):
            timed(pointers[0], ctypes.c_int(DECISIONS), pointers[1], pointers[2])
    assert (actions == library(rows[:DECISIONS], None)["action"]).all()
    half, most = quantiles(times)
    return f"C, {precision}", half, most, 1.0 / half


def subject(policy: NetworkPolicy, precision: str, rows: Array) -> Subject:
    return Subject(
        policy=policy,
        name="policy",
        output=Output.ACTION,
        precision=Precision(precision),
        observations=rows,
    )


def in_onnx(policy: NetworkPolicy, precision: str, rows: Array, folder: Path) -> Row:
    settings = ExportSettings(name=precision.replace("-", "_"), observations=1000)
    if precision == "fp32":
        (one,) = export_policy(policy, folder, settings=settings)
        return measured("ONNX, fp32", load_exported(one.path).predict, rows)
    from rldistill.exporters import quantise, session

    case = subject(policy, precision, rows)
    run = session.run(quantise.build(case), case)
    return measured(f"ONNX, {precision}", lambda x: run(x, None), rows, single=False)


def table(policy: NetworkPolicy, rows: Array, sb3: Any) -> list[Row]:
    script_case = subject(policy, "fp32", rows)
    script = torch_files.run_script(torch_files.build_script(script_case), script_case)
    with tempfile.TemporaryDirectory() as name:
        found = [measured("this library's predict (PyTorch)", policy.predict, rows)]
        if sb3 is not None:
            predict = lambda x: sb3.predict(x, deterministic=True)  # noqa: E731
            found.append(measured("stable-baselines3's predict", predict, rows))
        found.append(measured("TorchScript", lambda x: script(x, None), rows, single=False))
        found += [
            in_onnx(policy, precision, rows, Path(name))
            for precision in ("fp32", "fp16", "int8", "int8-dynamic")
        ]
    return [*found, *(in_c(policy, precision, rows) for precision in ("fp32", "int8"))]


def show(heading: str, rows: list[Row], against: float) -> None:
    print(f"\n## {heading}\n")
    print("| format | one decision, p50 | p99 | p50 against SB3's predict | decisions/s in batch |")
    print("|---|---:|---:|---:|---:|")
    for name, half, most, rate in rows:
        print(
            f"| {name} | {1e6 * half:.2f} us | {1e6 * most:.2f} us | {against / half:,.1f} x | "
            f"{rate:,.0f} |"
        )


def main() -> None:
    torch.set_num_threads(1)
    rows = np.random.default_rng(0).standard_normal((4096, 8)).astype(np.float32)
    teacher = load_teacher(TEACHER, announce=None)
    model = stable_baselines3.PPO.load(TEACHER, device="cpu")
    box = spaces.Box(-np.inf, np.inf, (8,), np.float32)
    student = make_student("mlp:16,16", box, spaces.Discrete(4))
    found = table(teacher, rows, model)
    against = next(half for name, half, _, _ in found if name.startswith("stable"))
    print("# Latency of exported policies\n")
    print("`python benchmarks/export_latency.py > benchmarks/export_latency.md`\n")
    print(
        f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, stable-baselines3 "
        f"{stable_baselines3.__version__}, {platform.machine()}, one thread, {DECISIONS:,} single "
        f"decisions, batches of {BATCH:,}. A batch in C is a loop over rows, so its rate is one "
        "over p50. Other programs were running: the order of rows is safe, a factor of two is not."
    )
    show("The LunarLander teacher: PPO, 8-64-64-4, 4,996 parameters", found, against)
    show("An mlp:16,16, 484 parameters", table(student, rows, None), against)


if __name__ == "__main__":
    main()
