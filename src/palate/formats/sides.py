"""Two conversations that end differently: their common prompt, and the two completions."""

from __future__ import annotations

from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.core.records import Message, Prompt, Verdict
from palate.formats.imported import ImportedPair
from palate.formats.shape import Row
from palate.formats.turns import Turns, prompt_of


def split(prompt: Turns | None, sides: tuple[Turns, Turns], names: tuple[str, str]) -> tuple[Turns, str, str]:
    """The common turns before the last one, and the text of each last turn.

    Args:
        prompt: What the file calls the prompt, if it does. The sides may repeat it or go on from it.
        sides: Two conversations that end with the assistant.
        names: How to call the sides in a reason.

    Raises:
        DataError: the sides differ earlier, do not end with the assistant, are empty or the same.
    """
    heads = []
    texts = []
    for turns, name in zip(sides, names, strict=True):
        if not turns or turns[-1].role != "assistant":
            found = f"a turn by the {turns[-1].role}" if turns else "no turns"
            raise DataError(f"{name} does not end with a turn by the assistant", found=found)
        heads.append(turns[:-1] if prompt is None else _after(prompt, turns[:-1], name))
        texts.append(turns[-1].content)
    if len(heads[0]) != len(heads[1]):
        counts = f"{len(heads[0]) + 1} and {len(heads[1]) + 1}"
        raise DataError("the two conversations differ in their number of turns", found=counts)
    for i, (one, other) in enumerate(zip(*heads, strict=True), start=1):
        if one != other:
            raise DataError(f"the two conversations differ before their last turn, at turn {i}")
    check_completions(texts[0], texts[1], names)
    return heads[0], texts[0], texts[1]


def check_completions(one: str, other: str, names: tuple[str, str]) -> None:
    """Refuse a pair that teaches nothing.

    Raises:
        DataError: a completion is empty, or both are the same but for space around them.
    """
    empty = [name for text, name in zip((one, other), names, strict=True) if not text.strip()]
    if empty:
        raise DataError(f"the {' and the '.join(empty)} completion {'are' if len(empty) > 1 else 'is'} empty")
    if one.strip() == other.strip():
        raise DataError("the two completions are the same")


def _after(prompt: Turns, head: Turns, name: str) -> Turns:
    """The conversation before the completion, when a prompt and a conversation are both given."""
    if head[: len(prompt)] == prompt:
        return head
    if head and head[0].role == "system" and head[1 : 1 + len(prompt)] == prompt:
        return head
    if head and head[0].role != "assistant":
        raise DataError(f"the prompt is not how the conversation in {name} begins")
    return (*prompt, *head)


def answer(text: str) -> Turns:
    """A conversation of nothing but an answer."""
    return (Message("assistant", text),)


def chosen_pair(
    row: Row, turns: Turns, chosen: str, rejected: str, *, kind: str | None = None, rater: str | None = None
) -> ImportedPair:
    """The pair of a file that has no display order.

    The content decides which text comes first, whatever the verdict: about half of the chosen ones do, so
    no position bias is invented, and a pair judged twice is one comparison.

    Raises:
        DataError: the turns are no prompt.
    """
    prompt = prompt_of(turns, row.kind if kind is None else kind)
    return ordered_pair(row, prompt, (chosen, rejected), rater=rater)


def ordered_pair(
    row: Row,
    prompt: Prompt,
    sides: tuple[str, str],
    *,
    tie: bool = False,
    writers: tuple[str, str] = ("", ""),
    rater: str | None = None,
    part: int = 0,
) -> ImportedPair:
    """A pair in the order that its content decides, see `chosen_pair`.

    Args:
        row: Where it stands.
        prompt: What both answer.
        sides: The better and the worse completion.
        tie: Neither is better after all.
        writers: Who wrote them, in the order of `sides`.
        rater: Who judged.
        part: Which of the row's pairs it is.
    """
    first, second = in_display_order(prompt, *sides)
    same = first == sides[0]
    winner = Verdict.FIRST if same else Verdict.SECOND
    return ImportedPair(
        prompt=prompt,
        first=first,
        second=second,
        verdict=Verdict.TIE if tie else winner,
        rater=rater,
        writers=writers if same else writers[::-1],
        where=row.where,
        row=row.number,
        part=part,
    )


def in_display_order(prompt: Prompt, one: str, other: str) -> tuple[str, str]:
    """The two texts in an order that depends on the content only, and is even-handed."""
    low, high = sorted((one, other))
    digest = content_id("display order", [prompt.id, low, high])
    return (high, low) if int(digest[-1], 16) % 2 else (low, high)
