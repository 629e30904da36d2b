"""Tables as CSV that a spreadsheet shows and does not run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a head. A text cell that a spreadsheet could take for a formula gets an apostrophe before it.

    Source:
        OWASP, "CSV Injection".
    """
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow([harmless(cell) for cell in head])
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(cell: object) -> object:
    """A cell as it may stand in a file; numbers are numbers and stay as they are."""
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.lstrip(" \u00a0").startswith(_DANGEROUS) else cell
