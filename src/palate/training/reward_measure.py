"""What a reward model is worth on preferences that it did not learn from: accuracy, length, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.core.records import Preference
from palate.functional.calibration import confidence, error_spread, fit_temperature, reliability
from palate.functional.length import antisymmetric_correlation
from palate.models import scoring
from palate.models.tokenizers import pad_id_of
from palate.training.pairs import Heldout, Pair, encode, judge_heldout
from palate.training.reward_batch import sides_of
from palate.training.run import Run

_Z: Final = 1.959964
_LEAST: Final = 50
"""Held-out preferences below which calibration says nothing."""
_FOLLOWS: Final = 0.5
"""Correlation of margin and length from which a word of warning stands beside the accuracy."""


class Calibration(NamedTuple):
    """How honest a reward model's probabilities are."""

    temperature: float
    """Fitted on all held-out preferences: σ(margin / temperature) is what the model may claim."""
    error: float
    """Expected calibration error in ten bins of equal count; each half's temperature comes from the other half."""
    low: float
    """95 % interval: the error and 1.96 times its spread over resamples of prompts."""
    high: float
    n: int
    bins: list[tuple[float, float, int]]
    """(stated, observed, how many), for the picture."""

    @property
    def facts(self) -> dict[str, Any]:
        """For a manifest."""
        return self._asdict()


def measure(
    reward: Any, tokenizer: PreTrainedTokenizerBase, heldout: Sequence[Preference], max_tokens: int, run: Run
) -> tuple[Heldout, dict[str, Any]]:
    """How a reward model does on held-out preferences; those that are too long are left out here too.

    Args:
        reward: Any reward model, an ensemble too.
        tokenizer: Its tokenizer.
        heldout: On prompts that nothing was learned from.
        max_tokens: As in training.
        run: Each preference's margin goes to a file in its folder.

    Returns:
        Accuracy, and facts for the manifest: `heldout_length_correlation` and `calibration` where they can be had.
    """
    pairs = encode(tokenizer, heldout, max_tokens).rows
    margins_N = _margins(reward, tokenizer, pairs)
    clear = [index for index, pair in enumerate(pairs) if pair.p_chosen > 0.5]
    found = judge_heldout(run.folder, [pairs[i] for i in clear], margins_N[clear])
    facts: dict[str, Any] = dict(found.facts)
    if clear:
        longer_N = torch.tensor([float(pairs[i].extra_characters) for i in clear])
        correlation = float(antisymmetric_correlation(margins_N[clear], longer_N))
        facts["heldout_length_correlation"] = correlation
        _warn_of_length(found, correlation, run)
    calibrated = calibrate(margins_N, pairs, run)
    if calibrated is not None:
        facts["calibration"] = calibrated.facts
    return found, facts


def calibrate(margins_N: Float[Tensor, " N"], pairs: Sequence[Pair], run: Run) -> Calibration | None:
    """Temperature and calibration error, or None with a word why not.

    Prompts are parted into two halves by their id. Each half's probabilities use the temperature of the other,
    so none is measured on what it was fitted to, and every preference counts.
    """
    if len(pairs) < _LEAST:
        return None
    labels_N, weights_N = (torch.tensor([getattr(p, name) for p in pairs]) for name in ("p_chosen", "weight"))
    half_N = torch.tensor([int(content_id("half", pair.prompt_id), 16) % 2 == 0 for pair in pairs])
    stated_N, came_N = torch.zeros(len(pairs)), torch.zeros(len(pairs))
    try:
        temperature = fit_temperature(margins_N, labels_N, weights_N)
        for here_N in (half_N, ~half_N):
            other = fit_temperature(margins_N[~here_N], labels_N[~here_N], weights_N[~here_N])
            stated_N[here_N], came_N[here_N] = confidence(margins_N[here_N], labels_N[here_N], temperature=other)
    except DataError as error:
        run.progress.note(f"not calibrated: {error.what}")
        return None
    found = reliability(stated_N, came_N)
    half = _Z * error_spread(stated_N, came_N, [pair.prompt_id for pair in pairs])
    columns = (found.stated_K.tolist(), found.observed_K.tolist(), found.counts_K.tolist())
    bins = list(zip(*columns, strict=True))
    return Calibration(temperature, found.error, max(found.error - half, 0.0), found.error + half, len(pairs), bins)


def _margins(reward: Any, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]) -> Float[Tensor, " N"]:
    """Chosen minus rejected; a completion in several pairs is scored once."""
    sides = sides_of(pairs)
    scores = scoring.scores(reward, sides.prompts, sides.completions, pad_id=pad_id_of(tokenizer))
    chosen_N, rejected_N = scores[sides.place_N2].unbind(1)
    return chosen_N - rejected_N


def _warn_of_length(found: Heldout, correlation: float, run: Run) -> None:
    if abs(correlation) > _FOLLOWS:
        run.progress.note(
            f"margins follow length (correlation {correlation:+.2f}); preferring the longer text alone is right on "
            f"{found.longer_wins:.1%}. --length-head takes out what length explains"
        )
