"""Completions that others sampled: what they count for, and rows that never came back.

Shapes: B completions, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from palate.functional.importance import sequence_importance
from palate.training.samplers import Answers

if TYPE_CHECKING:
    from palate.training.rollouts import Rollouts


def weighed(rollouts: Rollouts, behaviour_logprobs_BT: Tensor, cap: float) -> Rollouts:
    """Rollouts with an importance weight a completion, for whatever the sampler's policy differs in.

    The trainer's own log-probs stand for the old policy, against which steps are clipped; the weight goes from the
    sampler's policy to that one, be it other arithmetic or an older version. It multiplies the advantage.

    Args:
        rollouts: With the trainer's own log-probs, of the weights as they are now.
        behaviour_logprobs_BT: The sampler's.
        cap: Of the weights.

    Source:
        Hilton et al. 2022, arXiv:2110.00641 (behaviour and proximal policy apart).
    """
    found = sequence_importance(rollouts.logprobs_BT, behaviour_logprobs_BT, rollouts.mask_BT, cap=cap)
    gap_BT = (rollouts.logprobs_BT - behaviour_logprobs_BT).abs()[rollouts.mask_BT]
    facts = {
        "sampler/importance_mean": float(found.weights_B.mean()),
        "sampler/importance_effective": float(found.effective),
        "sampler/importance_truncated": float(found.truncated),
        "sampler/importance_largest_nats": float(found.largest_log_ratio),
        "sampler/gap_mean_nats": float(gap_BT.mean()),
        "sampler/gap_max_nats": float(gap_BT.max()),
    }
    return rollouts._replace(importance_B=found.weights_B, sampler=facts)


def with_gaps(rollouts: Rollouts, answers: Answers, encoded: Sequence[Sequence[int]]) -> Rollouts:
    """Rollouts of all that was asked: rows that nobody answered have no score and no token that counts.

    Args:
        rollouts: Of the rows that were answered.
        answers: For all of them.
        encoded: All prompts.
    """
    facts = (rollouts.sampler or {}) | dict(answers.facts)
    rollouts = rollouts._replace(version=answers.version, sampler=facts)
    there = [row for row, answer in enumerate(answers.rows) if answer is not None]
    if len(there) == len(answers.rows):
        return rollouts

    def spread(value: Tensor, empty: float) -> Tensor:
        if not len(value):
            return value
        result = value.new_full((len(answers.rows), *value.shape[1:]), empty)
        result[there] = value
        return result

    place = {row: index for index, row in enumerate(there)}
    spreads: dict[str, Any] = {
        name: spread(value, torch.nan if name == "scores_B" else 0) for name, value in _tensors(rollouts)
    }
    return rollouts._replace(
        **spreads,
        prompts=[list(prompt) for prompt in encoded],
        # One token, which counts nowhere: no row of a batch may be empty.
        completions=[rollouts.completions[place[row]] if row in place else [0] for row in range(len(encoded))],
        reasons=[
            rollouts.reasons[place[row]] if row in place else f"nobody answered: {answers.reasons[row]}"
            for row in range(len(encoded))
        ],
    )


def without_gaps(rollouts: Rollouts) -> Rollouts:
    """Rollouts of the rows that were answered, for figures."""
    there = rollouts.mask_BT.any(dim=1)
    if there.all():
        return rollouts
    rows = there.nonzero()[:, 0].tolist()
    kept: dict[str, Any] = {name: value[rows] if len(value) else value for name, value in _tensors(rollouts)}
    return rollouts._replace(
        **kept,
        prompts=[rollouts.prompts[row] for row in rows],
        completions=[rollouts.completions[row] for row in rows],
        reasons=[rollouts.reasons[row] for row in rows],
    )


def _tensors(rollouts: Rollouts) -> list[tuple[str, Tensor]]:
    """The fields that have a row a completion, or none at all."""
    return [(name, value) for name, value in rollouts._asdict().items() if isinstance(value, Tensor)]
