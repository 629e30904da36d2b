"""The database itself refuses every way to change or remove a fact, whoever asks."""

import sqlite3
from contextlib import closing

import psycopg
import pytest
from tests.unit.store.facts import add_of_every_kind

from palate.core.errors import StoreError
from palate.store import schema
from palate.store.journal import Journal

KEY = schema.APPEND_ONLY
TABLES = sorted(KEY)
WORKING = {
    *("account", "chat", "counter", "draft", "invitation", "lease"),
    *("position", "profile", "session", "setting", "task", "token"),
}


def columns(table):
    return [column.name for column in schema.metadata.tables[table].columns]


def again(table, **changed):
    """The oldest row, with some columns changed, as the source of an INSERT."""
    shown = ", ".join(changed.get(name, name) for name in columns(table))
    # The WHERE is needed: SQLite cannot tell ON CONFLICT from the ON of a join without it.
    return f"({', '.join(columns(table))}) SELECT {shown} FROM {table} WHERE seq = (SELECT min(seq) FROM {table})"


def edited(table):
    """A column that is no key, and another content for it."""
    column = next(c for c in reversed(schema.metadata.tables[table].columns) if not c.foreign_keys)
    return column.name, f"1 - {table}.{column.name}" if column.type.python_type is int else "'other'"


def another(table):
    """A row of its own beside the oldest, whatever is unique."""
    return {} if KEY[table] == "seq" else {KEY[table]: repr("another")}


def anew(table):
    """The number left to the database, unless it is what identifies a row."""
    return {} if KEY[table] == "seq" else {"seq": "NULL"}


ATTACKS = {
    "update": lambda t: f"UPDATE {t} SET {edited(t)[0]} = {edited(t)[1]}",
    "update the key": lambda t: f"UPDATE {t} SET {KEY[t]} = {KEY[t]} || '999' WHERE seq = (SELECT min(seq) FROM {t})",
    "update or replace": lambda t: (
        f"UPDATE OR REPLACE {t} SET seq = (SELECT min(seq) FROM {t}) WHERE seq > (SELECT min(seq) FROM {t}) AND seq < 3"
    ),
    "update or ignore": lambda t: f"UPDATE OR IGNORE {t} SET {edited(t)[0]} = {edited(t)[1]}",
    "delete": lambda t: f"DELETE FROM {t} WHERE seq = (SELECT min(seq) FROM {t})",
    "delete all": lambda t: f"DELETE FROM {t}",
    "replace by key": lambda t: f"INSERT OR REPLACE INTO {t} {again(t, **anew(t), **dict([edited(t)]))}",
    "replace by seq": lambda t: f"INSERT OR REPLACE INTO {t} {again(t, **another(t), **dict([edited(t)]))}",
    "replace by both": lambda t: f"REPLACE INTO {t} {again(t, **dict([edited(t)]))}",
    "upsert": lambda t: (
        f"INSERT INTO {t} {again(t, **anew(t))} ON CONFLICT ({KEY[t]}) DO UPDATE SET {edited(t)[0]} = {edited(t)[1]}"
    ),
    "upsert by seq": lambda t: (
        f"INSERT INTO {t} {again(t, **another(t))} ON CONFLICT (seq) DO UPDATE SET {edited(t)[0]} = {edited(t)[1]}"
    ),
}
ON_A_SERVER = ("update", "delete", "delete all", "upsert by seq", "truncate", "as if forgetting")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A journal with every kind of fact; tests work on copies."""
    return tmp_path_factory.mktemp("facts") / "j.db"


@pytest.fixture
def path(tmp_path, original, filled, says):
    if not original.exists():
        made = filled(original, 3)
        with Journal.open(original) as journal:
            add_of_every_kind(journal, made, says)
    with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(tmp_path / "j.db")) as copy:
        source.backup(copy)
    return tmp_path / "j.db"


def dump(path):
    with closing(sqlite3.connect(path)) as raw:
        return list(raw.iterdump())


def test_only_the_working_tables_come_and_go():
    assert schema.metadata.tables.keys() - schema.APPEND_ONLY.keys() == WORKING


@pytest.mark.parametrize("table", TABLES)
def test_every_table_refuses_every_edit(path, table):
    before = dump(path)
    # A plain connection, without foreign keys: nothing but the triggers stands in the way.
    for attack in ATTACKS.values():
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 3
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                raw.execute(attack(table))
    assert dump(path) == before


@pytest.mark.parametrize("table", TABLES)
def test_the_attacks_would_work_without_the_triggers(path, table):
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for name in schema.PARTS:
            if name.startswith(f"{table}_no_"):
                raw.execute(f"DROP TRIGGER {name}")
    for name, attack in ATTACKS.items():
        before = dump(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("BEGIN")
            raw.execute(attack(table))
            assert list(raw.iterdump()) != before, name
            raw.execute("ROLLBACK")


def test_an_edit_through_the_journal_is_refused_in_palates_words(journal, where, filled, says):
    add_of_every_kind(journal, filled(where, 3), says)
    refused = pytest.raises(StoreError, match="refuses an edit")
    with refused, journal.transaction() as connection:
        connection.exec_driver_sql("UPDATE judgement SET verdict = 'tie'")


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_server_refuses_every_edit(journal, where, filled, says):
    add_of_every_kind(journal, filled(where, 3), says)
    with psycopg.connect(str(where).replace("+psycopg", ""), autocommit=True) as raw:
        for table in TABLES:
            for name in ON_A_SERVER:
                statement = (
                    f"TRUNCATE {table} CASCADE" if name == "truncate" else ATTACKS.get(name, ATTACKS["update"])(table)
                )
                before = raw.execute(f"SELECT * FROM {table} ORDER BY seq").fetchall()
                assert len(before) >= 3
                if name == "as if forgetting":
                    # Even erasure may only delete.
                    raw.execute(f"SET {schema.guards.FORGETTING} = 'on'")
                with pytest.raises(psycopg.errors.IntegrityError, match="is append-only"):
                    raw.execute(statement)
                raw.execute(f"SET {schema.guards.FORGETTING} = 'off'")
                assert raw.execute(f"SELECT * FROM {table} ORDER BY seq").fetchall() == before
