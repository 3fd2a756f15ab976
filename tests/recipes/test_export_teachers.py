"""Teachers made by others leave Python as they are, no distillation needed."""

from pathlib import Path

import pytest

from rldistill import ExportSettings, export_policy

QUICK = ("a2c-CartPole-v1", "ppo-Pendulum-v1", "sac-Pendulum-v1", "trpo-Swimmer-v3")
LARGE = (
    *(
        "dqn-CartPole-v1",
        "dqn-LunarLander-v2",
        "ppo-BipedalWalkerHardcore-v3",
        "ppo-LunarLander-v2",
    ),
    *("qrdqn-Acrobot-v1", "sac-HalfCheetah-v3", "tqc-HalfCheetah-v3", "trpo-CartPole-v1"),
    "trpo-LunarLanderContinuous-v2",
)


def export(shared: Path, name: str, out: Path) -> None:
    (file,) = (shared / "sb3" / name).glob("*.zip")
    settings = ExportSettings(observations=2000)
    formats = ["onnx", "c", "json", "torchscript"]
    for one in export_policy(file, out, formats, settings=settings):
        assert one.contract["parity"]["observations"] == 2000
        normalised = "std" in one.contract["normaliser"]
        assert normalised == any((shared / "sb3" / name).glob("*normalize*"))


@pytest.mark.parametrize("name", QUICK)
def test_a_teacher_is_exported(shared_teachers: Path, tmp_path: Path, name: str) -> None:
    """Compared, normaliser included, with what this library plays."""
    export(shared_teachers, name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_large_teacher_is_exported(shared_teachers: Path, tmp_path: Path, name: str) -> None:
    export(shared_teachers, name, tmp_path)
