"""People as the judges of debates: a question and its answers go into the queue, and the debate stands beside them.

The workbench turns the sides for each rater, so nothing here calls an answer the first or the second in words; each
turn knows for whose side it was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palate.core.errors import DataError
from palate.core.records import Comparison, Completion, Prompt
from palate.judging.debate import Argued, Turn
from palate.store import attachments, queue, rows
from palate.store.attachments import DEBATE, Attachment
from palate.store.journal import Journal

_POLICY: Final = "dispute"
"""By whom answers are that come with a dispute. The source is named too: each has comparisons of its own."""
_FOUND: Final = "✓ in the passage, word for word"
_NOT_FOUND: Final = "✗ not in the passage"
_TOO_LONG: Final = "✗ a quote was left out: more than may be quoted in a turn"
_OURS: Final = str.maketrans("", "", "✓✗")
"""Signs that nobody else may draw."""


def put_into_queue(journal: Journal, debates: Sequence[Argued], *, helper: str, source: str, wanted: int = 2) -> int:
    """Ask raters which answer is right; how many comparisons are new in the queue.

    Doing it again adds nothing. The passage is not stored.

    Args:
        journal: The journal.
        debates: What was argued.
        helper: Who argued, as raters and reports call them.
        source: Of the comparisons.
        wanted: So many raters judge each.

    Raises:
        DataError: another debate stands beside one of the questions already. None of these goes into the queue then.
    """
    shown = [_comparison(one, source) for one in debates]
    rows.add_prompts(journal, [prompt for prompt, _, _ in shown])
    rows.add_completions(journal, [side for _, sides, _ in shown for side in sides])
    rows.add_comparisons(journal, [comparison for _, _, comparison in shown])
    attach(journal, {c.id: one for one, (_, _, c) in zip(debates, shown, strict=True)}, helper)
    return queue.enqueue(journal, [comparison for _, _, comparison in shown], wanted=wanted, reason=source)


def attach(journal: Journal, debates: dict[str, Argued], helper: str) -> int:
    """Put each turn beside its comparison, by whose id it is given; how many are new.

    Raises:
        DataError: another debate stands there already.
    """
    ours = {
        id: [
            Attachment(comparison=id, kind=DEBATE, helper=helper, text=told(turn), side=turn.side, turn=number)
            for number, turn in enumerate(argued.turns, 1)
        ]
        for id, argued in debates.items()
    }
    for id, there in attachments.of(journal, ours).items():
        if not {one.id for one in there if one.kind == DEBATE} <= {one.id for one in ours[id]}:
            raise DataError(
                "another debate stands beside a question already", where=f"comparison {id}",
                hint="name another source; each has comparisons of its own",
            )  # fmt: skip
    return attachments.add(journal, [one for some in ours.values() for one in some])


def told(turn: Turn) -> str:
    """A turn as Markdown: quotes stand apart, each with what became of looking it up."""
    parts = []
    for piece in turn.pieces:
        text = piece.text.translate(_OURS)
        if not piece.quoted:
            parts.append(text)
        elif not piece.shown:
            parts.append(f"*{_TOO_LONG}*")
        else:
            parts.append(f"> {text}\n>\n> *{_FOUND if piece.verified else _NOT_FOUND}*")
    return "\n\n".join([*parts, *([] if turn.finished else ["*(cut off here)*"])]) or "*(nothing that may be shown)*"


def _comparison(argued: Argued, source: str) -> tuple[Prompt, tuple[Completion, ...], Comparison]:
    prompt = Prompt.of(argued.dispute.question)
    sides = tuple(
        Completion(prompt=prompt.id, text=text, policy=f"{_POLICY}:{source}")
        for text in (argued.dispute.first, argued.dispute.second)
    )
    return prompt, sides, Comparison(prompt=prompt.id, first=sides[0].id, second=sides[1].id, source=source)
