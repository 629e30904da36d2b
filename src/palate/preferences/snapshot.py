"""Freeze the journal into a dataset: rows that never change, split by prompt, with a card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id
from palate.core.records import Comparison, Judgement, Preference, Verdict
from palate.preferences import dataset
from palate.preferences.aggregate import LABELS, aggregate
from palate.preferences.agreement import Estimate, agreement, by_comparison, krippendorff_alpha, ratio
from palate.store import rows as store_rows
from palate.store.journal import Journal
from palate.store.judgements import judgements as stored_judgements


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotConfig:
    """Settings of a snapshot."""

    source: str = ""
    """Only comparisons of this source; all when empty."""
    heldout_fraction: float = 0.15
    """Share of prompts that are kept for evaluation."""
    label: str = "soft"
    """`soft` or `majority`."""
    minimum_judgements: int = 1
    """Comparisons with fewer are left out and counted."""
    seed: int = 0
    """Of the split."""

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_fraction < 1:
            raise ConfigError(
                "--heldout-fraction is out of range",
                expected="0 to below 1",
                found=str(self.heldout_fraction),
            )
        if self.label not in LABELS:
            raise ConfigError("there is no such label", expected=" or ".join(LABELS), found=self.label)


@dataclass(frozen=True, slots=True)
class _Contents:
    preferences: list[Preference]
    comparisons: list[Comparison]
    judgements: list[Judgement]
    dropped: Counter[str]
    texts: dict[str, tuple[str, str]]


def freeze(journal: Journal, workspace: Workspace, config: SnapshotConfig) -> Path:
    """A dataset artefact of the journal as it is now; the same content gives the same id.

    Raises:
        DataError: there is no preference to freeze.
    """
    contents = _collect(journal, config)
    if not contents.preferences:
        raise DataError(
            "there is no preference to freeze",
            expected=f"comparisons with at least {config.minimum_judgements} judgements",
            found=f"{len(contents.comparisons)} comparisons, {len(contents.judgements)} judgements",
            hint="collect judgements first",
        )
    split: dict[str, list[Preference]] = {name: [] for name in dataset.SPLITS}
    for preference in contents.preferences:
        split[dataset.side(preference.prompt.id, config.heldout_fraction, config.seed)].append(preference)
    content = content_id(
        "journal", [sorted(c.id for c in contents.comparisons), sorted(j.uid for j in contents.judgements)]
    )
    rate = agreement(contents.judgements)
    manifest = Manifest(
        kind="dataset",
        made_by="dataset freeze",
        config=asdict(config),
        inputs={"journal": f"journal-{content}"},
        facts={
            **{name: len(split[name]) for name in dataset.SPLITS},
            "judgements": len(contents.judgements),
            "agreement": asdict(rate) if rate.n else None,
        },
    )

    def write(folder: Path) -> None:
        for name in dataset.SPLITS:
            dataset.write_lines(folder / f"{name}.jsonl", [dataset.preference_row(p) for p in split[name]])
        (folder / "card.md").write_text(_card(manifest, contents, split), encoding="utf-8")

    return workspace.put(manifest, write)


def _collect(journal: Journal, config: SnapshotConfig) -> _Contents:
    source = config.source or None
    comparisons = store_rows.comparisons(journal, source)
    judgements = stored_judgements(journal, source)
    prompts, completions = store_rows.prompts(journal), store_rows.completions(journal)
    groups = by_comparison(judgements)
    preferences, dropped = [], Counter[str]()
    texts = {c.id: (completions[c.first].text, completions[c.second].text) for c in comparisons}
    for comparison in comparisons:
        result = aggregate(
            comparison,
            prompts[comparison.prompt],
            texts[comparison.id],
            groups.get(comparison.id, []),
            label=config.label,
            minimum=config.minimum_judgements,
        )
        if isinstance(result, str):
            dropped[result] += 1
        else:
            preferences.append(result)
    return _Contents(preferences, comparisons, judgements, dropped, texts)


def _percent(estimate: Estimate) -> str:
    if estimate.n == 0:
        return "not known (n = 0)"
    return f"{estimate.value:.1%} [{estimate.low:.1%}, {estimate.high:.1%}], n = {estimate.n}"


def _share(flags: Sequence[bool]) -> Estimate:
    return ratio(np.array(flags, dtype=float), np.ones(len(flags)), seed=0)


def _card(manifest: Manifest, contents: _Contents, split: dict[str, list[Preference]]) -> str:
    """What a person should know before using the dataset."""
    judgements = contents.judgements
    verdicts = Counter(j.verdict for j in judgements)
    longer = [
        len(p.chosen) > len(p.rejected)
        for p in contents.preferences
        if p.p_chosen > 0.5 and len(p.chosen) != len(p.rejected)
    ]
    first = [j.verdict is Verdict.FIRST for j in judgements if j.verdict in (Verdict.FIRST, Verdict.SECOND)]
    times = sorted(j.judged_at for j in judgements)
    alpha = krippendorff_alpha(judgements)
    kinds = Counter(p.prompt.kind or "(none)" for p in contents.preferences)
    prompts = {name: len({p.prompt.id for p in split[name]}) for name in split}
    lines = [
        f"# Dataset `{manifest.id}`",
        "",
        f"- {len(contents.preferences)} preferences from {len(contents.comparisons)} comparisons and "
        f"{len(judgements)} judgements by {len({j.rater for j in judgements})} raters",
        f"- train: {len(split['train'])} preferences on {prompts['train']} prompts; held out: "
        f"{len(split['heldout'])} on {prompts['heldout']} prompts; no prompt is on both sides",
        f"- label: {manifest.config['label']}",
        f"- judged from {times[0]} to {times[-1]}" if times else "- never judged",
        f"- sources: {', '.join(sorted({c.source or '(none)' for c in contents.comparisons}))}",
        "",
        "## Can it be trusted?",
        "",
        f"- two raters of one comparison agree: {_percent(agreement(judgements))} (95 % interval)",
        f"- Krippendorff's alpha (nominal): {alpha:.2f}",
        f"- verdicts: {', '.join(f'{name} {verdicts[name]}' for name in Verdict if verdicts[name])}",
        f"- the longer completion was chosen: {_percent(_share(longer))}",
        f"- the first completion was chosen: {_percent(_share(first))} (50 % when position does not matter)",
        "",
        "## What was left out",
        "",
        *([f"- {reason}: {count}" for reason, count in sorted(contents.dropped.items())] or ["- nothing"]),
        "",
        "## Kinds of prompts",
        "",
        *[f"- {kind}: {count}" for kind, count in sorted(kinds.items())],
        "",
    ]
    return "\n".join(lines)
