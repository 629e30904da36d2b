"""Disputes: a question about a passage, with two answers of which one may be known to be right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palate.core.errors import DataError, MissingArtefact
from palate.core.ids import content_id

FIRST: Final = "first"
SECOND: Final = "second"
SIDES: Final = (FIRST, SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """What is argued about."""

    question: str
    passage: str
    """What the answer follows from; whoever judges does not see it."""
    first: str
    """An answer."""
    second: str
    """Another."""
    right: str = ""
    """`first` or `second`; "" where nobody knows."""

    def __post_init__(self) -> None:
        empty = [name for name in ("question", "passage", *SIDES) if not getattr(self, name).strip()]
        if empty or self.first == self.second or self.right not in ("", *SIDES):
            raise DataError(
                "there is nothing to argue about",
                expected="question, passage and two different answers; right is first, second, or left out",
                found=f"no {', '.join(empty)}" if empty else f"right {self.right!r}" if self.right else "one answer",
            )

    @property
    def id(self) -> str:
        """Of the question and its answers, in either order: of two alike only one can be argued about."""
        return dispute_id(self.question, self.first, self.second)

    def answer(self, side: str) -> str:
        """The answer of a side."""
        return self.first if side == FIRST else self.second


def dispute_id(question: str, one: str, another: str) -> str:
    """The id of a dispute with these answers, in whatever order."""
    return content_id("dispute", [question, *sorted((one, another))])


def other(side: str) -> str:
    """The other side."""
    return SECOND if side == FIRST else FIRST


def read(path: Path) -> list[Dispute]:
    """The disputes of a file: JSON lines with `question`, `passage`, `first`, `second` and, where known, `right`.

    Raises:
        MissingArtefact: there is no such file.
        DataError: a line is no dispute, or two are alike in question and answers; it names the line.
    """
    if not path.is_file():
        raise MissingArtefact("there is no file of questions here", where=str(path))
    found: dict[str, Dispute] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            one = _dispute(json.loads(line.decode("utf-8")))
        except DataError as error:
            error.where = where
            raise
        except ValueError as error:
            raise DataError("a line is not JSON", where=where, found=str(error)) from error
        if found.setdefault(one.id, one) != one:
            raise DataError(
                "two lines ask the same question with the same answers about different passages",
                where=where, hint="say in the question which passage is meant",
            )  # fmt: skip
    if not found:
        raise DataError("there is nothing to argue about", where=str(path), expected="at least one line")
    return list(found.values())


def _dispute(row: Any) -> Dispute:
    names = ("question", "passage", "first", "second", "right")
    if not isinstance(row, dict) or not all(isinstance(row.get(name, ""), str) for name in names):
        raise DataError("a line is no question with two answers", expected=f"texts: {', '.join(names)}")
    return Dispute(**{name: row.get(name, "") for name in names})
