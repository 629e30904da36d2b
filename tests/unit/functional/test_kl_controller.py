"""Fixed and adaptive KL coefficients."""

import math

import pytest
import torch
from torch.testing import assert_close

from palate.core.errors import ConfigError, TrainingError
from palate.functional.kl import exact_kl
from palate.functional.kl_controller import AdaptiveCoefficient, FixedCoefficient
from palate.world.exact import TabularBandit

ADAPTIVE = AdaptiveCoefficient(beta=0.1, target_nats=6.0, horizon_samples=640)


def test_fixed_stays_whatever_happens():
    for kl in (0.0, 100.0, -1.0, math.nan):
        assert FixedCoefficient(beta=0.3).after(0.3, kl_nats=kl, samples=64) == 0.3


@pytest.mark.parametrize(("kl_nats", "expected"), [(6.0, 0.1), (6.6, 0.101), (12.0, 0.102), (0.0, 0.098)])
def test_adaptive_by_hand(kl_nats: float, expected: float):
    assert_close(ADAPTIVE.after(0.1, kl_nats=kl_nats, samples=64), expected)


def test_a_run_that_is_continued_goes_on_with_the_coefficient():
    """All of its state is the number: cut in two, the run is the same to the last bit."""
    measured = [8.0, 3.0, 9.5, 6.1, 2.0, 30.0]
    beta = ADAPTIVE.beta
    for kl in measured:
        beta = ADAPTIVE.after(beta, kl_nats=kl, samples=64)
    saved = ADAPTIVE.beta
    for kl in measured[:3]:
        saved = ADAPTIVE.after(saved, kl_nats=kl, samples=64)
    again = AdaptiveCoefficient(beta=0.1, target_nats=6.0, horizon_samples=640)
    for kl in measured[3:]:
        saved = again.after(saved, kl_nats=kl, samples=64)
    assert saved == beta


@pytest.mark.parametrize("start", [0.05, 5.0])
def test_closed_loop(start: float):
    """From both sides, on a bandit that is always at its optimum, the KL settles at the target."""
    rewards, logits = torch.randn(2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    controller = AdaptiveCoefficient(beta=start, target_nats=0.3, horizon_samples=640)
    beta, kl = controller.beta, 0.0
    for _ in range(1000):
        kl = exact_kl(TabularBandit(rewards, logits.softmax(-1), beta).optimum().log(), logits).item()
        beta = controller.after(beta, kl_nats=kl, samples=64)
    assert abs(kl / 0.3 - 1) < 0.01


@pytest.mark.parametrize("setting", ["beta", "target_nats", "horizon_samples"])
@pytest.mark.parametrize("bad", [0, -1])
def test_settings_that_cannot_steer(setting: str, bad: int):
    fine = {"beta": 0.1, "target_nats": 6.0, "horizon_samples": 640}
    with pytest.raises(ConfigError, match=f"`{setting}` cannot work"):
        AdaptiveCoefficient(**(fine | {setting: bad}))


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf])
def test_no_coefficient(beta: float):
    with pytest.raises(ConfigError, match="KL coefficient"):
        FixedCoefficient(beta=beta)


def test_what_is_measured_must_fit():
    with pytest.raises(ConfigError, match="horizon"):
        ADAPTIVE.after(0.1, kl_nats=6.0, samples=6400)
    with pytest.raises(TrainingError, match="not finite"):
        ADAPTIVE.after(0.1, kl_nats=math.nan, samples=64)
