"""All statistics of a journal in one call, each with its interval, its n and a sentence: what a dashboard shows.

A million judgements of 400,000 comparisons take well under a minute on one core, and some 0.5 GB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from palate.preferences import coverage, divergence, minorities, raters, recommend, reliability
from palate.preferences.resampling import Estimate
from palate.preferences.votes import VERDICTS, Votes, votes_of_columns
from palate.store import check_items
from palate.store.columns import judgement_columns
from palate.store.journal import Journal

SPLIT: Final = 20
"""Comparisons that are shown as the most split."""


class Overview(NamedTuple):
    """Everything that is known of how people judged."""

    agreement: reliability.Agreement
    by_guideline: dict[str, reliability.Agreement]
    """Of each version, where there are several."""
    raters: list[raters.Quality]
    skill_full: np.ndarray
    """Of each rater in `votes.raters`, how often they are right by the full model; NaN where unknown."""
    biases: raters.Biases
    disagreement: divergence.Disagreement
    most_split: list[divergence.Split]
    groups: list[minorities.Group]
    coverage: coverage.Coverage
    choice: recommend.Choice
    """The label that is recommended, and why."""
    methods: dict[str, Estimate]
    """How often each method is right where the answer is known; empty without known answers."""


def overview(
    votes: Votes,
    *,
    expected: np.ndarray | None = None,
    group: np.ndarray | None = None,
    groups: Sequence[str] = (),
    axes: Mapping[str, Sequence[str]] | None = None,
    expected_names: Mapping[str, Sequence[str]] | None = None,
) -> Overview:
    """Compute all of it.

    Args:
        votes: All judgements, marked repeats among them.
        expected: For each comparison the known label, or -1.
        group: Of each rater, the number of their group, or -1.
        groups: Names of the groups.
        axes: Of comparisons, such as category and language: for each a name a comparison.
        expected_names: Of an axis, what should be there.
    """
    told = np.full(len(votes.raters), -1) if group is None else group
    rater_axes = {"group": [groups[g] if g >= 0 else "" for g in told.tolist()]} if groups else None
    full = recommend.believe(votes, "dawid-skene")
    several = len(np.unique(votes.guideline)) > 1
    return Overview(
        agreement=reliability.agreement_of(votes),
        by_guideline=reliability.by_guideline(votes) if several else {},
        raters=raters.qualities(votes, expected),
        skill_full=np.full(len(votes.raters), np.nan) if full.skills is None else full.skills.accuracy_R,
        biases=raters.biases(votes),
        disagreement=divergence.disagreement(votes, group),
        most_split=divergence.most_split(votes, SPLIT),
        groups=minorities.groups(votes, told, groups),
        coverage=coverage.coverage(votes, axes or {}, rater_axes, expected=expected_names),
        choice=recommend.choose(votes),
        methods={} if expected is None else recommend.against_known(votes, expected, {"dawid-skene": full}),
    )


def overview_of(journal: Journal, sources: Sequence[str] = ()) -> Overview:
    """Everything about the judgements of a journal, of comparisons of some sources or of all.

    Groups are those that raters told, topics and languages those of prompts, known answers those of check items.
    """
    with journal.reading():
        columns = judgement_columns(journal, sources)
        known = {item.comparison: VERDICTS.index(item.expected) for item in check_items.all(journal)}
    names = sorted(set(columns.groups) - {""})
    place = {name: number for number, name in enumerate(names)}
    return overview(
        votes_of_columns(columns),
        expected=np.array([known.get(id, -1) for id in columns.comparisons], dtype=np.int64) if known else None,
        group=np.array([place.get(name, -1) for name in columns.groups], dtype=np.int64) if names else None,
        groups=names,
        axes={
            "topic": [columns.topics[number] for number in columns.topic],
            "language": [columns.languages[number] for number in columns.language],
        },
    )


def sentences(found: Overview) -> dict[str, str]:
    """What a page says beside each figure, by its name."""
    told = {
        "agreement": reliability.sentence(found.agreement),
        "biases": raters.biases_sentence(found.biases),
        "disagreement": divergence.sentence(found.disagreement),
        "coverage": coverage.sentence(found.coverage),
        "labels": found.choice.reason,
    }
    if found.methods:
        told["methods"] = recommend.against_known_sentence(found.methods)
    for group in found.groups:
        told[f"group {group.name}"] = minorities.sentence(group)
    for version, agreement in found.by_guideline.items():
        told[f"guideline {version}"] = reliability.sentence(agreement)
    suspects = [quality.rater for quality in found.raters if quality.suspect]
    hasty = [quality.rater for quality in found.raters if quality.hasty]
    if suspects:
        told["suspects"] = f"Below the bar on check items, and far below the others: {', '.join(suspects)}."
    if hasty:
        told["haste"] = f"Faster than one can read: {', '.join(hasty)}. Tell them before anything else."
    return told
