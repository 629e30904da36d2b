"""Freeze the journal into a dataset: rows that never change, split by prompt, with a card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference
from palate.preferences import dataset, gates, splits
from palate.preferences.aggregate import LABELS, PRIOR, check_prior
from palate.preferences.agreement import agreement, krippendorff_alpha
from palate.preferences.card import write_card
from palate.preferences.contents import VERDICTS_OF_MODELS, Contents, collect
from palate.preferences.gates import OPEN, GateConfig
from palate.preferences.lossless import content_hash, write_lossless
from palate.preferences.resampling import Estimate
from palate.store.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotConfig:
    """Settings of a snapshot."""

    sources: tuple[str, ...] = ()
    """Only comparisons of these sources; all when none is named."""
    besides: tuple[str, ...] = ()
    """No comparison of a source that begins so; `winrate:` leaves out what people said when models were evaluated."""
    heldout_fraction: float = 0.15
    """Share of prompts that are kept for evaluation."""
    label: str = "soft"
    """One of `aggregate.LABELS`; `recommended` lets the data choose."""
    minimum_judgements: int = 1
    """Comparisons that fewer raters have judged are left out and counted."""
    prior: float = PRIOR
    """Votes imagined for each side of a soft label, see `soft_label`."""
    seed: int = 0
    """Of the splits."""
    heldout_raters: float = 0.0
    """Share of raters who are kept for evaluation, see `splits`."""
    agreed: float = 0.0
    """Comparisons whose leading side has a smaller share of votes are left out; see `filtering` before use."""
    gates: GateConfig = OPEN
    """What may not come in."""
    models: str = "apart"
    """What becomes of verdicts of models, one of `VERDICTS_OF_MODELS`."""
    soft_models: bool = False
    """Whether what models alone have judged is labelled by the probability that they named, not by their verdict."""

    def __post_init__(self) -> None:
        dataset.check_fraction(self.heldout_fraction)
        if self.minimum_judgements < 1:
            raise ConfigError(
                "--minimum-judgements is out of range", expected="1 or more", found=str(self.minimum_judgements)
            )
        if self.label not in LABELS:
            raise ConfigError("there is no such label", expected=" or ".join(LABELS), found=self.label)
        check_prior(self.prior)
        splits.check_rater_fraction(self.heldout_raters)
        if self.models not in VERDICTS_OF_MODELS:
            raise ConfigError(
                "verdicts of models cannot be used so", expected=", ".join(VERDICTS_OF_MODELS), found=self.models
            )
        if self.soft_models and (self.models == "apart" or self.label != "soft"):
            raise ConfigError(
                "--soft needs models' word, and a label that is not of all comparisons at once",
                expected="--models with, gaps or alone, and --label soft",
                found=f"--models {self.models} --label {self.label}",
            )
        if not 0 <= self.agreed <= 1:
            raise ConfigError("--agreed is out of range", expected="0 to 1", found=str(self.agreed))


def freeze(
    journal: Journal,
    workspace: Workspace,
    config: SnapshotConfig,
    progress: Progress = SILENT,
    evaluation: Collection[str] = (),
) -> Path:
    """A dataset artefact of the journal as it is now; the same content gives the same id.

    A rater who judged a comparison more than once has one vote there, see `voices`.

    Args:
        journal: Where the judgements are; all is read in one transaction, as of one moment.
        workspace: Where the dataset goes.
        config: What to take, how to label and how to split.
        progress: Who listens.
        evaluation: Texts of prompts that models are evaluated on, for the gate of that name.

    Raises:
        DataError: there is no preference to freeze.
    """
    with journal.reading():
        contents = _collect(journal, config, progress, held=False)
        unseen = _collect(journal, config, progress, held=True) if config.heldout_raters else None
    contents, findings = _let_through(contents, config, evaluation)
    if not contents.preferences:
        raise DataError(
            "there is no preference to freeze",
            expected=f"comparisons with at least {config.minimum_judgements} judgements",
            found=f"{len(contents.comparisons)} comparisons, {len(contents.judgements)} judgements",
            hint="let gates warn instead of drop" if findings else "collect judgements first",
        )
    split: dict[str, list[Preference]] = {name: [] for name in dataset.SPLITS}
    lines: dict[str, list[dict[str, object]]] = {name: [] for name in dataset.SPLITS}
    for preference, row in zip(contents.preferences, _rows(contents), strict=True):
        side = dataset.side(preference.prompt.id, config.heldout_fraction, config.seed)
        split[side].append(preference)
        lines[side].append(row)
    if unseen is not None:
        lines[splits.UNSEEN_RATERS] = [
            row
            for preference, row in zip(unseen.preferences, _rows(unseen), strict=True)
            if dataset.side(preference.prompt.id, config.heldout_fraction, config.seed) == "heldout"
        ]
    apart = [] if unseen is None else unseen.written
    manifest = _manifest(contents, unseen, config, evaluation, lines, findings)

    def write(folder: Path) -> None:
        for name, rows in lines.items():
            dataset.write_lines(folder / f"{name}.jsonl", rows)
        write_lossless(folder, contents, apart)
        notes = [*_notes(contents, config, unseen), *(gates.sentence(finding) for finding in findings)]
        (folder / "card.md").write_text(write_card(manifest, contents, split, notes), encoding="utf-8")

    return workspace.put(manifest, write)


def _collect(journal: Journal, config: SnapshotConfig, progress: Progress, *, held: bool) -> Contents:
    """What raters of one side said; of all, where none are held out."""

    def on_side(rater: str) -> bool:
        return (splits.rater_side(rater, config.heldout_raters, config.seed) == "heldout") is held

    return collect(
        journal,
        sources=config.sources,
        besides=config.besides,
        label=config.label,
        minimum=config.minimum_judgements,
        prior=config.prior,
        models=config.models,
        soft_models=config.soft_models,
        raters=on_side if config.heldout_raters else None,
        progress=progress,
    )


def _let_through(
    contents: Contents, config: SnapshotConfig, evaluation: Collection[str]
) -> tuple[Contents, list[gates.Finding]]:
    """What the gates and the filter leave."""
    findings: list[gates.Finding] = []
    stay = {p.comparison for p in contents.preferences}
    dropped = Counter(contents.dropped)
    if config.gates.any:
        material = gates.Material(
            contents.preferences,
            contents.unfinished,
            contents.judgements,
            evaluation,
            config.gates.one_rater_share,
        )
        stay, findings = gates.pass_gates(config.gates, material)
        dropped.update({f"gate {found.gate}": len(found.rows) for found in findings if found.dropped})
    split = {p.comparison for p in contents.preferences if p.comparison in stay and leading(p) < config.agreed}
    if split:
        dropped["raters too divided"] += len(split)
    kept = [k for k, p in enumerate(contents.preferences) if p.comparison in stay - split]
    if len(kept) == len(contents.preferences):
        return contents, findings
    preferences, policies = [contents.preferences[k] for k in kept], [contents.policies[k] for k in kept]
    return replace(contents, preferences=preferences, policies=policies, dropped=dropped), findings


def leading(preference: Preference) -> float:
    """Share of votes for the chosen side, ties half."""
    chosen, rejected, tie = preference.votes
    return (chosen + tie / 2) / max(chosen + rejected + tie, 1)


def _rows(contents: Contents) -> Iterator[dict[str, object]]:
    for preference, policies in zip(contents.preferences, contents.policies, strict=True):
        yield {**dataset.preference_row(preference), "policies": list(policies)}


def _notes(contents: Contents, config: SnapshotConfig, unseen: Contents | None) -> list[str]:
    notes = [f"Labels: {contents.reason}"] if contents.reason else []
    if config.soft_models:
        notes.append(
            f"{len(contents.said)} of {len(contents.preferences)} labels are the probability that models named; "
            "the others are made of votes."
        )
    if config.agreed:
        notes.append(f"Only comparisons of which at least {config.agreed:.0%} of votes agree are in.")
    if unseen is not None:
        raters = sorted({j.rater for j in (*contents.judgements, *unseen.judgements)})
        notes.append(splits.sentence(raters, config.heldout_raters, config.seed))
    return notes


def _manifest(
    contents: Contents,
    unseen: Contents | None,
    config: SnapshotConfig,
    evaluation: Collection[str],
    lines: Mapping[str, list[dict[str, object]]],
    findings: Sequence[gates.Finding],
) -> Manifest:
    id = contents.id if unseen is None else content_id("journal", [contents.id, unseen.id])
    inputs = {"journal": f"journal-{id}"}
    if evaluation:
        inputs["evaluation"] = f"records-{content_id('evaluation', sorted(evaluation))}"
    told = {"gates": {found.gate: len(found.rows) for found in findings}} if findings else {}
    return Manifest(
        kind="dataset",
        made_by="dataset freeze",
        config=_settings(config),
        inputs=inputs,
        facts={
            **{name: len(rows) for name, rows in lines.items()},
            "judgements": len(contents.judgements),
            "agreement": _figure(agreement(contents.judgements)),
            "alpha": _figure(krippendorff_alpha(contents.judgements)),
            "content": content_hash(lines),
            **told,
        },
    )


def _settings(config: SnapshotConfig) -> dict[str, object]:
    """All settings; those that came later only where somebody set them, so that ids stay what they were."""
    later = ("besides", "heldout_raters", "agreed", "gates", "models", "soft_models")
    plain = {f.name for f in fields(config) if f.name in later and getattr(config, f.name) == f.default}
    return {name: value for name, value in asdict(config).items() if name not in plain}


def _figure(found: Estimate) -> dict[str, float] | None:
    if math.isnan(found.value):
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
