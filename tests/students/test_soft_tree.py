"""Soft trees: soft weights while training, one leaf afterwards."""

import torch

from rldistill.core import CategoricalHead, GaussianHead
from rldistill.students.soft_tree import (
    INVERSE_TEMPERATURE,
    SoftTree,
    SoftTreeSpec,
    fold,
    leaf_of,
)


def tree_of(depth: int = 3, inputs: int = 4) -> SoftTree:
    torch.manual_seed(0)
    tree = SoftTree(SoftTreeSpec(depth), inputs, CategoricalHead(3))
    torch.nn.init.normal_(tree.leaves)
    torch.nn.init.normal_(tree.decisions.bias)
    return tree


def test_paths_by_hand():
    tree = tree_of(depth=2)
    left = torch.tensor([[0.9, 0.2, 0.6]])
    scores = left.logit() / INVERSE_TEMPERATURE
    expected = torch.tensor([[0.9 * 0.2, 0.9 * 0.8, 0.1 * 0.6, 0.1 * 0.4]])
    torch.testing.assert_close(tree.paths(scores), expected)
    assert leaf_of(scores).tolist() == [1]


@torch.no_grad()
def test_the_hard_leaf_is_the_soft_one_of_sharp_decisions():
    tree, x = tree_of(depth=4), torch.randn(200, 4)
    scores = tree.decisions(x)
    sharp = tree.paths(1e6 * scores)
    assert (sharp.argmax(1) == leaf_of(scores)).all()
    tree.eval()
    torch.testing.assert_close(tree(x), tree.leaves[leaf_of(scores)])


def test_training_is_half_hard_with_the_gradient_of_the_soft_weights():
    tree, x = tree_of(), torch.randn(50, 4)
    scores = tree.decisions(x)
    soft, hard = tree.paths(scores) @ tree.leaves, tree.leaves[leaf_of(scores)]
    torch.testing.assert_close(tree.train()(x), (soft + hard) / 2)
    grads = [
        torch.autograd.grad(out.square().sum(), tree.decisions.weight, retain_graph=True)[0]
        for out in (tree(x),)
    ]
    weights = tree.paths(tree.decisions(x))
    fixed = (soft + hard).detach() / 2  # d(out^2) = 2 out d(out), out's slope that of the soft part
    (expected,) = torch.autograd.grad(
        (2 * fixed * (weights @ tree.leaves.detach())).sum(), tree.decisions.weight
    )
    torch.testing.assert_close(grads[0], expected)


@torch.no_grad()
def test_folding_moves_the_normaliser_into_the_decisions():
    tree, x = tree_of().eval(), 5 + 3 * torch.randn(500, 4)
    assert tree.normaliser is not None
    tree.normaliser.fit(x)
    folded = fold(tree)
    assert folded.normaliser is None
    assert (folded(x) == tree(x)).all(1).float().mean() > 0.99
    assert tree.normaliser is not None


def test_a_gaussian_tree_has_one_deviation_for_all_states():
    tree = SoftTree(SoftTreeSpec(2), 4, GaussianHead((-1.0,), (1.0,)))
    out = tree(torch.randn(7, 4))
    assert out.shape == (7, 2)
    assert (out[:, 1] == out[0, 1]).all()
