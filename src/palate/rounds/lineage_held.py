"""What some datasets hold together: judgements, pairs and answers, each counted once however many datasets hold it.

A judgement that counted in one dataset and not in another counted. Counts come from the indices; rows come from the
datasets' own files, as a stream, in the order of the datasets and of their lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import UInt64

from palate.preferences.dataset import SPLITS, read_lines
from palate.preferences.lossless import JUDGEMENTS
from palate.preferences.splits import UNSEEN_RATERS
from palate.rounds.lineage import FIRST, Lineage, Members, Node, shortened
from palate.rounds.lineage_index import LEARNED, MEASURED, NO_ROW, NONE, Index, hashed, states_among

_BLOCK: Final = 2_000
_KEPT: Final = 64


class Counts(NamedTuple):
    """What some datasets hold."""

    learned: int
    """Judgements that shaped a row to learn from."""
    measured: int
    """Other judgements that shaped a row to measure by."""
    held: int
    """Judgements that are held, and counted in none of them."""
    comparisons: int
    """Pairs with a row."""
    answers: int
    """Written answers and approvals."""
    raters: int
    """People and models with a judgement that counted."""


def counts(lineage: Lineage, datasets: Sequence[str]) -> Counts:
    """What some datasets hold, each thing once."""
    indices = [index for name in datasets if (index := lineage.indices.of(name)) is not None]
    # An index that is read again is another object.
    key = tuple(map(id, indices))
    known = lineage.kept.get(key)
    if known is None:
        if len(lineage.kept) >= _KEPT:
            lineage.kept.clear()
        known = lineage.kept[key] = (_counted(indices), indices)
    found: Counts = known[0]
    return found


def _counted(indices: Sequence[Index]) -> Counts:
    learned = _union(one.judgements_J[one.states_J == LEARNED] for one in indices)
    counted = _union(one.judgements_J[one.states_J <= MEASURED] for one in indices)
    every = _union(one.judgements_J for one in indices)
    shown = _union(one.comparisons_N[one.splits_N < NO_ROW] for one in indices)
    answers, raters = _union(one.answers_A for one in indices), _union(one.raters_R for one in indices)
    return Counts(learned, counted - learned, every - counted, shown, answers, raters)


def members(lineage: Lineage, datasets: Sequence[str]) -> list[Members]:
    """The counts in words, with the first judgements and pairs."""
    found = counts(lineage, datasets)
    strongest = "learned" if found.learned else "measured" if found.measured else "held"
    words = {
        "learned": "counted in rows that are learned from",
        "measured": "counted only in rows that models are measured by",
        "held": "held, and counted nowhere",
    }
    told = [
        Members("judgement", word, count, _first(judgements(lineage, datasets), role) if role == strongest else ())
        for role, word in words.items()
        if (count := getattr(found, role))
    ]
    if found.comparisons:
        first = tuple(islice(pairs(lineage, datasets), FIRST))
        told.append(Members("comparison", "have a row", found.comparisons, first))
    if found.answers:
        first = tuple(islice(texts(lineage, datasets), FIRST))
        told.append(Members("answer", "written or approved", found.answers, first))
    if found.raters:
        told.append(Members("rater", "had a judgement that counted", found.raters))
    return told


def judgements(lineage: Lineage, datasets: Sequence[str]) -> Iterator[tuple[Node, str]]:
    """All judgements that some datasets hold, each once with its best role: `learned`, `measured` or `held`."""
    known = [(id, index) for id in datasets if (index := lineage.indices.of(id)) is not None]
    for place, (dataset, _) in enumerate(known):
        for rows in _blocks(_lines(lineage, dataset, (JUDGEMENTS,))):
            keys_U = np.fromiter((hashed(row["uid"]) for row in rows), dtype=np.uint64, count=len(rows))
            states_DU = np.stack([states_among(index, keys_U) for _, index in known])
            # Those that a dataset before this one holds were told there.
            new_U = (states_DU[:place] == NONE).all(axis=0)
            best_U = states_DU.min(axis=0)
            for row, new, state in zip(rows, new_U, best_U, strict=True):
                if new:
                    role = "learned" if state == LEARNED else "measured" if state == MEASURED else "held"
                    yield Node("judgement", row["uid"], _said(row)), role


def pairs(lineage: Lineage, datasets: Sequence[str]) -> Iterator[Node]:
    """All pairs that have a row in some datasets, each once."""
    yield from _rows(lineage, datasets, "comparison")


def texts(lineage: Lineage, datasets: Sequence[str]) -> Iterator[Node]:
    """All written answers and approvals that are rows of some datasets, each once."""
    yield from _rows(lineage, datasets, "answer")


def _rows(lineage: Lineage, datasets: Sequence[str], kind: str) -> Iterator[Node]:
    files = [f"{split}.jsonl" for split in (*SPLITS, UNSEEN_RATERS)]
    before: list[Index] = []
    for dataset in datasets:
        index = lineage.indices.of(dataset)
        if index is None:
            continue
        here: set[int] = set()  # a row for each group, or in two splits
        for row in _lines(lineage, dataset, files):
            told = _row(row)
            if told is None or told[0].kind != kind or told[1] in here:
                continue
            node, key = told
            here.add(key)
            if not any(_has(one, kind, key) for one in before):
                yield node
        before.append(index)


def _row(row: Mapping[str, Any]) -> tuple[Node, int] | None:
    asked = shortened(row["prompt"][-1]["content"], 50) if row.get("prompt") else ""
    if "comparison" in row:
        line = f"“{asked}” · p {row['p_chosen']:.2f}"
        return Node("comparison", row["comparison"], line), hashed(row["comparison"])
    if "completion" in row:
        key = hashed(row.get("prompt_id", ""), row["completion"])
        return Node("answer", row.get("prompt_id", ""), f"“{shortened(row['completion'], 50)}” to “{asked}”"), key
    return None


def _has(index: Index, kind: str, key: int) -> bool:
    keys, splits = (index.comparisons_N, index.splits_N) if kind == "comparison" else (index.answers_A, index.splits_A)
    place = int(np.searchsorted(keys, np.uint64(key)))
    return place < len(keys) and int(keys[place]) == key and splits[place] < NO_ROW


def _first(found: Iterable[tuple[Node, str]], role: str) -> tuple[Node, ...]:
    return tuple(islice((node for node, told in found if told == role), FIRST))


def _said(row: Mapping[str, Any]) -> str:
    return f"{row['verdict'].replace('_', ' ')} · by {row['rater']} · {row['judged_at'][:16].replace('T', ' ')}"


def _lines(lineage: Lineage, dataset: str, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in files:
        path = lineage.workspace.path(dataset) / name
        if path.is_file():
            yield from (row for _, row in read_lines(path))


def _blocks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    size = 200  # whoever wants the first hundred need not wait for two thousand
    while block := list(islice(rows, size)):
        yield block
        size = _BLOCK


def _union(parts: Iterable[UInt64[np.ndarray, " _"]]) -> int:
    """How many different ones there are."""
    found = [part for part in parts if len(part)]
    if len(found) < 2:
        return len(found[0]) if found else 0
    # Merge sort is quick on runs that are sorted already.
    every_X = np.sort(np.concatenate(found), kind="stable")
    return 1 + int(np.count_nonzero(every_X[1:] != every_X[:-1]))
