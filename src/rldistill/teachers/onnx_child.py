"""The child that tries an ONNX file out. Run as a program, never imported.

stdin: a JSON line of settings, then the model, then the same with an open batch; stdout: JSON with
the shape of the output for one observation, and whether batches give the same as single rows. A
crash, a hang or a hunger for memory end this process and not the one that asked.
"""

import json
import sys
from typing import Any

import numpy as np
import onnx
import onnxruntime

MOST_MEMORY = 4 << 30
MOST_SECONDS = 20
ROWS = 3


def limit() -> None:
    """Let an allocation or a loop fail, and not the machine; Windows has no such limits."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))


def session(data: bytes) -> Any:
    """On one thread, silent."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def try_out(settings: dict[str, Any], data: bytes, batched: bytes) -> dict[str, Any]:
    """Run single rows, then a batch of them."""
    onnx.checker.check_model(onnx.load_model_from_string(data))
    shape, name, output = settings["shape"], settings["input"], settings["output"]
    rows = np.random.default_rng(0).uniform(0.0, 1.0, (ROWS, *shape))
    seen = rows.astype(settings["dtype"])
    single = session(data)

    def run(one: Any, x: Any) -> Any:
        return np.asarray(one.run([output], {name: x})[0])

    results = [run(single, row[None] if settings["has_batch"] else row) for row in seen]
    flat = np.stack([result.reshape(-1) for result in results]).astype(np.float64)
    same = False
    if batched:
        try:
            together = run(session(batched), seen)
            same = together.shape[0] == ROWS and bool(
                np.allclose(together.reshape(ROWS, -1), flat, rtol=1e-4, atol=1e-5)
            )
        except Exception:  # a graph with its batch size built in
            same = False
    return {"size": int(flat.shape[1]), "batched": same}


def main() -> None:
    """Read stdin, write stdout; what is wrong goes to stderr in one line, with exit code 1."""
    limit()
    settings = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read(settings["bytes"])
    try:
        found = try_out(settings, data, sys.stdin.buffer.read())
    except Exception as error:  # whatever a mutated file makes the libraries raise
        sys.stderr.write(" ".join(f"{error}".split())[:500] + "\n")
        sys.exit(1)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
