"""What the last layer of a reward model reads of a completion, and that layer's weights: a score is their product.

Shapes: `B` completions, `D` features of the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ModelError
from palate.models.batch import by_prompt, pad
from palate.models.ensemble import RewardEnsemble
from palate.models.heads import PooledRewardModel
from palate.models.layout import at_least_float32, last_states, lay


def last_features(
    model: Any, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], *, pad_id: int, rows: int = 64
) -> Float[Tensor, "B D"]:
    """Features of many completions, without gradient, in the order given.

    Args:
        model: A reward model: a scalar head at the last token, or a pooled one, whose features are the sum over
            the completion's tokens.
        prompts: Token ids, at least one a row.
        completions: Token ids.
        pad_id: What stands where nothing is.
        rows: At most so many go through the model together; changes speed only.

    Returns:
        On the CPU, in float32 or better; `@ last_weights(model)` they are the model's scores but for a constant.

    Raises:
        ModelError: the model is an ensemble, which has several last layers.
    """
    _refuse_several(model)
    found: dict[int, Tensor] = {}
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    with torch.inference_mode():
        for group in by_prompt(prompts, lengths, rows=rows):
            some = [prompts[i] for i in group], [completions[i] for i in group]
            if isinstance(model, PooledRewardModel):
                batch = pad(*some, pad_id=pad_id)
                inputs = batch.tokens_BL.to(model.device), batch.mask_completion_BL.to(model.device)
                part_BD = model.last_layer(*inputs)
            else:
                laid = lay(*some, pad_id=pad_id, layout="shared", device=model.device, ends=True)
                part_BD = last_states(model, laid)
            found |= dict(zip(group, at_least_float32(part_BD).cpu(), strict=True))
    return torch.stack([found[row] for row in range(len(prompts))])


def last_weights(model: Any) -> Float[Tensor, " D"]:
    """Weights of the last layer, without a bias: a difference of scores has none.

    Raises:
        ModelError: the model is an ensemble, or its head is no linear one.
    """
    _refuse_several(model)
    layer = model.head[-1] if isinstance(model, PooledRewardModel) else getattr(model, "score", None)
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2 or len(weight) != 1:
        raise ModelError(
            "the reward model's last layer is not one linear map to one number",
            expected="AutoModelForSequenceClassification(num_labels=1), or a pooled reward model",
            found=type(model).__name__,
        )
    return at_least_float32(weight.detach())[0].cpu()


def _refuse_several(model: Any) -> None:
    if isinstance(model, RewardEnsemble):
        raise ModelError("an ensemble has a last layer for each member", hint="name the folder of one of its members")
