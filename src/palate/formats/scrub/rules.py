"""The rules: what counts as a piece of personal data or a secret, and what only looks like it.

Each rule is deterministic. A check digit decides where there is one; where there is none, the punctuation or a
word before the number does: ten bare digits are an order number, `call 5551234567` is a telephone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from palate.formats.scrub.checks import IBAN_LENGTHS, is_card, is_iban


class Span(NamedTuple):
    """A place in a text, and what stands there in a spelling of its own, so that two ways to write it are one."""

    start: int
    end: int
    value: str


class Rule(Protocol):
    """What a rule has to offer; one that is written elsewhere does as well."""

    @property
    def kind(self) -> str:
        """Capital letters, as in `<EMAIL_1>`."""

    @property
    def hint(self) -> str:
        r"""A regular expression that every text with such a thing matches somewhere; fastest if it begins with `\d`."""

    def find(self, text: str) -> Iterable[Span]:
        """All of them in a text, from left to right."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A rule that is a regular expression and a check of what it matched."""

    kind: str
    hint: str
    pattern: re.Pattern[str]
    accept: Callable[[re.Match[str]], str | None]
    """The value in its one spelling, or None for something that only looks like it."""

    def find(self, text: str) -> Iterator[Span]:
        """The group `is` of each match that is accepted, or the whole match."""
        group = "is" if "is" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            value = self.accept(match)
            if value is not None:
                yield Span(*match.span(group), value)


MANY_DIGITS = r"\d(?:[ \u00a0\u2009./()-]{0,3}\d){6}"
"""Seven digits with little between them, the fewest that a number of a person has."""

_DIGITS_ONLY = str.maketrans("", "", " \u00a0\u2009-.()/")


def _bare(text: str) -> str:
    return text.translate(_DIGITS_ONLY)


def _email(match: re.Match[str]) -> str | None:
    # `git@host` is how a repository is written, and names nobody.
    return None if match["local"].lower() == "git" else match[0].lower()


EMAIL = Pattern(
    "EMAIL",
    "@",
    re.compile(
        r"(?<![\w.+%-])(?P<local>\w[\w.+%'-]{0,127})@(?:\w(?:[\w-]{0,61}\w)?\.){1,8}[^\W\d_]{2,24}(?![\w-]*@)",
    ),
    _email,
)

_CARD = re.compile(
    r"(?<![\w.,$€£+-])(?P<is>\d{12,19}"
    r"|\d{4}(?P<s>[ -])\d{4}(?P=s)\d{4}(?P=s)\d{1,4}(?:(?P=s)\d{3})?"
    r"|\d{4}(?P<t>[ -])\d{6}(?P=t)\d{4,5})(?![\w-]|[.,]\d)"
)


def _card(match: re.Match[str]) -> str | None:
    digits = _bare(match["is"])
    return digits if is_card(digits) else None


CARD = Pattern("CARD", MANY_DIGITS, _CARD, _card)


@dataclass(frozen=True, slots=True)
class Iban:
    """Account numbers; their country says how long they are, so that the word behind is not taken for a part."""

    kind: str = "IBAN"
    hint: str = r"\d\d(?<=[A-Za-z]{2}\d\d)[ -]?[A-Za-z0-9]{2}"

    def find(self, text: str) -> Iterator[Span]:
        """Numbers in any case, in groups or not, whose check digits are right."""
        for match in _IBAN_START.finditer(text):
            length = IBAN_LENGTHS.get(match[0].upper())
            run = _IBAN_RUN[length].match(text, match.start()) if length else None
            if run is None:
                continue
            value = _bare(run[0]).upper()
            if is_iban(value):
                yield Span(run.start(), run.end(), value)


_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}(?=\d{2}[ -]?[A-Za-z0-9])")
_IBAN_RUN = {
    length: re.compile(rf"[A-Za-z]{{2}}\d{{2}}(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![^\W_])")
    for length in set(IBAN_LENGTHS.values())
}

_SSN = re.compile(
    r"(?<![\w.-])(?:(?P<told>(?:\bSSN|\bsocial security(?: number| no\.?)?)(?: is|[:#=])* *))?"
    r"(?P<is>(?!000|666|9)\d{3}(?P<s>[- ]?)(?!00)\d{2}(?P=s)(?!0000)\d{4})(?![\w-]|[.,]\d)",
    re.IGNORECASE,
)


def _ssn(match: re.Match[str]) -> str | None:
    # With spaces or nothing between, any three numbers look like it, unless a word says what they are.
    return _bare(match["is"]) if match["s"] == "-" or match["told"] else None


SSN = Pattern("SSN", MANY_DIGITS, _SSN, _ssn)

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(
    r"(?P<version>\b(?:v|ver|version|release|firmware|build|section|chapter)\.? {0,2}:? {0,2})?"
    rf"(?<![\w.-])(?P<is>(?:{_OCTET}\.){{3}}{_OCTET})(?![\w-]|\.\d)",
    re.IGNORECASE,
)
_NOBODYS = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|255\.255\..*)\Z")


def _ipv4(match: re.Match[str]) -> str | None:
    text, start = match.string, match.start("is")
    program = start > 1 and text[start - 1] == "/" and text[start - 2].isalnum()  # as in `Chrome/91.0.4.124`
    if match["version"] or program or _NOBODYS.match(match["is"]):
        return None
    return match["is"]


IPV4 = Pattern("IP", r"\d\.\d{1,3}\.\d{1,3}\.\d", _IPV4, _ipv4)

_IPV6 = re.compile(
    r"(?<![\w:.])(?P<is>(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{4,39}(?:\.\d{1,3}){0,3})(?![\w:])"
)
_ROUTED = re.compile(r"(?:[23][0-9a-f]{3}|f[c-f][0-9a-f]{2}):", re.IGNORECASE)


def _ipv6(match: re.Match[str]) -> str | None:
    text = match["is"]
    try:
        value = str(ipaddress.IPv6Address(text))
    except ValueError:
        return None  # a time of day, a MAC address, a name in C++
    # `1::2` is a slice in code, and `::1` everybody's own machine.
    groups = [group for group in text.split(":") if group]
    return value if len(groups) > 2 or "." in text or _ROUTED.match(text) else None


IPV6 = Pattern("IP", r":(?::|[0-9A-Fa-f]{1,4}:)", _IPV6, _ipv6)

_SEP = r"[ \u00a0\u2009./-]"
_FEW = r"(?:\(\d{1,4}\)|\d)"
_PHONE = re.compile(
    r"(?<![\w.,$€£+-])(?<!\d[ /])(?:"
    # with a country
    rf"(?:\+|00(?=\d{{0,3}}{_SEP}))(?P<country>[1-9](?:{_SEP}?{_FEW}){{4,14}})"
    # as in North America
    r"|(?P<america>(?:1[ .-])?(?:\(\d{3}\) ?\d{3}[ .-]|[2-9]\d\d(?P<s>[ .-])[2-9]\d\d(?P=s))\d{4})"
    # as in most of Europe: a leading zero, and at least two groups
    rf"|(?P<zero>(?:\(0[1-9]\d{{0,3}}\)|0[1-9]\d{{0,3}})(?:{_SEP}{{1,3}}\d{{2,8}}){{1,5}})"
    r")(?!\d|[.,/-]\d|[A-Za-z_])"
)
_TOLD_PHONE = re.compile(
    r"\b(?:tel|telephone|phone|mobile|cell|fax|call|dial|text|ring|whatsapp|reach|telefon|handy)(?: ?numbers?| ?no)?"
    r"\.?(?: (?:me|us|him|her|them|is|at|on|under|back|the|number|my)){0,6}[: ]{1,3}"
    rf"(?P<is>{_FEW}(?:{_SEP}?{_FEW}){{3,14}})"
    r"(?!\d|[.,/-]\d|[A-Za-z_%€$])",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:\d{1,2}[./ -]\d{1,2}[./ -](?:19|20)?\d\d|(?:19|20)\d\d[./ -]\d{1,2}[./ -]\d{1,2})(?!\d)")


def _phone(match: re.Match[str]) -> str | None:
    digits = _bare(match[0].lstrip("+"))
    if match["zero"] and (not 9 <= len(digits) <= 12 or _DATE.match(match[0])):
        return None
    if match["country"] and not 8 <= len(digits) <= 17:
        return None
    return digits.lstrip("0")


def _told_phone(match: re.Match[str]) -> str | None:
    digits = _bare(match["is"])
    return None if _DATE.match(match["is"]) or not 7 <= len(digits) <= 16 else digits.lstrip("0")


PHONE = Pattern("PHONE", MANY_DIGITS, _PHONE, _phone)
TOLD_PHONE = Pattern("PHONE", MANY_DIGITS, _TOLD_PHONE, _told_phone)
