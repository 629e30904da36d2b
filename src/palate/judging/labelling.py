"""A judge labels comparisons of the journal: each order of the sides once, and nothing is lost when it is cut off.

What a judge said is stored before the next chunk is asked, so whoever starts again asks only what was not said. A
request that failed leaves nothing behind but its place in the ledger, and is asked again by the same command.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from palate.core.judges import Judge, Opinion
from palate.core.progress import SILENT, Progress
from palate.store import opinions
from palate.store.journal import Journal
from palate.store.opinions import AIJudge, Said, Waiting

BOTH: Final = (False, True)
"""The sides as they are, and swapped."""
AT_ONCE: Final = 64
"""Questions between two writes to the journal."""


@dataclass(slots=True)
class Ledger:
    """What labelling came to, and what it cost."""

    asked: int = 0
    """Questions: a comparison in one order of its sides is one."""
    said: int = 0
    """Of these, answered with an opinion; ties are opinions."""
    abstained: int = 0
    """… answered without one."""
    failed: int = 0
    """… not answered. They are asked again next time."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """As the server counts them."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why there was no opinion, and how often."""

    def note(self, opinion: Opinion) -> None:
        """Put one answer down."""
        self.asked += 1
        self.prompt_tokens += opinion.prompt_tokens
        self.completion_tokens += opinion.completion_tokens
        if opinion.p_first is None:
            self.reasons[opinion.why] += 1
        if opinion.failed:
            self.failed += 1
        elif opinion.p_first is None:
            self.abstained += 1
        else:
            self.said += 1

    def cost(self, prompt_price: float, completion_price: float) -> float:
        """In the currency of the prices, which are of a million tokens."""
        return (self.prompt_tokens * prompt_price + self.completion_tokens * completion_price) / 1e6


def label(
    journal: Journal,
    judge: Judge,
    who: AIJudge,
    *,
    sources: Sequence[str] = (),
    orders: Sequence[bool] = BOTH,
    gaps: bool = False,
    at_most: int = 0,
    at_once: int = AT_ONCE,
    progress: Progress = SILENT,
) -> Ledger:
    """Have a judge say of stored comparisons what it has not said yet.

    Args:
        journal: Where comparisons are, and where opinions go.
        judge: Who is asked.
        who: As the journal knows it; another model or another wording must be another one.
        sources: Of comparisons; all when none is named.
        orders: In which the sides are shown, each a question. One is enough for a judge that sees no order.
        gaps: Only comparisons that no person has judged.
        at_most: Comparisons; 0 sets no limit.
        at_once: Questions between two writes.
        progress: Who listens.
    """
    name = opinions.enrol(journal, who)
    left = opinions.left(journal, name, sources, orders=orders, gaps=gaps)
    left = left.first(at_most) if at_most else left
    questions = ((one, swapped) for one in opinions.waiting(journal, left) for swapped in one.orders)
    ledger = Ledger()
    progress.start(f"{who.name} judges", left.questions)
    while some := list(islice(questions, at_once)):
        told = judge.judge([one.pair.swapped if swapped else one.pair for one, swapped in some])
        opinions.add(
            journal,
            name,
            [_said(*question, one) for question, one in zip(some, told, strict=True) if not one.failed],
            orders=orders,
        )
        for one in told:
            ledger.note(one)
        progress.advance(ledger.asked)
    progress.finish()
    return ledger


def _said(waiting: Waiting, swapped: bool, opinion: Opinion) -> Said:
    """An opinion of the pair as it was shown, as one of the comparison's own sides."""
    p = opinion.p_first
    return Said(
        comparison=waiting.comparison,
        swapped=swapped,
        p_first=1 - p if p is not None and swapped else p,
        why=opinion.why,
        principle=opinion.principle,
        prompt_tokens=opinion.prompt_tokens,
        completion_tokens=opinion.completion_tokens,
    )
