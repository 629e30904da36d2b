"""From tokens to text while an answer grows: what was sent is never taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

_HALF = "\ufffd"
"""What the beginning of a character decodes to."""


class Said(NamedTuple):
    """What can be sent after one more token."""

    text: str
    stopped: bool
    """A stop text came; what stands before it has been said, and nothing follows."""


class Speller:
    """Spells one answer.

    Held back is what the next token could still change: the beginning of a character, white space at the end
    (some tokenizers join it to what follows), and the beginning of a stop text.

    Args:
        decode: From all tokens so far to their text.
        stop: Texts before which the answer ends.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._sent = ""

    @property
    def sent(self) -> str:
        """All text so far."""
        return self._sent

    def more(self, tokens: Sequence[int]) -> Said:
        """The text that all tokens so far add to what was sent."""
        text = self._decode(tokens)
        if found := self._found(text):
            return found
        return Said(self._send(text, _sure(text, self._stop)), False)

    def rest(self, tokens: Sequence[int]) -> Said:
        """What was held back, when no token will follow."""
        text = self._decode(tokens)
        return self._found(text) or Said(self._send(text, len(text)), False)

    def _found(self, text: str) -> Said | None:
        places = [place for place in (text.find(stop) for stop in self._stop) if place >= 0]
        return Said(self._send(text, min(places)), True) if places else None

    def _send(self, text: str, end: int) -> str:
        start = len(self._sent)
        if end <= start or not text.startswith(self._sent):
            return ""
        self._sent = text[:end]
        return text[start:end]


def _sure(text: str, stop: Sequence[str]) -> int:
    """How much of a text stays as it is, whatever follows."""
    end = len(text.rstrip(_HALF).rstrip())
    for one in stop:
        # The longest end of the text that begins a stop text.
        for size in range(min(len(one) - 1, len(text)), 0, -1):
            if text.endswith(one[:size]):
                end = min(end, len(text) - size)
                break
    return end
