"""Direct preference optimisation: the policy's own log-ratios are the scores.

Shapes: `N` preference rows. A row of weight 0 does not count, whatever else it holds. With h the log-ratio of
the chosen completion minus that of the rejected one, in nats, a label of 1, and raters who prefer by p:

| loss | ℓ | best h |
|---|---|---|
| `dpo_loss` | -log σ(β h) | log(p / (1 - p)) / β, infinite at p = 1 |
| `dpo_loss` on `smoothed_labels` (cDPO) | the same | finite at p = 1: log((1 - ε) / ε) / β |
| `dpo_loss` on `denoised_labels` (robust DPO) | the same | that of the raters without their flips |
| `ipo_loss` | (h - 1/2β)² | (2p - 1) / 2β |
| `hinge_loss` | max(0, 1 - β h) | 1 / β or more at p = 1: no probabilities, only the side |
| `anchored_dpo_loss` | that of DPO, and the chosen completion's own nats per token | - |

A soft label p is, in all of them, p rows of one order and 1 - p rows of the other; so the label functions of
`labels` serve every one.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ConfigError, DataError
from palate.functional.pairwise import bradley_terry_accuracy, bradley_terry_loss
from palate.functional.rows import counted, refuse_unless_above_zero, row_weights, weighted_mean


class DPOLoss(NamedTuple):
    """The loss to descend, and what the policy thinks of each row."""

    loss: Float[Tensor, ""]
    """Nats per row of weight 1."""
    margins_N: Float[Tensor, " N"]
    """Implicit score of the chosen minus that of the rejected completion, in reward units; no gradient."""
    accuracy: Float[Tensor, ""]
    """Share of rows whose margin points to the preferred side, in [0, 1]; ties count half."""


def dpo_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    reference_chosen_N: Float[Tensor, " N"],
    reference_rejected_N: Float[Tensor, " N"],
    *,
    beta: float,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """Bradley-Terry loss on the implicit scores β log(π / π_ref).

        m = β [(log π(chosen) - log π_ref(chosen)) - (log π(rejected) - log π_ref(rejected))]
        ℓ = -(p log σ(m) + (1 - p) log σ(-m))

    Its optimum over all pairs is π_ref exp(r / β) / Z, the same as of RL with the same β, when the labels
    follow Bradley-Terry with scores r. At policy = reference the loss is log 2 and the accuracy ½.

    Args:
        policy_chosen_N: Log-probability of the chosen completion under the policy, in nats: the *sum* over
            its tokens (`sequence_logprobs`), not a mean.
        policy_rejected_N: The same for the rejected completion.
        reference_chosen_N: The same under the reference; no gradient flows into it.
        reference_rejected_N: The same for the rejected completion.
        beta: β, reward units per nat, above 0.
        p_chosen_N: Soft labels in [0, 1]: how probable it is that the chosen one is better. None means 1.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `bradley_terry_loss`, for the loss only; the accuracy is that of the rows given.

    Returns:
        The loss, the margins and the accuracy; off the weights, margins are what the inputs were.

    Source:
        Rafailov et al. 2023, arXiv:2305.18290, eq. 7; soft labels: Mitchell 2023, "A note on DPO with noisy
        preferences", eq. 3.
    """
    chosen_N = policy_chosen_N - reference_chosen_N.detach()
    rejected_N = policy_rejected_N - reference_rejected_N.detach()
    margins_N = beta * (chosen_N - rejected_N)
    labels_N = torch.ones_like(margins_N) if p_chosen_N is None else p_chosen_N
    return DPOLoss(
        loss=bradley_terry_loss(margins_N, labels_N, weights_N, denominator=denominator),
        margins_N=margins_N.detach(),
        accuracy=bradley_terry_accuracy(margins_N, labels_N, weights_N),
    )


def ipo_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    reference_chosen_N: Float[Tensor, " N"],
    reference_rejected_N: Float[Tensor, " N"],
    *,
    beta: float,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """Regression of the log-ratio onto a target, which it stops at.

        ℓ = p (h - 1/2β)² + (1 - p) (h + 1/2β)²

    Where raters always agree, DPO pushes without end and IPO stops at h = 1/2β nats. Over all pairs of a set,
    its optimum is π_ref exp(P / β) / Z, P the probability to win against a completion drawn from the set.

    Args:
        policy_chosen_N: As in `dpo_loss`: sums over tokens. Other programs average here; their β is not ours.
        policy_rejected_N: The same for the rejected completion.
        reference_chosen_N: The same under the reference; no gradient flows into it.
        reference_rejected_N: The same for the rejected completion.
        beta: τ of the paper, above 0.
        p_chosen_N: Soft labels; None means 1.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `dpo_loss`.

    Returns:
        The loss in squared nats per row of weight 1, the margins β h and the accuracy.

    Raises:
        ConfigError: β is not above 0.
        DataError: The rows do not fit together.

    Source:
        Azar et al. 2023, arXiv:2310.12036, eq. 17.
    """
    refuse_unless_above_zero(beta=beta)
    rows = _rows(policy_chosen_N, policy_rejected_N, reference_chosen_N, reference_rejected_N, p_chosen_N, weights_N)
    target, p_N = 0.5 / beta, rows.labels_N
    losses_N = p_N * (rows.counted_N - target).square() + (1 - p_N) * (rows.counted_N + target).square()
    return _facts(losses_N, rows, beta, denominator)


def hinge_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    reference_chosen_N: Float[Tensor, " N"],
    reference_rejected_N: Float[Tensor, " N"],
    *,
    beta: float,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """Support-vector loss on DPO's margin: a row that leads by 1 has nothing more to say.

        ℓ = p max(0, 1 - β h) + (1 - p) max(0, 1 + β h)

    It learns which side is better, not how often: for every p in (½, 1) the best margin is 1.

    Args:
        policy_chosen_N: As in `dpo_loss`.
        policy_rejected_N: The same for the rejected completion.
        reference_chosen_N: The same under the reference; no gradient flows into it.
        reference_rejected_N: The same for the rejected completion.
        beta: β, reward units per nat, above 0.
        p_chosen_N: Soft labels; None means 1. Take no `denoised_labels`: beyond [0, 1] it has no lower end.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `dpo_loss`.

    Returns:
        The loss in reward units per row of weight 1, the margins and the accuracy.

    Raises:
        ConfigError: β is not above 0.
        DataError: The rows do not fit together, or a label is outside [0, 1].

    Source:
        Zhao et al. 2023, arXiv:2305.10425; on DPO's margin: Liu et al. 2023, arXiv:2309.06657.
    """
    refuse_unless_above_zero(beta=beta)
    rows = _rows(policy_chosen_N, policy_rejected_N, reference_chosen_N, reference_rejected_N, p_chosen_N, weights_N)
    p_N, margins_N = rows.labels_N, beta * rows.counted_N
    if bool(((rows.weights_N > 0) & ~((p_N >= 0) & (p_N <= 1))).any()):
        raise DataError(
            "a label of the hinge loss is not a probability",
            expected="labels in [0, 1]",
            hint="denoised labels leave [0, 1], where a hinge falls without end: use them with DPO or IPO",
        )
    losses_N = p_N * (1 - margins_N).clamp(min=0) + (1 - p_N) * (1 + margins_N).clamp(min=0)
    return _facts(losses_N, rows, beta, denominator)


def anchored_dpo_loss(
    policy_chosen_N: Float[Tensor, " N"],
    policy_rejected_N: Float[Tensor, " N"],
    reference_chosen_N: Float[Tensor, " N"],
    reference_rejected_N: Float[Tensor, " N"],
    chosen_tokens_N: Tensor,
    rejected_tokens_N: Tensor,
    *,
    beta: float,
    anchor: float,
    p_chosen_N: Float[Tensor, " N"] | None = None,
    weights_N: Float[Tensor, " N"] | None = None,
    denominator: float | int | None = None,
) -> DPOLoss:
    """DPO, and what the chosen completion costs per token: it may not become rarer only less fast.

        ℓ = ℓ_DPO - α (p log π(chosen) / |chosen| + (1 - p) log π(rejected) / |rejected|)

    DPO sees only the difference: both sides may sink, and the mass go to completions nobody compared.

    Args:
        policy_chosen_N: As in `dpo_loss`: sums over tokens.
        policy_rejected_N: The same for the rejected completion.
        reference_chosen_N: The same under the reference; no gradient flows into it.
        reference_rejected_N: The same for the rejected completion.
        chosen_tokens_N: How many tokens the sums are over, at least 1.
        rejected_tokens_N: The same for the rejected completion; it matters where a label is below 1.
        beta: β, reward units per nat, above 0.
        anchor: α, at least 0; 1 is usual, 0 is `dpo_loss`.
        p_chosen_N: Soft labels; None means 1.
        weights_N: At least 0; None weighs all rows alike.
        denominator: As in `dpo_loss`.

    Returns:
        The loss in nats per row of weight 1, the margins and the accuracy.

    Raises:
        ConfigError: β is not above 0, or α is below 0.
        DataError: The rows do not fit together, or a completion has no token.

    Source:
        Pang et al. 2024, arXiv:2404.19733, eq. 1.
    """
    refuse_unless_above_zero(beta=beta)
    if not 0 <= anchor < float("inf"):
        raise ConfigError("the anchor cannot work", expected="a finite number of at least 0", found=f"{anchor:g}")
    inputs = (policy_chosen_N, policy_rejected_N, reference_chosen_N, reference_rejected_N)
    rows = _rows(*inputs, p_chosen_N, weights_N)
    counts_N, p_N = rows.weights_N > 0, rows.labels_N
    mean_N = []
    for sums_N, tokens_N in ((policy_chosen_N, chosen_tokens_N), (policy_rejected_N, rejected_tokens_N)):
        row_weights(sums_N, None, tokens_N=tokens_N)
        lengths_N = counted(tokens_N, counts_N, fill=1)
        if not bool((lengths_N >= 1).all()):
            raise DataError("a completion has no token", expected="at least 1, its end token")
        mean_N.append(counted(sums_N, counts_N) / lengths_N)
    anchors_N = -(p_N * mean_N[0] + (1 - p_N) * mean_N[1])
    plain = dpo_loss(*inputs, beta=beta, p_chosen_N=p_N, weights_N=rows.weights_N, denominator=denominator)
    return plain._replace(loss=plain.loss + anchor * weighted_mean(anchors_N, rows.weights_N, denominator))


class _Rows(NamedTuple):
    """What every member of the family computes first."""

    log_ratios_N: Tensor
    counted_N: Tensor
    labels_N: Tensor
    weights_N: Tensor


def _rows(
    policy_chosen_N: Tensor,
    policy_rejected_N: Tensor,
    reference_chosen_N: Tensor,
    reference_rejected_N: Tensor,
    p_chosen_N: Tensor | None,
    weights_N: Tensor | None,
) -> _Rows:
    """The log-ratio h of every row, raw and made harmless where the weight is 0, labels and weights."""
    weights_N = row_weights(
        policy_chosen_N,
        weights_N,
        policy_rejected_N=policy_rejected_N,
        reference_chosen_N=reference_chosen_N,
        reference_rejected_N=reference_rejected_N,
        p_chosen_N=p_chosen_N,
    )
    chosen_N = policy_chosen_N - reference_chosen_N.detach()
    log_ratios_N = chosen_N - (policy_rejected_N - reference_rejected_N.detach())
    labels_N = torch.ones_like(weights_N) if p_chosen_N is None else p_chosen_N
    return _Rows(log_ratios_N, counted(log_ratios_N, weights_N > 0), labels_N, weights_N)


def _facts(losses_N: Tensor, rows: _Rows, beta: float, denominator: float | int | None) -> DPOLoss:
    """Losses per row as one loss, with the margins and the accuracy."""
    margins_N = beta * rows.log_ratios_N.detach()
    return DPOLoss(
        loss=weighted_mean(losses_N, rows.weights_N, denominator),
        margins_N=margins_N,
        accuracy=bradley_terry_accuracy(margins_N, rows.labels_N, rows.weights_N),
    )
