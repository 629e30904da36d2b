"""Read a foreign file: find out its shape, carry its rows, and keep account of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from palate.core.errors import ConfigError, DataError
from palate.formats import (
    alpaca,
    alpaca_eval,
    arena,
    argilla,
    chatgpt,
    columns,
    helpsteer,
    hh,
    implicit,
    judgements,
    label_studio,
    langfuse,
    messages,
    nemo_rl,
    oasst,
    open_webui,
    openai,
    pandalm,
    potato,
    preference,
    prompts,
    red_team,
    stepwise,
    text,
    ultrafeedback,
    unpaired,
)
from palate.formats.carrying import carry
from palate.formats.imported import Imported
from palate.formats.rows import RowsOfFile
from palate.formats.shape import Row, Shape
from palate.formats.sources import rows_from

# What only one shape has comes first, and what many share last.
_KNOWN = (
    judgements.SHAPE,
    chatgpt.SHAPE,
    open_webui.SHAPE,
    langfuse.SHAPE,
    label_studio.SHAPE,
    argilla.SHAPE,
    potato.SHAPE,
    pandalm.SHAPE,
    alpaca_eval.SHAPE,
    red_team.SHAPE,
    openai.SHAPE,
    nemo_rl.SHAPE,
    ultrafeedback.SHAPE,
    oasst.SHAPE,
    arena.SHAPE,
    helpsteer.SHAPE,
    alpaca.SHAPE,
    hh.SHAPE,
    preference.SHAPE,
    implicit.SHAPE,
    unpaired.SHAPE,
    stepwise.SHAPE,
    messages.SHAPE,
    prompts.SHAPE,
    text.SHAPE,
)
_SAMPLE_ROWS = 50

SHAPES = (*(shape.name for shape in _KNOWN), "columns")
"""Names of the shapes, in the order in which they are tried; `columns` needs a column map."""


def read(path: Path | str, *, shape: str | None = None, columns: Mapping[str, str] | None = None) -> Imported:
    """Everything in a file of any known shape. Nothing is written.

    Args:
        path: A .jsonl, .json, .csv, .tsv or .txt file, or one of them with .gz behind it; a .parquet file;
            or `hub:owner/name[split]`, a data set that the library `datasets` fetches.
        shape: One of `SHAPES`; found out from the first rows when not given.
        columns: For any other table: Palate's name for a column to the file's, as in
            `{"first": "a1", "second": "a2", "verdict": "label"}`.

    Raises:
        MissingArtefact: there is no such file.
        DataError: the file cannot be read, its shape is not known, or all its rows were refused.
        ConfigError: the shape or the column map makes no sense.
    """
    path = Path(path)
    check_asked(shape, columns)
    found = rows_from(path)
    form = asked(shape, columns, found.rows) or detect(path, found.rows)
    form.check(found.rows, path.name)
    imported = _carry_all(form, found, columns or {})
    if not imported.holds_something:
        raise all_refused(path, imported)
    return imported


def check_asked(shape: str | None, mapped: Mapping[str, str] | None) -> None:
    """Refuse a shape that does not exist, and a map that goes with another.

    Raises:
        ConfigError: it makes no sense.
    """
    if shape is not None and shape not in SHAPES:
        raise ConfigError("there is no such shape", expected=", ".join(SHAPES), found=f"`{shape}`")
    if mapped and shape not in (None, "columns"):
        raise ConfigError(
            "a column map and another shape were both asked for",
            expected="--map, or a shape",
            found=f"--map and the shape `{shape}`",
        )
    if shape == "columns" and not mapped:
        raise ConfigError(
            "the shape `columns` needs a map", hint="add --map, as in --map first=a1 second=a2 verdict=label"
        )


def asked(shape: str | None, mapped: Mapping[str, str] | None, rows: Sequence[Row]) -> Shape | None:
    """The shape that was asked for, if one was."""
    if mapped:
        return columns.shape_of(mapped, {name for row in rows for name in row.values})
    return next((known for known in _KNOWN if known.name == shape), None)


def detect(path: Path, rows: Sequence[Row]) -> Shape:
    """The shape of more than half of the first rows.

    Raises:
        DataError: there is none.
    """
    sample = rows[:_SAMPLE_ROWS]
    votes: Counter[str] = Counter()
    for row in sample:
        votes.update([next((shape.name for shape in _KNOWN if shape.matches(row.values)), "")])
    winner, count = votes.most_common(1)[0]
    if winner and 2 * count > len(sample):
        return next(shape for shape in _KNOWN if shape.name == winner)
    seen = list(dict.fromkeys(name for row in sample for name in row.values))
    split = ", ".join(f"{n} like `{name}`" if name else f"{n} like none" for name, n in votes.most_common())
    raise DataError(
        "the shape of a file cannot be told from its columns",
        where=str(path),
        expected="; ".join(f"`{shape.name}` ({shape.columns})" for shape in _KNOWN),
        found="columns "
        + (", ".join(f"`{name}`" for name in seen[:20]) or "none")
        + (f"; of the first {len(sample)} rows {split}" if len(votes) > 1 else ""),
        hint="name the columns, as in --map prompt=question first=answer_a second=answer_b verdict=winner",
    )


def _carry_all(form: Shape, found: RowsOfFile, mapped: Mapping[str, str]) -> Imported:
    return carry(form, form.join(found.rows), found.broken, identity=found.identity, columns=mapped)


def all_refused(path: Path, imported: Imported) -> DataError:
    """The error for a file of which nothing could be carried."""
    reasons = Counter(refusal.reason for refusal in imported.refused).most_common(3)
    return DataError(
        f"every row of a file was refused when read as `{imported.shape}`",
        where=imported.refused[0].where if imported.refused else str(path),
        expected="at least one row that can be carried",
        found="; ".join(f"{count} times: {reason}" for reason, count in reasons) or "rows that hold nothing",
        hint=f"look at {path.name}, or name its columns with --map",
    )
