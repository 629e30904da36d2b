"""The database itself refuses every way to change or remove a fact, whoever asks."""

import sqlite3
from contextlib import closing

import pytest

from palate.core.errors import StoreError
from palate.store import schema
from palate.store.journal import Journal
from palate.store.judgements import judge

KEY = schema.APPEND_ONLY
TABLES = sorted(KEY)


def columns(table):
    return [column.name for column in schema.metadata.tables[table].columns]


def again(table, **changed):
    """The oldest row, with some columns changed, as the source of an INSERT."""
    shown = ", ".join(changed.get(name, name) for name in columns(table))
    # The WHERE is needed: SQLite cannot tell ON CONFLICT from the ON of a join without it.
    return f"({', '.join(columns(table))}) SELECT {shown} FROM {table} WHERE seq = 1"


def edited(table):
    """A column that is no key, and another content for it."""
    name = columns(table)[-1]
    return name, "'other'" if name != "finished" else "1 - finished"


ATTACKS = {
    "update": lambda t: f"UPDATE {t} SET {edited(t)[0]} = {edited(t)[1]}",
    "update the key": lambda t: f"UPDATE {t} SET {KEY[t]} = {KEY[t]} || 'x' WHERE seq = 1",
    "update or replace": lambda t: f"UPDATE OR REPLACE {t} SET seq = 1 WHERE seq = 2",
    "update or ignore": lambda t: f"UPDATE OR IGNORE {t} SET {edited(t)[0]} = {edited(t)[1]}",
    "delete": lambda t: f"DELETE FROM {t} WHERE seq = 1",
    "delete all": lambda t: f"DELETE FROM {t}",
    "replace by key": lambda t: f"INSERT OR REPLACE INTO {t} {again(t, seq='NULL', **dict([edited(t)]))}",
    "replace by seq": lambda t: f"INSERT OR REPLACE INTO {t} {again(t, **{KEY[t]: repr('another')})}",
    "replace by both": lambda t: f"REPLACE INTO {t} {again(t, **dict([edited(t)]))}",
    "upsert": lambda t: (
        f"INSERT INTO {t} {again(t, seq='NULL')} ON CONFLICT ({KEY[t]}) DO UPDATE SET {edited(t)[0]} = {edited(t)[1]}"
    ),
    "upsert by seq": lambda t: (
        f"INSERT INTO {t} {again(t, **{KEY[t]: repr('another')})} "
        f"ON CONFLICT (seq) DO UPDATE SET {edited(t)[0]} = {edited(t)[1]}"
    ),
}


@pytest.fixture
def path(tmp_path, filled, says):
    made = filled(tmp_path / "j.db", 3)
    with Journal.open(tmp_path / "j.db") as journal:
        judge(journal, [says(comparison, "r0") for comparison in made])
    return tmp_path / "j.db"


def dump(path):
    with closing(sqlite3.connect(path)) as raw:
        return list(raw.iterdump())


def test_only_leases_come_and_go():
    assert schema.metadata.tables.keys() - schema.APPEND_ONLY.keys() == {"lease"}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_every_table_refuses_every_edit(path, table, attack):
    before = dump(path)
    # A plain connection, without foreign keys: nothing but the triggers stands in the way.
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        assert raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 3
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
            raw.execute(ATTACKS[attack](table))
    assert dump(path) == before


@pytest.mark.parametrize("table", TABLES)
def test_the_attacks_would_work_without_the_triggers(path, table):
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for name in schema.PARTS:
            if name.startswith(f"{table}_no_"):
                raw.execute(f"DROP TRIGGER {name}")
    for attack in ATTACKS.values():
        before = dump(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("BEGIN")
            raw.execute(attack(table))
            assert list(raw.iterdump()) != before
            raw.execute("ROLLBACK")


def test_an_edit_through_the_journal_is_refused_in_palates_words(path):
    refused = pytest.raises(StoreError, match="refuses an edit")
    with Journal.open(path) as journal, refused, journal.transaction() as connection:
        connection.exec_driver_sql("UPDATE judgement SET verdict = 'tie'")
