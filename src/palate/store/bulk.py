"""A million rows at a time: batches of records in, columns and streams out."""

from __future__ import annotations

from collections.abc import Sequence

from palate.core.records import (
    Comparison,
    Completion,
    Feedback,
    Guideline,
    Judgement,
    Prompt,
    Ranking,
    Rater,
    Slate,
    WrittenAnswer,
)
from palate.store import demonstrations, rows, schema
from palate.store import feedback as feedbacks
from palate.store import guidelines as versions
from palate.store import judgements as said
from palate.store import rankings as ranked
from palate.store.columns import Columns as Columns
from palate.store.columns import judgement_columns as judgement_columns
from palate.store.exporting import Exported as Exported
from palate.store.exporting import export_rows as export_rows
from palate.store.journal import Journal
from palate.store.lookup import one_at_a_time
from palate.store.writing import put, room


def add(
    journal: Journal,
    *,
    prompts: Sequence[Prompt] = (),
    completions: Sequence[Completion] = (),
    comparisons: Sequence[Comparison] = (),
    raters: Sequence[Rater] = (),
    judgements: Sequence[Judgement] = (),
    slates: Sequence[Slate] = (),
    rankings: Sequence[Ranking] = (),
    written_answers: Sequence[WrittenAnswer] = (),
    feedback: Sequence[Feedback] = (),
    guidelines: Sequence[Guideline] = (),
) -> dict[str, int]:
    """Add records in one transaction; by the name of each noun, how many were new.

    What is there already stays as it came first; judgements are looked at as `judgements.judge` does. A batch of
    10,000 or more is quickest.

    Raises:
        DataError: a record names another that is neither stored nor in this batch, or cannot be stored for a
            reason of its own. Nothing is stored then.
    """
    with journal.transaction() as connection, room(connection):
        new = {
            "prompts": rows.put_new(connection, schema.prompt, [rows.prompt_row(p) for p in prompts]),
            "completions": rows.put_new(connection, schema.completion, [rows.completion_row(c) for c in completions]),
            "comparisons": rows.put_new(
                connection, schema.comparison, [rows.comparison_row(c) for c in comparisons], rows.check_sides
            ),
            "raters": rows.put_raters(connection, raters) if raters else 0,
        }
        one_at_a_time(connection, "judge")
        fresh = said.fresh(connection, judgements) if judgements else []
        put(connection, schema.judgement, fresh)
        said.settle(connection, judgements)
        new["judgements"] = len(fresh)
        for name, table, made in (
            ("slates", schema.slate, [ranked.slate_row(s) for s in slates]),
            ("rankings", schema.ranking, [ranked.row(r) for r in rankings]),
            ("written_answers", schema.written_answer, [demonstrations.row(w) for w in written_answers]),
            ("feedback", schema.feedback, [feedbacks.row(f) for f in feedback]),
            ("guidelines", schema.guideline, [versions.row(g) for g in guidelines]),
        ):
            new[name] = rows.put_new(connection, table, made)
    return new
