"""Ask any reward model for scores, whatever its head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from palate.models.batch import Batch, by_length, pad
from palate.models.ensemble import RewardEnsemble
from palate.models.heads import PooledRewardModel
from palate.models.layout import at_least_float32, scalar


def last_token_scores(model: PreTrainedModel, batch: Batch) -> Float[Tensor, " B"]:
    """Scores of an `AutoModelForSequenceClassification(num_labels=1)` at each row's last real token.

    The position is counted, not searched by pad id, so a pad token inside the text does no harm.
    """
    values_BL = token_values(model, batch)
    last = batch.mask_real_BL.sum(dim=1).to(values_BL.device) - 1
    return values_BL[torch.arange(len(last), device=last.device), last]


def token_values(model: PreTrainedModel, batch: Batch) -> Float[Tensor, "B L"]:
    """The scalar head at every position: scores of a reward model, values of a critic."""
    hidden = model.base_model(input_ids=batch.tokens_BL.to(model.device), use_cache=False).last_hidden_state
    return scalar(model, hidden)


def score_batch(model: PreTrainedModel, batch: Batch) -> Float[Tensor, " B"]:
    """Scores of padded rows."""
    if isinstance(model, RewardEnsemble):
        return model.reward(torch.stack([score_batch(member, batch) for member in model.members]))
    if isinstance(model, PooledRewardModel):
        return model(batch.tokens_BL.to(model.device), batch.mask_completion_BL.to(model.device))  # type: ignore[no-any-return]
    return last_token_scores(model, batch)


def scores(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    pad_id: int,
    rows: int = 64,
) -> Float[Tensor, " B"]:
    """Scores of many completions, without gradient, in the order given."""
    result = torch.zeros(len(prompts))
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    with torch.inference_mode():
        for group in by_length(lengths, rows=rows):
            batch = pad([prompts[i] for i in group], [completions[i] for i in group], pad_id=pad_id)
            found = at_least_float32(score_batch(model, batch)).cpu()
            result = result.to(found.dtype)
            result[torch.tensor(group)] = found
    return result
