"""A judge of the world of debates: a logistic model of what was quoted, and by whom, fitted to transcripts.

It never sees a text: its features are counted on the quoted items alone, and its weights come from transcripts whose
right answer was told. Each way of quoting (debate, consultancy, at random) has a judge of its own, made the same way.

Shapes: `G` games, `K` transcripts of a game, `N` transcripts to learn from, `D` features; see `debate`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.preferences.filtering import fit_logistic
from palate.world.exact.debate import Texts, sums

_PRICE: Final = 1.0
"""On squared weights."""


class Judge(NamedTuple):
    """Its weights."""

    weights_D: Float[Tensor, " D"]

    def believes(self, seen_GKD: Float[Tensor, "*G D"]) -> Float[Tensor, "*G"]:
        """Probability that the first answer is right."""
        return (seen_GKD @ self.weights_D).sigmoid()


def seen(texts: Texts, first_K: Int[Tensor, "*G K"], second_K: Int[Tensor, "*G K"]) -> Float[Tensor, "G K D"]:
    """What a judge sees of transcripts of which the one side quoted the items `first_K`, the other `second_K`.

    The sets are the same for all games, or each game has its own.

    For each answer the strength and the number of its claims that stand among the quoted, and those that were quoted
    and fell; of the standing ones, the strength of what the *other* side quoted; for each side the number of its
    rebuttals that stand, and of those whose target nobody quoted; and a constant.
    """
    first_GK, second_GK = (sets.expand(len(texts.sides_GI), -1) for sets in (first_K, second_K))
    quoted_GK = first_GK | second_GK
    stands_GK = texts.stands_GU.gather(1, quoted_GK)
    fell_GK = quoted_GK & ~stands_GK
    idle_GK = _idle(texts, quoted_GK)
    found = []
    for side, mine_GK, theirs_GK in ((1, first_GK, second_GK), (-1, second_GK, first_GK)):
        here_GI = texts.sides_GI == side
        strength_GU, count_GU = sums(here_GI * texts.strengths_GI), sums(here_GI.double())
        rebuttals_GU = sums((texts.sides_GI == 0).double())
        found += [
            strength_GU.gather(1, stands_GK), count_GU.gather(1, stands_GK),
            strength_GU.gather(1, fell_GK), count_GU.gather(1, fell_GK),
            strength_GU.gather(1, stands_GK & theirs_GK),
            rebuttals_GU.gather(1, stands_GK & mine_GK & ~idle_GK), rebuttals_GU.gather(1, idle_GK & mine_GK),
        ]  # fmt: skip
    return torch.stack([*found, torch.ones_like(found[0])], dim=-1)


def _idle(texts: Texts, quoted_GK: Tensor) -> Tensor:
    """Of each game and set, the quoted rebuttals whose target was not quoted."""
    idle_GK = torch.zeros_like(quoted_GK)
    for item, target_G in enumerate(texts.targets_GI.unbind(-1)):
        hit_GK = (quoted_GK >> target_G.clamp(min=0).unsqueeze(-1) & 1).bool()
        is_idle_GK = (target_G >= 0).unsqueeze(-1) & ~hit_GK & (quoted_GK >> item & 1).bool()
        idle_GK |= is_idle_GK.long() << item
    return idle_GK


def fit(seen_ND: Float[Tensor, "N D"], first_is_right_N: Bool[Tensor, " N"]) -> Judge:
    """The judge that transcripts make, with their right answers."""
    return Judge(torch.from_numpy(fit_logistic(seen_ND.numpy(), first_is_right_N.double().numpy(), _PRICE)))


def hits(belief_GK: Float[Tensor, "G K"], first_is_right_G: Bool[Tensor, " G"]) -> Float[Tensor, "G K"]:
    """1 where the verdict is right, 0 where it is wrong, ½ where the judge cannot say."""
    verdict_GK = torch.where(belief_GK == 0.5, 0.5, (belief_GK > 0.5).double())
    return torch.where(first_is_right_G.unsqueeze(-1), verdict_GK, 1 - verdict_GK)
