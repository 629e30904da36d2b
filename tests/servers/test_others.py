"""What a completion that somebody else sampled counts for, and rows that never came back."""

import math
from dataclasses import replace

import pytest
import torch
from tests.servers.runs import CONFIGS

from palate.models.sampling import Sampled
from palate.training import grpo, ppo, rloo
from palate.training.others import weighed, with_gaps, without_gaps
from palate.training.rollouts import Rollouts, rollout_facts
from palate.training.samplers import Answers


def rollouts(own, lengths):
    rows, width = len(lengths), max(lengths)
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    return Rollouts(
        prompts=[[3, 4]] * rows,
        completions=[[5] * length for length in lengths],
        scores_B=torch.arange(rows) + 1.0,
        reasons=[""] * rows,
        finished_B=torch.ones(rows, dtype=torch.bool),
        mask_BT=mask,
        logprobs_BT=torch.tensor(own),
        ref_logprobs_BT=torch.full((rows, width), -1.0) * mask,
        values_BT=torch.zeros(rows, width),
        hidden_BTD=torch.zeros(0),
    )


def test_the_weight_goes_from_the_sampler_to_the_trainer():
    # By hand: exp(-1.5 - (-2)) for two tokens together; the second row is cut off at 2; the third is exact.
    known = rollouts([[-1.0, -0.5], [-1.0, 0.0], [-2.0, -2.0]], [2, 1, 2])
    behaviour = torch.tensor([[-1.2, -0.8], [-3.0, 9.0], [-2.0, -2.0]])
    found = weighed(known, behaviour, cap=2.0)
    assert found.importance_B.tolist() == pytest.approx([math.exp(0.5), 2.0, 1.0])
    assert found.logprobs_BT is known.logprobs_BT  # steps are clipped against the trainer's own
    facts = found.sampler
    assert facts["sampler/importance_truncated"] == pytest.approx(1 / 3)
    assert facts["sampler/importance_largest_nats"] == pytest.approx(2.0)
    assert facts["sampler/gap_max_nats"] == pytest.approx(2.0)
    assert facts["sampler/gap_mean_nats"] == pytest.approx((0.2 + 0.3 + 2.0) / 5)


def test_weights_turn_the_samplers_average_into_the_trainers():
    """All answers of a made-up vocabulary, drawn by the sampler: exact, but for 20,000 draws (4 sigma)."""
    generator = torch.Generator().manual_seed(0)
    mine = torch.randn(12, generator=generator).log_softmax(-1)
    theirs = (mine + 0.5 * torch.randn(12, generator=generator)).log_softmax(-1)
    worth = torch.randn(12, generator=generator)
    drawn = torch.multinomial(theirs.exp(), 20_000, replacement=True, generator=generator)
    known = rollouts(mine[drawn][:, None].tolist(), [1] * len(drawn))
    weights = weighed(known, theirs[drawn][:, None], cap=math.inf).importance_B
    values = weights * worth[drawn]
    spread = float(values.std()) / math.sqrt(len(drawn))
    wanted = float((mine.exp() * worth).sum())
    assert abs(float(values.mean()) - wanted) < 4 * spread
    assert abs(float(worth[drawn].mean()) - wanted) > 10 * spread  # without weights it is another average


@pytest.mark.parametrize("recipe", ["grpo", "rloo", "ppo"])
def test_a_weight_multiplies_its_rows_advantage(recipe):
    known = rollouts([[-1.0, -0.5], [-1.0, 0.0], [-2.0, -2.0], [-1.0, -3.0]], [2, 1, 2, 2])
    weights = torch.tensor([0.25, 1.0, 2.0, 0.5])
    plain, weighted = (
        _advantages(recipe, known._replace(importance_B=importance)).reshape(4, -1) for importance in (None, weights)
    )
    assert plain.abs().sum() > 1
    assert torch.allclose(weighted, plain * weights[:, None])


def _advantages(recipe, known):
    config = replace(CONFIGS[recipe], beta=0.1)
    if recipe == "ppo":
        return ppo.estimate(known, known.scores_B, config, 0.1)["advantages_BT"]
    module = {"grpo": grpo, "rloo": rloo}[recipe]
    return module.estimate(known, known.scores_B, torch.zeros(4, dtype=torch.long), config, 0.1)[0]["advantages_B"]


def test_rows_that_nobody_answered_have_no_score_and_no_token():
    known = rollouts([[-1.0, -0.5], [-1.0, 0.0]], [2, 1])._replace(importance_B=torch.tensor([1.0, 0.5]), sampler={})
    there = Sampled(tokens=[5], logprobs=[-1.0], end=5)
    answers = Answers([None, there, None, there], ["gone", "", "late", ""], 4, True, {"sampler/missing_rows": 2.0})
    found = with_gaps(known, answers, [[3, 4]] * 4)
    assert found.scored_B.tolist() == [False, True, False, True]
    assert found.mask_BT.sum(dim=1).tolist() == [0, 2, 0, 1]
    assert found.weights_B.tolist() == [0, 1, 0, 0.5]
    assert found.reasons == ["nobody answered: gone", "", "nobody answered: late", ""]
    assert found.version == 4
    assert found.lengths == [3, 4, 3, 3]
    facts = rollout_facts(found)
    alone = rollout_facts(known)
    assert {name: facts[name] for name in alone} == alone  # figures are of what there is
    assert facts["sampler/missing_rows"] == 2
    assert without_gaps(found).completions == known.completions
