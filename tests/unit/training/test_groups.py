"""What is learned from a group: only from completions with a score that have another to be held against."""

import math

import pytest
import torch
from torch.testing import assert_close

from palate.core.errors import ConfigError, DataError, TrainingError
from palate.training import grpo, online_dpo, rloo
from palate.training.groups import GroupConfig, PenaltyConfig, comparable
from palate.training.rollouts import Rollouts, rollout_facts
from palate.training.scores import trained_scores

NAN = math.nan
GROUPS = torch.arange(3).repeat_interleave(4)


def rollouts(*scores, finished=None):
    """One token each, log-prob -1 under policy and reference alike."""
    count = len(scores)
    ones = torch.ones(count, 1)
    return Rollouts(
        prompts=[[1]] * count,
        completions=[[2]] * count,
        scores_B=torch.tensor(scores),
        reasons=["" if math.isfinite(score) else "abstained" for score in scores],
        finished_B=torch.tensor(finished or [True] * count),
        mask_BT=ones.bool(),
        logprobs_BT=-ones,
        ref_logprobs_BT=-ones,
        values_BT=0 * ones,
        hidden_BTD=torch.zeros(0),
    )


def config_of(kind, **more):
    return kind(**{"rollouts": 12, "batch_size": 12, "group_size": 4, "missing_eos": "score"} | more)


# In the first group one has no score, in the second all but one, in the third none is missing and all are alike.
MIXED = (3.0, NAN, 1.0, 2.0, NAN, 5.0, NAN, NAN, 4.0, 4.0, 4.0, 4.0)


def test_a_lone_score_and_a_missing_one_are_left_out():
    config = config_of(GroupConfig)
    assert comparable(rollouts(*MIXED), GROUPS, config).tolist() == [0, 2, 3, 8, 9, 10, 11]


@pytest.mark.parametrize(("module", "kind"), [(rloo, rloo.RLOOConfig), (grpo, grpo.GRPOConfig)])
def test_advantages_are_those_of_the_scores_that_are_there(module, kind):
    """3, 1, 2 by hand: against the others' mean 1.5, 2.5, 2, or against the mean 2. No abstention counts as 0."""
    found = rollouts(*MIXED)
    made, facts = module.estimate(found, found.scores_B, GROUPS, config_of(kind), 0.1)
    own = [1.5, 0.0, -1.5, 0.0] if module is rloo else [1.0, 0.0, -1.0, 0.0]
    assert_close(made["advantages_B"], torch.tensor([*own, *[0.0] * 8]))
    assert made["mask_BT"][:, 0].tolist() == [True, False, True, True, *[False] * 4, *[True] * 4]
    assert facts["group/flat_fraction"] == 0.5


def test_the_best_stands_against_the_worst():
    found = rollouts(*MIXED)
    made, facts = online_dpo.prefer(found, found.scores_B, GROUPS, config_of(online_dpo.OnlineDPOConfig))
    sides = {(int(a), int(b)) if p == 1 else (int(b), int(a)) for a, b, p in _rows(made)}
    assert sides == {(0, 2)}
    assert made["weights_N"].tolist() == [1.0]
    assert facts["group/flat_fraction"] == 0.5


def test_all_pairs_of_a_prompt_weigh_one_together():
    found = rollouts(*MIXED)
    config = config_of(online_dpo.OnlineDPOConfig, pairs="all")
    made, _ = online_dpo.prefer(found, found.scores_B, GROUPS, config)
    better = {(int(a), int(b)) if p == 1 else (int(b), int(a)) for a, b, p in _rows(made)}
    assert better == {(0, 2), (0, 3), (3, 2)}
    assert_close(made["weights_N"], torch.full((3,), 1 / 3))


def test_equal_scores_are_a_tie_among_all_and_no_side_among_the_extremes():
    found = rollouts(1.0, 2.0, 2.0, 0.0, *[0.0] * 8)
    made, _ = online_dpo.prefer(found, found.scores_B, GROUPS, config_of(online_dpo.OnlineDPOConfig, pairs="all"))
    assert {(int(a), int(b)): p for a, b, p in _rows(made)}[(1, 2)] == 0.5
    made, _ = online_dpo.prefer(found, found.scores_B, GROUPS, config_of(online_dpo.OnlineDPOConfig))
    assert {int(a) for a in made["chosen_N"]} | {int(b) for b in made["rejected_N"]} == {1, 3}


def test_where_nobody_differs_there_is_no_pair():
    for scores in ([2.0] * 12, [NAN, NAN, NAN, 1.0] * 3):
        found = rollouts(*scores)
        made, _ = online_dpo.prefer(found, found.scores_B, GROUPS, config_of(online_dpo.OnlineDPOConfig))
        assert {len(tensor) for tensor in made.values()} == {0}


def test_an_abstention_does_not_become_a_score_for_want_of_an_end():
    found = rollouts(1.0, NAN, 2.0, NAN, finished=[True, True, False, False])
    config = config_of(GroupConfig, missing_eos="penalty", missing_eos_score=-1.0)
    assert_close(trained_scores(config, found, 0.5), torch.tensor([1.0, NAN, -0.5, NAN]), equal_nan=True)


def test_shares_of_abstentions_are_of_all_completions():
    assert rollout_facts(rollouts(*MIXED))["reward/abstained"] == pytest.approx(4 / 12)
    with pytest.raises(TrainingError, match="none of an iteration's"):
        rollout_facts(rollouts(NAN, NAN))


def test_settings_that_cannot_work():
    with pytest.raises(ConfigError, match="--group-size"):
        config_of(GroupConfig, group_size=5)
    with pytest.raises(ConfigError, match="--pairs"):
        config_of(online_dpo.OnlineDPOConfig, pairs="some")
    with pytest.raises((ConfigError, DataError)):
        config_of(PenaltyConfig, kl_estimator="k3")  # in the reward: another optimum


def _rows(made):
    return list(zip(*(made[name].tolist() for name in ("chosen_N", "rejected_N", "p_N")), strict=True))
