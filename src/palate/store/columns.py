"""All judgements as columns of small numbers, for statistics: a million fit in 60 MB."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select

from palate.core.records import TASKS, Verdict
from palate.store import schema
from palate.store.journal import Journal

VERDICTS = tuple(verdict.value for verdict in Verdict)
_FETCH = 20_000


class Columns(NamedTuple):
    """Judgements in the order in which they came; each array has one number a judgement, unless it says otherwise."""

    comparison: array[int]
    """Place in `comparisons`."""
    rater: array[int]
    """Place in `raters`."""
    verdict: array[int]
    """Place in `VERDICTS`."""
    strength: array[int]
    swapped: array[int]
    task: array[int]
    """Place in `palate.core.records.TASKS`."""
    guideline: array[int]
    """Place in `guidelines`."""
    seconds: array[float]
    """NaN when unknown."""
    time_s: array[float]
    """When it was judged, since 1970; NaN when that cannot be read."""
    current: array[int]
    """1 unless a later judgement supersedes it."""
    comparisons: list[str]
    """Ids, of those that were judged."""
    prompts: array[int]
    """For each of `comparisons`, a number that those of one prompt share."""
    first_length: array[int]
    """For each of `comparisons`, the characters of its first completion."""
    second_length: array[int]
    topic: array[int]
    """For each of `comparisons`, the place of its prompt's kind in `topics`."""
    language: array[int]
    source: array[int]
    raters: list[str]
    groups: list[str]
    """For each of `raters`."""
    guidelines: list[str]
    topics: list[str]
    languages: list[str]
    sources: list[str]


class _Names:
    """Texts, numbered as they come."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def place(self, name: Any) -> int:
        return self.places.setdefault(name, len(self.places))

    @property
    def list(self) -> list[str]:
        return list(self.places)


def judgement_columns(journal: Journal, sources: Sequence[str] = ()) -> Columns:
    """Judgements of comparisons of some sources or, with none named, of all; all of one moment."""
    comparisons, raters, guidelines = _Names(), _Names(), _Names()
    small = [array("b") for _ in range(4)]
    verdict, strength, swapped, task = small
    comparison, rater, guideline = array("i"), array("i"), array("i")
    seconds, time_s = array("d"), array("d")
    current = array("b")
    verdicts = {name: place for place, name in enumerate(VERDICTS)}
    tasks = {name: place for place, name in enumerate(TASKS)}
    table = schema.judgement
    names = ("seq", "uid", "comparison", "rater", "verdict", "strength", "swapped", "task")
    query = select(*(table.c[name] for name in (*names, "guideline", "seconds", "judged_at"))).order_by(table.c.seq)
    if sources:
        shown = schema.comparison
        query = query.join(shown, shown.c.id == table.c.comparison).where(shown.c.source.in_(sources))
    with journal.reading() as connection:
        superseded = set(connection.execute(select(table.c.supersedes).where(table.c.supersedes != "")).scalars())
        found = connection.execute(query.execution_options(yield_per=_FETCH))
        for _, uid, of, by, says, how, side, kind, version, took, at in found:
            comparison.append(comparisons.place(of))
            rater.append(raters.place(by))
            verdict.append(verdicts[says])
            strength.append(how)
            swapped.append(side)
            task.append(tasks[kind])
            guideline.append(guidelines.place(version))
            seconds.append(_NAN if took is None else took)
            time_s.append(_since_1970(at))
            current.append(uid not in superseded)
        about = _about(connection, comparisons)
        profile = schema.profile
        groups = {row[0]: row[1] for row in connection.execute(select(profile.c.rater, profile.c.team))}
    return Columns(
        comparison=comparison,
        rater=rater,
        verdict=verdict,
        strength=strength,
        swapped=swapped,
        task=task,
        guideline=guideline,
        seconds=seconds,
        time_s=time_s,
        current=current,
        comparisons=comparisons.list,
        raters=raters.list,
        groups=[groups.get(name, "") for name in raters.list],
        guidelines=guidelines.list,
        **about,
    )


def _about(connection: Any, comparisons: _Names) -> dict[str, Any]:
    """What is known of the comparisons, in their order."""
    size = len(comparisons.places)
    names = ("prompts", "first_length", "second_length", "topic", "language", "source")
    columns = {name: array("i", bytes(4 * size)) for name in names}
    lists = {name: _Names() for name in ("topics", "languages", "sources", "prompts")}
    shown, prompt, completion = schema.comparison, schema.prompt, schema.completion
    # Texts are long, and stand in many comparisons: each is measured once.
    measured = select(completion.c.id, func.length(completion.c.text))
    lengths = {row[0]: row[1] for row in connection.execute(measured.execution_options(yield_per=_FETCH))}
    kinds = {
        row[0]: (row[1], row[2]) for row in connection.execute(select(prompt.c.id, prompt.c.kind, prompt.c.language))
    }
    query = select(shown.c.id, shown.c.prompt, shown.c.first, shown.c.second, shown.c.source)
    for id, asked, first, second, source in connection.execute(query.execution_options(yield_per=_FETCH)):
        at = comparisons.places.get(id)
        if at is None:
            continue
        topic, language = kinds[asked]
        columns["prompts"][at] = lists["prompts"].place(asked)
        columns["first_length"][at] = lengths[first]
        columns["second_length"][at] = lengths[second]
        columns["topic"][at] = lists["topics"].place(topic)
        columns["language"][at] = lists["languages"].place(language)
        columns["source"][at] = lists["sources"].place(source)
    return {**columns, **{name: lists[name].list for name in ("topics", "languages", "sources")}}


_NAN = float("nan")


def _since_1970(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return _NAN
