"""Freeze the journal into a dataset: rows that never change, split by prompt, with a card."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference
from palate.preferences import dataset
from palate.preferences.aggregate import LABELS, PRIOR, check_prior
from palate.preferences.agreement import agreement, krippendorff_alpha
from palate.preferences.card import write_card
from palate.preferences.contents import Contents, collect
from palate.preferences.resampling import Estimate
from palate.store.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotConfig:
    """Settings of a snapshot."""

    sources: tuple[str, ...] = ()
    """Only comparisons of these sources; all when none is named."""
    heldout_fraction: float = 0.15
    """Share of prompts that are kept for evaluation."""
    label: str = "soft"
    """`soft` or `majority`."""
    minimum_judgements: int = 1
    """Comparisons that fewer raters have judged are left out and counted."""
    prior: float = PRIOR
    """Votes imagined for each side of a soft label, see `soft_label`."""
    seed: int = 0
    """Of the split."""

    def __post_init__(self) -> None:
        dataset.check_fraction(self.heldout_fraction)
        if self.minimum_judgements < 1:
            raise ConfigError(
                "--minimum-judgements is out of range", expected="1 or more", found=str(self.minimum_judgements)
            )
        if self.label not in LABELS:
            raise ConfigError("there is no such label", expected=" or ".join(LABELS), found=self.label)
        check_prior(self.prior)


def freeze(journal: Journal, workspace: Workspace, config: SnapshotConfig, progress: Progress = SILENT) -> Path:
    """A dataset artefact of the journal as it is now; the same content gives the same id.

    A rater who judged a comparison more than once has one vote there, see `voices`.

    Args:
        journal: Where the judgements are; all is read in one transaction, as of one moment.
        workspace: Where the dataset goes.
        config: What to take, how to label and how to split.
        progress: Who listens.

    Raises:
        DataError: there is no preference to freeze.
    """
    contents = collect(
        journal,
        sources=config.sources,
        label=config.label,
        minimum=config.minimum_judgements,
        prior=config.prior,
        progress=progress,
    )
    if not contents.preferences:
        raise DataError(
            "there is no preference to freeze",
            expected=f"comparisons with at least {config.minimum_judgements} judgements",
            found=f"{len(contents.comparisons)} comparisons, {len(contents.judgements)} judgements",
            hint="collect judgements first",
        )
    split: dict[str, list[Preference]] = {name: [] for name in dataset.SPLITS}
    lines: dict[str, list[dict[str, object]]] = {name: [] for name in dataset.SPLITS}
    for preference, policies in zip(contents.preferences, contents.policies, strict=True):
        side = dataset.side(preference.prompt.id, config.heldout_fraction, config.seed)
        split[side].append(preference)
        lines[side].append({**dataset.preference_row(preference), "policies": list(policies)})
    manifest = _manifest(contents, config, {name: len(split[name]) for name in split})

    def write(folder: Path) -> None:
        for name in dataset.SPLITS:
            dataset.write_lines(folder / f"{name}.jsonl", lines[name])
        (folder / "card.md").write_text(write_card(manifest, contents, split), encoding="utf-8")

    return workspace.put(manifest, write)


def _manifest(contents: Contents, config: SnapshotConfig, sizes: dict[str, int]) -> Manifest:
    return Manifest(
        kind="dataset",
        made_by="dataset freeze",
        config=asdict(config),
        inputs={"journal": f"journal-{contents.id}"},
        facts={
            **sizes,
            "judgements": len(contents.judgements),
            "agreement": _figure(agreement(contents.judgements)),
            "alpha": _figure(krippendorff_alpha(contents.judgements)),
        },
    )


def _figure(found: Estimate) -> dict[str, float] | None:
    if math.isnan(found.value):
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
