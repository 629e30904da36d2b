"""Any table by a map of its columns: `first=a1 second=a2 verdict=label`.

A key that is not mapped stands for the column of its own name, if the file has it and the map's shape
needs it: a file with a column `prompt` needs no `prompt=prompt`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from palate.core.errors import ConfigError, DataError
from palate.core.records import Prompt
from palate.formats import hh
from palate.formats.imported import ImportedPair
from palate.formats.messages import demonstration
from palate.formats.preference import prompt_turns, side_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import chosen_pair, split
from palate.formats.turns import Turns, lost_in_turns, prompt_of, text_in
from palate.formats.verdicts import number_in, verdict_in

KEYS = ("prompt", "first", "second", "verdict", "chosen", "rejected", "completion", "rater", "kind")
"""What a column can be."""

_JUDGED = ("first", "second", "verdict")
_PREFERRED = ("chosen", "rejected")
_ENOUGH_NUMBERS = 20


def shape_of(columns: Mapping[str, str], there: Collection[str]) -> Shape:
    """The shape that a column map describes.

    Args:
        columns: Palate's name, one of `KEYS`, to the file's.
        there: The columns that the file has.

    Raises:
        ConfigError: the map makes no sense.
    """
    main = _main_keys(columns, there)
    return Shape(
        name="columns",
        columns=f"what --map names; it knows {', '.join(KEYS)}",
        matches=lambda values: all(columns.get(key, key) in values for key in main),
        carry=partial(_carry, columns=dict(columns), main=main),
        check=partial(_check, columns=dict(columns), main=main),
    )


def _main_keys(columns: Mapping[str, str], there: Collection[str]) -> tuple[str, ...]:
    unknown = sorted(set(columns) - set(KEYS))
    if unknown:
        raise ConfigError(
            "--map names something that a column cannot be",
            expected=", ".join(KEYS),
            found=", ".join(f"`{key}`" for key in unknown),
            hint="write Palate's name first and the file's second, as in --map first=answer_a",
        )
    candidates = (_JUDGED, _PREFERRED, ("completion",))
    mapped = [keys for keys in candidates if any(key in columns for key in keys)]
    if not mapped:
        mapped = [keys for keys in candidates if all(key in there for key in keys)][:1]
    alone = "prompt" in columns and "rater" not in columns
    if len(mapped) == 1 and ("rater" not in columns or mapped[0] != ("completion",)):
        return mapped[0]
    if not mapped and alone:
        return ("prompt",)
    raise ConfigError(
        "--map does not say what the rows are",
        expected="first, second and verdict; or chosen and rejected (both with or without rater); "
        "or prompt and completion; or prompt alone",
        found=" ".join(f"{key}={value}" for key, value in columns.items()) or "an empty map",
    )


def _check(rows: Sequence[Row], name: str, *, columns: Mapping[str, str], main: tuple[str, ...]) -> None:
    there = list(dict.fromkeys(column for row in rows for column in row.values))
    needed = [columns.get(key, key) for key in main] + list(columns.values())
    if main == ("completion",):
        needed.append(columns.get("prompt", "prompt"))
    missing = [column for column in dict.fromkeys(needed) if column not in there]
    if missing:
        near = difflib.get_close_matches(missing[0], there, n=1)
        raise DataError(
            "a file lacks columns that --map names or needs",
            where=name,
            expected=", ".join(f"`{column}`" for column in missing),
            found=", ".join(f"`{column}`" for column in there),
            hint=f"did you mean `{near[0]}`?" if near else "name the file's columns, as in --map first=answer_a",
        )
    if main == _JUDGED:
        _check_numbers(rows, name, columns.get("verdict", "verdict"))


def _check_numbers(rows: Sequence[Row], name: str, column: str) -> None:
    """Many zeros and ones without a single two are indices (0 the first, 1 the second), not ties."""
    numbers = [number_in(row.values.get(column)) for row in rows]
    zeros, ones, twos = (numbers.count(n) for n in (0, 1, 2))
    if zeros and ones and not twos and zeros + ones >= _ENOUGH_NUMBERS:
        raise DataError(
            "the verdicts of a file are 0 and 1, and never 2, which hardly fits 0 for a tie",
            where=name,
            expected="1 for the first, 2 for the second, 0 for a tie",
            found=f"{zeros} times 0 and {ones} times 1 in `{column}`",
            hint="write `first`, `second` and `tie` into that column",
        )


def _carry(row: Row, *, columns: Mapping[str, str], main: tuple[str, ...]) -> Carried:
    values = row.values
    cells = {key: columns.get(key, key) for key in (*main, "prompt", "kind")}
    if "rater" in columns:
        cells["rater"] = columns["rater"]
    for key in main:
        if cells[key] not in values:
            raise DataError(f"the row has no column `{cells[key]}`")
    kind = values.get(cells["kind"])
    kind = "" if is_blank(kind) else str(kind)
    used = frozenset(cells.values())
    lost = frozenset(key for name in used for key in lost_in_turns(values.get(name), name))
    has_prompt = "prompt" in columns or cells["prompt"] in values
    prompt = _prompt(row, cells["prompt"]) if has_prompt else None
    if main == ("completion",):
        head = prompt or ()
        turns = (*head, *side_turns(values[cells["completion"]], cells["completion"]))
        return Carried(demonstrations=(demonstration(turns, kind),), used=used, lost=lost)
    if main == ("prompt",):
        return Carried(prompts=(prompt_of(prompt or (), kind),), used=used, lost=lost)
    return Carried(pairs=(_pair(row, cells, main, prompt, kind),), used=used, lost=lost)


def _prompt(row: Row, column: str) -> Turns:
    if is_blank(row.values.get(column)):
        raise DataError("the prompt is empty", found=f"nothing in `{column}`")
    return prompt_turns(row.values[column], column)


def _pair(row: Row, cells: Mapping[str, str], main: tuple[str, ...], prompt: Turns | None, kind: str) -> ImportedPair:
    values = row.values
    rater = values.get(cells["rater"]) if "rater" in cells else None
    rater = None if is_blank(rater) else text_in(str(rater).strip(), "rater")
    names = (cells[main[0]], cells[main[1]])
    one, other = (_side(values[name], name, prompt) for name in names)
    turns, first, second = split(prompt, (one, other), names)
    if main == _PREFERRED:
        return chosen_pair(row, turns, first, second, kind=kind, rater=rater)
    return ImportedPair(
        # Some sets compare texts as such and ask nothing: then the prompt has no turns.
        prompt=prompt_of(turns, kind) if turns else Prompt((), text_in(kind, "kind")),
        first=first,
        second=second,
        verdict=verdict_in(values[cells["verdict"]], *names),
        rater=rater,
        where=row.where,
        row=row.number,
    )


def _side(value: object, name: str, prompt: Turns | None) -> Turns:
    if prompt is None and isinstance(value, str) and hh.is_transcript(value):
        return hh.transcript(value, name)
    return side_turns(value, name)
