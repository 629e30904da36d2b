"""What the journal holds for a dataset, all of one moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Judgement, Preference, Verdict
from palate.preferences.aggregate import aggregate
from palate.preferences.agreement import by_comparison
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judgements as stored_judgements
from palate.store.judgements import without_superseded

_STEP = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Preferences, what they were made from, and what was left out."""

    preferences: list[Preference]
    policies: list[tuple[str, str]]
    """For each preference, who wrote the chosen and the rejected completion."""
    comparisons: list[Comparison]
    judgements: list[Judgement]
    dropped: Counter[str]
    """Comparisons without a preference, by reason."""
    undirected: Counter[str]
    """Judgements that say nothing about which is better, by verdict, and those superseded."""


def collect(journal: Journal, *, source: str | None, label: str, minimum: int, progress: Progress = SILENT) -> Contents:
    """Read the journal once, and aggregate each comparison.

    Args:
        journal: The journal; what is written to it meanwhile is not seen.
        source: Only comparisons of this source; None for all.
        label: See `aggregate`.
        minimum: See `aggregate`.
        progress: Who listens.
    """
    with journal.reading():
        comparisons = rows.comparisons(journal, source)
        written = stored_judgements(journal, source, current=False)
        prompts, completions = rows.prompts(journal), rows.completions(journal)
    judgements = without_superseded(written)
    groups = by_comparison(judgements)
    preferences, policies, dropped = [], [], Counter[str]()
    progress.start("aggregating", len(comparisons))
    for number, comparison in enumerate(comparisons, start=1):
        first, second = completions[comparison.first], completions[comparison.second]
        result = aggregate(
            comparison,
            prompts[comparison.prompt],
            (first.text, second.text),
            groups.get(comparison.id, []),
            label=label,
            minimum=minimum,
        )
        if isinstance(result, str):
            dropped[result] += 1
        else:
            preferences.append(result)
            sides = (first.policy, second.policy)
            policies.append(sides if result.chosen == first.text else sides[::-1])
        if number % _STEP == 0:
            progress.advance(number)
    progress.finish(f"{len(preferences)} preferences from {len(comparisons)} comparisons")
    return Contents(
        preferences=preferences,
        policies=policies,
        comparisons=comparisons,
        judgements=judgements,
        dropped=dropped,
        undirected=_undirected(judgements, len(written)),
    )


def _undirected(judgements: list[Judgement], written: int) -> Counter[str]:
    named = {Verdict.SKIP: "skipped", Verdict.BOTH_BAD: "both bad"}
    found = Counter(named[j.verdict] for j in judgements if j.verdict in named)
    found["superseded by a correction"] = written - len(judgements)
    return +found
