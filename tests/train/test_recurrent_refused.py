"""Where single states are all there is, recurrent policies are refused by name, no traceback."""

import pytest
import torch
from fake_policies import always
from gymnasium import spaces
from recurrent_policies import HEAD, counting

from rldistill.core import CategoricalHead
from rldistill.errors import TaskError
from rldistill.explain.subject import load_subject
from rldistill.integrations.term import DistillationTerm
from rldistill.recipes.export import export_policy
from rldistill.students.build import make_student
from rldistill.students.store import save_student
from rldistill.teachers.ensemble import make_ensemble
from rldistill.train.prepare_training import make_network
from rldistill.train.shrink_ladder import check_ladder

FLAT = spaces.Box(-1, 1, (4,))


@pytest.mark.parametrize("form", ["onnx", "c", "torchscript", "torch-export", "json", "sb3"])
def test_an_export(tmp_path, form):
    save_student(make_student("gru:4", FLAT, spaces.Discrete(3)), tmp_path, {})
    with pytest.raises(TaskError, match="an export looks at single states, and gru:4"):
        export_policy(tmp_path, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


def test_a_term_in_a_training_loop_of_others():
    with pytest.raises(TaskError, match="training loop of others looks at single states"):
        DistillationTerm(counting(), CategoricalHead(3))


def test_an_ensemble():
    with pytest.raises(TaskError, match="an ensemble looks at single states"):
        make_ensemble((always([0.0] * 3, HEAD), counting()), is_confident=False)


def test_a_sweep():
    with pytest.raises(TaskError, match=r"a sweep.*looks at single states, and gru:4"):
        check_ladder(("mlp:4", "gru:4"), FLAT, spaces.Discrete(3), counting().info)


def test_an_explanation():
    class Info:
        observation_space, action_space = FLAT, spaces.Discrete(3)

    with pytest.raises(TaskError, match="an explanation looks at single states"):
        load_subject(counting(), Info())


def test_q_learning():
    class Info:
        id, observation_space, action_space = "X-v0", FLAT, spaces.Discrete(3)

    torch.manual_seed(0)
    with pytest.raises(TaskError, match="Q-learning looks at single states, and gru:4"):
        make_network("gru:4", [Info()])
