"""Judges that were trained, in a world where the truth of every answer is known."""

import math

import pytest
import torch
from torch.testing import assert_close

from palate.core.errors import ConfigError
from palate.world.exact import rlaif
from palate.world.exact.answers import END, LETTERS, answers, seen
from palate.world.exact.gaming import build
from palate.world.exact.optimum import frontier
from palate.world.exact.rlaif import Gold, Judge, Schooling

KL = 2.0


@pytest.fixture(scope="module")
def world():
    return build("plain", 3)


@pytest.fixture(scope="module")
def gold(world):
    return Gold(world)


@pytest.fixture(scope="module")
def perfect(world):
    """Gold itself as a judge."""
    return Judge(Schooling("triples", 1), world.sharpness * world.gold_K, 1.0, 1.0)


def test_a_perfect_judges_score_leads_to_golds_own_tilt(world, gold, perfect):
    best = frontier(world.ref_logprobs_K, world.gold_K, KL)
    found = gold.outcome(perfect.scores_K, KL)
    assert found.gain == pytest.approx(best.mean(world.gold_K), abs=1e-8)
    assert found.kl_nats == pytest.approx(KL, abs=1e-8)


def test_so_do_its_labels_through_a_reward_model_that_sees_what_gold_sees(world, gold, perfect):
    pairs = rlaif.pairs_of(world, 6000, 1)
    scores_K = rlaif.reward_model(pairs, rlaif.labels_of(perfect, pairs), sees="triples", price=1e-4)
    # Soft labels hold no noise, so 6,000 of them fix 85 weights but for their price.
    assert gold.outcome(scores_K, KL).gain == pytest.approx(gold.outcome(world.gold_K, KL).gain, abs=1e-4)
    # And their unit: P = σ(margin) gives scores in nats, up to a constant.
    level = scores_K - world.sharpness * world.gold_K
    assert float(level[world.ref_logprobs_K > -12].std()) < 0.02


def test_soft_labels_reach_the_reward_model(world, perfect):
    pairs = rlaif.pairs_of(world, 3000, 2)
    soft_N = rlaif.labels_of(perfect, pairs)
    soft_K, hard_K = (
        rlaif.reward_model(pairs, told_N, sees="triples", price=0.01) for told_N in (soft_N, soft_N.round())
    )
    ref_K = world.ref_logprobs_K.exp()

    def spread(scores_K):
        return float((ref_K @ (scores_K - ref_K @ scores_K).square()).sqrt())

    assert spread(soft_K) == pytest.approx(world.sharpness, rel=1e-2)
    assert spread(hard_K) > 1.5 * spread(soft_K)  # verdicts without doubt make it boast


def test_a_judge_that_says_nothing_moves_nobody(world, gold):
    silent = Judge(Schooling("letters", 1), torch.zeros_like(world.gold_K), 0.5, 0.5)
    pairs = rlaif.pairs_of(world, 500, 3)
    for scores_K in (silent.scores_K, rlaif.reward_model(pairs, rlaif.labels_of(silent, pairs))):
        found = gold.outcome(scores_K, KL)
        assert found.win_rate == pytest.approx(0.5, abs=1e-9)
        assert found.gain == pytest.approx(0, abs=1e-9)
        assert found.kl_nats == 0


def test_a_win_rate_is_the_one_of_all_pairs(world, gold):
    found = rlaif.policy(world, world.gold_K, 0.5)
    some = torch.multinomial(world.ref_logprobs_K.exp(), 300, generator=torch.Generator().manual_seed(1))
    beats_N = gold.beats_K[some]
    ref_K = world.ref_logprobs_K.exp()
    for number, beats in zip(some[:20].tolist(), beats_N[:20].tolist(), strict=True):
        below, same = world.gold_K < world.gold_K[number], world.gold_K == world.gold_K[number]
        assert beats == pytest.approx(float(ref_K[below].sum() + ref_K[same].sum() / 2), abs=1e-12)
    assert gold.outcome(world.gold_K, 0.5).win_rate == pytest.approx(found.mean(gold.beats_K))
    assert 0.5 < gold.outcome(world.gold_K, 0.5).win_rate < gold.outcome(world.gold_K, KL).win_rate < 1


def test_a_policy_is_the_frontiers(world):
    for kl in (0.3, 2.0, 6.0):
        found, best = rlaif.policy(world, 3 * world.gold_K + 7, kl), frontier(world.ref_logprobs_K, world.gold_K, kl)
        assert_close(found.logprobs_K, best.logprobs_K, atol=1e-6, rtol=0)


def test_where_the_kl_cannot_be_spent_the_best_answer_is_all_there_is(world):
    likely = int(world.ref_logprobs_K.argmax())
    fond_K = torch.zeros_like(world.gold_K)
    fond_K[likely] = 1
    found = rlaif.policy(world, fond_K, 20.0)
    assert found.kl_nats == pytest.approx(-float(world.ref_logprobs_K[likely]))
    assert float(found.logprobs_K.exp()[likely]) == pytest.approx(1)
    assert math.isfinite(found.mean(world.gold_K))


def test_more_schooling_and_better_sight_make_a_judge_that_is_more_often_right(world):
    blind, sees = (
        rlaif.train_judge(world, Schooling("letters", 3000), 5),
        rlaif.train_judge(world, Schooling("triples", 3000), 5),
    )
    pupil = rlaif.train_judge(world, Schooling("triples", 6), 5)
    assert 0.5 < pupil.accuracy < sees.accuracy
    assert blind.accuracy < sees.accuracy - 0.05
    assert sees.accuracy > 0.9
    assert sees.agreement < sees.accuracy  # people err


def test_careless_people_err_more_often_and_their_rate_is_the_one_that_is_told(world):
    pairs = rlaif.pairs_of(world, 20_000, 7)
    gap_N = pairs.of(world.gold_K)
    for care in (0.1, 1.0):
        said_N = rlaif.people(world, pairs, 8, care)
        right = float(((said_N > 0.5) == (gap_N > 0))[gap_N != 0].double().mean())
        assert right == pytest.approx(rlaif.expected_accuracy(world, pairs, care), abs=0.014)  # 4 deviations
    assert rlaif.expected_accuracy(world, pairs, 0.1) < rlaif.expected_accuracy(world, pairs) - 0.1
    one, other = (rlaif.people(world, pairs, seed) for seed in (9, 10))
    same = float((one == other)[gap_N != 0].double().mean())
    assert same == pytest.approx(rlaif.alike(world, pairs), abs=0.014)


def test_a_triple_is_counted_where_it_stands():
    every, triples = answers(), seen("triples")[:, -(LETTERS**3) :]
    number = int((every.tokens_KT == torch.tensor([0, 1, 0, 1, 0, 1, END, END])).all(-1).nonzero())
    assert triples[number].nonzero().flatten().tolist() == [4, 17]  # 010 and 101
    assert triples[number, [4, 17]].tolist() == [2, 2]
    assert_close(triples.sum(-1), (every.lengths_K - 2).clamp(min=0).double())


def test_nobody_sees_otherwise():
    with pytest.raises(ConfigError, match="sees"):
        seen("everything")
