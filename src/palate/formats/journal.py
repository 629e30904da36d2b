"""Imported pairs as rows for the journal: a comparison each, and one judgement by the file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from palate.core.ids import content_id
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater
from palate.formats.imported import Imported, ImportedPair


class PairRecords(NamedTuple):
    """What the pairs of one file are in the journal, each record once."""

    prompts: list[Prompt]
    completions: list[Completion]
    comparisons: list[Comparison]
    raters: list[Rater]
    judgements: list[Judgement]


def pair_records(imported: Imported, file_id: str, *, judged_at: str | None = None) -> PairRecords:
    """The records that the pairs of a file become.

    A pair that occurs twice is one comparison with two judgements. A judgement's uid follows from the
    file's bytes and the number of its row (and, where a column map was used, from the verdict's column),
    so importing a file twice adds nothing, whatever its name.

    Args:
        imported: What `read` found.
        file_id: `core.ids.file_id` of the file.
        judged_at: UTC, ISO 8601; now when not given, as foreign files do not say.
    """
    source = f"import:{file_id}"
    moment = judged_at or datetime.now(UTC).isoformat(timespec="milliseconds")
    prompts: dict[str, Prompt] = {}
    completions: dict[str, Completion] = {}
    comparisons: dict[str, Comparison] = {}
    raters: dict[str, Rater] = {}
    judgements: list[Judgement] = []
    for pair in imported.pairs:
        prompt_id = prompts.setdefault(pair.prompt.id, pair.prompt).id
        policies = [f"{source}:{writer}" if writer else source for writer in pair.writers]
        first = Completion(prompt=prompt_id, text=pair.first, policy=policies[0])
        same = int(pair.second == pair.first and policies[0] == policies[1])
        second = Completion(prompt=prompt_id, text=pair.second, policy=policies[1], sample=same)
        completions |= {first.id: first, second.id: second}
        shown = Comparison(prompt=prompt_id, first=first.id, second=second.id, source=source)
        comparisons.setdefault(shown.id, shown)
        rater = Rater(source if pair.rater is None else f"{source}:{pair.rater}", kind="import")
        raters.setdefault(rater.id, rater)
        judgements.append(
            Judgement(
                uid=_uid(file_id, pair, imported),
                comparison=shown.id,
                rater=rater.id,
                verdict=pair.verdict,
                strength=pair.strength,
                note=pair.note,
                judged_at=moment,
            )
        )
    return PairRecords(
        list(prompts.values()),
        list(completions.values()),
        list(comparisons.values()),
        list(raters.values()),
        judgements,
    )


def _uid(file_id: str, pair: ImportedPair, imported: Imported) -> str:
    # A row can hold several verdicts, in columns of their own or of several pairs; each is a judgement of its own.
    column = imported.columns.get("verdict")
    beside = [*([column] if column else []), *([pair.part] if pair.part else [])]
    return content_id("imported judgement", [file_id, pair.row, *beside])
