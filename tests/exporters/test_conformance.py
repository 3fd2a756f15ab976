"""What every format passes with every kind of policy: it decides as the policy does."""

import pytest
from subjects import every_policy, subject

from rldistill.core import DeterministicHead
from rldistill.exporters.parity import compare, edge_values
from rldistill.exporters.targets import TARGETS

POLICIES = every_policy()
BY_NAME = {target.name: target for target in TARGETS}
# torch.export and compilers need tenths of a second: a few kinds stand for all.
FEW = ("mlp, gelu", "mlp, squashed", "ppo, normalised", "tree", "cnn")
CASES = [
    (target, name, output)
    for target in BY_NAME
    for name, policy in POLICIES.items()
    for output in ("action", "sample", "distribution")
    if (output == "action" or not isinstance(policy.info.head, DeterministicHead))
    and (target in ("onnx", "json") or output == "action" or name in FEW[:3])
    and (target != "torch-export" or name in FEW)
    and not (target.startswith("torch") and "tree" in name)
]


@pytest.mark.parametrize(("target", "name", "output"), CASES)
def test_an_export_decides_as_its_policy(target: str, name: str, output: str) -> None:
    """In fp32, action by action, on states of the task and at the edges, in batches of any size."""
    policy = POLICIES[name]
    case = subject(policy, output)
    made = BY_NAME[target].build(case)
    dtype = case.ports.inputs[0].dtype
    edges = edge_values(policy.info.observation_shape, None, dtype)
    parity = compare(case, BY_NAME[target].run(made, case), edges, "drawn")
    assert parity.different_at_ties <= parity.ties
    assert parity.ties <= 30


@pytest.mark.parametrize("name", [name for name in POLICIES if "tree" not in name])
@pytest.mark.parametrize("precision", ["fp16", "int8", "int8-dynamic"])
def test_lower_precision_stays_near(name: str, precision: str) -> None:
    """In ONNX: what comes out is a few per cent of the range of outputs away, not elsewhere."""
    case = subject(POLICIES[name], "action", precision)
    made = BY_NAME["onnx"].build(case)
    # int8 has no room beyond what was recorded: no edge values here.
    parity = compare(case, BY_NAME["onnx"].run(made, case), case.observations[:1], "drawn")
    limit = 0.02 if precision == "fp16" else 0.5
    assert parity.largest_error <= limit
    assert parity.same_actions is None or parity.same_actions > 0.85
