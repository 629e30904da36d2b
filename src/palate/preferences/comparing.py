"""What is different between two frozen datasets: settings, rows that came or went, beliefs that changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from palate.core.artefacts import read_manifest
from palate.core.errors import DataError
from palate.core.records import Preference
from palate.preferences.dataset import SPLITS, load_preferences


class Change(NamedTuple):
    """One comparison that is in both."""

    comparison: str
    before: float
    """Probability that the text that `one` calls chosen is better, in `one`."""
    after: float
    """The same in `other`; below 0.5 the sides have changed."""


class Difference(NamedTuple):
    """From one dataset to another."""

    settings: dict[str, tuple[Any, Any]]
    """What was set otherwise, `(before, after)`; absent is None."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    turned: tuple[Change, ...]
    """The other side leads now."""
    moved: tuple[Change, ...]
    """The same side leads, with another probability."""
    other_split: tuple[str, ...]
    """On the other side of the split now."""
    same: int
    """Rows that are as they were."""


def compare(one: Path, other: Path) -> Difference:
    """Hold two dataset folders against each other, row by row.

    Raises:
        MissingArtefact: a folder is no artefact, or lacks a file.
        DataError: it is no dataset of preferences.
    """
    before, after = _rows(one), _rows(other)
    settings = [_flat(read_manifest(folder).config) for folder in (one, other)]
    names = sorted(settings[0].keys() | settings[1].keys())
    pairs = {name: (settings[0].get(name), settings[1].get(name)) for name in names}
    turned, moved, crossed, same = [], [], [], 0
    for id, (split, row) in before.items():
        if id not in after:
            continue
        new_split, new = after[id]
        changed = Change(id, row.p_chosen, new.p_chosen if new.chosen == row.chosen else 1 - new.p_chosen)
        if new_split != split:
            crossed.append(id)
        if changed.after < 0.5:
            turned.append(changed)
        elif changed.after != changed.before:
            moved.append(changed)
        elif new_split == split:
            same += 1
    return Difference(
        {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        tuple(id for id in after if id not in before),
        tuple(id for id in before if id not in after),
        tuple(turned),
        tuple(moved),
        tuple(crossed),
        same,
    )


def sentence(found: Difference) -> str:
    """What a page says."""
    parts = [
        f"{len(found.added):,} rows came, {len(found.removed):,} went, {found.same:,} are as they were.",
        f"{len(found.turned):,} rows have the other side in the lead, {len(found.moved):,} another probability.",
    ]
    if found.other_split:
        crossed = f"{len(found.other_split):,} rows are on another side of the split"
        parts.append(f"{crossed}: do not compare held-out figures.")
    return " ".join(parts)


def _rows(folder: Path) -> dict[str, tuple[str, Preference]]:
    manifest = read_manifest(folder)
    if manifest.made_by != "dataset freeze":
        raise DataError(
            "an artefact is no dataset of preferences",
            where=str(folder),
            expected="one made by `palate dataset build`",
            found=f"one made by `{manifest.made_by}`",
        )
    return {p.comparison: (split, p) for split in SPLITS for p in load_preferences(folder, split)}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        found.update(_flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value})
    return found
