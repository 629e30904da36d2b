"""What foreign files call a verdict. A word that is not known is never a tie."""

from __future__ import annotations

from palate.core.errors import DataError
from palate.core.records import Verdict

_WORDS = {
    Verdict.FIRST: ("first", "a", "a>b", "b<a", "1", "model_a", "left"),
    Verdict.SECOND: ("second", "b", "b>a", "a<b", "2", "model_b", "right"),
    Verdict.TIE: ("tie", "a=b", "b=a", "0"),
    Verdict.BOTH_BAD: ("both_bad", "both bad", "bothbad", "tie (bothbad)"),
}
_VERDICTS = {word: verdict for verdict, words in _WORDS.items() for word in words}

KNOWN = "first/second/tie/both_bad, a/b, A>B/B>A/A=B, 1/2/0 (0 is a tie), model_a/model_b, left/right"
"""The words that are understood, in words."""


def number_in(value: object) -> int | None:
    """A verdict that is written as a whole number, as text or not; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if number in (0.0, 1.0, 2.0) else None


def verdict_in(value: object, first: str, second: str) -> Verdict:
    """The verdict that a cell holds.

    Args:
        value: The cell.
        first: The file's name for the column shown first; a cell that holds this name means it.
        second: The same for the second.

    Raises:
        DataError: the cell is empty, or holds a word that is not known.
    """
    word = str(value).strip() if isinstance(value, str) else None
    if word in (first, second):
        return Verdict.FIRST if word == first else Verdict.SECOND
    number = number_in(value)
    key = str(number) if number is not None else (word or "").lower()
    if ">" in key or "<" in key or "=" in key:
        key = "".join(key.split())
    verdict = _VERDICTS.get(key)
    if verdict is None:
        what = "the verdict is empty" if value is None or word == "" else "the verdict is not known"
        raise DataError(what, expected=KNOWN, found=f"`{str(value)[:60]}`")
    return verdict
