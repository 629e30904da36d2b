"""From a ranking of K completions to its K (K - 1) / 2 pairs, that together weigh one prompt.

Shapes: `B` completions, scored once each; `N` pairs of them.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.errors import DataError


class RankedPairs(NamedTuple):
    """Which completions are compared, what was said, and what it weighs."""

    first_N: Int[Tensor, " N"]
    """Index into the completions."""
    second_N: Int[Tensor, " N"]
    """Index into the completions, above `first_N`."""
    p_first_N: Float[Tensor, " N"]
    """1 where the first is ranked higher, 0 where the second is, ½ on a tie."""
    weights_N: Float[Tensor, " N"]
    """1 / C(K, 2): the pairs of a prompt weigh 1 together, whatever its K."""
    prompts: int
    """Sum of the weights: the denominator that micro-batches share."""


def ranked_pairs(ranks_B: Int[Tensor, " B"], prompts_B: Int[Tensor, " B"]) -> RankedPairs:
    """All pairs of completions to the same prompt.

    The loss of InstructGPT's reward model is then `bradley_terry_loss(scores_B[first_N] - scores_B[second_N],
    p_first_N, weights_N)`: each completion is scored once, and a prompt's pairs, which are not independent,
    stand in one step. Cut a batch into micro-batches between prompts, never inside one: the pairs across a
    cut would be missing, and nothing could tell.

    Args:
        ranks_B: Of each completion among those of its prompt; a smaller number is better, equal ones tie.
        prompts_B: Which prompt each completion answers: any integer, in any order.

    Returns:
        The pairs, weights in the default type of torch.

    Raises:
        DataError: The two differ in shape, or a prompt has one completion only, which nothing is compared with.

    Source:
        Ouyang et al. 2022, arXiv:2203.02155, eq. 1.
    """
    if ranks_B.dim() != 1 or ranks_B.shape != prompts_B.shape:
        raise DataError(
            "ranks and prompts do not fit together",
            expected="one rank and one prompt a completion",
            found=f"shapes {tuple(ranks_B.shape)} and {tuple(prompts_B.shape)}",
        )
    _, group_B, sizes_P = prompts_B.unique(return_inverse=True, return_counts=True)
    if bool((sizes_P < 2).any()):
        lonely_B = (sizes_P[group_B] < 2).nonzero().flatten()
        raise DataError(
            "a completion has nothing to be compared with",
            where=f"completion {int(lonely_B[0])}",
            expected="at least two completions a prompt",
            found="one",
        )
    same_BB = (group_B[:, None] == group_B[None]).triu(diagonal=1)
    first_N, second_N = same_BB.nonzero(as_tuple=True)
    size_N = sizes_P[group_B[first_N]]
    p_first_N = 0.5 * (1 + (ranks_B[second_N] - ranks_B[first_N]).sign().to(torch.get_default_dtype()))
    weights_N = 2 / (size_N * (size_N - 1)).to(p_first_N.dtype)
    return RankedPairs(first_N, second_N, p_first_N, weights_N, len(sizes_P))
