"""The queue: who gets what, for how long, in which order, how fast, and from how many processes."""

import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest

from palate.core.errors import ConfigError, DataError
from palate.core.records import Verdict
from palate.store import queue, rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements

WORKER = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    from palate.core.records import Judgement, Verdict
    from palate.store import queue
    from palate.store.journal import Journal
    from palate.store.judgements import judge
    path, go, *raters = sys.argv[1:]
    print("ready", flush=True)
    while not Path(go).exists():
        time.sleep(0.001)
    with Journal.open(path) as journal:
        working = list(raters)
        while working:
            for rater in list(working):
                tasks = queue.take(journal, rater, 3, judgements_wanted=3)
                if not tasks:
                    working.remove(rater)
                    continue
                time.sleep(0.01)
                # The process is part of the uid, so that a second judgement could not pass for the first.
                batch = [Judgement(uid=f"{os.getpid()} {rater} {t.comparison.id}", comparison=t.comparison.id,
                                   rater=rater, verdict=Verdict.FIRST) for t in tasks]
                judge(journal, batch)
                for judgement in batch:
                    print(judgement.uid, flush=True)
                # Who writes without a pause keeps the file to themselves; then nobody would meet.
                time.sleep(0.02)
    """
)


def test_four_processes_give_each_task_exactly_what_was_wanted(where, tmp_path, filled):
    path, go = where, tmp_path / "go"
    made = filled(path, 60, raters=4)
    # Each rater sits at two processes at once.
    raters = [(f"r{k}", f"r{(k + 1) % 4}") for k in range(4)]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(path), str(go), *pair], stdout=subprocess.PIPE, text=True)
        for pair in raters
    ]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
    go.touch()
    acknowledged = [line for worker in workers for line in worker.communicate(timeout=120)[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0] * 4
    with Journal.open(path) as journal:
        stored = judgements(journal)
        assert rows.counts(journal)["lease"] == 0
    assert sorted(acknowledged) == sorted(j.uid for j in stored)
    assert Counter(j.comparison for j in stored) == {comparison.id: 3 for comparison in made}
    assert max(Counter((j.comparison, j.rater) for j in stored).values()) == 1
    # Several took part; otherwise nothing was put to the test.
    assert len({uid.split()[0] for uid in acknowledged}) >= 3


def test_a_lease_that_runs_out_gives_the_task_back_and_a_late_judgement_is_heard(where, filled, says):
    (comparison,) = filled(where, 1)
    with Journal.open(where) as journal:
        assert len(queue.take(journal, "r0", 1, judgements_wanted=1, lease_s=0.3)) == 1
        assert queue.take(journal, "r1", 1, judgements_wanted=1) == []
        time.sleep(0.31)
        assert len(queue.take(journal, "r1", 1, judgements_wanted=1)) == 1
        assert queue.take(journal, "r0", 1, judgements_wanted=1) == []
        assert judge(journal, [says(comparison, "r0")]) == 1
        assert judge(journal, [says(comparison, "r1")]) == 1
        assert queue.take(journal, "r2", 1, judgements_wanted=2) == []


@pytest.mark.parametrize("lease_s", [0.0, -1.0, float("nan")])
def test_a_lease_that_would_not_last_is_refused(where, filled, lease_s):
    filled(where, 1)
    with Journal.open(where) as journal, pytest.raises(ConfigError, match="would not last"):
        queue.take(journal, "r0", 1, judgements_wanted=1, lease_s=lease_s)


def test_a_rater_who_judged_twice_counts_once(where, filled, says):
    (comparison,) = filled(where, 1)
    with Journal.open(where) as journal:
        judge(journal, [says(comparison, "r0", uid="one"), says(comparison, "r0", Verdict.SECOND, uid="two")])
        assert len(queue.take(journal, "r1", 1, judgements_wanted=2)) == 1
        judge(journal, [says(comparison, "r1")])
        assert queue.take(journal, "r2", 1, judgements_wanted=2) == []
        # Who skips at last has no vote; somebody else is asked.
        judge(journal, [says(comparison, "r0", Verdict.SKIP, uid="three")])
        assert len(queue.take(journal, "r2", 1, judgements_wanted=2)) == 1


@pytest.mark.parametrize("seed", [0, -7, 2**64, 10**60])
def test_any_seed_gives_every_task_once_in_an_order_of_its_own(where, filled, seed):
    made = filled(where, 50)
    with Journal.open(where) as journal:
        given = [
            task.comparison.id
            for _ in range(5)
            for task in queue.take(journal, "r0", 10, judgements_wanted=2, seed=seed)
        ]
        queue.release(journal, "r0")
        at_once = [task.comparison.id for task in queue.take(journal, "r1", 99, judgements_wanted=1, seed=seed)]
        queue.release(journal, "r1")
        others = [task.comparison.id for task in queue.take(journal, "r1", 99, judgements_wanted=1, seed=seed + 1)]
    assert given == at_once
    assert sorted(given) == sorted(c.id for c in made)
    assert given not in (others, [c.id for c in made])


def test_requests_that_cannot_be_met_are_refused(where, filled):
    filled(where, 1)
    with Journal.open(where) as journal:
        for asked in ({"count": -1, "judgements_wanted": 1}, {"count": 1, "judgements_wanted": 0}):
            with pytest.raises(ConfigError, match="asks for nothing"):
                queue.take(journal, "r0", **asked)
        with pytest.raises(DataError, match="not in the journal"):
            queue.take(journal, "nobody", 1, judgements_wanted=1)
        assert queue.take(journal, "r0", 0, judgements_wanted=1) == []
        assert queue.take(journal, "r0", 1, judgements_wanted=1, source="another") == []


# In seconds of the processor, twice what it took. It guards against a turn that looks at more than each comparison
# once. On a server nobody works without a policy.
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("comparisons", "limit_s"), [(1000, 12.0), pytest.param(5000, 20.0, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_queue_is_quick(where, filled, says, comparisons, limit_s):
    filled(where, comparisons, raters=6)
    resting, stored = set(), 0
    with Journal.open(where) as journal:
        began = time.process_time()
        while len(resting) < 6:
            for rater in (f"r{k}" for k in range(6)):
                tasks = queue.take(journal, rater, 25, judgements_wanted=3, source="s")
                if not tasks:
                    resting.add(rater)
                stored += judge(journal, [says(task.comparison, rater) for task in tasks])
        took_s = time.process_time() - began
    assert stored == 3 * comparisons
    assert took_s < limit_s
