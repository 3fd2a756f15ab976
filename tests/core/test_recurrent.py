import numpy as np
import pytest
import torch
from fake_policies import always
from recurrent_policies import HEAD, counting, small_rnn
from torch import Tensor, nn

from rldistill.core import NetworkPolicy, require_memoryless, restarted
from rldistill.core.recurrent import State
from rldistill.errors import NotFiniteError, ShapeError, TaskError

KINDS = [(kind, layers) for kind in (nn.GRU, nn.LSTM) for layers in (1, 2)]
# What a lane meets: starts in its middle, at its first and last step, everywhere, nowhere.
STARTS = {
    "nowhere": torch.zeros(7, 3, dtype=torch.bool),
    "everywhere": torch.ones(7, 3, dtype=torch.bool),
    "first": torch.arange(7)[:, None].expand(7, 3) == 0,
    "mixed": torch.tensor(
        [[0, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    )
    == 1,
}


def step_by_step(
    policy: NetworkPolicy, observations: Tensor, state: State, starts: Tensor
) -> tuple[Tensor, State]:
    found = []
    for seen, fresh in zip(observations, starts, strict=True):
        raw, state = policy.step(seen, restarted(state, fresh))
        found.append(raw)
    return torch.stack(found), state


def random_state(policy: NetworkPolicy, batch: int) -> State:
    return tuple(torch.randn_like(x) for x in policy.initial_state(batch))


@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_a_sequence_at_once_is_the_same_as_step_by_step(kind, layers, starts):
    """Outputs, state and gradients, wherever episodes start."""
    policy = small_rnn(kind=kind, layers=layers)
    seen, state = torch.randn(7, 3, 4), random_state(policy, 3)
    weights = list(policy.module.parameters())
    found = []
    for unroll in (policy.unroll, lambda *given: step_by_step(policy, *given)):
        raw, after = unroll(seen, state, starts)
        loss = raw.square().sum() + sum(x.sum() for x in after)
        found.append((raw, after, torch.autograd.grad(loss, weights)))
    for ours, theirs in zip(found[0][1:], found[1][1:], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, atol=1e-5)
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)


@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_windows_with_carried_state_are_one_sequence(kind, layers):
    policy = small_rnn(kind=kind, layers=layers)
    seen, starts = torch.randn(7, 3, 4), STARTS["mixed"]
    whole, end = policy.unroll(seen, policy.initial_state(3), starts)
    state, parts = policy.initial_state(3), []
    for cut in (slice(0, 3), slice(3, 4), slice(4, 7)):
        raw, state = policy.unroll(seen[cut], state, starts[cut])
        parts.append(raw)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(state, end, strict=True))


def test_nothing_from_before_a_start_reaches_what_follows():
    """Not even NaN, and no gradient."""
    policy = small_rnn()
    state = tuple(x.fill_(np.nan) for x in policy.initial_state(2))
    seen = torch.randn(5, 2, 4, requires_grad=True)
    starts = torch.zeros(5, 2, dtype=torch.bool)
    starts[0], starts[3] = True, True
    raw, _ = policy.unroll(seen, state, starts)
    assert raw.isfinite().all()
    raw[3:].sum().backward()
    assert (seen.grad[:3] == 0).all()
    assert (seen.grad[3:] != 0).any()


def test_a_policy_without_memory_has_an_empty_state_and_the_same_outputs():
    policy = always([1.0, 2.0, 3.0], HEAD)
    assert policy.initial_state(5) == ()
    seen = torch.randn(4, 5, 4)
    raw, state = policy.unroll(seen, (), torch.ones(4, 5, dtype=torch.bool))
    assert raw.shape == (4, 5, 3)
    assert state == ()
    assert torch.equal(policy.step(seen[0], ())[0], policy.raw(seen[0]))


def test_a_recurrent_policy_refuses_single_states():
    for ask in (counting().raw, counting()):
        with pytest.raises(TaskError, match="fake is recurrent: its outputs in a state depend on"):
            ask(torch.zeros(2, 4))
    with pytest.raises(TaskError, match=r"an explanation looks at single states, and fake"):
        require_memoryless(counting().info, "an explanation")
    require_memoryless(always([0.0] * 3, HEAD).info, "an explanation")


def test_predict_carries_the_state_as_stable_baselines3_does():
    policy, seen = counting(), np.zeros((2, 4), np.float32)
    actions, state = policy.predict(seen)
    assert actions.tolist() == [0, 0]
    actions, state = policy.predict(seen, state, np.array([False, False]))
    assert actions.tolist() == [1, 1]
    actions, state = policy.predict(seen, state, np.array([True, False]))
    assert actions.tolist() == [0, 2]
    assert [x.shape for x in state] == [(2, 1), (2, 4)]
    one, state = policy.predict(seen[0])
    assert one.shape == ()
    assert policy.predict(seen[0], state)[0] == 1
    assert policy.predict(seen[0], state, np.array([True]))[0] == 0
    assert policy.predict(seen[0], state, True)[0] == 0


@pytest.mark.parametrize(
    ("state", "start", "error", "said"),
    [
        ((np.zeros((2, 1)),), None, ShapeError, "a state of 2 arrays was required"),
        (3, None, ShapeError, "a state of 2 arrays"),
        ((np.zeros((1, 1)), np.zeros((2, 4))), None, ShapeError, r"\[2, 1\], \[2, 4\]; got"),
        ((np.full((2, 1), np.nan), np.zeros((2, 4))), None, NotFiniteError, "NaN or infinity"),
        ((np.array([["x"], ["y"]]), np.zeros((2, 4))), None, ShapeError, "got <U1"),
        (None, np.ones(3, bool), ShapeError, r"episode_start has shape \(3,\), for 2 observations"),
    ],
)
def test_predict_refuses_a_wrong_state(state, start, error, said):
    with pytest.raises(error, match=said):
        counting().predict(np.zeros((2, 4), np.float32), state, start)
