"""Policy gradients with one advantage per completion: REINFORCE, GRPO, Dr. GRPO, sequence-level PPO.

Shapes: `B` completions, `T` completion tokens. True in a mask means "counts". How token losses become one:

| function | a completion's tokens | over completions | unbiased |
|---|---|---|---|
| `reinforce_loss` | sum: the completion is one action | mean | yes |
| `dr_grpo_loss` | sum, over a constant number of tokens | mean | yes, up to that constant |
| `ppo.policy_loss` | sum | over all counted tokens of the batch | only in large batches |
| `grpo_loss` | *mean* | mean | no: long bad completions are hardly punished |
| `sequence_policy_loss` | one ratio a completion | mean | yes, at the first step |

A micro-batch cannot know how many completions its batch has, so the caller may pass that number as
`completions`; then the losses of micro-batches *add up* to that of the batch. A row without a counted token
is no completion.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from palate.core.errors import ConfigError, DataError
from palate.functional.logprobs import sequence_logprobs
from palate.functional.masked import masked_sum
from palate.functional.ppo import PolicyLoss, policy_loss


def reinforce_loss(
    logprobs_BT: Float[Tensor, "B T"],
    advantages_B: Float[Tensor, " B"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    importance_B: Float[Tensor, " B"] | None = None,
    completions: int | None = None,
) -> Float[Tensor, ""]:
    """Mean over completions of the advantage times the completion's log-probability.

        ℓ = -w A Σₜ log πₜ

    With `leave_one_out_advantages` it is RLOO. The value says nothing, the gradient is the policy gradient.

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        advantages_B: In reward units; no gradient flows into them.
        mask_BT: True on completion tokens, the end token among them.
        importance_B: w of stale samples (`importance.sequence_importance`); None means that the policy being
            trained has sampled them. No gradient flows into them.
        completions: Those of the whole batch; None takes those of `mask_BT`.

    Returns:
        Reward units times nats per completion; NaN if there is none and no number is given.

    Raises:
        DataError: The shapes do not fit together.

    Source:
        Williams 1992, "Simple statistical gradient-following algorithms"; for whole completions: Ahmadian et al.
        2024, arXiv:2402.14740.
    """
    _check(advantages_B, logprobs_BT, mask_BT)
    pulls_B = advantages_B.detach()
    if importance_B is not None:
        _check(importance_B, logprobs_BT, mask_BT)
        pulls_B = pulls_B * importance_B.detach()
    total = masked_sum(pulls_B * sequence_logprobs(logprobs_BT, mask_BT), mask_BT.any(-1))
    return -total / _completions(mask_BT, completions)


def grpo_loss(
    logprobs_BT: Float[Tensor, "B T"],
    old_logprobs_BT: Float[Tensor, "B T"],
    advantages_B: Float[Tensor, " B"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    clip: float,
    completions: int | None = None,
) -> PolicyLoss:
    """GRPO as published: PPO's surrogate, a mean over each completion's tokens, then over completions.

        ℓ = -1/B Σᵢ 1/|yᵢ| Σₜ min(ρ Aᵢ, clip(ρ, 1 ± c) Aᵢ)

    The division by |yᵢ| makes the gradient one of no objective: a token of a long completion counts less,
    so bad completions are pushed to be long. `dr_grpo_loss` does not.

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        old_logprobs_BT: Under the policy that sampled the tokens, in nats; no gradient flows into them.
        advantages_B: `standardised_advantages`; no gradient flows into them.
        mask_BT: True on completion tokens.
        clip: c, at least 0; `math.inf` never clips.
        completions: Those of the whole batch; None takes those of `mask_BT`.

    Returns:
        The loss in units of the advantages, and the facts of `ppo.policy_loss`. The KL penalty of the paper is
        not in it: see `kl_placement`.

    Raises:
        ConfigError: The clip is below 0.
        DataError: The shapes do not fit together.

    Source:
        Shao et al. 2024, arXiv:2402.03300, eq. 3.
    """
    _check(advantages_B, logprobs_BT, mask_BT)
    shares_B = advantages_B / mask_BT.sum(-1).clamp(min=1)
    return _surrogate(logprobs_BT, old_logprobs_BT, shares_B, mask_BT, clip, completions)


def dr_grpo_loss(
    logprobs_BT: Float[Tensor, "B T"],
    old_logprobs_BT: Float[Tensor, "B T"],
    advantages_B: Float[Tensor, " B"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    clip: float,
    max_tokens: int,
    completions: int | None = None,
) -> PolicyLoss:
    """GRPO without its length bias: the sum over tokens, divided by a constant.

        ℓ = -1/B Σᵢ 1/M Σₜ min(ρ Aᵢ, clip(ρ, 1 ± c) Aᵢ)

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        old_logprobs_BT: Under the policy that sampled the tokens, in nats; no gradient flows into them.
        advantages_B: `centred_advantages` in the paper; no gradient flows into them.
        mask_BT: True on completion tokens.
        clip: c, at least 0; `math.inf` never clips.
        max_tokens: M, the longest completion that *could* be sampled, a setting of the run and not of the
            batch. With M = 1 and RLOO's advantages the first step is that of `reinforce_loss`.
        completions: Those of the whole batch; None takes those of `mask_BT`.

    Returns:
        The loss in units of the advantages, and the facts of `ppo.policy_loss`.

    Raises:
        ConfigError: The clip is below 0, or M below 1.
        DataError: The shapes do not fit together.

    Source:
        Liu et al. 2025, arXiv:2503.20783, section 3.2.
    """
    _check(advantages_B, logprobs_BT, mask_BT)
    if max_tokens < 1:
        raise ConfigError("the constant of Dr. GRPO cannot work", expected="at least 1 token", found=f"{max_tokens}")
    return _surrogate(logprobs_BT, old_logprobs_BT, advantages_B / max_tokens, mask_BT, clip, completions)


def sequence_policy_loss(
    logprobs_BT: Float[Tensor, "B T"],
    old_logprobs_BT: Float[Tensor, "B T"],
    advantages_B: Float[Tensor, " B"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    clip: float,
    completions: int | None = None,
) -> PolicyLoss:
    """Clipped surrogate with one ratio for the whole completion, the action that the score is about.

        ρ = exp Σₜ (log πₜ - log π_oldₜ)        ℓ = -min(ρ A, clip(ρ, 1 ± c) A)

    The ratio of a completion leaves the band after far fewer steps than that of a token.

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        old_logprobs_BT: Under the policy that sampled the tokens, in nats; no gradient flows into them.
        advantages_B: In reward units; no gradient flows into them.
        mask_BT: True on completion tokens.
        clip: c, at least 0; `math.inf` never clips, and is importance sampling.
        completions: Those of the whole batch; None takes those of `mask_BT`.

    Returns:
        The loss and the facts of `ppo.policy_loss`, of completions instead of tokens.

    Raises:
        ConfigError: The clip is below 0.
        DataError: The shapes do not fit together.

    Source:
        For whole completions: Ahmadian et al. 2024, arXiv:2402.14740; Schulman et al. 2017, arXiv:1707.06347, eq. 7.
    """
    _check(advantages_B, logprobs_BT, mask_BT)
    _refuse_negative(clip)
    return policy_loss(
        sequence_logprobs(logprobs_BT, mask_BT).unsqueeze(-1),
        sequence_logprobs(old_logprobs_BT, mask_BT).unsqueeze(-1),
        advantages_B.unsqueeze(-1),
        mask_BT.any(-1, keepdim=True),
        clip=clip,
        denominator=completions,
    )


def _surrogate(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor,
    shares_B: Tensor,
    mask_BT: Tensor,
    clip: float,
    completions: int | None,
) -> PolicyLoss:
    """PPO's loss, a mean over completions: a factor above 0 may stand inside its minimum, on the advantage."""
    _refuse_negative(clip)
    shares_BT = shares_B.unsqueeze(-1).expand_as(logprobs_BT)
    counted = _completions(mask_BT, completions)
    return policy_loss(logprobs_BT, old_logprobs_BT, shares_BT, mask_BT, clip=clip, denominator=counted)


def _completions(mask_BT: Tensor, completions: int | None) -> int:
    return int(mask_BT.any(-1).sum()) if completions is None else completions


def _refuse_negative(clip: float) -> None:
    if not clip >= 0:
        raise ConfigError("the clip cannot work", expected="at least 0, 0.2 is usual", found=f"{clip:g}")


def _check(numbers_B: Tensor, logprobs_BT: Tensor, mask_BT: Tensor) -> None:
    if logprobs_BT.dim() != 2 or logprobs_BT.shape != mask_BT.shape or numbers_B.shape != logprobs_BT.shape[:1]:
        shapes = (tuple(x.shape) for x in (logprobs_BT, mask_BT, numbers_B))
        raise DataError(
            "log-probabilities, mask and advantages do not fit together",
            expected="shapes (B, T), (B, T) and (B,)",
            found=", ".join(str(shape) for shape in shapes),
            hint="for an advantage per token use `ppo.policy_loss`",
        )
