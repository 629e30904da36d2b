"""Replace what the rules find by placeholders that stay the same throughout a conversation."""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from palate.formats.scrub.keys import KNOWN_KEY, RANDOM_KEY, TOLD_KEY
from palate.formats.scrub.rules import CARD, EMAIL, IPV4, IPV6, PHONE, SSN, TOLD_PHONE, Iban, Rule

RULES: tuple[Rule, ...] = (KNOWN_KEY, EMAIL, Iban(), CARD, SSN, IPV6, IPV4, PHONE, TOLD_PHONE, TOLD_KEY, RANDOM_KEY)
"""In the order in which they claim a place: what one has taken is no other's."""

_REMEMBERED = 1 << 20
"""Clean texts that are not looked at again, told by their hash: about 100 MB at most."""
_PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]*)_(\d{1,9})>")


class Scrubbed(NamedTuple):
    """Texts without what was found in them."""

    texts: tuple[str, ...]
    counts: Counter[str]
    """Kind to how many places were replaced."""


class _Place(NamedTuple):
    start: int
    end: int
    kind: str
    value: str


def scrubbed(texts: Sequence[str], *, rules: Sequence[Rule] = RULES) -> Scrubbed:
    """The texts of one conversation without personal data and secrets.

    The same e-mail address is `<EMAIL_1>` wherever it stands in them, another is `<EMAIL_2>`. To scrub texts
    twice changes nothing.

    Args:
        texts: In the order of the conversation.
        rules: What to look for; of two that claim one place the earlier wins.
    """
    scrubber = Scrubber(rules)
    talk = scrubber.conversation(texts)
    return Scrubbed(tuple(talk.text(text) for text in texts), scrubber.counts)


class Scrubber:
    """Scrubs many conversations, and counts what it found in each distinct text once."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self.rules = tuple(rules)
        self.counts: Counter[str] = Counter()
        """Kind to how many places were replaced, in distinct texts."""
        self.texts = 0
        """Distinct texts that something was found in."""
        # Most texts hold nothing that even resembles any of these: one pass over them settles it.
        self._hint = _together([rule.hint for rule in self.rules])
        self._ruled = [(rule, re.compile(rule.hint)) for rule in self.rules]
        self._clean: set[int] = set()
        self._counted: set[int] = set()

    def conversation(self, known: Iterable[str] = ()) -> Conversation:
        """A numbering of its own; placeholders that stand in the known texts already are not given out again."""
        return Conversation(self, {}, _highest(known))

    def places(self, text: str) -> list[_Place]:
        """What is to be replaced in a text, from left to right."""
        mark = hash(text)
        if mark in self._clean:
            return []
        found = self._search(text) if any(hint.search(text) for hint in self._hint) else []
        if not found:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean.add(mark)
        elif mark not in self._counted:
            self._counted.add(mark)
            self.texts += 1
            self.counts.update(place.kind for place in found)
        return found

    def _search(self, text: str) -> list[_Place]:
        taken: list[_Place] = []  # from left to right, none over another
        for rule, hint in self._ruled:
            if hint.search(text) is None:
                continue
            for start, end, value in rule.find(text):
                place = _Place(start, end, rule.kind, value)
                at = bisect(taken, place)
                if (at == 0 or taken[at - 1].end <= start) and (at == len(taken) or end <= taken[at].start):
                    taken.insert(at, place)
        return taken


class Conversation:
    """The numbering of one conversation."""

    def __init__(self, scrubber: Scrubber, names: dict[tuple[str, str], str], given: Counter[str]) -> None:
        self._scrubber = scrubber
        self._names = names
        self._given = given

    def text(self, text: str) -> str:
        """A text of this conversation, scrubbed."""
        places = self._scrubber.places(text)
        if not places:
            return text
        parts, end = [], 0
        for place in places:
            parts += [text[end : place.start], self._name(place)]
            end = place.end
        return "".join([*parts, text[end:]])

    def branch(self, known: Iterable[str] = ()) -> Conversation:
        """One way in which the conversation goes on: it keeps the numbers so far, and shares no later one.

        Two answers to one prompt are branches, so that each is scrubbed the same whatever it is compared with.
        """
        return Conversation(self._scrubber, dict(self._names), self._given | _highest(known))

    def _name(self, place: _Place) -> str:
        key = (place.kind, place.value)
        if key not in self._names:
            self._given[place.kind] += 1
            self._names[key] = f"<{place.kind}_{self._given[place.kind]}>"
        return self._names[key]


def _together(hints: Iterable[str]) -> list[re.Pattern[str]]:
    r"""The hints as few expressions: those that begin with `\d` are one, which `re` looks for at high speed."""
    distinct = dict.fromkeys(hints)
    numbers = [hint for hint in distinct if _NUMBER.match(hint) and "|" not in _GROUPS.sub("", hint)]
    others = [re.compile(hint) for hint in distinct if hint not in numbers]
    rest = "|".join(hint.removeprefix(r"\d") for hint in numbers)
    return [*others, *([re.compile(rf"\d(?:{rest})")] if numbers else [])]


_NUMBER = re.compile(r"\\d(?![?*+{])")
_GROUPS = re.compile(r"\(.*\)|\[.*?\]")


def _highest(texts: Iterable[str]) -> Counter[str]:
    """Kind to the highest number of a placeholder that stands in the texts already."""
    found: Counter[str] = Counter()
    for text in texts:
        if "_" in text and "<" in text:
            for kind, number in _PLACEHOLDER.findall(text):
                found[kind] = max(found[kind], int(number))
    return found
