"""Constitutions: principles in plain words, by which a model criticises, revises and compares answers.

A file is Markdown (a section or a list item is a principle), TOML, or JSON in the shapes that were published with
Constitutional AI. Whatever the shape, a principle can be asked in three ways; where a file gives only its words, the
questions are made of them.

Source: critique, revision and preference by sampled principles: Bai et al. 2022, arXiv:2212.08073, 3.1, 4.1, app. C.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palate.core.errors import ConfigError, DataError
from palate.core.guidelines import clauses
from palate.core.ids import content_id, derive_seed

_ITEM: Final = re.compile(r"^(?:[-*+]|\d+[.)])\s+(.*)$")
_ASKS: Final = ("critique", "revise", "prefer")
_CRITIQUE: Final = "Say precisely where the last answer goes against this principle, or that it does not: {text}"
_REVISE: Final = "Rewrite the last answer so that it keeps to this principle, and change nothing else: {text}"
_PREFER: Final = "Choose the answer that better keeps to this principle: {text}"
_SHAPES: Final = "Markdown (.md), TOML (.toml) or JSON (.json)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One principle."""

    id: str
    """Short; unlike the others' of its constitution."""
    text: str
    """In plain words, as people read it."""
    critique: str = ""
    """What a model is asked for when it criticises an answer; made of the text when empty."""
    revise: str = ""
    """… when it rewrites one."""
    prefer: str = ""
    """… when it compares two."""

    @property
    def critique_request(self) -> str:
        """What asks for a critique."""
        return self.critique or _CRITIQUE.format(text=self.text)

    @property
    def revision_request(self) -> str:
        """What asks for a revision."""
        return self.revise or _REVISE.format(text=self.text)

    @property
    def preference_request(self) -> str:
        """What asks for a choice between two answers."""
        return self.prefer or _PREFER.format(text=self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution:
    """Principles; a change of any word is another constitution."""

    principles: tuple[Principle, ...]
    name: str = ""

    def __post_init__(self) -> None:
        ids = [one.id for one in self.principles]
        if not ids or len(set(ids)) < len(ids) or not all(one.text.strip() for one in self.principles):
            twice = sorted({id for id in ids if ids.count(id) > 1})
            raise DataError(
                "this is no constitution",
                where=self.name,
                expected="a principle or more, each with words and a name of its own",
                found=f"{len(ids)} principles" + (f", {', '.join(twice)} more than once" if twice else ""),
            )

    @property
    def id(self) -> str:
        """Of all that is asked."""
        return content_id(
            "constitution", [[p.id, *(getattr(p, f"{one}_request") for one in _OF)] for p in self.principles]
        )

    def drawn(self, key: str, seed: int = 0) -> Principle:
        """The principle by which something is judged: any with the same chance, always the same for the same key."""
        return random.Random(derive_seed(seed, "principle", self.id, key)).choice(self.principles)

    def several(self, key: str, count: int, seed: int = 0) -> tuple[Principle, ...]:
        """So many different ones, drawn likewise; of one, the one that `drawn` gives.

        Raises:
            ConfigError: there are not so many.
        """
        if not 1 <= count <= len(self.principles):
            raise ConfigError(
                "so many principles cannot be drawn", expected=f"1 to {len(self.principles)}", found=str(count)
            )
        if count == 1:
            return (self.drawn(key, seed),)
        drawn = random.Random(derive_seed(seed, "principles", self.id, key, count)).sample(self.principles, count)
        return tuple(drawn)

    def named(self, id: str) -> Principle:
        """The principle of an id.

        Raises:
            DataError: there is none.
        """
        for one in self.principles:
            if one.id == id:
                return one
        raise DataError("there is no such principle", expected=", ".join(p.id for p in self.principles), found=repr(id))


_OF: Final = ("critique", "revision", "preference")


def read(path: Path) -> Constitution:
    """A file of principles.

    Raises:
        ConfigError: it cannot be read, or is of no known shape.
        DataError: its content is no list of principles.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the constitution cannot be read", where=str(path), found=str(error)) from error
    return parse(text, path.suffix, str(path))


def parse(text: str, suffix: str, where: str = "") -> Constitution:
    """The same of a text.

    Args:
        text: What stands in the file.
        suffix: `.md`, `.toml` or `.json`.
        where: For what is said of errors.
    """
    shape = _READERS.get(suffix.lower())
    if shape is None:
        raise ConfigError("a constitution of this shape is not known", where=where, expected=_SHAPES, found=suffix)
    try:
        found = shape(text)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DataError("the principles cannot be made out", where=where, expected=_SHAPES, found=str(error)) from error
    return Constitution(principles=tuple(found), name=where)


def _markdown(text: str) -> list[Principle]:
    """Sections where there are any, else list items; an item goes on in the indented lines below it."""
    if sections := clauses(text):
        return [Principle(id=one.id, text=f"{one.title}: {one.text}" if one.text else one.title) for one in sections]
    items: list[str] = []
    for line in text.splitlines():
        if found := _ITEM.match(line):
            items.append(found[1].strip())
        elif items and line.startswith((" ", "\t")) and line.strip():
            items[-1] = f"{items[-1]} {line.strip()}"
    return [Principle(id=f"principle-{number}", text=item) for number, item in enumerate(items, 1)]


def _toml(told: Mapping[str, Any]) -> list[Principle]:
    """`principles = ["…", "…"]`, or tables `[[principle]]` with `text`, and `id`, `critique`, `revise`, `prefer`."""
    rows = told.get("principle", told.get("principles"))
    if not isinstance(rows, list):
        raise TypeError("neither a list `principles` nor tables `[[principle]]`")
    return [_row(row, number) for number, row in enumerate(rows, 1)]


def _row(row: Any, number: int) -> Principle:
    if isinstance(row, str):
        return Principle(id=f"principle-{number}", text=row.strip())
    if unknown := set(row) - {"id", "text", *_ASKS}:
        raise LookupError(f"principle {number} has {', '.join(sorted(unknown))}, which nobody reads")
    asks = {name: str(row.get(name, "")) for name in _ASKS}
    return Principle(id=str(row.get("id") or f"principle-{number}"), text=str(row["text"]).strip(), **asks)


def _published(told: Any) -> list[Principle]:
    """`{name: {"prompt": […], "edit_request": …}}`, a list of ways to ask for a choice, or rows as in TOML."""
    if isinstance(told, Sequence) and not isinstance(told, str):
        if all(isinstance(row, str) for row in told):
            return [
                Principle(id=f"principle-{number}", text=_bare(row, (), ()), prefer=row.strip())
                for number, row in enumerate(told, 1)
            ]
        return [_row(row, number) for number, row in enumerate(told, 1)]
    if "principles" in told or "principle" in told:
        return _toml(told)
    found = []
    for name, row in told.items():
        asked = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][0]
        critique = _bare(asked, ("CritiqueRequest:",), ("Critique:",))
        revise = _bare(row["edit_request"], ("RevisionRequest:",), ("Revision:",))
        found.append(Principle(id=str(name), text=critique, critique=critique, revise=revise))
    return found


_READERS: Final[Mapping[str, Callable[[str], list[Principle]]]] = {
    **dict.fromkeys((".md", ".markdown", ".txt", ""), _markdown),
    ".toml": lambda text: _toml(tomllib.loads(text)),
    ".json": lambda text: _published(json.loads(text)),
}


def _bare(text: str, before: Sequence[str], after: Sequence[str]) -> str:
    """A request without the words that frame it in a prompt."""
    text = text.strip()
    for mark in before:
        text = text.removeprefix(mark).strip()
    for mark in after:
        text = text.removesuffix(mark).strip()
    return text
