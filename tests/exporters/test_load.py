"""load_exported: acts as the policy does, and refuses what does not belong together."""

import json
from pathlib import Path

import numpy as np
import pytest
from subjects import POLICY_SPACE, observations_of, student

from rldistill import ExportSettings, export_policy, load_exported
from rldistill.errors import ExportError, NotFiniteError, SettingError, ShapeError

QUICK = ExportSettings(observations=50)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A folder with one ONNX file."""
    export_policy(student("mlp:8,8", "logits"), tmp_path, settings=QUICK)
    return tmp_path


def test_it_acts_as_the_policy(exported: Path) -> None:
    policy, loaded = student("mlp:8,8", "logits"), load_exported(exported)
    rows = observations_of(policy, 64)
    actions, state = loaded.predict(rows)
    assert state is None
    assert (actions == policy.predict(rows)[0]).all()
    single, _ = loaded.predict(rows[3])
    assert single.shape == ()
    assert single == actions[3]


def test_continuous_actions_lie_in_bounds(tmp_path: Path) -> None:
    policy = student("mlp:8", "gaussian")
    export_policy(policy, tmp_path, settings=ExportSettings(observations=50, output="sample"))
    loaded = load_exported(tmp_path, seed=1)
    rows = observations_of(policy, 256)
    actions, _ = loaded.predict(rows, deterministic=False)
    assert (actions >= np.array(POLICY_SPACE.low)).all()
    assert (actions <= np.array(POLICY_SPACE.high)).all()
    assert (actions != loaded.predict(rows)[0]).any()
    again = load_exported(tmp_path, seed=1)
    assert (again.predict(rows)[0] == actions).all()


def test_sampled_actions_have_the_policy_s_probabilities(tmp_path: Path) -> None:
    """One uniform number per decision: each action is drawn as often as it is likely."""
    policy = student("mlp:8,8", "logits")
    settings = ExportSettings(observations=50, output="sample")
    export_policy(policy, tmp_path, settings=settings)
    row = observations_of(policy, 1)
    drawn, _ = load_exported(tmp_path).predict(np.repeat(row, 20_000, 0))
    import torch

    likely = policy.raw(torch.from_numpy(row)).softmax(-1).detach().numpy()[0]
    counted = np.bincount(drawn, minlength=4) / 20_000
    assert np.abs(counted - likely).max() < 4 * 0.5 / np.sqrt(20_000)


@pytest.mark.parametrize(
    "wrong", [np.zeros(4), np.zeros((2, 6)), np.zeros(()), np.array(["a"] * 5)]
)
def test_observations_of_wrong_shape_are_refused(exported: Path, wrong: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"expects numbers of shape \(5,\)"):
        load_exported(exported).predict(wrong)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_observations_that_are_no_numbers_are_refused(exported: Path, number: float) -> None:
    with pytest.raises(NotFiniteError, match="NaN or infinity"):
        load_exported(exported).predict(np.full(5, number, np.float32))


def test_acting_otherwise_than_exported_is_refused(exported: Path) -> None:
    with pytest.raises(SettingError, match="export it with 'sample'"):
        load_exported(exported).predict(np.zeros(5), deterministic=False)


def test_another_file_under_its_name_is_refused(exported: Path, tmp_path: Path) -> None:
    """A retrained policy beside the contract of an old one would act, and nobody would know."""
    export_policy(student("mlp:9,9", "logits"), tmp_path / "other", settings=QUICK)
    (exported / "policy.onnx").write_bytes((tmp_path / "other" / "policy.onnx").read_bytes())
    with pytest.raises(ExportError, match="sha256 is another"):
        load_exported(exported)


def test_a_file_without_contract_is_refused(exported: Path) -> None:
    (exported / "policy.onnx.contract.json").unlink()
    with pytest.raises(ExportError, match="must hold one exported ONNX file; it holds none"):
        load_exported(exported)
    with pytest.raises(ExportError, match="has no contract beside it"):
        load_exported(exported / "policy.onnx")


def test_a_contract_without_its_file_is_refused(exported: Path) -> None:
    (exported / "policy.onnx").unlink()
    with pytest.raises(ExportError, match="cannot read"):
        load_exported(exported)


@pytest.mark.parametrize(
    "change", [{"format": "x"}, {"file": {"name": "../a", "sha256": "0" * 64}}]
)
def test_a_contract_of_others_is_refused(exported: Path, change: dict) -> None:
    path = exported / "policy.onnx.contract.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ExportError, match="no contract of format 1"):
        load_exported(exported)
    path.write_text("{")
    with pytest.raises(ExportError, match="damaged"):
        load_exported(exported)


def test_which_of_several_files_must_be_said(exported: Path) -> None:
    settings = ExportSettings(observations=50, name="second")
    export_policy(student("mlp:9,9", "logits"), exported, ["onnx", "json"], settings=settings)
    with pytest.raises(ExportError, match=r"it holds policy\.onnx, second\.onnx; name it"):
        load_exported(exported)
    assert load_exported(exported / "second.onnx").contract["policy"]["name"] == "mlp:9,9"
    with pytest.raises(ExportError, match="exported to json"):
        load_exported(exported / "second.json")
