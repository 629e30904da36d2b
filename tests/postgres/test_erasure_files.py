"""What is erased from a PostgreSQL is in none of its files: tables, indexes, long texts, statistics, and its log."""

import pytest
from tests.postgres.server import Server, database

from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import audit, backup, drafts, erasure, rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements

SECRET = "MARMALADE"


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def found(server):
    return [
        str(path) for path in server.data.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes().upper()
    ]


def test_nothing_is_left_in_its_files(server):
    with database(server.url()) as url, Journal.open(url) as journal:
        with journal.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET wal_recycle = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        me, prompt = f"p-{SECRET}", Prompt.of("a question")
        sides = [Completion(prompt=prompt.id, text=text, policy="p") for text in "ab"]
        pair = Comparison(prompt=prompt.id, first=sides[0].id, second=sides[1].id)
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, sides)
        rows.add_comparisons(journal, [pair])
        rows.add_raters(journal, [Rater(me), Rater("other")])
        said = [Judgement(uid=f"{SECRET} {n}", comparison=pair.id, rater=me, verdict=Verdict.FIRST, note=SECRET * 999)
                for n in range(9)]  # fmt: skip
        judge(journal, [*said, Judgement(uid="x", comparison=pair.id, rater="other", verdict=Verdict.FIRST)])
        for n in range(3):
            drafts.save(journal, me, pair.id, f"{SECRET} {n}")
        audit.write(journal, me, "login", me)
        with journal.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
        assert found(server)
        assert erasure.forget(journal, me).left == ()
        assert found(server) == []
        assert [j.uid for j in judgements(journal)] == ["x"]
        assert backup.verify(journal).problems == ()
