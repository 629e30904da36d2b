"""Does it help to leave out comparisons on which raters disagree? Measured on the data at hand.

Filtering is often advised and sometimes harmful: what divides raters also tells where the boundary lies. So three
small models learn from the same prompts, one from the soft labels of all comparisons, one from the majority's
side of all, one from the majority's side of those that enough raters agree on; what held-out raters' votes say of
them, on all held-out comparisons, decides. The model is a logistic one on hashed words and length: it stands for
no reward model, but it reads the same labels.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.core.records import Preference
from palate.preferences.analytic import Z, spoken
from palate.preferences.resampling import Estimate

WORDS: Final = 512
"""Buckets that words are hashed into."""
FOLDS: Final = 5
AGREED: Final = 0.75
"""Share of votes for the leading side, ties half, from which a filter keeps a comparison."""
_PRICE: Final = 1.0
_STEPS: Final = 25
MOST: Final = 5000
"""Comparisons that are measured on; of more, so many are drawn."""
LEAST: Final = 50
"""Comparisons with two or more votes, below which nothing is measured."""


class Filtering(NamedTuple):
    """Held-out loss in nats a vote; lower is better. Differences are against the soft labels of all."""

    soft: Estimate
    majority: Estimate
    """Loss of the majority's side, less that of soft labels."""
    filtered: Estimate
    """Loss after filtering, less that of soft labels."""
    kept: float
    """Share of comparisons that the filter keeps."""
    agreed: float

    @property
    def verdict(self) -> str:
        """`helps`, `hurts`, or `no difference seen`."""
        if self.filtered.high < 0:
            return "helps"
        return "hurts" if self.filtered.low > 0 else "no difference seen"


def measure_filter(
    preferences: Sequence[Preference], *, agreed: float = AGREED, seed: int = 0, words: int = WORDS
) -> Filtering:
    """Cross-validated by prompt; the interval is over held-out prompts.

    Args:
        preferences: With their votes; those of fewer than two votes count as agreed on.
        agreed: See `AGREED`.
        seed: Of the folds.
        words: See `WORDS`.

    Raises:
        DataError: too few comparisons have two votes.
    """
    rows = [p for p in preferences if sum(p.votes) > 0]
    if len(rows) > MOST:
        rng = np.random.default_rng(derive_seed(seed, "sample"))
        rows = [rows[k] for k in np.sort(rng.choice(len(rows), MOST, replace=False)).tolist()]
    several = sum(sum(p.votes) > 1 for p in rows)
    if several < LEAST:
        raise DataError(
            "too few comparisons have two votes to measure a filter",
            expected=f"at least {LEAST}",
            found=str(several),
            hint="collect more overlap",
        )
    x = _features(rows, words)
    votes = np.array([p.votes for p in rows], dtype=float)
    share = (votes[:, 0] + votes[:, 2] / 2) / votes.sum(axis=1)
    side = np.where(share > 0.5, 1.0, np.where(share < 0.5, 0.0, 0.5))
    keep = np.maximum(share, 1 - share) >= agreed
    prompts = {prompt: number for number, prompt in enumerate(dict.fromkeys(p.prompt.id for p in rows))}
    fold_of = {prompt: derive_seed(seed, "fold", prompt) % FOLDS for prompt in prompts}
    fold = np.array([fold_of[p.prompt.id] for p in rows])
    unit = np.array([prompts[p.prompt.id] for p in rows])
    margins = {name: np.zeros(len(rows)) for name in ("soft", "majority", "filtered")}
    for k in range(FOLDS):
        train, held = fold != k, fold == k
        for name, labels, used in (
            ("soft", share, train),
            ("majority", side, train),
            ("filtered", side, train & keep),
        ):
            weights = fit_logistic(x[used], labels[used], _PRICE)
            margins[name][held] = x[held] @ weights
    losses = {name: _loss(found, share) for name, found in margins.items()}
    return Filtering(
        _over_units(losses["soft"], unit),
        _over_units(losses["majority"] - losses["soft"], unit),
        _over_units(losses["filtered"] - losses["soft"], unit),
        float(keep.mean()),
        agreed,
    )


def fit_logistic(x: np.ndarray, labels: np.ndarray, price: float) -> np.ndarray:
    """Weights of P(label) = σ(x w) with a price on their square, by Newton's method; labels may be shares."""
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (labels - p) - price * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x
        curvature[np.diag_indices_from(curvature)] += price
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def sentence(found: Filtering) -> str:
    """What a page says."""
    told = (
        f"Keeping only comparisons of which at least {found.agreed:.0%} of votes agree ({found.kept:.0%} of them) "
        f"changes the held-out loss by {found.filtered.value:+.4f} nats "
        f"({found.filtered.low:+.4f} to {found.filtered.high:+.4f}, n = {found.filtered.n:,}), "
        "against soft labels of all: "
    )
    means = {
        "helps": "filtering helps here.",
        "hurts": "filtering hurts here: keep all, with soft labels.",
        "no difference seen": "no difference can be seen: keep all, with soft labels.",
    }
    return told + means[found.verdict]


def soft_sentence(found: Filtering) -> str:
    """What a page says of soft labels alone."""
    return f"A small model with soft labels has a held-out loss of {spoken(found.soft, percent=False)} nats a vote."


def _features(rows: Sequence[Preference], words: int) -> np.ndarray:
    """Chosen less rejected: hashed words by their square root, and length. Rows are turned to even out the sides."""
    x = np.zeros((len(rows), words + 1))
    for row, p in enumerate(rows):
        for sign, text in ((1.0, p.chosen), (-1.0, p.rejected)):
            found = re.findall(r"\w+", text.casefold())
            for word in found:
                x[row, zlib.crc32(word.encode()) % words] += sign
            x[row, words] += sign * len(text) / 100
    return np.sign(x) * np.sqrt(np.abs(x))


def _loss(margins: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Of each row, at the one temperature that suits the margins best.

    Hard labels make a model boast, and a temperature mends that for nothing.
    """
    margins = margins * fit_logistic(margins[:, None], share, 1e-6)[0]
    return np.asarray(np.logaddexp(0.0, margins) - share * margins)


def _over_units(losses: np.ndarray, unit: np.ndarray) -> Estimate:
    """Mean loss of a row; prompts hang together."""
    n = len(losses)
    value = float(losses.mean())
    pull = np.bincount(unit, weights=losses - value) / n
    half = Z * float(np.sqrt((pull**2).sum() * len(pull) / max(len(pull) - 1, 1)))
    return Estimate(value, value - half, value + half, n, len(pull))
