"""Tell whether a text or a row holds a person's marks, in whatever form programs write them down.

Names are looked for as they are, in any case, and as base64, hex and SHA-256; everything is looked for in a text as it
stands, with escapes of JSON undone, of HTML, and of URLs. A text of theirs counts inside another where it is long
enough to be theirs alone; a shorter one only together with its prompt. One pass over a text, however many marks.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from palate.store.marks import Marks

ERASED: Final = "(erased)"
LONG: Final = 16
"""Characters from which a text of theirs is looked for inside others."""
_LINE: Final = 24
"""Characters from which a line of such a text is looked for too."""
_SURE: Final = 12
"""Characters from which an id is looked for under every key; an address is, however short."""
_WORD: Final = re.compile(r"[^\W_]+")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")
_OWN_KEYS: Final = frozenset({"uid", "rater", "person", "found_by", "author", "actor", "supersedes", "judge", "helper"})
"""Where a short name or id is one."""


class Traces:
    """What to look for."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        named = {form for name in marks.names for form in forms(name)}
        wanted = {one for one in named | marks.ids if _is_sure(one)}
        wanted |= {one.strip() for one in marks.texts if len(one.strip()) >= LONG}
        # A log may have a text on several lines.
        wanted |= {line.strip() for one in marks.texts for line in one.splitlines() if len(line.strip()) >= _LINE}
        # What somebody is called may be a word; two words are a name.
        wanted |= {one for one in marks.called if len(one) >= LONG or (" " in one.strip() and len(one) >= 8)}
        self._short = {one for one in marks.names | marks.ids if not _is_sure(one)}
        self._anchors: dict[str, list[str]] = {}
        for one in wanted:
            folded = _fold(one)
            if words := _WORD.findall(folded):
                self._anchors.setdefault(max(words, key=len), []).append(folded)

    def in_text(self, text: str) -> bool:
        """Whether a text holds a mark, whatever it is escaped for."""
        return any(self._inside(form) for form in _readings(text))

    def in_row(self, row: Any) -> bool:
        """Whether a value of JSON names the person or a row of theirs, or holds a text of theirs."""
        return any(self._is_theirs(key, value) for key, value in _strings(row)) or self._pairs(row)

    def in_line(self, line: str) -> bool:
        """As `in_row` for a line that holds JSON, as `in_text` for any other."""
        if self.in_text(line):
            return True
        if not line.lstrip().startswith(("{", "[")):
            return False
        try:
            return self.in_row(json.loads(line))
        except ValueError:
            return False

    def without(self, value: Any, name: str = ERASED, key: str = "") -> Any:
        """A value of JSON with `name` wherever a mark stood.

        What is longer than the mark keeps the rest of it where the mark is a name or an id, and goes whole where it
        is more than that.
        """
        if isinstance(value, Mapping):
            return {self.without(k, name): self.without(v, name, k) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.without(one, name, key) for one in value]
        if not isinstance(value, str) or not self._is_theirs(key, value):
            return value
        if value in self._short:
            return name
        left = value
        for one in sorted(self.marks.names | self.marks.ids, key=len, reverse=True):
            if _is_sure(one):
                left = re.sub(re.escape(one), name, left, flags=re.IGNORECASE)
        return ERASED if self.in_text(left) else left

    def _is_theirs(self, key: str, value: str) -> bool:
        return (value in self._short and key in _OWN_KEYS) or self.in_text(value)

    def _inside(self, text: str) -> bool:
        folded = _fold(text)
        for word in set(_WORD.findall(folded)) & self._anchors.keys():
            if any(one in folded for one in self._anchors[word]):
                return True
        return False

    def _pairs(self, row: Any) -> bool:
        return isinstance(row, Mapping) and (row.get("prompt_id"), row.get("completion")) in self.marks.answers


def forms(name: str) -> Iterator[str]:
    """A name as programs write it down: as it is, and as base64, hex and SHA-256, of small letters too."""
    for one in {name, name.lower(), name.upper()}:
        raw = one.encode("utf-8", "surrogatepass")
        yield one
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        yield raw.hex()
        yield hashlib.sha256(raw).hexdigest()


def _is_sure(name: str) -> bool:
    return len(name) >= _SURE or "@" in name


def _fold(text: str) -> str:
    return text.casefold()


def _readings(text: str) -> Iterator[str]:
    """A text as it stands, and with what it may be escaped for undone."""
    yield text
    if "\\" in text:
        yield _ESCAPE.sub(_character, text)
        yield _ESCAPE.sub(_blank, text)
    if "&" in text:
        yield html.unescape(text)
    if "%" in text:
        yield unquote_plus(text)


def _character(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}.get(match[0][1], match[0][1])


def _blank(match: re.Match[str]) -> str:
    """For what is escaped twice, as a text of JSON inside one."""
    return chr(int(match[1], 16)) if match[1] else " "


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a value of JSON, each with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield "", str(name)
            yield from _strings(one, str(name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one, key)
