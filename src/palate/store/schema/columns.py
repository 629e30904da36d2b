"""What the tables are made of: the metadata, and a text that both engines can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Dialect, Float, Integer, MetaData, Text
from sqlalchemy.types import TypeDecorator

metadata = MetaData()

_MARK = "\uf8f0"
"""A character for private use, which announces one that PostgreSQL cannot hold."""


def escaped(text: str) -> str:
    """`text` as PostgreSQL can hold it, which knows no NUL. `plain` gives it back."""
    if "\x00" in text or _MARK in text:
        return text.replace(_MARK, f"{_MARK}1").replace("\x00", f"{_MARK}0")
    return text


def plain(text: str) -> str:
    """What `escaped` was given."""
    if _MARK in text:
        return text.replace(f"{_MARK}0", "\x00").replace(f"{_MARK}1", _MARK)
    return text


class AnyText(TypeDecorator[str]):
    """Any text, with NUL in it or not."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """SQLite takes every text as it is."""
        return None if dialect.name == "sqlite" else _unless_none(escaped)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """SQLite gives every text back as it was."""
        return None if dialect.name == "sqlite" else _unless_none(plain)


def number() -> Column[int]:
    """The primary key of a fact: the database counts."""
    return Column("seq", Integer, primary_key=True)


def words(name: str, default: str | None = None, **more: Any) -> Column[str]:
    """A text that is never missing. `default` is for columns that were added to a table later."""
    return Column(name, AnyText, nullable=False, server_default=default, **more)


def whole(name: str, default: int | None = None) -> Column[int]:
    """A whole number that is never missing."""
    return Column(name, Integer, nullable=False, server_default=None if default is None else str(default))


def moment(name: str, *, optional: bool = False) -> Column[float]:
    """Seconds since 1970."""
    return Column(name, Float, nullable=optional)


def _unless_none(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else change(value)
