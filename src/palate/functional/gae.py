"""Generalised advantage estimation: how much better each token was than the critic expected.

Shapes: `B` completions, `T` completion tokens. True in a mask means "counts".
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Advantages(NamedTuple):
    """What the policy and the critic learn from, before any whitening."""

    advantages_BT: Float[Tensor, "B T"]
    """Reward units, 0 where the mask is False."""
    returns_BT: Float[Tensor, "B T"]
    """The critic's targets, `advantages + values`, in reward units, 0 where the mask is False."""


def gae(
    rewards_BT: Float[Tensor, "B T"],
    values_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    discount: float,
    lam: float,
) -> Advantages:
    """Advantages and returns of finished completions.

        δₜ = rₜ + γ Vₜ₊₁ - Vₜ        Aₜ = δₜ + γλ Aₜ₊₁        Rₜ = Aₜ + Vₜ

    A completion ends at its last counted token: the value after it is 0, whatever padding holds. Tokens that
    do not count are stepped over, on either side of a completion and inside it.

    Args:
        rewards_BT: Reward per token, already net of the KL penalty.
        values_BT: The critic's estimate *before* each token, same units as the reward.
        mask_BT: True on completion tokens.
        discount: γ in [0, 1]. 1 is usual for text: less is a preference for short completions.
        lam: λ in [0, 1]. 0 trusts the critic, 1 trusts the sampled return.

    Returns:
        Advantages and returns. Whiten the advantages afterwards, never the returns.

    Source:
        Schulman et al. 2016, arXiv:1506.02438, eq. 16.
    """
    values_BT = torch.where(mask_BT, values_BT, 0.0)
    advantage_B = next_value_B = rewards_BT.new_zeros(len(rewards_BT))
    columns: list[Tensor] = []
    for reward_B, value_B, counts_B in zip(
        reversed(rewards_BT.unbind(1)),
        reversed(values_BT.unbind(1)),
        reversed(mask_BT.unbind(1)),
        strict=True,
    ):
        delta_B = reward_B + discount * next_value_B - value_B
        advantage_B = torch.where(counts_B, delta_B + discount * lam * advantage_B, advantage_B)
        next_value_B = torch.where(counts_B, value_B, next_value_B)
        columns.append(advantage_B)
    if not columns:
        return Advantages(rewards_BT, rewards_BT)
    advantages_BT = torch.where(mask_BT, torch.stack(columns[::-1], dim=1), 0.0)
    return Advantages(advantages_BT, advantages_BT + values_BT)
