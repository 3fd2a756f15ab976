import numpy as np
import pytest
import torch
from scipy import stats

from rldistill.core import Acting, Categorical, Deterministic, Gaussian, SquashedGaussian
from rldistill.errors import SettingError

NUM_SAMPLES = 20_000
# Each test of samples is made once, with a fixed seed, so that it either always passes or never.
SMALLEST_P = 1e-3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counts(logits: list[float]) -> np.ndarray:
    rows = torch.tensor(logits).expand(NUM_SAMPLES, -1)
    return np.bincount(Categorical(rows).sample(generator()).numpy(), minlength=len(logits))


def test_categorical_samples_follow_the_softmax():
    """Chi-square against softmax(logits)."""
    logits = [0.0, 1.0, -2.0, 0.5]
    expected = torch.tensor(logits).softmax(-1).double().numpy()
    found = counts(logits)
    assert stats.chisquare(found, NUM_SAMPLES * expected / expected.sum()).pvalue > SMALLEST_P


def test_the_test_of_samples_sees_a_wrong_temperature():
    """The same chi-square refuses samples at temperature 1.1."""
    expected = torch.tensor([0.0, 1.0, -2.0, 0.5]).softmax(-1).double().numpy()
    found = counts([0.0, 1 / 1.1, -2 / 1.1, 0.5 / 1.1])
    assert stats.chisquare(found, NUM_SAMPLES * expected / expected.sum()).pvalue < SMALLEST_P


def test_a_masked_action_is_never_sampled():
    assert counts([0.0, -torch.inf, 1.0])[1] == 0


def test_the_lowest_index_wins_a_tie():
    mode = Categorical(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])).mode()
    assert mode.tolist() == [1, 0]
    assert mode.dtype == torch.int64


def test_gaussian_samples_follow_the_normal():
    """Kolmogorov-Smirnov, each dimension against its own mean and standard deviation."""
    mean, log_std = torch.tensor([3.0, -1.0]), torch.tensor([0.7, -2.0])
    rows = Gaussian(mean.expand(NUM_SAMPLES, 2), log_std.expand(NUM_SAMPLES, 2))
    samples = rows.sample(generator()).double()
    for d in range(2):
        standard = (samples[:, d] - mean[d]) / log_std[d].exp()
        assert stats.kstest(standard.numpy(), "norm").pvalue > SMALLEST_P
    assert abs(np.corrcoef(samples.T.numpy())[0, 1]) < 0.03


def test_squashed_samples_are_the_tanh_of_normals_within_the_bounds():
    mean, log_std = torch.tensor([0.3, -0.2]), torch.tensor([-0.5, 0.1])
    low, high = torch.tensor([-2.0, 5.0]), torch.tensor([2.0, 6.0])
    rows = SquashedGaussian(mean.expand(NUM_SAMPLES, 2), log_std.expand(NUM_SAMPLES, 2), low, high)
    samples = rows.sample(generator())
    assert bool(((samples >= low) & (samples <= high)).all())
    u = torch.atanh(2 * (samples.double() - low) / (high - low) - 1)
    for d in range(2):
        standard = (u[:, d] - mean[d]) / log_std[d].exp()
        assert stats.kstest(standard.numpy(), "norm").pvalue > SMALLEST_P


def test_the_squashed_mode_is_by_hand():
    """tanh(0) is the middle, tanh(+-30) the ends."""
    mean = torch.tensor([0.0, 30.0, -30.0])
    low, high = torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([3.0, 3.0, 3.0])
    out = SquashedGaussian(mean, torch.zeros(3), low, high)
    assert out.mode().tolist() == [1.0, 3.0, -1.0]


def test_a_deterministic_policy_samples_its_action():
    action = torch.tensor([[0.5, -0.5]])
    out = Deterministic(action)
    assert torch.equal(out.sample(generator()), action)
    assert torch.equal(out.mode(), action)


@pytest.mark.parametrize(
    "out",
    [
        Categorical(torch.zeros(50, 4)),
        Gaussian(torch.zeros(50, 2), torch.zeros(50, 2)),
        SquashedGaussian(torch.zeros(50, 2), torch.zeros(50, 2), -torch.ones(2), torch.ones(2)),
    ],
    ids=lambda out: type(out).__name__,
)
def test_the_same_generator_gives_the_same_samples(out):
    assert torch.equal(out.sample(generator(1)), out.sample(generator(1)))
    assert not torch.equal(out.sample(generator(1)), out.sample(generator(2)))


def test_acting_chooses_by_mode_or_by_sample():
    out = Categorical(torch.zeros(100, 3))
    assert Acting.parse("mode").choose(out, generator()).unique().tolist() == [0]
    assert Acting.parse("sample").choose(out, generator()).unique().tolist() == [0, 1, 2]
    assert [str(Acting(mode)) for mode in (True, False)] == ["mode", "sample"]


def test_an_unknown_way_to_act_is_named():
    with pytest.raises(SettingError, match=r"teacher-act must be one of mode, sample, .*'greedy'"):
        Acting.parse("greedy", "teacher-act")


def test_epsilon_is_the_share_of_random_actions() -> None:
    """A quarter of the actions is uniform over those that are not masked; the rest is the mode."""
    logits = torch.tensor([0.0, 3.0, 1.0, -torch.inf]).expand(20_000, 4)
    act = Acting.parse("mode:0.25")
    assert str(act) == "mode:0.25"
    shares = torch.bincount(act.choose(Categorical(logits), generator()), minlength=4) / 20_000
    expected = torch.tensor([0.25 / 3, 0.75 + 0.25 / 3, 0.25 / 3, 0.0])
    torch.testing.assert_close(shares, expected, atol=0.01, rtol=0.0)
    plain = Categorical(logits[:4])
    assert Acting(epsilon=0.0).choose(plain, None).tolist() == plain.mode().tolist()


@pytest.mark.parametrize("text", ["mode:", "mode:many", "mode:1.5", "mod:0.1"])
def test_wrong_epsilons_are_refused(text: str) -> None:
    """A share in [0, 1] behind the word."""
    with pytest.raises(SettingError):
        Acting.parse(text)


def test_epsilon_needs_action_indices() -> None:
    """Continuous policies have no uniform action to fall back on."""
    with pytest.raises(SettingError, match="epsilon is about action indices"):
        Acting(epsilon=0.1).choose(Deterministic(torch.zeros(2, 1)), None)
