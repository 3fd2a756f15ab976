"""A run records its teacher's fingerprint, and a teacher that was changed is no teacher of it."""

import json
from dataclasses import replace
from pathlib import Path

import cleanrl_files
import onnx_files
import pytest
import rsl_rl_files
import torch
from gymnasium import spaces
from onnx import numpy_helper

from rldistill.errors import RunFolderError
from rldistill.recipes.resume import resume
from rldistill.train.distill import distill
from rldistill.train.settings import Settings

RULE = "def policy(observations):\n    return (observations[:, 2] > {bound}).astype(int)\n"


def cleanrl(folder: Path, seed: int) -> Path:
    q = cleanrl_files.randomised(cleanrl_files.QNetwork(cleanrl_files.mlp(4, 8, 2)), seed)
    return cleanrl_files.save(q.state_dict(), folder, "dqn")


def onnx(folder: Path, seed: int) -> Path:
    generator = torch.Generator().manual_seed(seed)
    made = onnx_files.model()
    del made.graph.initializer[:]
    shapes = {"w1": (4, 7), "b1": (7,), "w2": (7, 2), "b2": (2,)}
    for name, shape in shapes.items():
        array = torch.randn(shape, generator=generator).numpy()
        made.graph.initializer.append(numpy_helper.from_array(array, name))
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    return onnx_files.save(made, folder)


def own_code(folder: Path, seed: int) -> str:
    (folder / "changing_rule.py").write_text(RULE.format(bound=f"0.{seed}"))
    return "py:changing_rule:policy"


def ensemble(folder: Path, seed: int) -> str:
    first, second = folder / "first", folder / "second"
    for place in (first, second):
        place.mkdir(exist_ok=True)
    return f"ensemble:{cleanrl(first, 7)},{cleanrl(second, seed)}"


@pytest.mark.parametrize(
    "write",
    [
        cleanrl,
        own_code,
        pytest.param(onnx, marks=pytest.mark.slow),
        pytest.param(ensemble, marks=pytest.mark.slow),
    ],
)
def test_a_changed_teacher_is_not_resumed(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "run"
    settings = Settings(steps=64, num_envs=4, backend="gymnasium", evaluation_envs=4)
    distill(write(tmp_path, 1), "CartPole-v1", "mlp:4", out=out, settings=settings)
    card = json.loads((out / "student.json").read_text())
    assert len(card["teacher"]["sha256"]) == 64
    write(tmp_path, 1)
    resume(out, settings=replace(settings, steps=128))
    write(tmp_path, 2)
    with pytest.raises(RunFolderError, match=r"teacher: the run has sha256"):
        resume(out, settings=replace(settings, steps=192))


def test_the_file_beside_a_checkpoint_of_rsl_rl_counts(tmp_path):
    """Its activation decides what the network does."""
    from rldistill.teachers.load import load_teacher

    made = rsl_rl_files.version_3(tmp_path)
    box = spaces.Box(-1.0, 1.0, (2,))
    before = load_teacher(made.path, action_space=box, announce=None).info.fingerprint
    beside = tmp_path / "params" / "agent.yaml"
    beside.write_text(beside.read_text().replace("relu", "tanh"))
    assert load_teacher(made.path, action_space=box, announce=None).info.fingerprint != before
