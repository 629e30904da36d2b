"""What was acknowledged stays, in this file and nowhere else, whatever the text and whoever forks."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from palate.core.errors import DataError, StoreError
from palate.core.records import Comparison, Completion, Prompt, Rater
from palate.store import queue, rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements


def test_each_commit_waits_for_the_disk(tmp_path):
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "foreign_keys": 1,
    }
    with Journal.open(tmp_path / "j.db") as journal:
        for view in (journal.transaction, journal.reading):
            with view() as connection:
                found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected}
            assert found == expected


def test_a_transaction_that_fails_leaves_nothing(where, filled):
    (comparison,) = filled(where, 1)
    with Journal.open(where) as journal:

        def half_way():
            with journal.transaction() as connection:
                connection.exec_driver_sql("INSERT INTO rater (id, kind) VALUES ('late', 'person')")
                raise KeyError

        with pytest.raises(KeyError):
            half_way()
        assert rows.counts(journal)["rater"] == 4
        assert rows.comparisons(journal) == [comparison]


def test_a_relative_path_means_the_same_file_after_the_working_directory_changed(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with Journal.open("j.db") as journal:
        journal.engine.dispose()
        monkeypatch.chdir(tmp_path / "there")
        assert rows.add_raters(journal, [Rater("r")]) == 1
    assert list((tmp_path / "there").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be used"):
        Journal.open(tmp_path / "file" / "j.db")


def test_a_forked_child_opens_its_own_connection(tmp_path, filled):
    filled(tmp_path / "j.db", 1)
    program = textwrap.dedent(
        """
        import os, sys
        from palate.core.records import Rater
        from palate.store import rows
        from palate.store.journal import Journal
        with Journal.open(sys.argv[1]) as journal:
            rows.add_raters(journal, [Rater("before")])
            with journal.reading() as connection:
                inherited = connection.connection.dbapi_connection
            child = os.fork()
            if child == 0:
                rows.add_raters(journal, [Rater("child")])
                with journal.reading() as connection:
                    os._exit(int(connection.connection.dbapi_connection is inherited))
            rows.add_raters(journal, [Rater("parent")])
            assert os.waitpid(child, 0)[1] == 0
            rows.add_raters(journal, [Rater("after")])
            assert rows.counts(journal)["rater"] == 8
        """
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "j.db")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Emoji of several code points, a combining accent, right to left, NUL, line separators, quotes.
TEXTS = ["👩‍👩‍👧 e\u0301 \u202eשלום\u202c", "a\x00b", "\u2028\x85\r\n\ufeff", "'; DROP TABLE judgement; --", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_as_it_was(where, tmp_path, says, text):
    prompt = Prompt.of(text, kind=text)
    pair = [Completion(prompt=prompt.id, text=text, policy=text, sample=k) for k in range(2)]
    comparison = Comparison(prompt=prompt.id, first=pair[0].id, second=pair[1].id, source=text)
    said = says(comparison, text, uid=f"uid {text}", note=text, reasons=(text, text), guideline=text)
    strange = tmp_path / f"j {len(text)} ü?#.db"
    with Journal.open(strange if isinstance(where, Path) else where) as journal:
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, pair)
        rows.add_comparisons(journal, [comparison])
        rows.add_raters(journal, [Rater(text)])
        (task,) = queue.take(journal, text, 1, judgements_wanted=1, source=text)
        judge(journal, [said])
        assert rows.prompts(journal) == {prompt.id: prompt}
        assert list(rows.completions(journal).values()) == pair
        assert (task.prompt, task.comparison, task.first) == (prompt, comparison, text)
        assert judgements(journal, [text]) == [said]


def test_half_a_surrogate_pair_is_refused_and_nothing_is_stored(where, filled, says):
    (comparison,) = filled(where, 1)
    with Journal.open(where) as journal:
        before = rows.counts(journal)
        with pytest.raises(DataError, match="cannot be stored"):
            rows.add_prompts(journal, [Prompt.of("fine"), Prompt.of("\ud83d")])
        with pytest.raises(DataError, match="cannot be stored"):
            judge(journal, [says(comparison, "r0"), says(comparison, "r1", note="\ud83d")])
        with pytest.raises(DataError, match="cannot be stored"):
            queue.take(journal, "\ud83d", 1, judgements_wanted=1)
        assert rows.counts(journal) == before


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_seconds_that_are_no_length_of_time_are_refused(where, filled, says, seconds):
    # SQLite stores NaN as NULL, and the same judgement sent again would look like another.
    (comparison,) = filled(where, 1)
    with Journal.open(where) as journal:
        with pytest.raises(DataError, match="no length of time"):
            judge(journal, [says(comparison, "r0", seconds=seconds)])
        assert judge(journal, [says(comparison, "r0", seconds=0.0)]) == 1


def test_an_empty_uid_is_refused(where, filled, says):
    (comparison,) = filled(where, 1)
    nameless = replace(says(comparison, "r0"), uid="")
    with Journal.open(where) as journal, pytest.raises(DataError, match="has no uid"):
        judge(journal, [nameless])


def test_nothing_given_is_nothing_done(where):
    with Journal.open(where) as journal:
        for add in (rows.add_prompts, rows.add_completions, rows.add_comparisons, rows.add_raters, judge):
            assert add(journal, []) == 0
        assert set(rows.counts(journal).values()) == {0}
        assert (rows.prompts(journal), rows.completions(journal)) == ({}, {})
        assert rows.comparisons(journal) == judgements(journal) == []


def test_of_two_with_one_id_the_first_stays(where):
    one, other = Prompt.of("same", kind="one"), Prompt.of("same", kind="other")
    with Journal.open(where) as journal:
        assert rows.add_prompts(journal, [one, other, Prompt.of("more")]) == 2
        assert rows.add_prompts(journal, [other]) == 0
        assert rows.prompts(journal)[one.id].kind == "one"


def test_a_rater_cannot_become_another_kind_of_rater(where):
    with Journal.open(where) as journal:
        rows.add_raters(journal, [Rater("ada", "person")])
        with pytest.raises(DataError, match="another kind"):
            rows.add_raters(journal, [Rater("bob", "person"), Rater("ada", "model")])
        assert rows.counts(journal)["rater"] == 1


def test_a_reader_sees_one_moment_and_hinders_nobody(where, filled, says):
    made = filled(where, 2)
    with Journal.open(where) as journal, Journal.open(where) as other:
        with journal.reading():
            assert judgements(journal) == []
            assert judge(other, [says(made[0], "r0")]) == 1
            assert judgements(journal) == []
            assert rows.counts(journal)["judgement"] == 0
            assert len(judgements(other)) == 1
        assert len(judgements(journal)) == 1
