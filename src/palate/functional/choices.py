"""Choosing several of many, one after the other and without putting back: how to draw, and how probable it was.

Shapes: `B` rows, `N` things to choose from, `T` choices.

Source: Plackett 1975, "The Analysis of Permutations"; drawing by Gumbel noise: Yellott 1977, and Kool, van Hoof and
Welling 2019, arXiv:1903.06059.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from palate.core.errors import DataError


def draw_choices(scores_BN: Float[Tensor, "B N"], count: int, generator: torch.Generator) -> Int[Tensor, "B T"]:
    """Choose `count` things a row; each next one with probability in proportion to exp(score) among those left.

    Args:
        scores_BN: In nats.
        count: T, at most N.
        generator: Of the noise.

    Raises:
        DataError: There are not so many.
    """
    if not 1 <= count <= scores_BN.shape[1]:
        raise DataError("there are not so many to choose from", expected=f"1 to {scores_BN.shape[1]}", found=str(count))
    uniform_BN = torch.rand(scores_BN.shape, generator=generator, dtype=torch.float64).clamp_min(1e-300)
    return (scores_BN - (-uniform_BN.log()).log()).topk(count, dim=-1).indices


def choice_logprobs(scores_BN: Float[Tensor, "B N"], chosen_BT: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Log-probability of each choice among what was left when it was made, in nats.

        log π(iₜ) = sᵢₜ - log Σⱼ exp(sⱼ), j not among i₁ … iₜ₋₁

    Args:
        scores_BN: In nats.
        chosen_BT: Different ones a row, in the order in which they were chosen.

    Raises:
        DataError: A row chooses the same thing twice.
    """
    ordered_BT = chosen_BT.sort(dim=-1).values
    if bool((ordered_BT[:, 1:] == ordered_BT[:, :-1]).any()):
        raise DataError("a row chooses the same thing twice", expected="different ones in each row")
    left_BN, total_T = scores_BN, []
    for turn in range(chosen_BT.shape[1]):
        total_T.append(left_BN.logsumexp(-1))
        left_BN = left_BN.scatter(1, chosen_BT[:, turn : turn + 1], -torch.inf)
    return scores_BN.gather(1, chosen_BT) - torch.stack(total_T, dim=-1)
