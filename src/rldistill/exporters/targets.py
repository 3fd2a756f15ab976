"""The formats of files that need no other library's trainer."""

from collections.abc import Mapping
from typing import Any

from rldistill.exporters import c, compiler, onnx, quantise, session, text, torch_files
from rldistill.exporters.acting import Precision
from rldistill.exporters.target import Subject, Target

FP32 = (Precision.FP32,)
INT8_SCHEME = (
    "weights int8, symmetric, one scale per output; activations int16, one scale per layer (per "
    "number for the observation) with room for 4 times the largest recorded; int32 sums; bias, "
    "activation functions and normaliser in float"
)


def _describe_c(data: bytes, subject: Subject) -> Mapping[str, Any]:
    scratch = c.scratch(subject)
    held = 1 if subject.precision is Precision.INT8 else 4
    constants = held * subject.policy.info.acting_parameters
    measured = compiler.footprint(data, subject, constants).as_dict()
    scheme = {"scheme": INT8_SCHEME} if subject.precision is Precision.INT8 else {}
    return {"language": "C99", "footprint": measured, "scratch": scratch, **scheme}


TARGETS = (
    Target(
        name="onnx",
        suffix=".onnx",
        precisions=tuple(Precision),
        build=quantise.build,
        run=session.run,
        describe=onnx.describe,
    ),
    Target(
        name="c",
        suffix=".h",
        precisions=(Precision.FP32, Precision.INT8),
        build=c.build,
        run=compiler.Library,
        describe=_describe_c,
    ),
    Target(
        name="torchscript",
        suffix=".torchscript.pt",
        precisions=FP32,
        build=torch_files.build_script,
        run=torch_files.run_script,
    ),
    Target(
        name="torch-export",
        suffix=".pt2",
        precisions=FP32,
        build=torch_files.build_export,
        run=torch_files.run_export,
    ),
    Target(name="json", suffix=".json", precisions=FP32, build=text.build, run=text.run),
)
