"""Rows of the journal as points of a lineage: what an id names, what hangs on what, counted and a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, bindparam, func, or_, select

from palate.core.records import Comparison
from palate.store import schema
from palate.store.journal import Journal
from palate.store.lookup import matching
from palate.store.schema.columns import AnyText


class Row(NamedTuple):
    """A row that has a name of its own."""

    kind: str
    """Of `KINDS`."""
    id: str
    row: Mapping[str, Any]


_TABLES: Final[dict[str, tuple[Table, str]]] = {
    "judgement": (schema.judgement, "uid"),
    "ranking": (schema.ranking, "uid"),
    "feedback": (schema.feedback, "uid"),
    "written answer": (schema.written_answer, "uid"),
    "comparison": (schema.comparison, "id"),
    "completion": (schema.completion, "id"),
    "prompt": (schema.prompt, "id"),
    "slate": (schema.slate, "id"),
    "rater": (schema.rater, "id"),
    "release": (schema.release, "id"),
    "round": (schema.round_, "id"),
}
KINDS: Final = tuple(_TABLES)
CLICKS: Final = ("judgement", "ranking", "feedback", "written answer")
"""What a person did."""
_EXACT: Final = {
    kind: select(table).where(table.c[column] == bindparam("id", type_=table.c[column].type))
    for kind, (table, column) in _TABLES.items()
}
_HANGING: Final[dict[tuple[str, str], Any]] = {
    ("judgement", "comparison"): schema.judgement.c.comparison,
    ("judgement", "rater"): schema.judgement.c.rater,
    ("ranking", "slate"): schema.ranking.c.slate,
    ("ranking", "rater"): schema.ranking.c.rater,
    ("written answer", "prompt"): schema.written_answer.c.prompt,
    ("written answer", "rater"): schema.written_answer.c.rater,
    ("feedback", "completion"): schema.feedback.c.completion,
    ("feedback", "rater"): schema.feedback.c.person,
    ("exposure", "completion"): schema.exposure.c.completion,
    ("exposure", "rater"): schema.exposure.c.person,
    ("completion", "prompt"): schema.completion.c.prompt,
    ("completion", "policy"): schema.completion.c.policy,
    ("slate", "prompt"): schema.slate.c.prompt,
}
"""What hangs on what: the first kind's column that names one of the second. An index serves each, but the last two,
which nobody but `palate trace` of a policy or of a prompt asks for."""
_PAGE: Final = 1_000
_FEW_ANSWERS: Final = 60
"""To one prompt: of so many, the ids of all their pairs are looked up rather than the table read."""


def get(journal: Journal, kind: str, id: str) -> Row | None:
    """The row of this kind and id."""
    if not _may_hold(kind, id):
        return None
    with journal.reading() as connection:
        found = connection.execute(_EXACT[kind], {"id": id}).mappings().first()
    return None if found is None else Row(kind, id, dict(found))


def several(journal: Journal, kind: str, ids: Collection[str]) -> dict[str, Row]:
    """Those of some ids that are there, by id."""
    table, column = _TABLES[kind]
    with journal.reading() as connection:
        found = matching(connection, select(table), table.c[column], ids)
    return {row._mapping[column]: Row(kind, row._mapping[column], dict(row._mapping)) for row in found}


def exact(journal: Journal, id: str) -> list[Row]:
    """Everything that has this id; of two, such as an edit and the answer that it became, the click comes first."""
    with journal.reading():
        return [found for kind in KINDS if (found := get(journal, kind, id)) is not None]


def beginning(journal: Journal, start: str, most: int = 8) -> list[tuple[str, str]]:
    """Kinds and ids that begin with a text, at most so many of each kind."""
    found = []
    with journal.reading() as connection:
        for kind, (table, name) in _TABLES.items():
            column = table.c[name]
            if not _may_hold(kind, start):
                continue
            # A range is what SQLite's index serves; the order of letters on a server is another matter.
            within = (
                (column >= start) & (column < start[:-1] + chr(ord(start[-1]) + 1))
                if journal.dialect == "sqlite" and start.isascii()
                else column.startswith(start, autoescape=True)
            )
            found += [(kind, id) for id in connection.execute(select(column).where(within).limit(most)).scalars()]
    return found


def _may_hold(kind: str, id: str) -> bool:
    """Whether the column can hold it: PostgreSQL must not even be asked for a NUL where none is kept."""
    table, column = _TABLES[kind]
    return "\x00" not in id or isinstance(table.c[column].type, AnyText)


def used(journal: Journal, person: str) -> bool:
    """Whether somebody of this pseudonym has used a release."""
    with journal.reading() as connection:
        return any(
            connection.execute(select(column).where(column == person).limit(1)).first() is not None
            for column in (schema.feedback.c.person, schema.exposure.c.person)
        )


def count(journal: Journal, kind: str, of: str, id: str) -> int:
    """How many rows of a kind hang on one of another, such as judgements on a rater."""
    column = _HANGING[kind, of]
    with journal.reading() as connection:
        return int(connection.execute(select(func.count()).where(column == id)).scalar() or 0)


def hanging(journal: Journal, kind: str, of: str, id: str, *, after: int = 0, most: int = 100) -> list[Row]:
    """The first rows of a kind that hang on one of another, in the order in which they came.

    Args:
        journal: The journal.
        kind: What is wanted.
        of: What it hangs on.
        id: Which.
        after: Only rows after this `seq`.
        most: At most so many.
    """
    column = _HANGING[kind, of]
    table, name = column.table, _TABLES[kind][1] if kind in _TABLES else "completion"
    query = select(table).where(column == id, table.c.seq > after).order_by(table.c.seq).limit(most)
    with journal.reading() as connection:
        return [Row(kind, row[name], dict(row)) for row in connection.execute(query).mappings()]


def stream(journal: Journal, kind: str, of: str, id: str) -> Iterator[Row]:
    """All of `hanging`, a page at a time."""
    after = 0
    while page := hanging(journal, kind, of, id, after=after, most=_PAGE):
        yield from page
        after = page[-1].row["seq"]


def uids_by(journal: Journal, rater: str) -> list[str]:
    """Uids of all judgements of a rater."""
    table = schema.judgement
    with journal.reading() as connection:
        return list(connection.execute(select(table.c.uid).where(table.c.rater == rater)).scalars())


def comparisons_on(journal: Journal, prompt: str, completion: str = "") -> list[Row]:
    """Comparisons of a prompt, or those of them that show one completion, in the order in which they came."""
    said, shown = schema.completion, schema.comparison
    with journal.reading() as connection:
        answers = list(connection.execute(select(said.c.id).where(said.c.prompt == prompt)).scalars())
        if len(answers) <= _FEW_ANSWERS:
            pairs = permutations(answers, 2)
            ids = [Comparison(prompt=prompt, first=a, second=b).id for a, b in pairs if completion in ("", a, b)]
            rows = matching(connection, select(shown), shown.c.id, ids)
        else:
            query = select(shown).where(shown.c.prompt == prompt)
            if completion:
                query = query.where(or_(shown.c.first == completion, shown.c.second == completion))
            rows = list(connection.execute(query))
    found = sorted((dict(row._mapping) for row in rows), key=lambda row: row["seq"])
    return [Row("comparison", row["id"], row) for row in found]


def superseding(journal: Journal, uid: str) -> str:
    """The judgement that corrects this one, "" when none does."""
    table = schema.judgement
    query = select(table.c.uid).where(table.c.supersedes == uid, table.c.supersedes != "")
    with journal.reading() as connection:
        return str(connection.execute(query).scalar() or "") if uid else ""


def thumbs_of(journal: Journal, completion: str, person: str) -> list[Row]:
    """The thumbs of a person on a completion, those taken back too, the oldest first."""
    rows = hanging(journal, "feedback", "completion", completion, most=1 << 30)
    return [row for row in rows if row.row["person"] == person and row.row["kind"] in ("up", "down", "none")]


def releases_of(journal: Journal, policies: Collection[str]) -> list[Row]:
    """Releases of some policies, the first one first."""
    table = schema.release
    with journal.reading() as connection:
        rows = matching(connection, select(table).order_by(table.c.seq), table.c.policy, policies)
    return [Row("release", row.id, dict(row._mapping)) for row in rows]


def rounds_with(journal: Journal, artefacts: Collection[str]) -> list[tuple[Row, str, str]]:
    """Rounds in which some artefacts came about or were used: the round, the step, the artefact, each once."""
    step = schema.round_step
    query = select(step.c.round, step.c.step, step.c.artefact).order_by(step.c.seq)
    with journal.reading() as connection:
        rows = matching(connection, query, step.c.artefact, artefacts)
        told = dict.fromkeys((row.round, row.step, row.artefact) for row in rows)
        known = several(journal, "round", {round_ for round_, _, _ in told})
    return [(known[round_], name, artefact) for round_, name, artefact in told]


def served(journal: Journal, policies: Collection[str]) -> int:
    """How many answers of some policies were shown to people, each time counted."""
    said, shown = schema.completion, schema.exposure
    query = select(func.count()).select_from(shown).join(said, shown.c.completion == said.c.id)
    with journal.reading() as connection:
        return sum(row[0] for row in matching(connection, query, said.c.policy, policies))


def clicks(journal: Journal, person: str, *, before: str = "", most: int = 50) -> Sequence[Row]:
    """What somebody did, the latest first: judgements, rankings, written answers, feedback.

    Args:
        journal: The journal.
        person: A pseudonym.
        before: Only what was done before this moment, in UTC, ISO 8601.
        most: At most so many.
    """
    found: list[tuple[str, Row]] = []
    with journal.reading() as connection:
        for kind in CLICKS:
            column = _HANGING[kind, "rater"]
            table, at = column.table, column.table.c[MOMENTS[kind]]
            query = select(table).where(column == person)
            query = query.where(at < before) if before else query
            rows = connection.execute(query.order_by(at.desc(), table.c.seq.desc()).limit(most)).mappings()
            found += [(row[MOMENTS[kind]], Row(kind, row["uid"], dict(row))) for row in rows]
    found.sort(key=lambda one: one[0], reverse=True)
    return [row for _, row in found[:most]]


MOMENTS: Final = {
    "judgement": "judged_at", "ranking": "judged_at", "written answer": "written_at", "feedback": "created_at",
}  # fmt: skip
"""The column that says when it was done."""


def judged_prompts(journal: Journal, policy: str) -> list[str]:
    """Prompts of which an answer of this policy was judged, in the order in which they were asked."""
    asked, said, shown, given = schema.prompt, schema.completion, schema.comparison, schema.judgement
    sides = or_(said.c.id == shown.c.first, said.c.id == shown.c.second)
    query = select(shown.c.prompt).join(said, sides).where(said.c.policy == policy)
    query = query.where(select(given.c.seq).where(given.c.comparison == shown.c.id).exists())
    ordered = select(asked.c.id).where(asked.c.id.in_(query)).order_by(asked.c.seq)
    with journal.reading() as connection:
        return list(connection.execute(ordered).scalars())
