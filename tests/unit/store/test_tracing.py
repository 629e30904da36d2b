"""What hangs on what in the journal, on SQLite and PostgreSQL."""

import pytest

from palate.core.records import Completion, Feedback, Judgement, Prompt, Rater, Verdict, WrittenAnswer
from palate.store import demonstrations, exposures, feedback, judgements, releases, rounds, rows, tracing
from palate.store.exposures import Exposure
from palate.store.journal import Journal


@pytest.fixture
def made(where, filled, says):
    shown = filled(where, 5)
    with Journal.open(where) as journal:
        said = [says(one, f"r{k}") for one in shown for k in range(3)]
        judgements.judge(journal, said)
        yield journal, shown, said


def test_ids_in_full_and_by_their_beginning(made):
    journal, shown, said = made
    assert [(row.kind, row.id) for row in tracing.exact(journal, said[4].uid)] == [("judgement", said[4].uid)]
    assert tracing.exact(journal, "nothing") == []
    assert ("judgement", said[4].uid) in tracing.beginning(journal, said[4].uid[:-1])
    assert tracing.beginning(journal, shown[0].id[:10]) == [
        *(("judgement", f"{shown[0].id}-r{k}") for k in range(3)),
        ("comparison", shown[0].id),
    ]
    assert tracing.beginning(journal, "100%_") == []  # no pattern, but letters
    assert set(tracing.several(journal, "judgement", [said[0].uid, "no"])) == {said[0].uid}


def test_pages_and_streams_tell_each_row_once(made):
    journal, _, said = made
    mine = [one.uid for one in said if one.rater == "r1"]
    assert tracing.count(journal, "judgement", "rater", "r1") == len(mine) == 5
    first = tracing.hanging(journal, "judgement", "rater", "r1", most=2)
    rest = tracing.hanging(journal, "judgement", "rater", "r1", after=first[-1].row["seq"])
    assert [row.id for row in (*first, *rest)] == mine
    assert [row.id for row in tracing.stream(journal, "judgement", "rater", "r1")] == mine
    assert sorted(tracing.uids_by(journal, "r1")) == sorted(mine)


def test_comparisons_of_a_prompt_and_of_an_answer(made, monkeypatch):
    journal, shown, _ = made
    one = shown[2]
    for few in (60, 1):  # by the ids that pairs would have, and by reading the table
        monkeypatch.setattr(tracing, "_FEW_ANSWERS", few)
        assert [row.id for row in tracing.comparisons_on(journal, one.prompt)] == [one.id]
        assert [row.id for row in tracing.comparisons_on(journal, one.prompt, one.second)] == [one.id]
        assert tracing.comparisons_on(journal, one.prompt, "another") == []
    assert tracing.judged_prompts(journal, "policy-1") == [one.prompt for one in shown]
    assert tracing.judged_prompts(journal, "nobody") == []


def test_releases_rounds_and_what_was_served(made):
    journal, shown, _ = made
    released = releases.add(journal, "policy-1", why="a test")
    turn = rounds.begin(journal, {})
    for state in ("began", "done"):
        rounds.note(journal, turn.id, "policy", state, artefact="policy-1")
    assert [row.id for row in tracing.releases_of(journal, ["policy-1", "other"])] == [released.id]
    ((row, step, artefact),) = tracing.rounds_with(journal, ["policy-1"])
    assert (row.id, step, artefact) == (turn.id, "policy", "policy-1")
    exposures.add(journal, [Exposure(shown[0].second, "p-1", "c"), Exposure(shown[1].first, "p-1", "c")])
    assert tracing.served(journal, ["policy-1"]) == 1
    assert tracing.used(journal, "p-1")
    assert not tracing.used(journal, "p-2")


def test_what_somebody_did_the_latest_first(made):
    journal, shown, _ = made
    late = "2999-01-01T00:00:00.000+00:00"
    feedback.add(journal, Feedback(uid="f", completion=shown[0].first, kind="up", person="r1", created_at=late))
    text = WrittenAnswer(uid="w", prompt=shown[0].prompt, text="t", rater="r1", written_at=late.replace("2999", "2998"))
    demonstrations.add(journal, text)
    found = tracing.clicks(journal, "r1")
    assert [row.id for row in found[:2]] == ["f", "w"]
    assert len(found) == 7
    assert [row.id for row in tracing.clicks(journal, "r1", before=late, most=1)] == ["w"]
    assert tracing.thumbs_of(journal, shown[0].first, "r1")[0].id == "f"
    assert tracing.thumbs_of(journal, shown[0].first, "r2") == []


def test_corrections_and_odd_letters(made, says):
    journal, shown, said = made
    odd = "uid with / and \x00 and ü"
    fixed = Judgement(
        uid=odd, comparison=shown[0].id, rater="r0", verdict=Verdict.TIE, supersedes=said[0].uid
    )  # fmt: skip
    judgements.judge(journal, [fixed])
    assert tracing.superseding(journal, said[0].uid) == odd
    assert tracing.superseding(journal, odd) == tracing.superseding(journal, "") == ""
    assert tracing.exact(journal, odd)[0].row["supersedes"] == said[0].uid
    assert ("judgement", odd) in tracing.beginning(journal, "uid with /")


def test_the_walk_of_a_click_reads_no_table_from_end_to_end(tmp_path, filled):
    """Whatever a click upward asks is served by an index, so a million rows make no difference."""
    filled(tmp_path / "j.db", 3)
    asked = [str(statement) for statement in tracing._EXACT.values()]
    with Journal.open(tmp_path / "j.db") as journal, journal.reading() as connection:
        for statement in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.replace(':id', '?')}", ("x",)).all()
            assert all("USING" in row[-1] and "INDEX" in row[-1] for row in plan), plan
        indexed = [pair for pair in tracing._HANGING if pair not in (("completion", "policy"), ("slate", "prompt"))]
        for pair in indexed:
            column = tracing._HANGING[pair]
            query = f'EXPLAIN QUERY PLAN SELECT count(*) FROM "{column.table.name}" WHERE "{column.name}" = ?'
            assert "INDEX" in connection.exec_driver_sql(query, ("x",)).all()[0][-1], pair


def test_raters_are_known_by_what_they_did(made):
    journal, _, _ = made
    rows.add_raters(journal, [Rater("r9")])
    prompt = Prompt.of("a new one")
    rows.add_prompts(journal, [prompt])
    rows.add_completions(journal, [Completion(prompt=prompt.id, text="x", policy="p")])
    assert tracing.get(journal, "rater", "r9").row["kind"] == "person"
    assert tracing.clicks(journal, "r9") == []
