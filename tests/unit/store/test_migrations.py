"""Journals of every earlier version open, with all they held, and end with the same tables as a new one."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from tests.postgres import server as tested

from palate.core.errors import StoreError
from palate.core.records import Verdict
from palate.store import backup, chats, engines, findings, migrating, opening, opinions, queue, rows, schema
from palate.store import server as servers
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements
from palate.store.queue import QueuePolicy

OLD = Path(__file__).with_name("version_1.sql")
SECOND = Path(__file__).with_name("version_2.sql")
THIRD = Path(__file__).with_name("version_3.sql")
FOURTH = Path(__file__).with_name("version_4.sql")
LAST = Path(__file__).with_name("version_5.sql")
ASIDE = f"before-version-{schema.VERSION}"


def written(path, script):
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(script.read_text(encoding="utf-8"))
        raw.execute("PRAGMA journal_mode = WAL")
    return path


@pytest.fixture
def old(tmp_path):
    return written(tmp_path / "old.db", OLD)


@pytest.fixture
def last(tmp_path):
    """With at least one row in every table that version 5 had and that is not empty by nature."""
    return written(tmp_path / "last.db", LAST)


def shape(path):
    """Tables, columns, indexes and triggers of a file, whatever order they were made in."""
    with closing(sqlite3.connect(path)) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {
            name: {row[1:] for row in raw.execute(f"SELECT * FROM pragma_table_info('{name}')")} for name in names
        }
        keys = {name: {row[2:6] for row in raw.execute(f"PRAGMA foreign_key_list('{name}')")} for name in names}
        indexes = {
            (name, row[2], row[3], row[4], tuple(i[2] for i in raw.execute(f"PRAGMA index_info('{row[1]}')")))
            for name in names
            for row in raw.execute(f"PRAGMA index_list('{name}')")
        }
        triggers = set(raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    # How a column spells its default is no matter.
    strip = {name: {(n, t, null, key) for n, t, null, _, key in found} for name, found in columns.items()}
    return strip, keys, indexes, triggers


def test_an_old_file_opens_and_keeps_everything(old):
    before = old.read_bytes()
    with Journal.open(old) as journal:
        assert [j.uid for j in judgements(journal, current=False)] == ["u0", "u1", "u2", "u0b"]
        (newest,) = [j for j in judgements(journal) if j.uid == "u0b"]
        assert (newest.verdict, newest.swapped, newest.task) == (Verdict.SECOND, False, "normal")
        assert [p.language for p in rows.prompts(journal).values()] == [""] * 4
        assert rows.counts(journal)["lease"] == 1
        # It works on: both ways through the queue.
        made = rows.comparisons(journal)
        assert queue.enqueue(journal, made) == 4
        assert len(queue.take(journal, "bot", 9, policy=QueuePolicy())) == 3
        assert backup.verify(journal).problems == ()
    kept = old.with_name(f"old.db.{ASIDE}")
    with closing(sqlite3.connect(kept)) as raw, closing(sqlite3.connect(":memory:")) as first:
        first.executescript(OLD.read_text(encoding="utf-8"))
        assert list(raw.iterdump()) == list(first.iterdump())
    assert len(before) <= len(old.read_bytes())
    # Opened again, nothing happens.
    Journal.open(old).close()
    assert sorted(path.name for path in old.parent.glob("*before*")) == [kept.name]


def test_the_last_versions_file_opens_and_keeps_every_row(last):
    with closing(sqlite3.connect(last)) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        before = {name: raw.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    assert sum(map(bool, before.values())) >= 31
    with Journal.open(last) as journal:
        (chat,) = chats.of(journal, "p0")
        assert (chat.title, chat.kind) == ("A chat", "")
        assert len(findings.all(journal)) == 1
        (judge_,) = opinions.judges(journal)
        assert sorted(map(len, opinions.opinions(journal, judge_).values())) == [1, 2]
        assert backup.verify(journal).problems == ()
    with closing(sqlite3.connect(last)) as raw:
        for name, rows_then in before.items():
            columns = len(rows_then[0]) if rows_then else 0
            now = [row[:columns] for row in raw.execute(f"SELECT * FROM {name}")]
            assert now == rows_then or name == "alembic_version", name


def test_a_migrated_file_and_a_new_one_have_the_same_tables(old, last, tmp_path):
    between = {"second.db": SECOND, "third.db": THIRD, "fourth.db": FOURTH}
    every = [old, last, *(written(tmp_path / name, script) for name, script in between.items())]
    for path in every:
        Journal.open(path).close()
    Journal.open(tmp_path / "new.db").close()
    assert all(shape(path) == shape(tmp_path / "new.db") for path in every)


def test_the_tables_are_what_the_schema_says(journal):
    with journal.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_steps_lead_from_nothing_to_today_on_a_server(engine, postgres):
    with tested.database(postgres[0]) as url:
        bare = engines.postgresql(url)
        with bare.begin() as connection:
            migrating.upgrade(connection, migrating.BASELINE)
            assert "task" not in inspect(connection).get_table_names()
        # An older Palate made it; opening it takes the rest of the steps.
        with Journal.open(url) as journal, journal.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
            assert servers.version(connection, url) == schema.VERSION
            assert backup.verify(journal).problems == ()
        bare.dispose()


def test_several_who_open_an_old_file_at_once_migrate_it_once(old):
    program = "import sys; from palate.store.journal import Journal; Journal.open(sys.argv[1]).close()"
    running = [subprocess.Popen([sys.executable, "-c", program, str(old)]) for _ in range(4)]
    assert [process.wait(timeout=60) for process in running] == [0] * 4
    assert len(list(old.parent.glob("*before*"))) == 1
    with Journal.open(old) as journal:
        assert backup.verify(journal).problems == ()


def test_a_step_that_fails_leaves_the_old_file(old):
    with closing(sqlite3.connect(old)) as raw:
        # In the way of a table that the step makes.
        raw.execute("CREATE TABLE task (x)")
        raw.commit()
        before = list(raw.iterdump())
    with pytest.raises(StoreError, match="cannot be used"):
        Journal.open(old)
    with closing(sqlite3.connect(old)) as raw:
        assert list(raw.iterdump()) == before
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_backup_of_an_old_file_is_never_overwritten(old):
    taken = old.with_name(f"old.db.{ASIDE}")
    taken.write_text("mine")
    Journal.open(old).close()
    assert taken.read_text() == "mine"
    assert opening.version(old.with_name(f"old.db.{ASIDE}-2")) == 1


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_newer_server_and_a_strange_one_are_refused(journal, where):
    with journal.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(StoreError, match="newer Palate"):
        Journal.open(where)
    with journal.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    with pytest.raises(StoreError, match="not a journal"):
        Journal.open(where)


def test_a_server_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreError, match="cannot be used") as caught:
        Journal.open(f"postgresql+psycopg://ada:secret@/x?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_an_old_file_from_elsewhere_is_migrated_by_restore(old, tmp_path):
    shutil.copy(old, tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
    found = backup.restore(tmp_path / "backup.db", tmp_path / "restored.db")
    assert found.rows["judgement"] == 4
    with Journal.open(tmp_path / "restored.db") as journal:
        (task,) = queue.take(journal, "bot", 1, judgements_wanted=5)
        assert task.prompt.kind == "sums"
        assert judge(journal, []) == 0
