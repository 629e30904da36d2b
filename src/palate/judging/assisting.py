"""Help for raters: a model writes of each answer of a comparison what is wrong with it, or what it says.

It sees one answer at a time, as the turn of an assistant, and is asked for a critique, a check or a summary; so what it
writes knows no first and no second, and can stand on whichever side a rater sees. A text that failed or was cut off is
not attached, and is asked for again.

Source: Saunders et al. 2022, arXiv:2206.05802 (critiques help people to find flaws); Leike et al. 2018,
arXiv:1811.07871 (helpers trained by the same means as what they help to judge).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from palate.core.errors import ConfigError
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Message, Prompt
from palate.core.subjects import Subject
from palate.store import answers, attachments, rows
from palate.store.attachments import Attachment
from palate.store.journal import Journal

AT_ONCE: Final = 32
"""Comparisons between two writes."""
SIDES: Final = ("first", "second")
REQUESTS: Final = MappingProxyType(
    {
        "critique": (
            "What is wrong with your last answer, or missing from it? Point at the words that you mean, in three "
            "sentences at most. If nothing is, say so."
        ),
        "check": (
            "Which claim of your last answer does most depend on? Quote it, and say in two sentences at most whether "
            "it is true, and how one could find out."
        ),
        "summary": "Say in two sentences at most what your last answer comes to, without judging it.",
    }
)
"""What a helper is asked for each kind. A helper is trained on conversations that end in the same words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistingConfig:
    """How help is written."""

    kind: str = "critique"
    """Critique, check or summary."""
    sources: tuple[str, ...] = ()
    """Of which comparisons; of all when none is named."""
    at_most: int = 0
    """Comparisons; 0 sets no limit."""
    at_once: int = AT_ONCE
    """Comparisons between two writes."""
    seed: int = 0
    """Of what is said."""

    def __post_init__(self) -> None:
        if self.kind not in REQUESTS or self.at_most < 0 or self.at_once < 1:
            raise ConfigError(
                "no help can be written like this",
                expected=f"kind {', '.join(REQUESTS)}; at_most from 0, at_once from 1 on",
                found=f"kind {self.kind!r}, at_most {self.at_most}, at_once {self.at_once}",
            )


@dataclass(slots=True)
class Assisted:
    """What came of it."""

    comparisons: int = 0
    """That lacked something."""
    written: int = 0
    failed: int = 0
    """Answers of which nothing could be attached; the next call asks again."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why, in the helper's words."""
    examples: list[Attachment] = field(default_factory=list)
    """A few, to be read."""


class _Wanted(NamedTuple):
    comparison: str
    side: str
    asked: Prompt


def assist(
    journal: Journal, helper: Subject, name: str, config: AssistingConfig, *, progress: Progress = SILENT
) -> Assisted:
    """Attach help to the comparisons that lack it.

    What is written stands in the journal before more is asked, so a death costs what was under way and nothing else.

    Args:
        journal: The journal.
        helper: Who writes.
        name: The helper's, as raters see it.
        config: What, and to which comparisons.
        progress: Who listens.
    """
    lacking = attachments.lacking(journal, config.kind, SIDES, config.sources)
    todo = list(lacking)[: config.at_most or None]
    told = Assisted(comparisons=len(todo))
    progress.start(f"{helper.name} writes a {config.kind} of each answer", len(todo))
    for start in range(0, len(todo), config.at_once):
        part = todo[start : start + config.at_once]
        wanted = _wanted(journal, {id: lacking[id] for id in part}, config.kind)
        # The same answer stands in several comparisons; it is read once.
        asked = {one.asked.id: one.asked for one in wanted}
        seed = derive_seed(config.seed, "assisting", config.kind)
        said = dict(zip(asked, helper.answer(list(asked.values()), seed=seed), strict=True))
        fresh = []
        for one in wanted:
            answer = said[one.asked.id]
            if why := answer.unusable():
                told.failed += 1
                told.reasons[why] += 1
                continue
            fresh.append(
                Attachment(
                    comparison=one.comparison, kind=config.kind, helper=name, text=answer.text.strip(), side=one.side
                )
            )
        told.written += attachments.add(journal, fresh)
        told.examples = (told.examples + fresh)[:2]
        progress.advance(start + len(part))
    progress.finish()
    return told


def questions(journal: Journal, kind: str, sources: Sequence[str] = ()) -> list[Prompt]:
    """What a helper is asked of each answer of some sources, each once: to be trained on, and to be rated on."""
    every = {pair.id: list(SIDES) for pair in rows.comparisons(journal, sources)}
    return list({one.asked.id: one.asked for one in _wanted(journal, every, kind)}.values())


def request(prompt: Prompt, answer: str, kind: str) -> Prompt:
    """The conversation with an answer in it, and what a helper is asked of it."""
    return Prompt(
        (*prompt.messages, Message("assistant", answer), Message("user", REQUESTS[kind])),
        kind=prompt.kind,
        language=prompt.language,
    )


def _wanted(journal: Journal, lacking: dict[str, list[str]], kind: str) -> list[_Wanted]:
    pairs = rows.some_comparisons(journal, lacking)
    texts = answers.find(journal, {side for pair in pairs.values() for side in (pair.first, pair.second)})
    wanted = []
    for id, sides in lacking.items():
        for side in sides:
            found = texts[pairs[id].first if side == "first" else pairs[id].second]
            wanted.append(_Wanted(id, side, request(found.prompt, found.completion.text, kind)))
    return wanted
