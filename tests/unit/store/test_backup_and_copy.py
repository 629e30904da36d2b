"""Backups are whole and checked, restores are equal, and a copy to the other engine loses nothing."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from sqlalchemy import select
from tests.postgres import server
from tests.unit.store.facts import add_of_every_kind

from palate.core.errors import StoreError
from palate.core.records import Completion, Judgement, Prompt, Rater, Verdict
from palate.store import backup, copying, people, profiles, queue, rows, schema
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements
from palate.store.queue import QueuePolicy

STRANGE = "NUL \x00, mark \uf8f0 and \uf8f01, emoji 👩‍👩‍👧, \u2028"


@pytest.fixture
def full(journal, where, filled, says):
    """Every table holds something, strange texts among it."""
    made = filled(where, 5)
    add_of_every_kind(journal, made[:3], says)
    prompt = Prompt.of(STRANGE, kind=STRANGE, language="de")
    rows.add_prompts(journal, [prompt])
    rows.add_completions(journal, [Completion(prompt=prompt.id, text=STRANGE, policy=STRANGE, temperature=0.1)])
    rows.add_raters(journal, [Rater(STRANGE, "model")])
    judge(journal, [says(made[3], STRANGE, note=STRANGE, seconds=0.1 + 0.2, reasons=(STRANGE,))])
    profiles.put(journal, Rater("r0", languages=("de",)), avoids=["x"])
    people.create_account(journal, name="Ada", email="a@x", role="owner", password="long enough")
    queue.enqueue(journal, made)
    queue.take(journal, "r1", 2, policy=QueuePolicy())
    return made


@pytest.fixture
def elsewhere(engine, tmp_path, postgres):
    """Where a journal of the other engine goes."""
    if engine == "postgresql":
        yield tmp_path / "other.db"
    else:
        with server.database(postgres[0], postgres[1]) as url:
            yield url


def everything(where):
    with Journal.open(where) as journal, journal.reading() as connection:
        tables = {}
        for table in schema.metadata.sorted_tables:
            found = [tuple(row) for row in connection.execute(select(table))]
            tables[table.name] = sorted(found, key=repr)
        return tables


# These cross over, so each of them runs on both engines at any rate.
@pytest.mark.postgres
def test_a_copy_to_the_other_engine_and_back_is_the_same(journal, where, full, elsewhere, tmp_path):
    counts = copying.copy(where, elsewhere)
    assert counts["judgement"] >= 4
    assert everything(elsewhere) == everything(where)
    copying.copy(elsewhere, tmp_path / "back.db")
    assert everything(tmp_path / "back.db") == everything(where)
    with Journal.open(elsewhere) as copied:
        assert backup.verify(copied).problems == ()
        # It goes on: the next row has a number of its own, and the queue knows who has what.
        assert rows.add_raters(copied, [Rater("new")]) == 1
        assert judge(copied, [Judgement(uid="n", comparison=full[4].id, rater="new", verdict=Verdict.TIE)]) == 1
        assert queue.release(copied, "r1") == 2
        with pytest.raises(StoreError, match="refuses an edit"), copied.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM judgement")


@pytest.mark.postgres
def test_a_copy_into_something_is_refused(journal, where, full, elsewhere):
    with Journal.open(elsewhere) as other:
        rows.add_raters(other, [Rater("mine")])
    with pytest.raises(StoreError, match="is not empty"):
        copying.copy(where, elsewhere)
    with Journal.open(elsewhere) as other:
        assert sum(rows.counts(other).values()) == 1


@pytest.mark.postgres
def test_a_copy_that_differs_leaves_nothing(journal, where, full, elsewhere, monkeypatch):
    real = copying.put

    def loses(connection, table, given):
        real(connection, table, [{**row, "note": ""} if row.get("note") else row for row in given])

    monkeypatch.setattr(copying, "put", loses)
    with pytest.raises(StoreError, match="table judgement did not come out"):
        copying.copy(where, elsewhere)
    with Journal.open(elsewhere) as other:
        assert sum(rows.counts(other).values()) == 0


def test_a_backup_is_taken_while_others_write_and_restores_to_the_same(journal, where, full, tmp_path):
    stop, written = threading.Event(), []

    def write():
        with Journal.open(where) as mine:
            while not stop.is_set():
                rater = Rater(f"late {len(written)}")
                rows.add_raters(mine, [rater])
                written.append(rater.id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = backup.backup(journal, tmp_path / "b.db")
    finally:
        stop.set()
        writer.join()
    assert written
    assert found.problems == ()
    assert [path.name for path in tmp_path.glob("b.db*")] == ["b.db"]
    assert backup.restore(tmp_path / "b.db", tmp_path / "restored.db").rows["judgement"] == found.rows["judgement"]
    restored, now = everything(tmp_path / "restored.db"), everything(where)
    assert restored["judgement"] == now["judgement"]
    # One moment: a beginning of what the other wrote.
    late = sorted(int(row[1].split()[1]) for row in restored["rater"] if row[1].startswith("late"))
    assert late == list(range(len(late)))


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_backup_of_a_server_restores_to_a_server(journal, where, full, tmp_path, postgres):
    backup.backup(journal, tmp_path / "b.db")
    with server.database(postgres[0], postgres[1]) as url:
        backup.restore(tmp_path / "b.db", url)
        ours, theirs = everything(where), everything(url)
        ours["audit"] = [row for row in ours["audit"] if "backed up" not in row]  # written when the backup was there
        assert theirs == ours


def test_a_broken_backup_is_refused(tmp_path, filled):
    filled(tmp_path / "j.db", 300)
    with Journal.open(tmp_path / "j.db") as journal:
        backup.backup(journal, tmp_path / "b.db")
        with pytest.raises(StoreError, match="there already"):
            backup.backup(journal, tmp_path / "b.db")
    whole = (tmp_path / "b.db").read_bytes()
    half = len(whole) // 2
    for name, content in {
        "cut.db": whole[:half],
        "garbled.db": whole[:half] + bytes(4096) + whole[half + 4096 :],
        "text.db": b"not a database" * 100,
        "empty.db": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StoreError):
            backup.restore(tmp_path / name, tmp_path / "target.db")
        assert not (tmp_path / "target.db").exists()
    with pytest.raises(StoreError, match="no backup"):
        backup.restore(tmp_path / "none.db", tmp_path / "target.db")
    with pytest.raises(StoreError, match="there already"):
        backup.restore(tmp_path / "b.db", tmp_path / "j.db")


def test_a_check_finds_what_is_wrong(tmp_path, filled, says):
    path = tmp_path / "j.db"
    made = filled(path, 3)
    with Journal.open(path) as journal:
        queue.enqueue(journal, made)
        judge(journal, [says(made[0], "r0")])
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("DROP TRIGGER judgement_no_delete")
            raw.execute("DELETE FROM judgement")
            raw.execute("UPDATE lease SET rater = 'x'")
            raw.execute("INSERT INTO draft VALUES ('r', 'c', 't', 1.0)")
            raw.execute("INSERT INTO profile VALUES ('nobody', '', '[]', '[]', '[]')")
        problems = backup.verify(journal).problems
    assert problems == (
        "profile names a rater that is not there",
        "judgement_no_delete is missing",
        f"the queue miscounts {made[0].id}",
    )


def palate(*arguments):
    command = [sys.executable, "-m", "palate", "store", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.postgres
def test_the_commands(journal, where, full, elsewhere, tmp_path):
    done = palate("backup", where, tmp_path / "b.db")
    assert done.returncode == 0, done.stderr
    assert "checked" in done.stdout
    assert palate("restore", tmp_path / "b.db", tmp_path / "r.db").returncode == 0
    done = palate("copy", where, elsewhere)
    assert done.returncode == 0, done.stderr
    assert "copied and compared" in done.stdout
    assert palate("check", elsewhere).returncode == 0
    assert f"is of version {schema.VERSION}" in " ".join(palate("migrate", tmp_path / "r.db").stdout.split())
    for wrong in (("backup", where, tmp_path / "b.db"), ("check", tmp_path / "none.db"), ("copy", where, elsewhere)):
        done = palate(*wrong)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
    with Journal.open(tmp_path / "r.db") as restored:
        assert judgements(restored) == judgements(journal)
