"""Rounds where gold is exact: the policies stand at one KL, none beats gold's own, and fresh labels are worth more."""

import math

import pytest
import torch

from palate.core.errors import ConfigError
from palate.world.exact import iterated
from palate.world.exact.iterated import Plan
from palate.world.exact.language import random_language
from palate.world.exact.optimum import frontier, nearly_frontier


@pytest.fixture(scope="module")
def languages():
    return [random_language(seed, length=7) for seed in range(6)]


def test_every_policy_stands_at_the_kl_and_none_has_more_gold_than_gold_buys(languages):
    plan = Plan(kl_nats=3, labels=300)
    for seed, language in enumerate(languages[:3]):
        turns = [*iterated.rounds(language, plan, seed), iterated.offline(language, plan, seed)]
        assert [turn.policy.kl_nats for turn in turns] == pytest.approx([3] * 4, rel=1e-6)
        assert all(turn.gain < iterated.most(language, plan) for turn in turns)


def test_a_further_round_beats_the_first_and_the_same_labels_in_one_go(languages):
    """Six paired languages: each mean was several times its error on others."""
    plan = Plan(kl_nats=4, labels=1000)
    gains = torch.tensor(
        [
            [*(turn.gain for turn in iterated.rounds(one, plan, seed)), iterated.offline(one, plan, seed).gain]
            for seed, one in enumerate(languages)
        ]
    )
    first, _, last, offline = gains.mean(0).tolist()
    assert last > first + 0.1
    assert last > offline + 0.1


def test_one_round_is_the_offline_control(languages):
    plan = Plan(kl_nats=2, labels=200, rounds=1)
    (only,) = iterated.rounds(languages[0], plan, 3)
    assert only.gain == iterated.offline(languages[0], plan, 3).gain


def test_the_same_seed_gives_the_same_rounds_and_another_gives_others(languages):
    plan = Plan(kl_nats=2, labels=100, rounds=2)
    one, again, other = (iterated.rounds(languages[0], plan, seed)[-1].gain for seed in (1, 1, 2))
    assert one == again != other


def test_pairs_are_drawn_as_often_as_the_policy_writes_them(languages):
    language = languages[0]
    pairs = iterated.draw(language.ref_logprobs_K, 20_000, torch.Generator().manual_seed(0))
    both = torch.cat([pairs.first_N, pairs.second_N])
    begins = language.tokens_KT[:, 0] == 0
    expected = float(language.ref_logprobs_K.exp()[begins].sum())
    spread = math.sqrt(expected * (1 - expected) / len(both))
    assert abs(float(begins[both].double().mean()) - expected) < 4.5 * spread  # fails by chance once in 100,000


def test_gold_itself_is_always_right_and_its_opposite_never(languages):
    language = languages[0]
    for sign, right in ((1, 1.0), (-1, 0.0), (0, 0.5)):
        assert iterated.accuracy(language, sign * language.gold_K, language.ref_logprobs_K, 0, 500) == right


def test_the_nearly_exact_frontier_is_the_exact_one(languages):
    language = languages[1]
    exact = frontier(language.ref_logprobs_K, language.proxy_K, 2.5)
    near = nearly_frontier(language.ref_logprobs_K, language.proxy_K, 2.5)
    assert near.kl_nats == pytest.approx(2.5, rel=1e-8)
    assert near.mean(language.gold_K) == pytest.approx(exact.mean(language.gold_K), rel=1e-6)


@pytest.mark.parametrize("setting", ["kl_nats", "labels", "rounds", "sharpness", "price"])
def test_a_plan_without_sense_is_refused(setting):
    with pytest.raises(ConfigError, match=setting):
        Plan(**{"kl_nats": 4.0, setting: 0})
