"""The database is killed and started again in the middle of the work: nothing that was acknowledged is lost."""

import signal
import threading
import time
import uuid

import pytest
from sqlalchemy import text
from tests.postgres.server import Server, database

from palate.core.errors import StoreError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import backup, bulk, queue, rows
from palate.store.journal import Journal
from palate.store.judgements import judgements, submit
from palate.store.queue import QueuePolicy

RATERS = 4


@pytest.fixture
def server():
    # Our own, also where the others share one: this one is killed.
    made = Server()
    yield made
    made.close()


def fill(journal, number):
    prompts = [Prompt.of(f"prompt {n}") for n in range(number)]
    sides = [[Completion(prompt=p.id, text=f"answer {k}", policy="p", sample=k) for k in range(2)] for p in prompts]
    made = [Comparison(prompt=p.id, first=a.id, second=b.id) for p, (a, b) in zip(prompts, sides, strict=True)]
    bulk.add(
        journal,
        prompts=prompts,
        completions=[one for both in sides for one in both],
        comparisons=made,
        raters=[Rater(f"r{k}") for k in range(RATERS)],
    )
    queue.enqueue(journal, made)


@pytest.mark.slow
def test_a_crash_of_the_database_loses_no_acknowledged_judgement(server):
    acknowledged, refused, stop = [], [], threading.Event()
    with database(server.url()) as url, Journal.open(url) as journal:
        fill(journal, 2000)

        def work(rater):
            while not stop.is_set():
                try:
                    for task in queue.take(journal, rater, 3, policy=QueuePolicy()):
                        said = Judgement(
                            uid=uuid.uuid4().hex, comparison=task.comparison.id, rater=rater, verdict=Verdict.FIRST
                        )
                        submit(journal, said, lease=task.lease)
                        acknowledged.append(said.uid)
                except StoreError as error:
                    refused.append(error)
                    time.sleep(0.05)

        workers = [threading.Thread(target=work, args=(f"r{k}",)) for k in range(RATERS)]
        for worker in workers:
            worker.start()
        for crash in range(2):
            before = len(acknowledged)
            while len(acknowledged) < before + 40:
                time.sleep(0.01)
            server.stop(signal.SIGKILL if crash else signal.SIGINT)
            time.sleep(0.2)
            server.start()
        before = len(acknowledged)
        while len(acknowledged) < before + 40:
            time.sleep(0.01)
        stop.set()
        for worker in workers:
            worker.join()
        # They noticed, and went on with the same journal.
        assert refused
        stored = judgements(journal)
        assert set(acknowledged) <= {j.uid for j in stored}
        # What was stored and not acknowledged was on its way when the server died.
        assert len(stored) - len(acknowledged) <= 2 * RATERS
        assert backup.verify(journal).problems == ()


@pytest.mark.slow
def test_who_comes_after_a_restart_meets_no_dead_connection(server):
    with database(server.url()) as url, Journal.open(url) as journal:
        fill(journal, 10)
        opened = [journal.engine.connect() for _ in range(3)]
        for connection in opened:
            connection.close()
        server.stop(signal.SIGKILL)
        server.start()
        for _ in opened:
            assert len(queue.take(journal, "r0", 1, policy=QueuePolicy())) == 1
            with journal.glance() as connection:
                assert connection.execute(text("SELECT count(*) FROM lease")).scalar_one() > 0


def test_statements_stay_prepared(server):
    """A read that ended with ROLLBACK would make the driver forget them all."""
    with database(server.url()) as url, Journal.open(url) as journal:
        fill(journal, 10)
        for _ in range(4):
            rows.counts(journal)
            queue.take(journal, "r0", 1, policy=QueuePolicy())
        with journal.glance() as connection:
            kept = connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
    assert kept > 20
