"""Each rater's record: how well, how evenly, how fast. For a coach's page first, and for a lead after that.

Skill has two sources, and nobody is called suspect by one of them alone: check items, whose answer is known, and
overlap with others, which also punishes a taste of one's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from palate.core.records import TASKS
from palate.preferences.analytic import share, shares_by, spoken
from palate.preferences.dawid_skene import Labels, one_coin
from palate.preferences.recommend import SKILL_PRIOR, with_others
from palate.preferences.resampling import Estimate, unknown
from palate.preferences.votes import DIRECTED, FIRST, SIDES, SKIP, Votes

HASTE_SECONDS: Final = 8.0
HASTE_SHARE: Final = 0.25
"""Of the time that reading both answers is expected to take."""
CHARACTERS_A_SECOND: Final = 25.0
"""Reading: 250 words a minute, of 6 characters with the space (Brysbaert 2019: 238 words of English prose)."""
TIMED: Final = 10
"""Judgements with a time, below which nobody is called hasty."""
PASS: Final = 0.75
"""Share of check items that a rater should get right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One rater's record; a figure that cannot be known has n = 0."""

    rater: str
    judgements: int
    """All that stand, with skips and repeats."""
    checks: Estimate
    """Share of check items answered as expected."""
    agreement: Estimate
    """How often the others of a comparison say the same."""
    skill: float
    """How often the rater is right where a side was named, learned from overlap (one coin); NaN when never."""
    left: Estimate
    """How often the left one was chosen, of verdicts that name a side; 50 % when position does not matter."""
    longer: Estimate
    """How often the longer one was chosen."""
    repeats: Estimate
    """How often the rater says the same when asked again."""
    median_s: float
    """Seconds for a judgement; NaN when unknown."""
    reading_share: float
    """Median of that over the expected reading time; NaN when unknown."""
    hasty: str
    """Why the rater seems hasty; empty when not."""
    suspect: bool
    """Below the bar on check items *and* far below the others in overlap."""


class Biases(NamedTuple):
    """Of all raters together."""

    left: Estimate
    longer: Estimate
    seconds: float
    """Median of a judgement."""


def qualities(votes: Votes, expected: np.ndarray | None = None) -> list[Quality]:
    """The record of each rater who judged anything, in the order of `votes.raters`.

    Args:
        votes: All of them, repeats among them.
        expected: For each comparison the known label, or -1.
    """
    raters, voices = len(votes.raters), votes.voices()
    judged = np.bincount(votes.rater, minlength=raters)
    checks = check_accuracy(votes, expected) if expected is not None else [unknown()] * raters
    agreement, skill = with_others(voices), _skill(voices, expected)
    left, longer, repeats = left_by_rater(votes), longer_by_rater(votes), repeated_by_rater(votes)
    median, ratio, timed = speed(votes)
    usual = _usual(agreement)
    return [
        Quality(
            rater=votes.raters[r],
            judgements=int(judged[r]),
            checks=checks[r],
            agreement=agreement[r],
            skill=float(skill[r]),
            left=left[r],
            longer=longer[r],
            repeats=repeats[r],
            median_s=float(median[r]),
            reading_share=float(ratio[r]),
            hasty=haste(float(median[r]), float(ratio[r]), int(timed[r])),
            suspect=checks[r].n > 0 and checks[r].high < PASS and agreement[r].n > 0 and agreement[r].high < usual,
        )
        for r in np.flatnonzero(judged).tolist()
    ]


def check_accuracy(votes: Votes, expected: np.ndarray) -> list[Estimate]:
    """For each rater, the share of comparisons with a known answer that they answered so, of their first answer.

    Onboarding does not count: it teaches.
    """
    rows = votes.where((expected[votes.comparison] >= 0) & (votes.label != SKIP))
    rows = rows.where(~np.isin(rows.task, (TASKS.index("onboarding"), TASKS.index("repeat"))))
    key = rows.comparison.astype(np.int64) * len(rows.raters) + rows.rater
    _, first = np.unique(key, return_index=True)
    rows = rows.where(first)
    right = rows.label == expected[rows.comparison]
    return shares_by(rows.rater, right, np.ones(len(rows)), len(votes.raters))


def left_by_rater(votes: Votes) -> list[Estimate]:
    """For each rater how often the left one was chosen."""
    rows = votes.where(votes.label < SIDES)
    return shares_by(rows.rater, _chose_left(rows), np.ones(len(rows)), len(votes.raters))


def longer_by_rater(votes: Votes) -> list[Estimate]:
    """For each rater how often the longer one was chosen, where the two differ in length."""
    rows = _of_known_length(votes)
    return shares_by(rows.rater, _chose_longer(rows), np.ones(len(rows)), len(votes.raters))


def biases(votes: Votes) -> Biases:
    """Left-side bias, length bias and speed of all raters; verdicts on one comparison hang together."""
    rows = votes.where(votes.label < SIDES)
    left = _by_comparison(rows, _chose_left(rows))
    rows = _of_known_length(votes)
    timed = votes.seconds[np.isfinite(votes.seconds)]
    return Biases(left, _by_comparison(rows, _chose_longer(rows)), float(np.median(timed)) if len(timed) else math.nan)


def repeated_by_rater(votes: Votes) -> list[Estimate]:
    """For each rater, how often a marked repeat has the verdict that they gave before; a tie is a verdict."""
    rater, _, same = repeats(votes)
    return shares_by(rater, same, np.ones(len(same)), len(votes.raters))


def repeats(votes: Votes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(rater, comparison, whether the verdict was the same)` of each marked repeat with a verdict before it."""
    directed = votes.where(votes.label < DIRECTED)
    key = directed.comparison.astype(np.int64) * len(directed.raters) + directed.rater
    order = np.argsort(key, kind="stable")
    later, earlier = order[1:], order[:-1]
    pair = (key[later] == key[earlier]) & (directed.task[later] == TASKS.index("repeat"))
    later, earlier = later[pair], earlier[pair]
    return directed.rater[later], directed.comparison[later], directed.label[later] == directed.label[earlier]


def speed(votes: Votes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each rater `(median seconds, median share of the expected reading time, judgements with a time)`."""
    timed = votes.where(np.isfinite(votes.seconds))
    expected = reading_seconds(timed)
    median = _median_by(timed.rater, timed.seconds, len(votes.raters))
    known = expected > 0
    ratio = _median_by(timed.rater[known], timed.seconds[known] / expected[known], len(votes.raters))
    return median, ratio, np.bincount(timed.rater, minlength=len(votes.raters))


def reading_seconds(votes: Votes) -> np.ndarray:
    """How long reading both answers of each row is expected to take; 0 where their length is unknown."""
    characters = np.maximum(votes.length, 0).sum(axis=1)[votes.comparison]
    return np.asarray(characters / CHARACTERS_A_SECOND)


def haste(median_s: float, reading_share: float, timed: int) -> str:
    """Why a rater seems hasty, in words for themselves; empty when not, or when too little is known."""
    if timed < TIMED:
        return ""
    if median_s < HASTE_SECONDS:
        return f"half of the judgements took less than {median_s:.0f} seconds"
    if reading_share < HASTE_SHARE:
        return f"half of the judgements took less than {reading_share:.0%} of the time that reading takes"
    return ""


def sentence(quality: Quality) -> str:
    """What a coach's page says; it never says more than is known."""
    parts = [f"You have judged {quality.judgements:,} times."]
    if quality.agreement.n:
        parts.append(f"The others say the same as you {spoken(quality.agreement)} of the time.")
    if quality.checks.n:
        parts.append(f"Of comparisons with a known answer you got {spoken(quality.checks)}.")
    if quality.repeats.n:
        parts.append(f"Asked again, you gave the same verdict {spoken(quality.repeats)} of the time.")
    if quality.left.n and not quality.left.low <= 0.5 <= quality.left.high:
        side = "left" if quality.left.value > 0.5 else "right"
        parts.append(f"You choose the {side} one more often than chance: the left one {spoken(quality.left)}.")
    if quality.hasty:
        parts.append(f"It seems hasty: {quality.hasty}.")
    return " ".join(parts)


def biases_sentence(found: Biases) -> str:
    """What a page says of position and length."""
    if not found.left.n:
        return "No verdict names a side yet."
    even = found.left.low <= 0.5 <= found.left.high
    told = f"The left one was chosen {spoken(found.left)}: " + (
        "no sign that position matters." if even else "position matters, although sides are dealt evenly."
    )
    if found.longer.n:
        told += f" The longer one was chosen {spoken(found.longer)}."
    return told


def _chose_left(rows: Votes) -> np.ndarray:
    return np.asarray((rows.label == FIRST) != rows.swapped)


def _of_known_length(votes: Votes) -> Votes:
    length = votes.length[votes.comparison]
    return votes.where((votes.label < SIDES) & (length.min(axis=1) >= 0) & (length[:, 0] != length[:, 1]))


def _chose_longer(rows: Votes) -> np.ndarray:
    length = rows.length[rows.comparison]
    return np.asarray((rows.label == FIRST) == (length[:, 0] > length[:, 1]))


def _by_comparison(rows: Votes, chosen: np.ndarray) -> Estimate:
    size = len(rows.comparisons)
    whole = np.bincount(rows.comparison, minlength=size)
    return share(np.bincount(rows.comparison, weights=chosen, minlength=size), whole)


def _median_by(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """The median of each group's values; NaN for a group without one."""
    order = np.lexsort((values, group))
    values, sizes = values[order], np.bincount(group, minlength=groups)
    start = np.cumsum(sizes) - sizes
    some = sizes > 0
    result = np.full(groups, np.nan)
    low, high = (start + (sizes - 1) // 2)[some], (start + sizes // 2)[some]
    result[some] = (values[low] + values[high]) / 2
    return result


def _skill(voices: Votes, expected: np.ndarray | None) -> np.ndarray:
    """How often each rater is right by the one-coin model, check items among what is known."""
    rows = voices.where(voices.label < SIDES)
    if not len(rows):
        return np.full(len(voices.raters), np.nan)
    known = None if expected is None else np.where(expected < SIDES, expected, -1)
    labels = Labels(rows.comparison, rows.rater, rows.label, len(rows.comparisons), len(rows.raters), SIDES)
    even = np.full(SIDES, 1 / SIDES)
    return one_coin(labels, prior=SKILL_PRIOR, shares=even, known=known, steps=100, tolerance=1e-7).accuracy_R


def _usual(found: list[Estimate]) -> float:
    n = sum(one.n for one in found)
    return sum(one.value * one.n for one in found if one.n) / n if n else 0.0
