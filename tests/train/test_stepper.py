"""Stepper: one optimiser for student and critic."""

from dataclasses import replace

import pytest
import torch
from fake_policies import info_for

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.methods.method import Learning
from rldistill.train.critic import Critic
from rldistill.train.stepper import Stepper

HEAD = CategoricalHead(3)
SGD_LIKE = Learning(optimiser="rmsprop", learning_rate=0.1, average=0.0)


def linear(seed: int = 0) -> NetworkPolicy:
    torch.manual_seed(seed)
    return NetworkPolicy(torch.nn.Linear(4, 3), info_for(HEAD))


def stepper_of(learning: Learning = SGD_LIKE, with_critic: bool = True) -> Stepper:
    student = linear()
    critic = Critic(4, (5,), 2) if with_critic else None
    if critic is not None:
        torch.nn.init.normal_(critic.layers[-1].weight)
    return Stepper(student, learning, critic)


def loss_of(stepper: Stepper, critic_scale: float = 1.0) -> torch.Tensor:
    x = torch.ones(2, 4)
    loss = stepper.student.module(x).square().sum()
    return (
        loss if stepper.critic is None else loss + critic_scale * stepper.critic(x).square().sum()
    )


def gradients(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.ravel() for p in module.parameters() if p.grad is not None])


def test_the_gradients_of_student_and_critic_are_bounded_apart():
    """A critic with gradients a million times as large leaves the student's step alone."""
    learning = replace(SGD_LIKE, max_grad_norm=0.5)
    alone, beside = stepper_of(learning, False), stepper_of(learning)
    alone.step(loss_of(alone))
    beside.step(loss_of(beside, 1e6))
    assert torch.equal(gradients(alone.student.module), gradients(beside.student.module))
    for module in (beside.student.module, beside.critic):
        assert float(gradients(module).norm()) == pytest.approx(0.5, abs=1e-4)


def test_small_gradients_are_left_alone():
    small, free = stepper_of(replace(SGD_LIKE, max_grad_norm=1e9)), stepper_of()
    for stepper in (small, free):
        stepper.step(loss_of(stepper))
    assert torch.equal(gradients(small.student.module), gradients(free.student.module))


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_a_step_lowers_the_loss_of_both(optimiser):
    stepper = stepper_of(replace(SGD_LIKE, optimiser=optimiser, learning_rate=1e-3))
    before = loss_of(stepper).item()
    for _ in range(5):
        stepper.step(loss_of(stepper))
    assert loss_of(stepper).item() < before
    assert stepper.updates == 5


def test_the_average_follows_the_student_and_is_not_trained():
    """Young averages follow quickly: decay (n / (n + 10)) until it reaches the asked one."""
    stepper = stepper_of(replace(SGD_LIKE, average=0.2))
    assert stepper.tested is not stepper.student
    weights = [stepper.student.module.weight.detach().clone()]
    expected = weights[0]
    for n in (1, 2, 3):
        stepper.step(loss_of(stepper))
        decay = min(0.2, n / (n + 10))
        expected = decay * expected + (1 - decay) * stepper.student.module.weight.detach()
        torch.testing.assert_close(stepper.tested.module.weight.data, expected)
    assert not stepper.tested.module.weight.requires_grad


def test_without_an_average_the_student_is_tested():
    stepper = stepper_of()
    assert stepper.tested is stepper.student


@pytest.mark.parametrize("where", ["student", "critic", "average"])
def test_a_weight_that_is_no_number_is_seen(where):
    stepper = stepper_of(replace(SGD_LIKE, average=0.9))
    assert stepper.is_finite
    module = {"student": stepper.student.module, "critic": stepper.critic.layers[0],
              "average": stepper.tested.module}[where]  # fmt: skip
    with torch.no_grad():
        module.weight[0, 0] = float("nan")
    assert not stepper.is_finite


@pytest.mark.parametrize("with_critic", [True, False])
def test_a_state_that_comes_back_goes_on_bit_for_bit(with_critic):
    """Weights, critic, average, the optimiser's moments and the counter."""
    learning = replace(SGD_LIKE, optimiser="adam", average=0.9)
    stepper, again = stepper_of(learning, with_critic), stepper_of(learning, with_critic)
    for _ in range(3):
        stepper.step(loss_of(stepper))
    assert ("critic" in stepper.state_dict()) == with_critic
    copied = {k: _copy(v) for k, v in stepper.state_dict().items()}
    again.load_state_dict(copied)
    for one in (stepper, again):
        one.step(loss_of(one))
    assert again.updates == stepper.updates == 4
    assert torch.equal(again.student.module.weight, stepper.student.module.weight)
    assert torch.equal(again.tested.module.weight, stepper.tested.module.weight)
    assert torch.equal(loss_of(again), loss_of(stepper))


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return value.clone() if isinstance(value, torch.Tensor) else value
