"""RLOO and GRPO, held against TRL on the same completions."""

import pytest
import torch
from tests.parity import rollouts, theirs
from tests.parity.measure import deviation, step

pytestmark = theirs.needs_trl


@pytest.mark.parametrize("case", rollouts.CASES)
def test_loss_and_gradient(folders, seed, case):
    """RLOO: the gradient is one, the number is not. TRL writes -mean(w A), which is 0 at the first step whatever
    was learned; Palate writes -mean(w A log π). Either is right, since only the gradient means anything; for the
    comparison TRL's is written as ours, from its own A, w and log π. After a step TRL drops completions whose w
    leaves 1 ± ε; Palate keeps them with w, cut off at 5, which is right: it is unbiased up to the cut. So TRL's ε
    is so wide here that nothing is dropped."""
    assert deviation(*rollouts.compare(folders, seed, case)).within


def test_trl_clips_whole_completions(folders, seed):
    """With an ε that binds the gradients of RLOO part. GRPO's clip is narrow enough to bind above, and they do not:
    there both clip, token by token."""
    compared = rollouts.both(folders, seed, "rloo", moved=True)
    made = compared.made
    made.epsilon_low = made.epsilon_high = 0.01
    narrow = step(made.model, lambda: made.compute_loss(made.model, compared.inputs))
    assert abs(narrow.norm - compared.ours.outcome.norm) > 0.01 * narrow.norm
    assert rollouts.both(folders, seed, "grpo", moved=True).ours.facts["clip/fraction"] > 0


def test_completions_differ_in_length(folders, seed):
    """Else a wrong denominator could hide."""
    lengths = rollouts.ours(folders, seed, "grpo", moved=False).rollouts.mask_BT.sum(dim=1)
    assert len(lengths.unique()) > 1


def test_where_a_token_stands(folders, seed):
    """TRL pads prompts on the left and leaves the positions to the model. A model with learned positions, GPT-2,
    counts the padding then, and the same completion has another log-prob beside a longer prompt: by up to
    4 nats here. Palate is right: its log-probs are those that the tokens were sampled with, whoever lies beside
    them. With the positions given by hand both agree, which is what the comparison above does. Rotary positions are
    relative, so the Llama does not mind."""
    practised = rollouts.ours(folders, seed, "grpo", moved=False)
    gaps = []
    for positions in (True, False):
        made, inputs = rollouts.trainer(folders, "grpo", practised, positions=positions)
        theirs_B = (inputs["old_per_token_logps"] * inputs["completion_mask"]).sum(dim=1)
        gaps.append((theirs_B - practised.rollouts.logprobs_BT.sum(dim=1)).abs())
    assert float(gaps[0].max()) < 1e-4
    padded_B = inputs["prompt_mask"][:, 0] == 0
    assert 0 < int(padded_B.sum()) < len(padded_B)
    assert float(gaps[1][~padded_B].max()) < 1e-4
    learned = made.model.config.model_type == "gpt2"
    assert (float(gaps[1][padded_B].max()) > 0.1) == learned


def test_scores_differ_within_each_group(folders, seed):
    """Else all advantages are 0, and so is everything that is compared."""
    advantages_B = rollouts.ours(folders, seed, "grpo", moved=False).advantages_B
    assert bool((advantages_B.view(-1, rollouts.GROUP).std(dim=1) > 1e-3).all())
    assert torch.isfinite(advantages_B).all()
