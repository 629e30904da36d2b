"""The language: every sequence, its reference, gold and proxy, and the exact frontier."""

import math

import pytest
import torch
from torch.testing import assert_close

from palate.core.errors import DataError
from palate.world.exact.language import Language, all_sequences, random_language, sequence_numbers

EXACT = {"atol": 1e-10, "rtol": 1e-10}


@pytest.fixture(scope="module")
def language() -> Language:
    return random_language(2)


def test_every_sequence_is_there_once(language: Language):
    assert language.tokens_KT.shape == (262_144, 9)
    assert torch.equal(sequence_numbers(language.tokens_KT), torch.arange(262_144))
    assert all_sequences(4, 2)[6].tolist() == [1, 2]


def test_both_scores_have_mean_0_and_variance_1(language: Language):
    reference = language.ref_logprobs_K.exp()
    assert_close(reference.sum().item(), 1.0, **EXACT)
    for scores in (language.gold_K, language.proxy_K):
        assert_close((reference @ scores).item(), 0.0, **EXACT)
        assert_close((reference @ scores.square()).item(), 1.0, **EXACT)


def test_the_proxy_is_the_best_that_pairs_allow(language: Language):
    """What the fit leaves of gold is uncorrelated with every count of pairs; triples and the bend of style are left."""
    reference, tokens = language.ref_logprobs_K.exp(), language.tokens_KT
    left = language.gold_K - language.correlation * language.proxy_K
    for a in range(4):
        for b in range(4):
            count = ((tokens[:, :-1] == a) & (tokens[:, 1:] == b)).sum(-1).double()
            assert abs(reference @ (left * count)) < 1e-8
    assert 0.7 < language.correlation < 0.95
    assert_close((reference @ left.square()).item(), 1 - language.correlation**2, **EXACT)


def test_gold_falls_behind_and_then_falls(language: Language):
    """Over-optimisation, exactly: the proxy always rises along the frontier, gold has a peak."""
    points = [language.frontier(kl) for kl in (0.25, 1.0, 4.0, 7.0)]
    proxy, gold = [p.reward for p in points], [p.mean(language.gold_K) for p in points]
    assert proxy == sorted(proxy)
    assert gold[0] < gold[1] > gold[2] > gold[3]
    # close to the reference gold per proxy is the correlation
    first = language.frontier(1e-6)
    assert abs(first.mean(language.gold_K) / first.reward - language.correlation) < 1e-3


@pytest.mark.parametrize("kl_nats", [1.0, 4.0, 7.0])
def test_the_frontier_is_the_optimum_of_j_at_its_own_price(language: Language, kl_nats: float):
    point = language.frontier(kl_nats)
    world = language.world(1 / point.eta)
    assert_close(point.kl_nats, kl_nats, **EXACT)
    assert_close(language.kl_nats(point.logprobs_K), kl_nats, **EXACT)
    assert_close(world.objective(point.logprobs_K.exp()), world.best, **EXACT)
    assert_close(language.share_of_gain(point.logprobs_K), 1.0, **EXACT)


def test_a_policy_that_wastes_its_kl(language: Language):
    """A tilt by gold is no tilt by the proxy: it pays its KL for something else."""
    tilted = (language.ref_logprobs_K + language.gold_K).log_softmax(-1)
    assert 0.5 < language.share_of_gain(tilted) < 0.99
    with pytest.raises(DataError, match="no gain"):
        language.share_of_gain(language.ref_logprobs_K)


def test_another_reference(language: Language):
    uniform = torch.full((262_144,), -9 * math.log(4))
    moved = language.with_reference(uniform)
    assert_close(moved.proxy_K.mean().item(), 0.0, **EXACT)
    assert_close(moved.proxy_K.square().mean().item(), 1.0, **EXACT)
    assert torch.equal(moved.proxy_K.argsort(), language.proxy_K.argsort())
    with pytest.raises(DataError, match="not a distribution"):
        language.with_reference(uniform - 0.1)
