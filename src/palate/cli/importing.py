"""A foreign file into a project's journal, batch by batch: read, scrub, store; what is refused goes into quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from palate.cli.collector import without_collector
from palate.cli.references import References
from palate.core.records import Approval, Demonstration
from palate.formats import LIMITS, Imported, Limits, Recorder, Refusal, stream
from palate.formats.imported import PARTS
from palate.formats.quarantine import Quarantine
from palate.formats.scrub import Scrubber
from palate.formats.scrub.importing import ImportScrubber
from palate.store import bulk
from palate.store.journal import Journal

_SHOWN = 5
_AT_ONCE = 50_000
"""Rows in a transaction: each touches most pages of an index, so few large ones write far less than many small."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """What became of a file."""

    shape: str
    source: str
    """Under which its comparisons stand in the journal."""
    quarantine: Path
    """Where the refused rows are; there is no such file when none was refused."""
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """What was carried, by the names of `formats.imported.PARTS`."""
    refused: int = 0
    first_refused: list[Refusal] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    new_comparisons: int = 0
    scrubbed: Counter[str] = field(default_factory=Counter)
    """Kind to how many places were replaced, in distinct texts."""
    demonstrations: list[Demonstration] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)


def import_file(
    file: Path,
    journal: Journal,
    project: Path,
    *,
    shape: str | None = None,
    columns: Mapping[str, str] | None = None,
    scrubber: Scrubber | None = None,
    pseudonym: Callable[[str], str] = str,
    limits: Limits = LIMITS,
    told: Callable[[Summary], None] | None = None,
) -> Summary:
    """Import a file of any known shape, many rows in a transaction; what `told` is told of is safe.

    Args:
        file: As for `palate.formats.stream`.
        journal: Where pairs, rankings, feedback and records go.
        project: Its folder, for the quarantine.
        shape: One of `formats.SHAPES`; found out when not given.
        columns: A column map.
        scrubber: Takes personal data and secrets out before anything is stored; none unless given.
        pseudonym: What people of the file are called from now on.
        limits: How long a row may be, and the like.
        told: Called after each transaction.

    Raises:
        MissingArtefact: there is no such file.
        DataError: the file cannot be read at all, or every row of it was refused.
        ConfigError: the shape or the column map makes no sense.
        StoreError: the journal refuses.
    """
    source = stream(file, shape=shape, columns=columns, limits=limits)
    recorder = Recorder(source.identity, pseudonym=pseudonym)
    cleaner = None if scrubber is None else ImportScrubber(scrubber)
    references = References(journal)
    with Quarantine(project, file.name) as quarantine, without_collector():
        summary = Summary(shape=source.shape, source=recorder.source, quarantine=quarantine.path)
        for batch in source.batches:
            clean = batch if cleaner is None else cleaner.batch(batch)
            checked = references.checked(clean)
            refused = [*checked.refused, *recorder.take(checked)]
            quarantine.add(refused)
            _count(summary, checked, refused)
            if recorder.waiting >= _AT_ONCE:
                _store(journal, recorder, references, summary)
                if told is not None:
                    told(summary)
        _store(journal, recorder, references, summary)
        if scrubber is not None:
            summary.scrubbed = scrubber.counts
    return summary


def _store(journal: Journal, recorder: Recorder, references: References, summary: Summary) -> None:
    new = bulk.add(journal, **recorder.taken()._asdict())
    references.stored()
    summary.new_comparisons += new["comparisons"]


def _count(summary: Summary, batch: Imported, refused: list[Refusal]) -> None:
    summary.rows += batch.rows
    summary.counts.update({name: len(getattr(batch, name)) for name in PARTS})
    summary.refused += len(refused)
    summary.first_refused += refused[: _SHOWN - len(summary.first_refused)]
    summary.lost.update(batch.lost)
    summary.demonstrations += batch.demonstrations
    summary.approvals += batch.approvals
