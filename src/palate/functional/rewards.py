"""From a score per completion to a reward per token.

Shapes: `B` completions, `T` completion tokens. True in a mask means "counts".
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from palate.core.errors import DataError
from palate.functional.kl import k1


def token_rewards(
    scores_B: Float[Tensor, " B"],
    logprobs_BT: Float[Tensor, "B T"],
    ref_logprobs_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    beta: float,
) -> Float[Tensor, "B T"]:
    """The KL penalty on every token, and the score on the last one that counts.

        rₜ = -β (log πₜ - log π_refₜ) + score · [t is the last counted token]

    So `Σ r + β Σ k1 = score` in every row: the penalty is a sum over tokens, and the score stands *on* the
    end token (or on the last token of a truncated completion), not one slot after it.

    Args:
        scores_B: Score of each completion, in reward units.
        logprobs_BT: Log-probability of each token under the policy that sampled it, in nats.
        ref_logprobs_BT: The same under the reference.
        mask_BT: True on completion tokens, the end token among them.
        beta: β, reward units per nat, at least 0.

    Returns:
        Rewards in the units of the score, 0 where `mask_BT` is False.

    Raises:
        DataError: A completion has no counted token to carry its score, or its score is not finite.

    Source:
        Ouyang et al. 2022, arXiv:2203.02155, eq. 2; Ziegler et al. 2019, arXiv:1909.08593, eq. 2.
    """
    _refuse(~mask_BT.any(-1), "a completion has no token to carry its score", "at least one counted token")
    _refuse(~scores_B.isfinite(), "a score is not a number that can be trained on", "finite scores")
    penalty_BT = torch.where(mask_BT, -beta * k1(logprobs_BT, ref_logprobs_BT), 0.0)
    counted_after_BT = mask_BT.flip(-1).cumsum(-1).flip(-1)
    is_last_BT = mask_BT & (counted_after_BT == 1)
    return penalty_BT + torch.where(is_last_BT, scores_B.unsqueeze(-1), 0.0)


def _refuse(bad_B: Bool[Tensor, " B"], what: str, expected: str) -> None:
    if bad_B.any():
        rows = ", ".join(str(row) for row in bad_B.nonzero().flatten().tolist()[:8])
        raise DataError(
            what,
            where=f"batch rows {rows}",
            expected=expected,
            found=f"{int(bad_B.sum())} of {len(bad_B)} rows without",
        )
