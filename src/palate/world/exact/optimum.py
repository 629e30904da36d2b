"""Optima in closed form: of a tree token by token, and the best trade of reward against KL.

Shapes: `K` completions, `S` prefixes, `V` tokens.
"""

import math
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import DataError
from palate.world.exact.tree import NONE, TreeWorld

_STEEPEST: Final = 2.0**40
"""Of η: beyond it, the KL differs from its limit by rounding only."""
_NEAR: Final = 1e-9
_STEPS: Final = 60


class TreeOptimum(NamedTuple):
    """What the best policy of a tree does after every prefix, and what it can still hope for there."""

    logits_SV: Float[Tensor, "S V"]
    """log π*(token | prefix)."""
    values_S: Float[Tensor, " S"]
    """V*, the best objective from each prefix on; at the empty one it is J*. Reward units."""


def tree_optimum(world: TreeWorld) -> TreeOptimum:
    """The optimum token by token, from the leaves to the root.

        V*(s) = β log Σₐ π_ref(a|s) exp(V*(sa) / β)        π*(a|s) = π_ref(a|s) exp((V*(sa) - V*(s)) / β)

    with V* = r where a completion has ended. As a policy over completions it is π_ref exp(r / β) / Z.

    Source:
        Korbak et al. 2022, arXiv:2205.11275, eq. 5, unrolled over tokens.
    """
    tree, beta = world.tree, world.beta
    reference_SV = world.reference_SV.log_softmax(-1)
    tilted_SV = torch.empty_like(reference_SV)
    values_S = reference_SV.new_zeros(len(reference_SV))
    for s in reversed(range(len(reference_SV))):  # longer prefixes stand behind shorter ones
        ends_V = tree.completions_SV[s] != NONE
        after_V = torch.where(ends_V, world.rewards_K[tree.completions_SV[s]], values_S[tree.children_SV[s]])
        tilted_SV[s] = reference_SV[s] + after_V / beta
        values_S[s] = beta * tilted_SV[s].logsumexp(-1)
    return TreeOptimum(tilted_SV.log_softmax(-1), values_S)


class TiltPoint(NamedTuple):
    """A policy on the frontier: none has more reward at the same KL."""

    eta: float
    """η = 1 / β, nats per reward unit."""
    kl_nats: float
    """KL(π ‖ π_ref)."""
    reward: float
    """E_π[r], in reward units."""
    logprobs_K: Float[Tensor, " K"]
    """log π of every completion."""

    def mean(self, values_K: Float[Tensor, " K"]) -> float:
        """E_π of anything else, such as gold where the tilt is along a proxy."""
        return float(self.logprobs_K.exp() @ values_K)


def tilt(ref_logprobs_K: Float[Tensor, " K"], rewards_K: Float[Tensor, " K"], eta: float) -> TiltPoint:
    """The frontier's point for one price of KL.

        π_η = π_ref exp(η r) / Z        dE[r]/dη = Var(r)        dKL/dη = η Var(r)

    Args:
        ref_logprobs_K: log π_ref of every completion, all of them: they sum to 1 as probabilities.
        rewards_K: r, in reward units.
        eta: η = 1 / β; 0 is the reference.

    Source:
        Korbak et al. 2022, arXiv:2205.11275, eq. 5; the derivatives are those of log Z.
    """
    tilted_K = ref_logprobs_K + eta * rewards_K
    logprobs_K = tilted_K - tilted_K.logsumexp(-1)
    policy_K = logprobs_K.exp()
    kl_nats = max(0.0, float(policy_K @ (logprobs_K - ref_logprobs_K)))
    return TiltPoint(eta, kl_nats, float(policy_K @ rewards_K), logprobs_K)


def frontier(ref_logprobs_K: Float[Tensor, " K"], rewards_K: Float[Tensor, " K"], kl_nats: float) -> TiltPoint:
    """The best policy within a KL: what share of its reward an algorithm reaches is what it is worth.

    Args:
        ref_logprobs_K: As in `tilt`.
        rewards_K: r, in reward units.
        kl_nats: KL(π ‖ π_ref) to spend, at least 0.

    Raises:
        DataError: So much KL cannot be spent on reward: even the best completion alone is nearer.
    """
    best_K = rewards_K == rewards_K.max()
    limit = -float(ref_logprobs_K[best_K].logsumexp(-1))
    if not 0 <= kl_nats < limit:
        raise DataError(
            "no policy on the frontier has this KL",
            expected=f"at least 0, below the {limit:.4g} nats of the best completion alone",
            found=f"{kl_nats:g} nats",
        )
    if kl_nats == 0:
        return tilt(ref_logprobs_K, rewards_K, 0.0)
    high = 1.0
    while tilt(ref_logprobs_K, rewards_K, high).kl_nats < kl_nats and high < _STEEPEST:
        high *= 2
    low = 0.0
    while high - low > 4 * math.ulp(high):  # KL grows with η: halve the interval
        middle = (low + high) / 2
        low, high = (middle, high) if tilt(ref_logprobs_K, rewards_K, middle).kl_nats < kl_nats else (low, middle)
    return tilt(ref_logprobs_K, rewards_K, (low + high) / 2)


def nearly_frontier(ref_logprobs_K: Float[Tensor, " K"], rewards_K: Float[Tensor, " K"], kl_nats: float) -> TiltPoint:
    """As `frontier`, to nine digits of the KL and not to the last; any reward and any KL have an answer.

    It is the reference itself where the reward is the same for all, and the best completions alone where all the KL
    cannot be spent, as when a judge is fondest of an answer that is likely as it is.

    It takes some five steps of Newton's method and not sixty halvings: in log η, log KL has the slope η² Var(r) / KL.

    Args:
        ref_logprobs_K: As in `tilt`.
        rewards_K: r, in reward units; `reward` of what comes back is above the reference's.
        kl_nats: KL(π ‖ π_ref) to spend, above 0.
    """
    ref_K = ref_logprobs_K.exp()
    centred_K = rewards_K - ref_K @ rewards_K
    spread = float((ref_K @ centred_K.square()).sqrt())
    if spread < _NEAR:
        return tilt(ref_logprobs_K, torch.zeros_like(centred_K), 0.0)
    best_K = rewards_K >= rewards_K.max() - _NEAR * spread
    share = float(ref_K[best_K].sum())
    if kl_nats >= -math.log(share):
        logprobs_K = torch.where(best_K, ref_logprobs_K - math.log(share), -math.inf)
        return TiltPoint(math.inf, -math.log(share), float(centred_K.max()), logprobs_K)
    eta = (2 * kl_nats) ** 0.5 / spread
    for _ in range(_STEPS):
        found = tilt(ref_logprobs_K, centred_K, eta)
        if abs(found.kl_nats / kl_nats - 1) < _NEAR:
            return found
        variance = found.mean(centred_K.square()) - found.reward**2
        slope = max(eta**2 * variance / max(found.kl_nats, _NEAR), 0.1)
        eta *= math.exp(min(max(math.log(kl_nats / max(found.kl_nats, _NEAR)) / slope, -1), 1))
    return frontier(ref_logprobs_K, centred_K, kl_nats)
