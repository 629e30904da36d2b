"""Whatever raters do, in whatever order, in one process or in eight, killed or not: the queue keeps its promises."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.postgres import server

from palate.core.records import Judgement, Verdict
from palate.store import backup, check_items, queue, rows, schema
from palate.store.check_items import CheckItem
from palate.store.journal import Journal
from palate.store.judgements import judgements, submit, undo
from palate.store.queue import QueuePolicy

RATERS = 5
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "submit", "submit", "submit", "release", "expire", "undo", "again", "lead"]),
        st.integers(0, RATERS - 1),
        st.integers(0, 7),
    ),
    max_size=40,
)
VERDICTS = [Verdict.FIRST, Verdict.FIRST, Verdict.SECOND, Verdict.TIE, Verdict.SKIP, Verdict.BOTH_BAD]


@pytest.fixture
def fresh(engine, tmp_path_factory, request):
    """A function that says where another new journal goes."""
    made = []

    def place():
        if engine == "sqlite":
            return tmp_path_factory.mktemp("turn") / "j.db"
        url, template = request.getfixturevalue("postgres")
        made.append(server.database(url, template))
        return made[-1].__enter__()

    yield place
    for one in made:
        one.__exit__(None, None, None)


def promises(journal, wanted):
    """What must hold after every step."""
    assert backup.verify(journal).problems == ()
    stored = judgements(journal, current=False)
    once = Counter((j.comparison, j.rater) for j in stored if j.task != "repeat" and not j.supersedes)
    assert max(once.values(), default=0) <= 1
    repeats = Counter((j.comparison, j.rater) for j in stored if j.task == "repeat" and not j.supersedes)
    assert max(repeats.values(), default=0) <= 1
    with journal.reading() as connection:
        tasks = connection.execute(select(schema.task).where(schema.task.c.kind != "check")).all()
        held = connection.execute(select(schema.lease).where(schema.HELD)).all()
    # One more where they differ, and an adjudicator where they still do.
    assert all(task.done + task.held <= wanted + 2 for task in tasks)
    assert all(task.done <= wanted + 1 or task.kind == "adjudication" for task in tasks)
    assert max(Counter((row.rater, row.comparison) for row in held).values(), default=0) <= 1


# `fresh` makes another journal for each example.
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, wanted=st.integers(1, 3), seed=st.integers(0, 9))
def test_no_step_breaks_a_promise(fresh, filled, steps, wanted, seed):
    where = fresh()
    made = filled(where, 10, raters=RATERS)
    policy = QueuePolicy(wanted=wanted, check_share=0.2, repeat_share=0.2, repeat_after=2)
    held = {f"r{k}": [] for k in range(RATERS)}
    said = {f"r{k}": [] for k in range(RATERS)}
    with Journal.open(where) as journal:
        for comparison in made[:3]:
            check_items.add(journal, CheckItem(comparison=comparison.id, expected=Verdict.FIRST))
        queue.enqueue(journal, made, wanted=wanted)
        for number, (what, who, which) in enumerate(steps):
            rater = f"r{who}"
            if what in ("take", "lead"):
                lead = what == "lead"
                held[rater] += queue.take(journal, rater, 1 + which % 3, policy=policy, seed=seed, adjudicates=lead)
            elif what == "submit" and held[rater]:
                task = held[rater].pop(which % len(held[rater]))
                uid = f"{number} {rater}"
                judgement = Judgement(
                    uid=uid, comparison=task.comparison.id, rater=rater, verdict=VERDICTS[which % len(VERDICTS)]
                )
                submit(journal, judgement, lease=task.lease)
                said[rater].append(uid)
            elif what == "release":
                queue.release(journal, rater)
                held[rater] = []
            elif what == "expire":
                with journal.transaction() as connection:
                    connection.execute(schema.lease.update().where(schema.lease.c.rater == rater).values(expires_s=1.0))
                    queue.sweep(connection, time.time())
                held[rater] = []
            elif what == "undo" and said[rater]:
                held[rater].append(undo(journal, said[rater].pop(), rater))
            elif what == "again" and number % 2:
                anew = made[3 + which % 7].id
                queue.enqueue(journal, [anew], wanted=wanted, again=True)
                held = {who: [task for task in some if task.comparison.id != anew] for who, some in held.items()}
            if number % 4 == 0:
                promises(journal, wanted)
        promises(journal, wanted)


WORKER = textwrap.dedent(
    """
    import sys, time, uuid, random
    from pathlib import Path
    from palate.core.errors import LeaseLost
    from palate.core.records import Judgement, Verdict
    from palate.store import queue
    from palate.store.journal import Journal
    from palate.store.judgements import submit
    from palate.store.queue import QueuePolicy
    where, go, rater, lease_s = sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    policy = QueuePolicy(check_share=0.1, repeat_share=0.05, repeat_after=3)
    rng = random.Random(rater)
    with Journal.open(where) as journal:
        print("ready", flush=True)
        while not go.exists():
            time.sleep(0.001)
        empty = 0
        while empty < 3:
            tasks = queue.take(journal, rater, 3, policy=policy, lease_s=lease_s)
            empty = 0 if tasks else empty + 1
            time.sleep(0.002 if tasks else 0.1)
            for task in tasks:
                verdict = rng.choice([Verdict.FIRST, Verdict.FIRST, Verdict.SECOND])
                said = Judgement(uid=uuid.uuid4().hex, comparison=task.comparison.id, rater=rater, verdict=verdict)
                try:
                    submit(journal, said, lease=task.lease)
                except LeaseLost:
                    print("lost", flush=True)
                else:
                    print(said.uid, flush=True)
    """
)


def finish(journal, raters):
    """Whoever is still needed comes back: what is left must be given to them; the new uids."""
    policy = QueuePolicy(check_share=0, repeat_share=0)
    uids, came = [], True
    while came:
        came = [(rater, task) for rater in raters for task in queue.take(journal, rater, 5, policy=policy)]
        for rater, task in came:
            uids.append(f"end {rater} {task.lease}")
            said = Judgement(uid=uids[-1], comparison=task.comparison.id, rater=rater, verdict=Verdict.FIRST)
            submit(journal, said, lease=task.lease)
    return uids


def start(where, go, rater, lease_s):
    command = [sys.executable, "-c", WORKER, str(where), str(go), rater, str(lease_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_eight_processes_at_once_break_no_promise(where, tmp_path, filled):
    made = filled(where, 80, raters=8)
    with Journal.open(where) as journal:
        for comparison in made[:10]:
            check_items.add(journal, CheckItem(comparison=comparison.id, expected=Verdict.FIRST))
        queue.enqueue(journal, made)
    go = tmp_path / "go"
    workers = [start(where, go, f"r{k}", 60) for k in range(8)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 8
    go.touch()
    said = [worker.communicate(timeout=180)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    with Journal.open(where) as journal:
        promises(journal, 2)
        # Some may have left before others differed.
        said.append(finish(journal, [f"r{k}" for k in range(8)]))
        stored = judgements(journal)
        # Every one was acknowledged, and every one that was acknowledged is there; nobody lost a lease.
        assert sorted(uid for uids in said for uid in uids) == sorted(j.uid for j in stored)
        assert queue.progress(journal)[:4] == (0, 0, 70, 0)
        votes = Counter(j.comparison for j in stored if j.task == "normal")
        assert set(votes) == {c.id for c in made[10:]}
        assert set(votes.values()) <= {2, 3}
        assert rows.counts(journal)["lease"] == 0
    # Several took part; otherwise nothing was put to the test.
    assert sum(bool(uids) for uids in said) >= 3


def test_kill_9_loses_no_acknowledged_judgement_and_the_work_goes_on(where, tmp_path, filled):
    made = filled(where, 60, raters=4)
    with Journal.open(where) as journal:
        queue.enqueue(journal, made)
    go = tmp_path / "go"
    go.touch()
    rng, acknowledged = random.Random(0), []
    for attempt in range(6):
        worker = start(where, go, f"r{attempt % 4}", 0.5)
        assert worker.stdout.readline() == "ready\n"
        for _ in range(rng.randint(2, 12)):
            acknowledged.append(worker.stdout.readline().strip())
        os.kill(worker.pid, signal.SIGKILL)
        acknowledged += worker.stdout.read().split()
        worker.wait()
        worker.stdout.close()
    time.sleep(0.6)
    with Journal.open(where) as journal:
        promises(journal, 2)
        acknowledged += finish(journal, [f"r{k}" for k in range(4)])
        promises(journal, 2)
        assert set(acknowledged) - {"lost", ""} <= {j.uid for j in judgements(journal)}
        assert queue.progress(journal)[:4] == (0, 0, 60, 0)
