"""What the journal holds for a dataset, all of one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from palate.core.ids import content_id
from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Completion, Judgement, Preference, Prompt, Verdict
from palate.preferences.aggregate import MODELS, PRIOR, aggregate
from palate.preferences.recommend import believe
from palate.preferences.voices import by_comparison, counted
from palate.preferences.votes import votes_of
from palate.store import consents, opinions, rows
from palate.store.journal import Journal
from palate.store.judgements import judgements as stored_judgements
from palate.store.judgements import without_superseded

_STEP = 500
MODEL: Final = "model"
"""The task of judgements that `palate judge` brought."""
VERDICTS_OF_MODELS: Final = {
    "apart": "they are left out",
    "with": "each is a vote as a person's",
    "gaps": "they count where no person has judged",
    "alone": "nothing else counts",
}
"""What can become of verdicts of models that were asked besides people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Preferences, what they were made from, and what was left out."""

    preferences: list[Preference]
    policies: list[tuple[str, str]]
    """For each preference, who wrote the chosen and the rejected completion."""
    comparisons: list[Comparison]
    written: list[Judgement]
    """All judgements of these comparisons."""
    judgements: list[Judgement]
    """Those that count: each rater once on each comparison."""
    dropped: Counter[str]
    """Comparisons without a preference, by reason."""
    uncounted: Counter[str]
    """Judgements that did not shape a label, by reason."""
    shown: dict[str, tuple[Completion, Completion]]
    """For each comparison, its two completions."""
    prompts: dict[str, Prompt]
    """By id."""
    reason: str = ""
    """Why labels were made as they were, where the data decided."""
    groups: dict[str, str] = field(default_factory=dict)
    """Of each rater who judged and told one, their group."""
    said: dict[str, float] = field(default_factory=dict)
    """Of comparisons whose label is what models said, how probable they think it that the first side is better."""

    @property
    def unfinished(self) -> set[str]:
        """Comparisons with an answer that was cut off."""
        return {id for id, sides in self.shown.items() if not all(side.finished for side in sides)}

    @property
    def id(self) -> str:
        """Id of everything that rows and card are made of, except when a judgement was made."""
        heard = {j.uid for j in self.judgements}
        return content_id(
            "journal",
            {
                "comparisons": [[c.id, c.source] for c in self.comparisons],
                "judgements": [[*_content(j), j.uid in heard] for j in sorted(self.written, key=lambda j: j.uid)],
                "kinds": [_kind(p) for p in self.preferences],
                # They came later: where nobody told one, ids stay what they were.
                **({"groups": dict(sorted(self.groups.items()))} if self.groups else {}),
                **({"said": [[id, repr(p)] for id, p in sorted(self.said.items())]} if self.said else {}),
            },
        )


def collect(
    journal: Journal,
    *,
    sources: Sequence[str] = (),
    besides: Sequence[str] = (),
    label: str = "soft",
    minimum: int = 1,
    prior: float = PRIOR,
    models: str = "apart",
    soft_models: bool = False,
    raters: Callable[[str], bool] | None = None,
    progress: Progress = SILENT,
) -> Contents:
    """Read the journal once, and aggregate each comparison; each rater has one vote.

    Args:
        journal: The journal. All of it is read in one transaction, so what is written meanwhile is not
            seen, and writers do not wait.
        sources: Only comparisons of these sources; all when none is named.
        besides: No comparison of a source that begins so.
        label: See `aggregate`.
        minimum: See `aggregate`. Where models fill the gaps that people left, one of their verdicts is enough.
        prior: See `aggregate`.
        models: One of `VERDICTS_OF_MODELS`.
        soft_models: What models alone have judged is labelled by the probability that they named, not by their verdict.
        raters: Only judgements of the raters for whom it is true; of all when not given.
        progress: Who listens.
    """
    with journal.reading():
        comparisons = rows.comparisons(journal, sources)
        written = stored_judgements(journal, sources, current=False)
        prompts, completions = rows.prompts(journal), rows.completions(journal)
        withdrawn = consents.withdrawn(journal)
        told_groups = {rater.id: rater.group for rater in rows.raters(journal).values() if rater.group}
        sure = opinions.probabilities(journal, sources) if soft_models else {}
    if besides:
        comparisons = [c for c in comparisons if not c.source.startswith(tuple(besides))]
        known = {c.id for c in comparisons}
        written = [j for j in written if j.comparison in known]
    closed = {c.id for c in comparisons if not withdrawn.isdisjoint((c.first, c.second))}
    if closed:
        # Neither the dataset nor the file of judgements beside it may hold what they said.
        comparisons = [c for c in comparisons if c.id not in closed]
        written = [j for j in written if j.comparison not in closed]
    written = heeded(written, models)
    if raters is not None:
        written = [j for j in written if raters(j.rater)]
    judgements = counted(written)
    groups = by_comparison(judgements)
    believed, reason = _believed(written, label, prior)
    said = {id: p for id, given in groups.items() if (p := _said(given, sure)) is not None} if soft_models else {}
    shown = {c.id: (completions[c.first], completions[c.second]) for c in comparisons}
    preferences, policies, dropped = [], [], Counter[str]({"consent taken back": len(closed)} if closed else {})
    progress.start("aggregating", len(comparisons))
    for number, comparison in enumerate(comparisons, start=1):
        first, second = shown[comparison.id]
        given = groups.get(comparison.id, [])
        told: dict[str, Any] = {
            "label": label,
            "minimum": 1 if models == "gaps" and _of_models(given) else minimum,
            "prior": prior,
            "believed": said.get(comparison.id, believed.get(comparison.id)),
        }
        result = aggregate(comparison, prompts[comparison.prompt], (first.text, second.text), given, **told)
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
        written=written,
        judgements=judgements,
        dropped=dropped,
        uncounted=_uncounted(written, judgements),
        shown=shown,
        prompts={c.prompt: prompts[c.prompt] for c in comparisons},
        reason=reason,
        groups={rater: told_groups[rater] for rater in sorted({j.rater for j in written} & told_groups.keys())},
        said={p.comparison: said[p.comparison] for p in preferences if p.comparison in said},
    )


def heeded(written: list[Judgement], models: str) -> list[Judgement]:
    """Judgements that are heard, where some are of models that were asked besides; see `VERDICTS_OF_MODELS`."""
    if models == "with":
        return written
    people = [j for j in written if j.task != MODEL]
    if models == "apart":
        return people
    asked = [j for j in written if j.task == MODEL]
    if models == "alone":
        return asked
    known = by_comparison(people)
    return [j for j in written if j.task != MODEL or j.comparison not in known]


def _of_models(given: Sequence[Judgement]) -> bool:
    return bool(given) and all(j.task == MODEL for j in given)


def _said(given: Sequence[Judgement], sure: Mapping[tuple[str, str], float]) -> float | None:
    """The mean of what models said of a comparison; None where a person judged it too, or a verdict came without."""
    said = [sure.get((j.rater, j.comparison)) if j.task == MODEL else None for j in given]
    return None if None in said else sum(p for p in said if p is not None) / len(said)


def _believed(written: list[Judgement], label: str, prior: float) -> tuple[dict[str, float], str]:
    """For a label that needs all comparisons, what is believed of each, and why so."""
    if label not in MODELS or not written:
        return {}, ""
    votes = votes_of(written)
    beliefs = believe(votes, label, prior=prior)
    return dict(zip(votes.comparisons, beliefs.p_first.tolist(), strict=True)), beliefs.choice.reason


def _kind(p: Preference) -> list[str]:
    # A language came later: where there is none, ids stay what they were.
    return [p.comparison, p.prompt.kind, *([p.prompt.language] if p.prompt.language else [])]


def _content(j: Judgement) -> list[object]:
    # Not `judged_at`: the same judgement sent to another journal may be stamped later.
    seconds = None if j.seconds is None else repr(float(j.seconds))
    said = [j.uid, j.comparison, j.rater, j.verdict.value, j.strength, list(j.reasons), j.note, j.guideline]
    # So did these two.
    later = [
        [name, value] for name, value in (("swapped", j.swapped), ("task", j.task)) if value not in (False, "normal")
    ]
    return [*said, seconds, j.supersedes, *later]


def _uncounted(written: list[Judgement], heard: list[Judgement]) -> Counter[str]:
    named = {Verdict.SKIP: "skipped", Verdict.BOTH_BAD: "both bad"}
    found = Counter(named[j.verdict] for j in heard if j.verdict in named)
    standing = len(without_superseded(written))
    found["superseded by a correction"] = len(written) - standing
    found["judged again by the same rater"] = standing - len(heard)
    return +found
