"""The smallest world: one prompt, a list of possible completions, a score for each.

Shapes: `K` arms, that is, completions; a policy is a vector of `K` probabilities.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class TabularBandit:
    """One prompt, K possible completions, and a known score for each: RLHF in its smallest form.

        J(π) = E_π[r] - β KL(π ‖ π_ref)        π* = π_ref exp(r / β) / Z        J* = β log Z

    For every policy, `J* - J(π) = β KL(π ‖ π*)`: the gap in J says how far a policy is from the optimum.

    Source:
        Korbak et al. 2022, arXiv:2205.11275, eq. 5; Rafailov et al. 2023, arXiv:2305.18290, eq. 4.
    """

    rewards_K: Float[Tensor, " K"]
    """r, the true score of each arm, in reward units."""
    reference_K: Float[Tensor, " K"]
    """π_ref, probabilities above 0 that sum to 1."""
    beta: float
    """β, reward units per nat, above 0."""

    def __post_init__(self) -> None:
        """Refuse a reference that is no distribution, and a β that has no optimum."""
        total = float(self.reference_K.sum())
        if not bool((self.reference_K > 0).all()) or abs(total - 1) > 1e-5:
            raise DataError("the reference is not a distribution over all arms", found=f"a sum of {total:g}")
        if self.beta <= 0:
            raise DataError("β is not above 0", found=f"{self.beta:g}")

    @property
    def best(self) -> float:
        """J* = β log Z, the largest objective that any policy can have, in reward units."""
        return self.beta * float(self._tilted_logits_K().logsumexp(-1))

    def optimum(self) -> Float[Tensor, " K"]:
        """π*, the policy that has it."""
        return self._tilted_logits_K().softmax(-1)

    def objective(self, policy_K: Float[Tensor, " K"]) -> float:
        """J(π) in reward units; an arm of probability 0 adds 0.

        Args:
            policy_K: π, probabilities that sum to 1.
        """
        kl_terms_K = torch.xlogy(policy_K, policy_K) - policy_K * self.reference_K.log()
        return float(policy_K @ self.rewards_K - self.beta * kl_terms_K.sum())

    def _tilted_logits_K(self) -> Float[Tensor, " K"]:
        return self.reference_K.log() + self.rewards_K / self.beta


def unit_variance(rewards_K: Float[Tensor, " K"], reference_K: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Rewards moved and scaled to mean 0 and variance 1 under the reference, so that β means the same everywhere.

    Args:
        rewards_K: In any unit.
        reference_K: Probabilities that sum to 1.

    Raises:
        DataError: The rewards do not vary.
    """
    deviations_K = rewards_K - reference_K @ rewards_K
    variance = reference_K @ deviations_K.square()
    if not variance > 0:
        raise DataError("the rewards do not vary under the reference", found=f"a variance of {variance:g}")
    return deviations_K / variance.sqrt()
