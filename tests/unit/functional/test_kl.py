"""KL estimators, exact KL, and the controller of the coefficient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from palate.core.errors import ConfigError, TrainingError
from palate.functional.kl import adaptive_coefficient, exact_kl, k1, k2, k3
from palate.world.exact import TabularBandit

LOG2 = math.log(2)
ESTIMATORS = (k1, k2, k3)


def random_logits(seed: int = 0, arms: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, arms, generator=generator, dtype=torch.float64))  # type: ignore[return-value]


def test_hand_case():
    # policy ½, reference ¼: log-ratio log 2 = 0.6931; half its square 0.2402; ½ - 1 + 0.6931 = 0.1931
    policy, reference = tensor([0.5]).log(), tensor([0.25]).log()
    assert_close(k1(policy, reference), tensor([0.6931]), atol=1e-4, rtol=0)
    assert_close(k2(policy, reference), tensor([0.2402]), atol=1e-4, rtol=0)
    assert_close(k3(policy, reference), tensor([0.1931]), atol=1e-4, rtol=0)
    # p = (½, ½), q = (¼, ¾): ½ log 2 + ½ log ⅔ = 0.1438
    logits, ref_logits = tensor([[0.5, 0.5]]).log(), tensor([[0.25, 0.75]]).log()
    assert_close(exact_kl(logits, ref_logits), tensor([0.1438]), atol=1e-4, rtol=0)


def test_no_distance_to_itself():
    logits, _ = random_logits()
    for estimator in ESTIMATORS:
        assert (estimator(logits, logits) == 0).all()
    assert exact_kl(logits, logits + 5).abs() < 1e-12


def test_forbidden_tokens():
    open_, narrow = tensor([0.0, 0.0, 0.0]), tensor([0.0, 0.0, -math.inf])
    assert_close(exact_kl(narrow, open_), tensor(math.log(1.5)))
    assert_close(exact_kl(narrow, narrow), tensor(0.0))
    assert exact_kl(open_, narrow) == math.inf


def test_nan_stays_in_its_row():
    logits, ref_logits = tensor([[0.0, 1.0], [math.nan, 0.0]]), torch.zeros(2, 2)
    assert exact_kl(logits, ref_logits).isnan().tolist() == [False, True]
    for estimator in ESTIMATORS:
        assert estimator(logits, ref_logits).isnan().tolist() == [[False, False], [True, False]]


@given(st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=60)
def test_signs_and_symmetries(policy: float, reference: float):
    a, b = tensor(policy, dtype=torch.float64), tensor(reference, dtype=torch.float64)
    assert k1(a, b) == -k1(b, a)
    assert k2(a, b) == k2(b, a)
    assert k2(a, b) >= 0
    assert k3(a, b) >= 0
    for estimator in ESTIMATORS:
        assert_close(estimator(a + 2, b + 2), estimator(a, b))


def test_k3_of_nearly_equal_policies_keeps_its_digits():
    # x = 1e-4: e^x - 1 - x = x²/2 = 5e-9, far below the rounding of exp(x) in float32, 6e-8
    assert_close(k3(tensor(0.0), tensor(1e-4)), tensor(5e-9), atol=0, rtol=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_means_by_enumeration(seed: int):
    logits, ref_logits = random_logits(seed)
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    kl = exact_kl(logits, ref_logits)
    assert_close(logprobs.exp() @ k1(logprobs, ref_logprobs), kl)
    assert_close(logprobs.exp() @ k3(logprobs, ref_logprobs), kl)
    assert abs(logprobs.exp() @ k2(logprobs, ref_logprobs) - kl) > 1e-3
    assert exact_kl(ref_logits, logits) != kl


def gradient_as_loss(estimator, logits: Tensor, ref_logits: Tensor) -> Tensor:
    """What an on-policy batch of all tokens, each as often as the policy samples it, would learn."""
    logits = logits.clone().requires_grad_()
    logprobs = logits.log_softmax(-1)
    loss = logprobs.detach().exp() @ estimator(logprobs, ref_logits.log_softmax(-1))
    return torch.autograd.grad(loss, logits)[0]


def test_gradients_as_terms_of_the_loss():
    """The third column of the table in `kl.py`."""
    logits, ref_logits = (x.requires_grad_() for x in random_logits())
    (right,) = torch.autograd.grad(exact_kl(logits, ref_logits), logits)
    (reverse,) = torch.autograd.grad(exact_kl(ref_logits, logits), logits)
    assert_close(gradient_as_loss(k1, logits.detach(), ref_logits.detach()), torch.zeros_like(right))
    assert_close(gradient_as_loss(k2, logits.detach(), ref_logits.detach()), right)
    assert_close(gradient_as_loss(k3, logits.detach(), ref_logits.detach()), reverse)
    assert (reverse - right).norm() > 0.1


def test_only_k1_is_a_penalty_that_grows_with_the_log_ratio():
    """The second column: where a token is rarer than in the reference, k2 and k3 pay for more of that."""
    log_ratios = torch.linspace(-3, 3, 61, dtype=torch.float64)
    slopes = {f.__name__: f(log_ratios, torch.zeros_like(log_ratios)).diff() for f in ESTIMATORS}
    assert (slopes["k1"] > 0).all()
    for name in ("k2", "k3"):
        assert (slopes[name][:30] < 0).all()
        assert (slopes[name][30:] > 0).all()


@pytest.mark.parametrize("function", [*ESTIMATORS, exact_kl])
def test_gradient(function):
    logits, ref_logits = (x.requires_grad_() for x in random_logits())
    assert torch.autograd.gradcheck(function, (logits, ref_logits))


def test_gradient_of_forbidden_tokens_is_finite():
    logits = tensor([0.0, 1.0, -math.inf], requires_grad=True)
    exact_kl(logits, torch.zeros(3)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_slow_reference():
    logits, ref_logits = random_logits()
    p, q = logits.softmax(-1).tolist(), ref_logits.softmax(-1).tolist()
    expected = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert_close(exact_kl(logits, ref_logits).item(), expected)
    for a, b in zip(p, q, strict=True):
        pair = tensor(math.log(a)), tensor(math.log(b))
        assert_close(k1(*pair).item(), math.log(a / b), atol=1e-6, rtol=1e-5)
        assert_close(k2(*pair).item(), math.log(a / b) ** 2 / 2, atol=1e-6, rtol=1e-5)
        assert_close(k3(*pair).item(), b / a - 1 - math.log(b / a), atol=1e-6, rtol=1e-5)


class TestAdaptiveCoefficient:
    @pytest.mark.parametrize(
        ("kl_nats", "expected"),
        [
            (6.0, 0.1),  # on target: nothing moves
            (6.6, 0.101),  # 10 % above: 0.1 · (1 + 0.1 · 64 / 640)
            (5.4, 0.099),  # 10 % below
            (12.0, 0.102),  # 100 % above, but no error counts for more than 20 %
            (0.0, 0.098),  # 100 % below, the same
            (-1.0, 0.098),  # an estimate may be negative
        ],
    )
    def test_hand_case(self, kl_nats: float, expected: float):
        assert_close(adaptive_coefficient(0.1, kl_nats, 6.0, 64, 640), expected)

    @given(st.floats(1e-6, 10), st.floats(-10, 1e6), st.floats(1e-3, 100), st.integers(0, 4999))
    @settings(max_examples=60)
    def test_stays_positive_and_moves_towards_the_target(self, beta, kl_nats, target_nats, samples):
        after = adaptive_coefficient(beta, kl_nats, target_nats, samples, 1000)
        assert after > 0
        assert (after - beta) * (kl_nats - target_nats) >= 0

    @pytest.mark.parametrize("horizon_samples", [0, -5, 12])
    def test_a_horizon_that_is_too_short(self, horizon_samples: int):
        with pytest.raises(ConfigError, match="horizon"):
            adaptive_coefficient(0.1, 6.0, 6.0, 64, horizon_samples)

    @pytest.mark.parametrize("target_nats", [0.0, -1.0])
    def test_a_target_that_cannot_be(self, target_nats: float):
        with pytest.raises(ConfigError, match="target"):
            adaptive_coefficient(0.1, 6.0, target_nats, 64, 640)

    @pytest.mark.parametrize("kl_nats", [math.nan, math.inf])
    def test_a_kl_that_is_not_finite(self, kl_nats: float):
        with pytest.raises(TrainingError, match="not finite"):
            adaptive_coefficient(0.1, kl_nats, 6.0, 64, 640)

    @pytest.mark.parametrize("target_nats", [0.1, 0.5, 1.0])
    def test_closed_loop(self, target_nats: float):
        """On a bandit that is always at its optimum, the KL settles at the target."""
        rewards, ref_logits = random_logits(arms=12)
        beta, kl_nats = 5.0, 0.0
        for _ in range(2000):
            policy = TabularBandit(rewards, ref_logits.softmax(-1), beta).optimum()
            kl_nats = exact_kl(policy.log(), ref_logits).item()
            beta = adaptive_coefficient(beta, kl_nats, target_nats, 64, 640)
        assert abs(kl_nats / target_nats - 1) < 0.01
