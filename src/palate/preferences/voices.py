"""One rater, one voice: which of many judgements count.

A rater can judge a comparison more than once: on two devices, after a lease ran out, through two
imports. The journal keeps every row; what we believe hears each rater once on each comparison, by
the last judgement that no other supersedes. Last means last written, so a rater who first chose a
side and then skipped has no vote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from palate.core.records import Judgement, Verdict
from palate.store.judgements import without_superseded

DIRECTED = (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)
"""Verdicts that say which completion is better, or that neither is."""


def counted(judgements: Sequence[Judgement]) -> list[Judgement]:
    """For each rater and comparison the last judgement that no other supersedes.

    Args:
        judgements: In the order in which they were written, as the journal gives them.
    """
    last = {(j.comparison, j.rater): j.uid for j in without_superseded(judgements)}
    return [j for j in judgements if last.get((j.comparison, j.rater)) == j.uid]


def by_comparison(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """Voices with a direction or a tie, grouped by comparison; each rater of a group is in it once."""
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in counted(list(judgements)):
        if judgement.verdict in DIRECTED:
            groups[judgement.comparison].append(judgement)
    return dict(groups)
