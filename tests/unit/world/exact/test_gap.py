"""The gap between a run and the best that its KL allows, in worlds where every part of it is exact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from palate.core.errors import DataError
from palate.functional.best_of_n import best_of_n_kl_nats
from palate.world.exact import gap
from palate.world.exact.gaming import build
from palate.world.exact.gap import Truth
from palate.world.exact.language import random_language
from palate.world.exact.optimum import frontier, tilt
from palate.world.exact.pursuit import PursuitConfig, pursue

ROUNDING = 1e-9


@pytest.fixture(scope="module")
def world():
    language = random_language(2, length=5)
    return Truth(language.ref_logprobs_K, language.gold_K, language.proxy_K)


def small(draw_gold, draw_proxy, spread, seed):
    """Twelve completions with weights, gold and proxy of a seed, and some policy over them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    ref_K = drawn[0].log_softmax(-1)
    logprobs_K = (ref_K + spread * drawn[3]).log_softmax(-1)
    return Truth(ref_K, draw_gold * drawn[1], draw_proxy * drawn[2] + drawn[1]), logprobs_K


@settings(max_examples=12)
@given(st.floats(0.1, 3), st.floats(0, 3), st.floats(0, 1), st.integers(0, 10_000))
def test_the_two_errors_are_the_whole_gap_and_gold_leaves_no_more(gold, proxy, spread, seed):
    world, logprobs_K = small(gold, proxy, spread, seed)
    try:
        found = gap.gap(world, logprobs_K)
    except DataError:  # farther than a frontier goes
        return
    assert_close(found.reward_model_error + found.optimiser_error, found.whole, atol=1e-12, rtol=0)
    assert found.reward_model_error >= -ROUNDING
    assert found.whole >= -ROUNDING  # nobody has more gold at this KL
    assert_close(found.whole, found.best - world.mean(logprobs_K, world.gold_K), atol=1e-12, rtol=0)


@settings(max_examples=10)
@given(st.floats(0.05, 1), st.integers(0, 10_000))
def test_a_proxy_that_is_gold_errs_nowhere_and_only_the_optimiser_is_to_blame(spread, seed):
    world, logprobs_K = small(1, 0, spread, seed)
    found = gap.gap(world, logprobs_K)
    assert found.reward_model_error == 0
    assert found.optimiser_error >= -ROUNDING


def test_who_is_on_a_frontier_has_no_error_of_his_own(world):
    for kl_nats in (0.5, 2.0):
        follower = frontier(world.ref_logprobs_K, world.proxy_K, kl_nats)
        found = gap.gap(world, follower.logprobs_K)
        assert_close(found.optimiser_error, 0.0, atol=1e-6, rtol=0)
        assert found.reward_model_error > 0.1  # the proxy sees pairs only
        knower = frontier(world.ref_logprobs_K, world.gold_K, kl_nats)
        found = gap.gap(world, knower.logprobs_K)
        assert_close(found.whole, 0.0, atol=1e-6, rtol=0)
        assert found.optimiser_error < -0.1  # as much gold as can be, by not following the proxy


def test_the_gaussian_case_by_hand():
    """Gold and noise normal and independent: a share ρ² of the frontier's gold is left to who follows the proxy."""
    values = torch.linspace(-6, 6, 241, dtype=torch.float64)
    one, other = torch.meshgrid(values, values, indexing="ij")
    ref_K = (-(one**2 + other**2) / 2).flatten().log_softmax(-1)
    gold_K, noise_K = one.flatten(), other.flatten()
    world = Truth(ref_K, gold_K, gold_K + noise_K)  # ρ = 1 / √2
    kl_nats = 2.0
    run = tilt(ref_K, gold_K + 3 * noise_K, (2 * kl_nats / 10) ** 0.5)  # a shift by √(2 KL) along (1, 3) / √10
    found = gap.gap(world, run.logprobs_K)
    assert_close(found.kl_nats, kl_nats, atol=1e-3, rtol=0)  # the grid ends at 6 deviations
    parts = torch.tensor([found.best, found.followed, found.reached])
    assert_close(parts, torch.tensor([2.0, 2 / 2**0.5, 2 / 10**0.5]), atol=1e-3, rtol=0)


def test_best_of_n_stays_below_its_bound_and_under_both_frontiers(world):
    for (found, bound), n in zip(gap.best_of_n(world, [1, 2, 8, 32]), [1, 2, 8, 32], strict=True):
        assert bound == best_of_n_kl_nats(n)
        assert found.kl_nats <= bound + ROUNDING
        best, followed = (some[0] for some in gap.frontiers(world, [max(found.kl_nats, 0.0)]))
        assert found.gold <= best.gold + 1e-6
        assert found.proxy <= followed.proxy + 1e-6
        assert found.proxy >= 0.9 * followed.proxy - ROUNDING  # and it is nearly the best there is (Gao et al. 2022)


def hacked(world, logprobs):
    found = [gap.gap(world, one) for one in logprobs[1:]]
    errors = [one.reward_model_error for one in found]
    assert errors[-1] > errors[0] >= 0
    assert all(one.whole >= -ROUNDING for one in found)
    looks = [gap.point(world, one) for one in logprobs]
    assert looks[-1].proxy > looks[0].proxy == pytest.approx(0, abs=1e-9)
    picture = gap.picture(world, looks, [0.0, 1.0, 2.0], [1, 2, 4])
    assert picture.count("<svg") == 1
    assert all(name in picture for name in ("most gold", "most proxy", "this run", "best of n"))
    return found


def test_along_a_path_the_reward_models_error_grows_and_a_picture_shows_it(world):
    noise_K = torch.randn(len(world.gold_K), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    path = [tilt(world.ref_logprobs_K, world.proxy_K + 0.3 * noise_K, eta).logprobs_K for eta in (0.0, 0.5, 1.0, 1.5)]
    assert all(one.optimiser_error > 0 for one in hacked(world, path))


@pytest.mark.slow
def test_a_real_run_in_a_world_that_is_gamed():
    made = build("flattery", 3)
    run = pursue(made, PursuitConfig(iterations=60, batch=256, every=12, seed=1))
    hacked(Truth(made.ref_logprobs_K, made.gold_K, made.proxy_K), run.logprobs)
