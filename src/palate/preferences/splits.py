"""Who is kept for evaluation: prompts, and raters as well.

A reward model that is right on new prompts may still have learned the taste of six people. So raters can be kept
apart too: what they say never shapes a row that is trained on, and stands on held-out prompts in a file of its
own. A prompt, and a rater, stays on its side whatever is added later, because the side is a hash of its id.

| file | prompts | raters |
|---|---|---|
| `train.jsonl` | train | train |
| `heldout.jsonl` | held out | train |
| `unseen_raters.jsonl` | held out | held out |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.records import Judgement

UNSEEN_RATERS: Final = "unseen_raters"


def check_rater_fraction(fraction: float) -> None:
    """Refuse a share of held-out raters that leaves nobody to learn from.

    Raises:
        ConfigError: it is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ConfigError("--heldout-raters is out of range", expected="0 to below 1", found=str(fraction))


def rater_side(rater: str, fraction: float, seed: int) -> str:
    """`train` or `heldout`."""
    return "heldout" if derive_seed(seed, "split raters", rater) / 2**63 < fraction else "train"


def by_rater(judgements: Iterable[Judgement], fraction: float, seed: int) -> tuple[list[Judgement], list[Judgement]]:
    """`(of train raters, of held-out raters)`, each in their order."""
    sides: tuple[list[Judgement], list[Judgement]] = ([], [])
    side: dict[str, bool] = {}
    for judgement in judgements:
        if judgement.rater not in side:
            side[judgement.rater] = rater_side(judgement.rater, fraction, seed) == "heldout"
        sides[side[judgement.rater]].append(judgement)
    return sides


def sentence(raters: Sequence[str], fraction: float, seed: int) -> str:
    """What a card says."""
    held = sum(rater_side(rater, fraction, seed) == "heldout" for rater in raters)
    if not held:
        return "No rater is held out: accuracy on held-out prompts is that on people whom the model knows."
    return f"{held} of {len(raters)} raters are held out: nothing that they said is trained on."
