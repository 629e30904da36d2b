"""What to believe of each comparison, by the method that the data ask for.

A majority is as good as anything while raters are about equally careful, and nobody has to explain it. Weights by
skill win where some raters are clearly careless, and enough others judged the same comparisons to show it. So a
majority is what is recommended until the data say otherwise, and the reason is given either way.

A rater who differs from the others but not from themself has another taste: that is no carelessness.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import ConfigError
from palate.preferences.aggregate import MODELS, PRIOR
from palate.preferences.analytic import share, shares_by, spoken
from palate.preferences.dawid_skene import Labels, Skills, dawid_skene, one_coin
from palate.preferences.resampling import Estimate
from palate.preferences.votes import DIRECTED, FIRST, SECOND, SIDES, TIE, Votes

SKILL_PRIOR: Final = (8.0, 3.0)
"""Labels imagined of each rater, right and wrong: raters are taken to be decent until they show otherwise."""
RATERS: Final = 5
"""Below so many, weights cannot tell who is right."""
VERDICTS: Final = 20
"""Shared verdicts of a rater, below which nobody is called careless."""
CARELESS_Z: Final = 2.576
"""A rater is careless when the others agree with them so many standard errors less than with each other."""
_STEPS: Final = 100
"""By then a rater's figures stand to two digits."""
_TOLERANCE: Final = 1e-7


class Choice(NamedTuple):
    """Which method, and why."""

    method: str
    """`soft` (the majority leads) or `one-coin`."""
    reason: str
    """One sentence for a page."""
    careless: tuple[str, ...] = ()
    """Raters that the choice rests on."""


class Beliefs(NamedTuple):
    """What is believed of each comparison."""

    p_first: np.ndarray
    """Probability that the first is better; 0.5 where nobody said anything."""
    choice: Choice
    skills: Skills | None
    """What was learned of the raters on the way; None for a majority."""


def choose(votes: Votes, consistent: Collection[str] = ()) -> Choice:
    """The recommended method.

    Args:
        votes: All of them.
        consistent: Raters who are known to say the same when asked again: they are never called careless.
    """
    voices = votes.voices()
    voices = voices.where(voices.label < SIDES)
    active = np.unique(voices.rater)
    if len(active) < RATERS:
        return Choice("soft", f"The majority leads: with {len(active)} raters, weights by skill add nothing.")
    met = with_others(voices)
    judged = np.array([found.units for found in met])
    weak = [
        number
        for number in active[judged[active] >= VERDICTS].tolist()
        if _careless(met, number) and voices.raters[number] not in consistent
    ]
    if not weak:
        return Choice("soft", "The majority leads: no rater stands out as careless.")
    names = tuple(voices.raters[number] for number in weak)
    worst = min(weak, key=lambda number: met[number].value)
    return Choice(
        "one-coin",
        f"Votes are weighted by skill: {len(names)} of {len(active)} raters agree with the others far less than "
        f"the others do among themselves, such as {voices.raters[worst]} with {spoken(met[worst])}.",
        names,
    )


def believe(votes: Votes, method: str = "recommended", *, prior: float = PRIOR) -> Beliefs:
    """What is believed of each comparison.

    Args:
        votes: All of them.
        method: `soft`, `one-coin`, `dawid-skene` or `recommended`.
        prior: Votes imagined for each side of a soft label, see `aggregate.soft_label`.

    Raises:
        ConfigError: there is no such method.
    """
    if method not in ("soft", *MODELS):
        raise ConfigError("there is no such method", expected=", ".join(("soft", *MODELS)), found=method)
    choice = choose(votes) if method == "recommended" else Choice(method, "It was asked for.")
    voices = votes.voices()
    counts = voices.counts(voices.label, DIRECTED)
    if choice.method == "soft" or not len(voices):
        first = counts[:, FIRST] + counts[:, TIE] / 2 + prior
        return Beliefs(first / (counts.sum(axis=1) + 2 * prior), choice, None)
    if choice.method == "dawid-skene":
        skills = dawid_skene(_labels(voices, DIRECTED), prior=0.1, steps=_STEPS, tolerance=_TOLERANCE)
        p_first = skills.posterior_IK[:, FIRST] + skills.posterior_IK[:, TIE] / 2
        return Beliefs(np.where(counts.sum(axis=1) > 0, p_first, 0.5), choice, skills)
    sided = voices.where(voices.label < SIDES)
    if not len(sided):
        return Beliefs(np.full(len(counts), 0.5), choice, None)
    # Which completion stands first is a coin's choice; nobody is believed the other way round.
    skills = one_coin(
        _labels(sided, SIDES),
        prior=SKILL_PRIOR,
        floor=0.5,
        shares=np.full(SIDES, 1 / SIDES),
        steps=_STEPS,
        tolerance=_TOLERANCE,
    )
    sides = counts[:, FIRST] + counts[:, SECOND]
    total = np.maximum(counts.sum(axis=1), 1)
    # A tie is half for each side, as in a soft label.
    return Beliefs((skills.posterior_IK[:, FIRST] * sides + (total - sides) / 2) / total, choice, skills)


def with_others(voices: Votes) -> list[Estimate]:
    """For each rater, how often the other raters of a comparison say the same; `units` counts their verdicts."""
    counts = voices.counts(voices.label, DIRECTED)
    same = counts[voices.comparison, voices.label] - 1
    others = counts.sum(axis=1)[voices.comparison] - 1
    return shares_by(voices.rater, same, others, len(voices.raters))


def sentence(beliefs: Beliefs) -> str:
    """What a page says of the choice."""
    return beliefs.choice.reason


def against_known(
    votes: Votes, expected: np.ndarray, known: Mapping[str, Beliefs] | None = None
) -> dict[str, Estimate]:
    """How often each method is right on comparisons whose answer is known, without being told it.

    Args:
        votes: All of them.
        expected: For each comparison the known side, or -1.
        known: Beliefs by method that are there already.

    Returns:
        By method; a comparison that a method leaves open counts half.
    """
    voices = votes.voices()
    judged = np.bincount(voices.comparison, minlength=len(votes.comparisons)) > 0
    rows = np.flatnonzero((expected >= 0) & (expected < SIDES) & judged)
    found = {}
    for method in ("soft", "one-coin", "dawid-skene"):
        beliefs = (known or {}).get(method) or believe(votes, method)
        p = beliefs.p_first[rows]
        p = np.where(expected[rows] == FIRST, p, 1 - p)
        found[method] = share(np.where(np.isclose(p, 0.5), 0.5, p > 0.5), np.ones(len(rows)))
    return found


def against_known_sentence(found: dict[str, Estimate]) -> str:
    """Says where the majority wins."""
    if not found["soft"].n:
        return "No comparison with a known answer has been judged, so methods cannot be held against each other."
    names = {"soft": "the majority", "one-coin": "weights by skill", "dawid-skene": "Dawid-Skene"}
    told = ", ".join(f"{names[method]} {spoken(estimate)}" for method, estimate in found.items())
    best = max(found, key=lambda method: found[method].value)
    if found["soft"].value >= found[best].value:
        return f"Of known answers, {told}: the majority does as well as anything, or better."
    return f"Of known answers, {told}: {names[best]} does best."


def _careless(met: list[Estimate], number: int) -> bool:
    """Whether the others agree with a rater less than with each other, by more than chance."""
    mine = met[number]
    rest = [found for k, found in enumerate(met) if k != number and found.n]
    n = sum(found.n for found in rest)
    if not n:
        return False
    usual = sum(found.value * found.n for found in rest) / n
    error = (mine.high - mine.low) / (2 * 1.96)
    return mine.value < usual - CARELESS_Z * error


def _labels(voices: Votes, classes: int) -> Labels:
    return Labels(voices.comparison, voices.rater, voices.label, len(voices.comparisons), len(voices.raters), classes)
