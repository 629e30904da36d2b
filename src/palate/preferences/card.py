"""The card of a dataset: what a person should know before using it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from palate.core.artefacts import Manifest
from palate.core.records import Judgement, Preference, Verdict
from palate.preferences.agreement import agreement, agreement_by_rater, krippendorff_alpha
from palate.preferences.contents import Contents
from palate.preferences.resampling import Estimate, ratio, unknown
from palate.preferences.voices import DIRECTED, by_comparison

SIDES = (Verdict.FIRST, Verdict.SECOND)


def write_card(
    manifest: Manifest, contents: Contents, split: Mapping[str, Sequence[Preference]], notes: Sequence[str] = ()
) -> str:
    """The card as Markdown; the same contents give the same text.

    Args:
        manifest: Of the dataset.
        contents: What it was made from.
        split: Its rows.
        notes: Sentences on gates, labels and raters; none, and the card has no such section.
    """
    sections = [
        [f"# Dataset `{manifest.id}`", "", *_amounts(manifest, contents, split)],
        ["## Can it be trusted?", "", *_trust(contents)],
        ["## Raters", "", *_raters(contents)],
        ["## Where it comes from", "", *_sources(contents), "", *_policies(contents)],
        ["## What was left out", "", *_left_out(contents)],
        ["## Kinds of prompts", "", *_kinds(contents)],
    ]
    if notes:
        sections.append(["## Notes", "", *(f"- {_name(note)}" for note in notes)])
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _amounts(manifest: Manifest, contents: Contents, split: Mapping[str, Sequence[Preference]]) -> list[str]:
    judgements, preferences = contents.judgements, contents.preferences
    prompts = {name: len({p.prompt.id for p in split[name]}) for name in split}
    times = sorted(j.judged_at for j in judgements)
    config = manifest.config
    soft = f", with {config['prior']:g} votes imagined for each side" if config["label"] == "soft" else ""
    return [
        f"- {len(preferences)} preferences on {sum(prompts.values())} prompts, from {len(contents.comparisons)} "
        f"comparisons and {len(judgements)} judgements by {len({j.rater for j in judgements})} raters",
        f"- train: {len(split['train'])} preferences on {prompts['train']} prompts; held out: "
        f"{len(split['heldout'])} on {prompts['heldout']} prompts; no prompt is on both sides",
        f"- label: {config['label']}{soft}",
        f"- judged from {times[0]} to {times[-1]}" if times else "- never judged",
    ]


def _trust(contents: Contents) -> list[str]:
    judgements = contents.judgements
    verdicts = Counter(j.verdict for j in judgements)
    alpha = krippendorff_alpha(judgements)
    return [
        "Intervals are 95 %, resampled by comparison. Where that always gives the same, as when all agree, they are",
        "Wilson's (1927), with each comparison as one trial. A rater counts once on each comparison.",
        "",
        f"- two raters of one comparison agree: {_percent(agreement(judgements))} pairs of raters",
        f"- the same, with a tie against a side as half: {_percent(agreement(judgements, tie_credit=0.5))}",
        f"- Krippendorff's alpha (nominal; 1 is perfect, 0 is chance): {_decimal(alpha)}",
        f"- verdicts: {', '.join(f'{name} {verdicts[name]}' for name in Verdict if verdicts[name])}",
        f"- ties: {_percent(_share(judgements, DIRECTED, Verdict.TIE))} judgements",
        f"- the longer completion was chosen: {_percent(_longer(contents.preferences))} decided comparisons "
        "(50 % when length does not matter)",
        f"- the first completion was chosen: {_percent(_share(judgements, SIDES, Verdict.FIRST))} judgements "
        "(50 % when position does not matter)",
    ]


def _raters(contents: Contents) -> list[str]:
    judged = Counter(j.rater for j in contents.judgements)
    found = agreement_by_rater(contents.judgements)
    rows = [[rater, str(judged[rater]), _percent(found.get(rater, unknown()))] for rater in sorted(judged)]
    return _table(["rater", "judgements", "agrees with the others; n pairs of raters"], rows)


def _sources(contents: Contents) -> list[str]:
    source = {comparison.id: comparison.source for comparison in contents.comparisons}
    columns = [
        Counter(source.values()),
        Counter(source[j.comparison] for j in contents.judgements),
        Counter(source[p.comparison] for p in contents.preferences),
    ]
    rows = [[name, *(str(column[name]) for column in columns)] for name in sorted(columns[0])]
    return _table(["source", "comparisons", "judgements", "preferences"], rows)


def _policies(contents: Contents) -> list[str]:
    chosen, rejected, even = Counter[str](), Counter[str](), Counter[str]()
    for preference, (better, worse) in zip(contents.preferences, contents.policies, strict=True):
        if preference.p_chosen > 0.5:
            chosen[better] += 1
            rejected[worse] += 1
        else:
            even.update((better, worse))
    names = sorted(chosen.keys() | rejected.keys() | even.keys())
    rows = [[name, str(chosen[name]), str(rejected[name]), str(even[name])] for name in names]
    return _table(["policy", "completions chosen", "rejected", "neither"], rows)


def _left_out(contents: Contents) -> list[str]:
    lines = [f"- comparisons, {reason}: {count}" for reason, count in sorted(contents.dropped.items())]
    lines += [f"- judgements, {reason}: {count}" for reason, count in sorted(contents.uncounted.items())]
    return lines or ["- nothing"]


def _kinds(contents: Contents) -> list[str]:
    preferences = Counter(p.prompt.kind for p in contents.preferences)
    prompts = Counter(kind for _, kind in {(p.prompt.id, p.prompt.kind) for p in contents.preferences})
    rows = [[kind, str(preferences[kind]), str(prompts[kind])] for kind in sorted(preferences)]
    return _table(["kind", "preferences", "prompts"], rows)


def _share(judgements: Sequence[Judgement], among: Sequence[Verdict], wanted: Verdict) -> Estimate:
    """Share of the `wanted` verdict among others; the verdicts of a comparison hang together."""
    groups = [[j.verdict for j in group if j.verdict in among] for group in by_comparison(judgements).values()]
    return ratio([group.count(wanted) for group in groups], [len(group) for group in groups])


def _longer(preferences: Sequence[Preference]) -> Estimate:
    """Share of decided comparisons whose longer text, in characters, was chosen."""
    decided = [p for p in preferences if p.p_chosen > 0.5 and len(p.chosen) != len(p.rejected)]
    return ratio([float(len(p.chosen) > len(p.rejected)) for p in decided], [1.0] * len(decided))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table whose first column holds names and whose others hold figures."""
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in [head, rule, *([_name(row[0]), *row[1:]] for row in rows)]]


def _name(text: str) -> str:
    """A name that somebody else chose, so that it cannot end its cell, its line or the card."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return "".join(f"\\{c}" if c in r"\|`*_<>[]&" else c for c in shown) or "(none)"


def _percent(estimate: Estimate) -> str:
    if estimate.n == 0:
        return "not known, n = 0"
    return f"{estimate.value:.1%} [{estimate.low:.1%}, {estimate.high:.1%}], n = {estimate.n}"


def _decimal(estimate: Estimate) -> str:
    if estimate.n == 0:
        return "not known, n = 0"
    if math.isnan(estimate.value):
        return f"not known, only one verdict was given, n = {estimate.n} judgements"
    ends = f"[{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f} {ends}, n = {estimate.n} judgements of {estimate.units} comparisons"
