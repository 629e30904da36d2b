"""Label Studio: a task with its texts, and what each annotator did with it.

Sources: `docs/source/guide/export.md`, `tags/pairwise.md` and `tags/ranker.md` of HumanSignal/label-studio. `left` of a
`pairwise` result is the first of the two texts that the task shows. A `ranker` result holds a list of items for each
of its buckets: with one bucket its order is the ranking, with several each bucket is a rank; `_` holds what was not
ranked. Annotations that were cancelled are left out and counted. Choices are reasons, and text is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Prompt, Verdict
from palate.formats.imported import ImportedPair, ImportedRanking
from palate.formats.moments import moment
from palate.formats.preference import prompt_turns
from palate.formats.shape import Carried, Row, Shape, is_blank
from palate.formats.sides import check_completions
from palate.formats.turns import prompt_of, text_in

_ASKED = ("prompt", "question", "instruction", "query", "input", "context", "text")
_SELECTED = {"left": Verdict.FIRST, "right": Verdict.SECOND}
_CANCELLED = "annotations that were cancelled"
_TASK = ("id", "inner_id", "data", "annotations", "completions", "kind", "created_at", "updated_at", "project")
_COUNTS = ("total_annotations", "cancelled_annotations", "total_predictions", "comment_count", "drafts")
_UNRANKED = "_"


def _given(values: Mapping[str, Any]) -> list[Any] | None:
    found = values.get("annotations", values.get("completions"))
    return found if isinstance(found, list) else None


def _matches(values: Mapping[str, Any]) -> bool:
    return isinstance(values.get("data"), Mapping) and _given(values) is not None


def _carry(row: Row) -> Carried:
    data, given = row.values.get("data"), _given(row.values)
    if not isinstance(data, Mapping) or given is None:
        raise DataError("the task has no data, or no annotations", expected="`data` and `annotations`")
    pairs: list[ImportedPair] = []
    rankings: list[ImportedRanking] = []
    lost: set[str] = set()
    used: set[str] = set()
    for annotation in given:
        if not isinstance(annotation, Mapping) or not isinstance(annotation.get("result"), list):
            raise DataError("an annotation has no result", found=f"`{str(annotation)[:40]}`")
        if annotation.get("was_cancelled"):
            lost.add(_CANCELLED)
            continue
        results = [result for result in annotation["result"] if isinstance(result, Mapping)]
        about = _About(row, annotation, results)
        for result in results:
            kind, value = result.get("type"), result.get("value")
            if kind == "pairwise" and isinstance(value, Mapping):
                pairs.append(_pair(about, data, value, result, len(pairs) + len(rankings), used))
            elif kind == "ranker" and isinstance(value, Mapping):
                rankings.append(_ranking(about, data, value, len(pairs) + len(rankings), used))
            elif kind not in ("choices", "textarea", "pairwise", "ranker"):
                lost.add(f"results of type `{kind}`")
        lost |= {f"annotations[].{name}" for name in ("ground_truth",) if annotation.get(name)}
    if not pairs and not rankings:
        raise DataError("nobody compared or ranked anything in the task", found=f"{len(given)} annotations")
    lost |= {f"data.{name}" for name, cell in data.items() if name not in used and not is_blank(cell)}
    columns = frozenset({*_TASK, *_COUNTS})
    return Carried(pairs=tuple(pairs), rankings=tuple(rankings), used=columns, lost=frozenset(lost))


class _About:
    """What an annotation says beside its verdict."""

    def __init__(self, row: Row, annotation: Mapping[str, Any], results: list[Mapping[str, Any]]) -> None:
        who = annotation.get("completed_by")
        who = who.get("email", who.get("id")) if isinstance(who, Mapping) else who
        self.row = row
        self.rater = None if is_blank(who) else text_in(str(who), "completed_by")
        seconds = annotation.get("lead_time")
        known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e9
        self.seconds = float(seconds) if known else None  # type: ignore[arg-type]
        self.judged_at = moment(annotation.get("updated_at") or annotation.get("created_at"))
        self.reasons = tuple(_words(results, "choices", "choices"))
        self.note = "\n".join(_words(results, "textarea", "text"))


def _words(results: list[Mapping[str, Any]], kind: str, key: str) -> Iterator[str]:
    for result in results:
        value = result.get("value")
        if result.get("type") == kind and isinstance(value, Mapping):
            said = value.get(key)
            for word in said if isinstance(said, list) else [said]:
                yield text_in(word, key)


def _asked(about: _About, data: Mapping[str, Any], used: set[str]) -> Prompt:
    name = next((name for name in _ASKED if isinstance(data.get(name), str | list) and data[name]), None)
    if name is None:
        raise DataError("the task has no prompt", expected=f"one of {', '.join(_ASKED)} in `data`")
    used.add(name)
    return prompt_of(prompt_turns(data[name], name), about.row.kind)


def _pair(
    about: _About,
    data: Mapping[str, Any],
    value: Mapping[str, Any],
    result: Mapping[str, Any],
    part: int,
    used: set[str],
) -> ImportedPair:
    prompt = _asked(about, data, used)
    selected = value.get("selected")
    if selected not in _SELECTED:
        raise DataError("the selected side is not known", expected="left or right", found=f"`{str(selected)[:40]}`")
    names = _sides(data, result, used)
    first, second = (text_in(data.get(name), name) for name in names)
    check_completions(first, second, names)
    used.update(names)
    return ImportedPair(
        prompt=prompt,
        first=first,
        second=second,
        verdict=_SELECTED[selected],
        rater=about.rater,
        note=about.note,
        reasons=about.reasons,
        seconds=about.seconds,
        judged_at=about.judged_at,
        where=about.row.where,
        row=about.row.number,
        part=part,
    )


def _sides(data: Mapping[str, Any], result: Mapping[str, Any], used: set[str]) -> tuple[str, str]:
    """The two texts: those that the result points to, or else the only two left."""
    to = result.get("to_name")
    pointed = [name.strip() for name in to.split(",")] if isinstance(to, str) else []
    if len(pointed) == 2 and all(isinstance(data.get(name), str) for name in pointed):
        return pointed[0], pointed[1]
    texts = [name for name, cell in data.items() if isinstance(cell, str) and name not in _ASKED]
    numbered = [name for name in texts if name[-1:].isdigit() or name.lower()[-2:] in ("_a", "_b")]
    left = texts if len(texts) == 2 else numbered
    if len(left) != 2:
        raise DataError("it cannot be told which two texts were compared", found=", ".join(texts) or "no texts")
    return left[0], left[1]


def _ranking(
    about: _About, data: Mapping[str, Any], value: Mapping[str, Any], part: int, used: set[str]
) -> ImportedRanking:
    prompt = _asked(about, data, used)
    name = next((name for name, cell in data.items() if _is_items(cell)), None)
    if name is None:
        raise DataError("the task has no items to rank", expected="a list of `id` and `body` in `data`")
    used.add(name)
    items = {str(item["id"]): _body(item) for item in data[name]}
    buckets = value.get("ranker")
    if not isinstance(buckets, Mapping):
        raise DataError("the ranking has no buckets", found=f"`{str(buckets)[:40]}`")
    tiers = [[str(id) for id in ids] for bucket, ids in buckets.items() if bucket != _UNRANKED]
    if len(tiers) == 1:
        tiers = [[id] for id in tiers[0]]
    rank_of = {id: rank for rank, ids in enumerate((ids for ids in tiers if ids), start=1) for id in ids}
    if not rank_of or not set(rank_of) <= set(items):
        raise DataError("the ranking names none, or other items than the task has", found=", ".join(rank_of))
    return ImportedRanking(
        prompt=prompt,
        answers=tuple(items.values()),
        ranks=tuple(rank_of.get(id, 0) for id in items),
        rater=about.rater,
        note=about.note,
        seconds=about.seconds,
        judged_at=about.judged_at,
        where=about.row.where,
        row=about.row.number,
        part=part,
    )


def _is_items(cell: object) -> bool:
    return isinstance(cell, list) and bool(cell) and all(isinstance(item, Mapping) and "id" in item for item in cell)


def _body(item: Mapping[str, Any]) -> str:
    name = next((name for name in ("body", "text", "html", "title") if not is_blank(item.get(name))), "body")
    return text_in(item.get(name), f"items[].{name}")


SHAPE = Shape(
    name="label-studio",
    columns="`data`, and `annotations` with `result`",
    matches=_matches,
    carry=_carry,
)
"""Tasks of Label Studio with pairwise or ranker results."""
