"""TorchScript and torch.export: tensors are data, code is run on trust alone."""

import pytest
import torch
from torch import nn

from rldistill.errors import SettingError, TaskError, TeacherFileError, UnsafeFileError
from rldistill.teachers import script_tensors
from rldistill.teachers.load import load_teacher

CARD = """
format = 1
algorithm = "PPO"
[network]
actor = [{ linear = "0" }, "tanh", { linear = "2" }]
[actions]
head = "categorical"
"""


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()


def script(folder, module):
    path = folder / "policy.pt"
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, 3)), path)
    return path


def exported(folder, module):
    path = folder / "policy.pt2"
    sizes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3),), dynamic_shapes=sizes), path)
    return path


# torch.jit is on its way out; its files are not.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
BOTH = pytest.mark.parametrize("save", [script, exported])


@BOTH
@torch.no_grad()
def test_tensors_are_read_with_a_card_and_without_trust(save, tmp_path, monkeypatch):
    module = net()
    path = save(tmp_path, module)
    (tmp_path / "policy.toml").write_text(CARD)
    monkeypatch.setattr(torch.jit, "load", None)
    monkeypatch.setattr(torch.export, "load", None)
    policy, seen = load_teacher(path, announce=None), torch.randn(8, 3)
    torch.testing.assert_close(policy.raw(seen), module(seen))
    with pytest.raises(SettingError, match="trust has no effect"):
        load_teacher(path, trust=True)


@BOTH
def test_without_trust_and_card_both_ways_are_named(save, tmp_path, monkeypatch):
    path = save(tmp_path, net())
    monkeypatch.setattr(torch.jit, "load", None)
    monkeypatch.setattr(torch.export, "load", None)
    with pytest.raises(UnsafeFileError, match=r"only with --trust.*with a teacher card"):
        load_teacher(path)


@BOTH
@torch.no_grad()
def test_trusted_code_is_run_with_a_warning(save, tmp_path):
    module = net()
    path = save(tmp_path, module)
    lines: list[str] = []
    policy = load_teacher(path, trust=True, head="q-values", announce=lines.append)
    seen = torch.randn(8, 3)
    torch.testing.assert_close(policy.raw(seen), module(seen))
    torch.testing.assert_close(policy.value(seen), module(seen).amax(-1))
    assert any(line.startswith("warning: code that lies in this file was run") for line in lines)
    assert not any(p.requires_grad for p in policy.module.parameters())
    assert policy.info.acting_parameters == 26
    with pytest.raises(TaskError, match="does not take observations"):
        load_teacher(path, trust=True, head="q-values", observation_shape=(7,))


@BOTH
def test_damaged_programs_are_errors(save, tmp_path):
    path = save(tmp_path, net())
    whole = path.read_bytes()
    (tmp_path / "policy.toml").write_text(CARD)
    for length in range(1, len(whole), len(whole) // 9):
        path.write_bytes(whole[:length])
        with pytest.raises(TeacherFileError):
            load_teacher(path)


def test_trust_has_no_effect_elsewhere(ppo_zip):
    with pytest.raises(SettingError, match="trust is about code in a file"):
        load_teacher(ppo_zip(), trust=True)


def test_kinds_of_numbers_are_those_of_torch():
    from torch._export.serde.serialize import _TORCH_TO_SERIALIZE_DTYPE

    for code, dtype in script_tensors.DTYPES.items():
        assert int(_TORCH_TO_SERIALIZE_DTYPE[dtype]) == code
