"""Quotes from a passage: which of them are in it, word for word, and what else of a turn its hearers may see.

Whoever judges a debate sees of the passage only what was quoted and found there, up to a length: a quote that is not in
the passage is shown as such, and words of the passage outside a quote are left out, or a limit would mean nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_QUOTE: Final = re.compile(r"<quote>(.*?)</quote>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"</?quote>", re.IGNORECASE)
RUN: Final = 8
"""So many words of the passage in a row are a quote, marked or not."""
_AROUND: Final = " \t\r\n*_`'\"“”‘’.,:;!?()[]{}<>-–—"
LEFT_OUT: Final = "[…]"
"""Stands for words of the passage outside a quote."""


class Piece(NamedTuple):
    """A part of a turn."""

    text: str
    quoted: bool = False
    """It was marked as a quote."""
    verified: bool = False
    """It is one: it stands in the passage, up to white space."""
    shown: bool = True
    """False for quotes beyond the limit."""


def is_in(quote: str, passage: str) -> bool:
    """Whether a passage holds a quote, of whole words and to the letter; only runs of white space are alike."""
    said = _plain(quote)
    before, after = (r"(?<!\w)" if said[:1].isalnum() else ""), (r"(?!\w)" if said[-1:].isalnum() else "")
    return bool(said) and re.search(before + re.escape(said) + after, _plain(passage)) is not None


def pieces(turn: str, passage: str, most_words: int) -> list[Piece]:
    """The parts of a turn, in order.

    Args:
        turn: What a debater said, with quotes between `<quote>` and `</quote>`.
        passage: What they are to be found in.
        most_words: Of all quotes that are found there; those that go beyond are not shown.
    """
    found, left = [], most_words
    for number, text in enumerate(_QUOTE.split(turn)):
        if number % 2 == 0:
            words = without_passage(_TAG.sub("", text), passage)
            if words.strip():
                found.append(Piece(words.strip()))
            continue
        quote = _plain(_TAG.sub("", text))
        if quote:
            verified, length = is_in(quote, passage), len(quote.split())
            found.append(Piece(quote, quoted=True, verified=verified, shown=length <= left))
            left -= length if length <= left else 0
    return found


def without_passage(words: str, passage: str) -> str:
    """Words, with runs of `RUN` and more that stand in the passage left out."""
    spaced, plain = re.split(r"(\s+)", words), f" {' '.join(map(_bare, passage.split()))} "
    said, gaps = spaced[::2], [*spaced[1::2], ""]
    kept, at = [], 0
    while at < len(said):
        end = at
        while end < len(said) and f" {' '.join(map(_bare, said[at : end + 1]))} " in plain:
            end += 1
        if end - at >= RUN:
            kept += [LEFT_OUT, gaps[end - 1]]
            at = end
        else:
            kept += [said[at], gaps[at]]
            at += 1
    return "".join(kept)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _bare(word: str) -> str:
    """Without what stands around it, and however it is written."""
    return word.strip(_AROUND).casefold()
