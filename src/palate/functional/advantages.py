"""Advantages of whole completions: how much better each was than others to the same prompt.

Shapes: `B` completions, any number of prompts among them, in any order. None of these needs a critic.

| function | is | gradient |
|---|---|---|
| `reinforce_advantages` | r - b | unbiased, if b does not depend on the completion |
| `leave_one_out_advantages` (RLOO) | r - mean of the others | unbiased at any group size |
| `centred_advantages` (Dr. GRPO) | r - mean of all G | (G - 1) / G of RLOO's, exactly |
| `standardised_advantages` (GRPO) | (r - mean) / std | of another objective: hard and easy prompts weigh more |

A group must be whole: cut a batch between prompts, never inside one (`refuse_broken_groups`).
"""

from typing import Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.errors import DataError

_ROUNDING_STEPS: Final = 16
"""A standard deviation below this many rounding steps of the largest score is rounding, not spread."""


class GroupAdvantages(NamedTuple):
    """What the policy learns from, and how many prompts taught nothing."""

    advantages_B: Float[Tensor, " B"]
    """Reward units, or none after standardising; no gradient."""
    groups: int
    """Prompts in the batch."""
    flat_groups: int
    """Those whose completions have one and the same score, up to rounding: their advantages are 0."""


def reinforce_advantages(scores_B: Float[Tensor, " B"], baseline: Float[Tensor, " B"] | float) -> Float[Tensor, " B"]:
    """Score minus baseline.

        A = r - b

    Args:
        scores_B: Score of each completion, in reward units.
        baseline: b, one for all or one each: what was expected *before* the completion was seen, such as the
            mean of earlier batches. A mean that contains r itself shrinks the gradient.

    Returns:
        Reward units, without gradient.

    Raises:
        DataError: A score or baseline is not finite, or there is not one baseline a completion.

    Source:
        Williams 1992, "Simple statistical gradient-following algorithms".
    """
    baseline_B = torch.as_tensor(baseline, dtype=scores_B.dtype, device=scores_B.device)
    if baseline_B.dim() and baseline_B.shape != scores_B.shape:
        raise DataError(
            "baselines and scores do not fit together",
            expected=f"one number, or shape {tuple(scores_B.shape)}",
            found=f"shape {tuple(baseline_B.shape)}",
        )
    advantages_B = (scores_B - baseline_B).detach()
    _refuse_not_finite(advantages_B)
    return advantages_B


def leave_one_out_advantages(scores_B: Float[Tensor, " B"], prompts_B: Int[Tensor, " B"]) -> GroupAdvantages:
    """RLOO: REINFORCE, with the mean of the other completions to the same prompt as the baseline.

        Aᵢ = rᵢ - 1/(G - 1) Σⱼ≠ᵢ rⱼ = G / (G - 1) (rᵢ - mean)

    Args:
        scores_B: Score of each completion, in reward units, the KL penalty subtracted.
        prompts_B: Which prompt each completion answers: any integer, in any order.

    Returns:
        Advantages in reward units.

    Raises:
        DataError: A score is not finite, a prompt has one completion only, or the shapes differ.

    Source:
        Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; Ahmadian et al. 2024, arXiv:2402.14740.
    """
    groups = _groups(scores_B, prompts_B)
    size_B = groups.size_P[groups.group_B].to(scores_B.dtype)
    return _result(groups, groups.deviation_B * size_B / (size_B - 1))


def centred_advantages(scores_B: Float[Tensor, " B"], prompts_B: Int[Tensor, " B"]) -> GroupAdvantages:
    """Dr. GRPO: the mean of the group, the completion itself included, as the baseline.

        Aᵢ = rᵢ - mean

    Args:
        scores_B: Score of each completion, in reward units, the KL penalty subtracted.
        prompts_B: Which prompt each completion answers: any integer, in any order.

    Returns:
        Advantages in reward units, (G - 1) / G of those of RLOO: prompts with fewer completions weigh less.

    Raises:
        DataError: As `leave_one_out_advantages`.

    Source:
        Liu et al. 2025, arXiv:2503.20783, section 3.2.
    """
    groups = _groups(scores_B, prompts_B)
    return _result(groups, groups.deviation_B)


def standardised_advantages(scores_B: Float[Tensor, " B"], prompts_B: Int[Tensor, " B"]) -> GroupAdvantages:
    """GRPO: centred, and divided by the group's standard deviation.

        Aᵢ = (rᵢ - mean) / √(Σⱼ (rⱼ - mean)² / G)

    The division changes the objective: with rewards of 0 and 1 and large groups it is no longer p, the share
    of successes, but 2 arcsin √p. It also rescales a KL penalty inside the scores, prompt by prompt. The deviation is
    over G, and there is no ε under it, so the result is the same in every unit of the score.

    Args:
        scores_B: Score of each completion, in reward units.
        prompts_B: Which prompt each completion answers: any integer, in any order.

    Returns:
        Numbers without unit, 0 in groups without spread.

    Raises:
        DataError: As `leave_one_out_advantages`.

    Source:
        Shao et al. 2024, arXiv:2402.03300, section 4.1.2.
    """
    groups = _groups(scores_B, prompts_B)
    flat_B = groups.flat_P[groups.group_B]
    deviation_B = torch.where(flat_B, 1.0, groups.std_P[groups.group_B])
    return _result(groups, groups.deviation_B / deviation_B)


def refuse_broken_groups(prompts_B: Int[Tensor, " B"], group_size: int) -> None:
    """Refuse a batch in which a prompt has not all of its completions, or more than it should.

    Shuffling and sharding break groups silently: a mean over half a group is a number like any other.

    Args:
        prompts_B: Which prompt each completion answers.
        group_size: G, how many completions were sampled per prompt.

    Raises:
        DataError: A prompt has another number of completions.
    """
    names_P, sizes_P = prompts_B.unique(return_counts=True)
    wrong_P = sizes_P != group_size
    if bool(wrong_P.any()):
        raise DataError(
            "a group of completions is not whole",
            where=f"prompt {int(names_P[wrong_P][0])}",
            expected=f"{group_size} completions a prompt",
            found=f"{int(sizes_P[wrong_P][0])}",
            hint="shuffle and shard prompts, not completions",
        )


class _Groups(NamedTuple):
    """Completions sorted into prompts P."""

    group_B: Tensor
    deviation_B: Tensor
    size_P: Tensor
    std_P: Tensor
    flat_P: Tensor


def _groups(scores_B: Tensor, prompts_B: Tensor) -> _Groups:
    if scores_B.dim() != 1 or scores_B.shape != prompts_B.shape:
        raise DataError(
            "scores and prompts do not fit together",
            expected="one score and one prompt a completion",
            found=f"shapes {tuple(scores_B.shape)} and {tuple(prompts_B.shape)}",
        )
    scores_B = scores_B.detach()
    _refuse_not_finite(scores_B)
    _, group_B, size_P = prompts_B.unique(return_inverse=True, return_counts=True)
    if bool((size_P < 2).any()):
        raise DataError(
            "a completion has nothing to be compared with",
            where=f"completion {int((size_P[group_B] < 2).nonzero()[0])}",
            expected="at least two completions a prompt",
            found="one",
            hint="sample more a prompt, or use `reinforce_advantages` with a baseline",
        )
    empty_P = scores_B.new_zeros(len(size_P))
    mean_P = empty_P.index_add(0, group_B, scores_B) / size_P
    deviation_B = scores_B - mean_P[group_B]
    std_P = (empty_P.index_add(0, group_B, deviation_B.square()) / size_P).sqrt()
    largest_P = empty_P.scatter_reduce(0, group_B, scores_B.abs(), "amax")
    flat_P = std_P <= _ROUNDING_STEPS * torch.finfo(scores_B.dtype).eps * largest_P
    deviation_B = torch.where(flat_P[group_B], 0.0, deviation_B)
    return _Groups(group_B, deviation_B, size_P, std_P, flat_P)


def _result(groups: _Groups, advantages_B: Tensor) -> GroupAdvantages:
    return GroupAdvantages(advantages_B, len(groups.size_P), int(groups.flat_P.sum()))


def _refuse_not_finite(scores_B: Tensor) -> None:
    bad_B = ~scores_B.isfinite()
    if bool(bad_B.any()):
        raise DataError(
            "a score is not a number that can be trained on",
            where=f"completion {int(bad_B.nonzero()[0])}",
            expected="finite scores",
            found=f"{int(bad_B.sum())} of {len(bad_B)} without",
            hint="leave out what could not be scored; 0 is a score, too",
        )
