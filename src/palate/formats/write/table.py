"""Tables for a spreadsheet: CSV whose cells stay texts there, whatever they begin with.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a formula can call programs and send
data away (OWASP, "CSV Injection"). Such a text gets an apostrophe before it; so does one that begins with a tab or a
line break, which some programs strip first. Numbers are written as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: object) -> object:
    """A value as it may stand in a table: a text that would be a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_DANGEROUS) else value


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV after RFC 4180: comma, quotation marks where they are needed, CRLF; `None` is an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([cell(name) for name in header])
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()
