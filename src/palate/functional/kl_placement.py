"""Where a KL estimator stands decides what the policy converges to: the right combinations, and no others.

Shapes: `B` completions, `T` completion tokens. True in a mask means "counts". For completions `y` of the policy
itself, the gradient that each combination adds, against that of KL(π ‖ π_ref) over whole completions:

| estimator | in the reward | in the loss | in the loss, times π / π_old |
|---|---|---|---|
| k1 | **right** | none at all | **right** per sequence |
| k2 | runs away | **right** per sequence | another penalty |
| k3 | runs away | that of KL(π_ref ‖ π) | **right** per sequence |

Per token, a loss term forgets that a token also decides where the next ones stand. In the reward both levels
add up to the same k1. The tests enumerate all 18 cells.

Source: Tang & Munos 2025, arXiv:2506.09477; for the third column DeepSeek-AI 2025, arXiv:2512.02556.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from palate.core.errors import ConfigError
from palate.functional.kl import k1, k2, k3
from palate.functional.masked import masked_sum


class Estimator(StrEnum):
    """Of the KL, from log-probabilities of sampled tokens: see `kl`."""

    K1 = "k1"
    K2 = "k2"
    K3 = "k3"


class Placement(StrEnum):
    """What the estimate is added to."""

    REWARD = "reward"
    """A number subtracted from the score; no gradient flows through it."""
    LOSS = "loss"
    """A term of the loss; the gradient flows through the estimate alone. Only for fresh samples."""
    WEIGHTED_LOSS = "weighted loss"
    """A term of the loss, times π / π_old; the gradient flows through both. For stale samples as well."""


class Level(StrEnum):
    """What the estimate is taken of."""

    TOKEN = "token"
    """Of every token, then summed."""
    SEQUENCE = "sequence"
    """Of the summed log-probabilities of the completion."""


_FUNCTIONS: Final[dict[Estimator, Callable[[Tensor, Tensor], Tensor]]] = {
    Estimator.K1: k1,
    Estimator.K2: k2,
    Estimator.K3: k3,
}
_RIGHT: Final = {
    (Estimator.K1, Placement.REWARD, Level.TOKEN),
    (Estimator.K1, Placement.REWARD, Level.SEQUENCE),
    (Estimator.K2, Placement.LOSS, Level.SEQUENCE),
    (Estimator.K1, Placement.WEIGHTED_LOSS, Level.SEQUENCE),
    (Estimator.K3, Placement.WEIGHTED_LOSS, Level.SEQUENCE),
}
_WRONG: Final = {
    (Estimator.K2, Placement.REWARD): "it fines a token for being rarer than in the reference, which makes it "
    "rarer still: suppressed tokens run away to probability 0",
    (Estimator.K3, Placement.REWARD): "it fines a token for being rarer than in the reference, exponentially, "
    "which makes it rarer still: suppressed tokens run away to probability 0",
    (Estimator.K1, Placement.LOSS): "the mean of its gradient is 0: there is no penalty at all, whatever the "
    "coefficient",
    (Estimator.K3, Placement.LOSS): "its gradient is that of KL(reference ‖ policy): the policy converges to "
    "β π_ref / (λ - r) and not to π_ref exp(r / β) / Z",
    (Estimator.K2, Placement.WEIGHTED_LOSS): "its mean is half the squared log-ratio and not the KL, and with "
    "the ratio that mean is what the policy converges on",
}
_PER_TOKEN: Final = (
    "a term per token forgets that a token decides where the later ones stand: the gradient is not that of "
    "the KL of whole completions"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KLPenalty:
    """How the policy is held near the reference; made only if it holds it there.

    Raises:
        ConfigError: The combination converges to a wrong policy, and that was not asked for by name.
    """

    estimator: Estimator = Estimator.K1
    """Which estimate."""
    placement: Placement = Placement.REWARD
    """What it is added to."""
    level: Level = Level.SEQUENCE
    """What it is taken of."""
    accept_wrong_optimum: bool = False
    """Allow a combination that converges to a wrong policy, to reproduce others or to show what it does."""

    def __post_init__(self) -> None:
        """Read names as members, and refuse what cannot work."""
        for field, kind in (("estimator", Estimator), ("placement", Placement), ("level", Level)):
            object.__setattr__(self, field, _member(kind, field, getattr(self, field)))
        if self.verdict and not self.accept_wrong_optimum:
            raise ConfigError(
                f"{self.name} converges to a wrong policy: {self.verdict}",
                expected="k1 in the reward; or per sequence: k2 in the loss, k1 or k3 in the weighted loss",
                found=self.name,
                hint="to do it all the same, say accept_wrong_optimum=True",
            )

    @property
    def name(self) -> str:
        """The combination in words."""
        return f"{self.estimator} per {self.level} in the {self.placement}"

    @property
    def verdict(self) -> str:
        """Why the combination converges to a wrong policy; empty where it does not."""
        if (self.estimator, self.placement, self.level) in _RIGHT:
            return ""
        return _WRONG.get((self.estimator, self.placement), _PER_TOKEN)


def penalised_scores(
    scores_B: Float[Tensor, " B"],
    logprobs_BT: Float[Tensor, "B T"],
    ref_logprobs_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    beta: float,
    penalty: KLPenalty,
) -> Float[Tensor, " B"]:
    """Scores of whole completions with the penalty subtracted: for REINFORCE, RLOO and Dr. GRPO.

        r' = r - β Σₜ k(t)

    A *sum* over tokens: with a mean, long completions would leave the reference for less. PPO wants the same
    per token: `rewards.token_rewards`.

    Args:
        scores_B: r, in reward units.
        logprobs_BT: Under the policy that sampled the tokens, in nats.
        ref_logprobs_BT: The same under the reference.
        mask_BT: True on completion tokens.
        beta: β, reward units per nat, at least 0.
        penalty: Placed in the reward.

    Returns:
        Reward units, without gradient.

    Raises:
        ConfigError: The penalty is placed elsewhere, or β cannot work.

    Source:
        Ahmadian et al. 2024, arXiv:2402.14740; Ouyang et al. 2022, arXiv:2203.02155, eq. 2.
    """
    _refuse_elsewhere(penalty, Placement.REWARD)
    if not 0 <= beta < float("inf"):
        raise ConfigError("the KL coefficient cannot work", expected="a finite number of at least 0", found=f"{beta:g}")
    return (scores_B - beta * _estimates_B(penalty, logprobs_BT, ref_logprobs_BT, mask_BT)).detach()


def kl_loss(
    logprobs_BT: Float[Tensor, "B T"],
    ref_logprobs_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    *,
    penalty: KLPenalty,
    old_logprobs_BT: Float[Tensor, "B T"] | None = None,
    completions: int | None = None,
) -> Float[Tensor, ""]:
    """The term of the loss, before its coefficient: a mean over completions.

        ℓ = k(y)        or, weighted,        ℓ = π(y) / π_old(y) · k(y)

    Per sequence, y is the whole completion; per token, the same is summed over its tokens. The coefficient is
    β of the reward's units only where a completion's advantage is not divided by its length or deviation.

    Args:
        logprobs_BT: Under the policy being trained, in nats.
        ref_logprobs_BT: The same under the reference; no gradient flows into it.
        mask_BT: True on completion tokens.
        penalty: Placed in the loss, weighted or not. Unweighted it is right only while the policy being trained
            is the one that sampled.
        old_logprobs_BT: Under the policy that sampled; for the weighted loss, and only for it.
        completions: Those of the whole batch; None takes the rows of `mask_BT` with a counted token. With it
            the terms of micro-batches add up.

    Returns:
        Nats per completion; NaN if there is none and no number is given.

    Raises:
        ConfigError: The penalty is placed in the reward, or the old log-probabilities are missing or useless.

    Source:
        As the module.
    """
    _refuse_elsewhere(penalty, Placement.LOSS, Placement.WEIGHTED_LOSS)
    weighted = penalty.placement is Placement.WEIGHTED_LOSS
    if weighted != (old_logprobs_BT is not None):
        raise ConfigError(
            "the weighted loss, and no other, needs the log-probabilities of the policy that sampled",
            expected="old_logprobs_BT" if weighted else "no old_logprobs_BT",
            found=penalty.name,
            hint="" if weighted else 'for stale samples take the placement "weighted loss"',
        )
    if old_logprobs_BT is None:
        terms_B = _estimates_B(penalty, logprobs_BT, ref_logprobs_BT.detach(), mask_BT)
    else:
        terms_B = _estimates_B(penalty, logprobs_BT, ref_logprobs_BT.detach(), mask_BT, old_logprobs_BT.detach())
    counts_B = mask_BT.any(-1)
    return masked_sum(terms_B, counts_B) / (counts_B.sum() if completions is None else completions)


def _estimates_B(
    penalty: KLPenalty,
    logprobs_BT: Tensor,
    ref_logprobs_BT: Tensor,
    mask_BT: Tensor,
    old_logprobs_BT: Tensor | None = None,
) -> Tensor:
    """Nats per completion, each times its ratio where old log-probabilities are given."""
    # Masked before the exponentials: no gradient, not even NaN, goes back past this.
    ours, refs = (torch.where(mask_BT, x, 0.0) for x in (logprobs_BT, ref_logprobs_BT))
    olds = None if old_logprobs_BT is None else torch.where(mask_BT, old_logprobs_BT, 0.0)
    if penalty.level is Level.SEQUENCE:
        ours, refs = ours.sum(-1), refs.sum(-1)
        olds = None if olds is None else olds.sum(-1)
    terms = _FUNCTIONS[penalty.estimator](ours, refs)
    if olds is not None:
        terms = terms * (ours - olds).exp()
    return terms if penalty.level is Level.SEQUENCE else terms.sum(-1)


def _refuse_elsewhere(penalty: KLPenalty, *places: Placement) -> None:
    if penalty.placement not in places:
        raise ConfigError(
            "the KL penalty stands elsewhere",
            expected=f"a penalty in the {' or the '.join(places)}",
            found=penalty.name,
            hint="one penalty has one place; `penalised_scores` is for the reward, `kl_loss` for the loss",
        )


def _member(kind: type[StrEnum], field: str, value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(
            f"there is no such {field} of a KL penalty",
            expected=", ".join(repr(str(member)) for member in kind),
            found=repr(value),
        ) from None
