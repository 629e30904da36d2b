"""Soft labels: how probable it is that the first is better, when raters grade, tie and err.

Shapes: `N` preference rows. Every pairwise loss of Palate is linear in its label: `loss(p)` is p times the
loss of "first is better" plus 1 - p times that of "second is better", for any p. Therefore what is known of
the raters' errors belongs into the label, once, and not into each loss:

| known as | is |
|---|---|
| a tie | label ½ |
| several raters | the share of their votes (`palate.preferences.aggregate.soft_label`) |
| label smoothing, conservative DPO (cDPO) | any loss with `smoothed_labels` |
| noise correction, robust DPO (rDPO) | any loss with `denoised_labels` |

Smoothing and denoising are inverse to each other. Smoothing *describes* raters who err, denoising *undoes*
what they did: on labels of which a share ε was flipped, the denoised loss has the mean of the loss on clean labels,
while the smoothed one goes a second step in the direction of the error.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from palate.core.errors import ConfigError, DataError
from palate.functional.rows import refuse_unless_above_zero


def strength_labels(grades_N: Float[Tensor, " N"], *, nats_per_grade: float) -> Float[Tensor, " N"]:
    """Labels from graded answers, such as -2 "second is much better", 0 "a tie", 2 "first is much better".

        p = σ(grade · c)

    A grade is read as evidence, c nats each; grades from an odd scale are antisymmetric, and a tie is ½.

    Args:
        grades_N: Signed strength, above 0 if the first is better.
        nats_per_grade: c, above 0: the log-odds of one grade. With log 3 a grade of 1 is three to one.

    Returns:
        Labels in [0, 1].

    Raises:
        ConfigError: c is not above 0.

    Source:
        Bradley & Terry 1952: log-odds are differences of scores; the linear scale is our choice.
    """
    refuse_unless_above_zero(nats_per_grade=nats_per_grade)
    return torch.sigmoid(grades_N * nats_per_grade)


def smoothed_labels(p_first_N: Float[Tensor, " N"], *, flip_rate: float) -> Float[Tensor, " N"]:
    """What raters who flip a share ε of their answers would say, where the truth is p.

        p̃ = (1 - ε) p + ε (1 - p)

    With DPO this is cDPO: for a label of 1 the best margin is finite, log((1 - ε) / ε).

    Args:
        p_first_N: Labels in [0, 1].
        flip_rate: ε in [0, ½).

    Returns:
        Labels in [ε, 1 - ε].

    Raises:
        ConfigError: ε is outside [0, ½).
        DataError: A label is outside [0, 1].

    Source:
        Mitchell 2023, "A note on DPO with noisy preferences & relationship to IPO", eq. 3.
    """
    _check(p_first_N, flip_rate)
    return flip_rate + (1 - 2 * flip_rate) * p_first_N


def denoised_labels(p_first_N: Float[Tensor, " N"], *, flip_rate: float) -> Float[Tensor, " N"]:
    """Labels whose loss is, on average over the flips, the loss on the labels before them.

        p̃ = (p - ε) / (1 - 2ε)

    They leave [0, 1] on purpose: a flipped label is 1 with probability 1 - ε and 0 with ε, and only from
    beyond both ends can the average be 1. For labels of 0 and 1 the Bradley-Terry loss becomes
    `((1 - ε) ℓ(m) - ε ℓ(-m)) / (1 - 2ε)`. If ε is said to be larger than it is, an answer that is
    always the same has no finite best margin, and the loss no lower end: understate it, or
    take `flip_aware_loss`, which has one.

    Args:
        p_first_N: Labels in [0, 1], as the raters gave them.
        flip_rate: ε in [0, ½): how often a rater says the opposite of what is so.

    Returns:
        Labels in [-ε / (1 - 2ε), (1 - ε) / (1 - 2ε)].

    Raises:
        ConfigError: ε is outside [0, ½).
        DataError: A label is outside [0, 1].

    Source:
        Natarajan et al. 2013, "Learning with noisy labels", lemma 1; for DPO: Chowdhury et al. 2024,
        arXiv:2403.00409, section 3.
    """
    _check(p_first_N, flip_rate)
    return (p_first_N - flip_rate) / (1 - 2 * flip_rate)


def _check(p_first_N: Tensor, flip_rate: float) -> None:
    if not 0 <= flip_rate < 0.5:
        raise ConfigError(
            "the flip rate cannot work",
            expected="0 up to, not including, 0.5",
            found=f"{flip_rate:g}",
            hint="at 0.5 labels say nothing; above it, swap the sides",
        )
    outside_N = ~((p_first_N >= 0) & (p_first_N <= 1))
    if bool(outside_N.any()):
        raise DataError(
            "a label is not a probability",
            where=f"row {int(outside_N.nonzero()[0])}",
            expected="labels in [0, 1]",
            found=f"{p_first_N[outside_N][0]:g}",
        )
