"""The journal keeps what it acknowledged, refuses edits, and never over-assigns."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import DataError, StoreError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import queue, rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements


def fill(journal, prompts=4, completions=3, raters=3, source="s"):
    made = []
    for number in range(prompts):
        prompt = Prompt.of(f"prompt {number}")
        answers = [Completion(prompt=prompt.id, text=f"answer {k}", policy="p", sample=k) for k in range(completions)]
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, answers)
        made += [
            Comparison(prompt=prompt.id, first=a.id, second=b.id, source=source)
            for i, a in enumerate(answers)
            for b in answers[i + 1 :]
        ]
    rows.add_comparisons(journal, made)
    rows.add_raters(journal, [Rater(f"r{k}") for k in range(raters)])
    return made


def says(task, rater, verdict=Verdict.FIRST, uid=None, **more):
    uid = uid or f"{task.comparison.id}-{rater}"
    return Judgement(uid=uid, comparison=task.comparison.id, rater=rater, verdict=verdict, **more)


def test_adding_twice_adds_once(where):
    with Journal.open(where) as journal:
        made = fill(journal)
        assert rows.add_comparisons(journal, made) == 0
        assert rows.comparisons(journal) == made
        assert rows.counts(journal)["completion"] == 12


def test_sending_a_judgement_twice_stores_it_once_and_another_content_is_refused(where):
    with Journal.open(where) as journal:
        fill(journal)
        (task,) = queue.take(journal, "r0", 1, judgements_wanted=3)
        assert judge(journal, [says(task, "r0")]) == 1
        assert judge(journal, [says(task, "r0")]) == 0
        with pytest.raises(DataError, match="uid was used before"):
            judge(journal, [says(task, "r0", Verdict.SECOND)])
        assert [j.verdict for j in judgements(journal)] == [Verdict.FIRST]


def test_a_bad_row_stores_nothing_of_its_batch(where):
    with Journal.open(where) as journal:
        fill(journal)
        (task,) = queue.take(journal, "r0", 1, judgements_wanted=3)
        with pytest.raises(DataError, match="unknown rater"):
            judge(journal, [says(task, "r0"), says(task, "nobody")])
        assert judgements(journal) == []


def test_a_correction_supersedes_and_the_old_row_stays(where):
    with Journal.open(where) as journal:
        fill(journal)
        (task,) = queue.take(journal, "r0", 1, judgements_wanted=3)
        judge(journal, [says(task, "r0", uid="one")])
        judge(journal, [says(task, "r0", Verdict.SECOND, uid="two", supersedes="one")])
        assert [j.uid for j in judgements(journal)] == ["two"]
        assert [j.uid for j in judgements(journal, current=False)] == ["one", "two"]
        with pytest.raises(DataError, match="not its own"):
            judge(journal, [says(task, "r1", uid="three", supersedes="one")])


@pytest.mark.parametrize("statement", ["UPDATE judgement SET verdict = 'tie'", "DELETE FROM comparison"])
def test_the_database_itself_refuses_edits(tmp_path, statement):
    with Journal.open(tmp_path / "j.db") as journal:
        fill(journal)
        (task,) = queue.take(journal, "r0", 1, judgements_wanted=3)
        judge(journal, [says(task, "r0")])
    raw = sqlite3.connect(tmp_path / "j.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()


@settings(max_examples=15)
@given(
    wanted=st.integers(1, 3),
    turns=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.booleans()), max_size=25),
)
def test_no_comparison_is_held_or_judged_by_more_than_wanted(tmp_path_factory, wanted, turns):
    with Journal.open(tmp_path_factory.mktemp("queue") / "j.db") as journal:
        fill(journal, raters=4)
        for number, count, acts in turns:
            rater = f"r{number}"
            tasks = queue.take(journal, rater, count, judgements_wanted=wanted)
            if acts:
                judge(journal, [says(task, rater) for task in tasks])
        with journal.engine.connect() as connection:
            at_work = connection.exec_driver_sql(
                "SELECT c.id, (SELECT count(*) FROM judgement j WHERE j.comparison = c.id)"
                " + (SELECT count(*) FROM lease l WHERE l.comparison = c.id) FROM comparison c"
            ).all()
        assert max(count for _, count in at_work) <= wanted


def test_a_skip_goes_to_others_and_never_comes_back(where):
    with Journal.open(where) as journal:
        fill(journal, prompts=1, completions=2)
        (task,) = queue.take(journal, "r0", 5, judgements_wanted=1)
        assert queue.take(journal, "r1", 5, judgements_wanted=1) == []
        judge(journal, [says(task, "r0", Verdict.SKIP)])
        assert queue.take(journal, "r0", 5, judgements_wanted=1) == []
        assert len(queue.take(journal, "r1", 5, judgements_wanted=1)) == 1


def test_a_released_lease_gives_the_task_back(where):
    with Journal.open(where) as journal:
        fill(journal, prompts=1, completions=2)
        assert len(queue.take(journal, "r1", 1, judgements_wanted=1)) == 1
        assert queue.take(journal, "r0", 1, judgements_wanted=1) == []
        assert queue.release(journal, "r1") == 1
        assert len(queue.take(journal, "r0", 1, judgements_wanted=1)) == 1


def test_many_raters_at_once_lose_nothing(where):
    path = where
    with Journal.open(path) as journal:
        made = fill(journal, prompts=10, completions=4, raters=4)

    def work(rater):
        with Journal.open(path) as mine:
            while tasks := queue.take(mine, rater, 3, judgements_wanted=2):
                judge(mine, [says(task, rater) for task in tasks])

    threads = [threading.Thread(target=work, args=(f"r{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Journal.open(path) as journal:
        stored = judgements(journal)
        # A rater may have been away while the last comparison was held; nobody did one twice.
        assert len({(j.comparison, j.rater) for j in stored}) == len(stored)
        assert len(stored) == 2 * len(made)


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_judgement(tmp_path):
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        fill(journal, prompts=60, completions=4, raters=3)
    program = textwrap.dedent(
        """
        import sys
        from palate.core.records import Judgement, Verdict
        from palate.store import queue
        from palate.store.journal import Journal
        from palate.store.judgements import judge
        path, rater = sys.argv[1:]
        with Journal.open(path) as journal:
            queue.release(journal, rater)
            while tasks := queue.take(journal, rater, 2, judgements_wanted=3):
                batch = [Judgement(uid=f"{t.comparison.id}-{rater}", comparison=t.comparison.id, rater=rater,
                                   verdict=Verdict.FIRST) for t in tasks]
                judge(journal, batch)
                print(*(j.uid for j in batch), flush=True)
        """
    )
    acknowledged = []
    for attempt in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), f"r{attempt}"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(10 + 7 * attempt):
            acknowledged += process.stdout.readline().split()
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += process.stdout.read().split()
        process.wait()
        process.stdout.close()
    assert len(acknowledged) >= 60
    with Journal.open(path) as journal:
        stored = {j.uid for j in judgements(journal)}
        assert set(acknowledged) <= stored
        with journal.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_file_that_is_no_journal_is_refused_and_not_touched(tmp_path):
    (tmp_path / "text.db").write_text("hello, this is not a database at all, but long enough to look at" * 20)
    with pytest.raises(StoreError, match="is not a journal"):
        Journal.open(tmp_path / "text.db")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(StoreError, match="is not a journal"):
        Journal.open(tmp_path / "other.db")


def test_a_newer_journal_is_refused(tmp_path):
    Journal.open(tmp_path / "j.db").close()
    raw = sqlite3.connect(tmp_path / "j.db")
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StoreError, match="newer Palate"):
        Journal.open(tmp_path / "j.db")
