"""Continuous mode: exactly one round when the labels are there, none beyond the budget, none past a failed gate."""

from datetime import UTC, datetime, timedelta

import pytest

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.rounds.continuous import ContinuousConfig, hours, next_
from palate.store import exposures, judgements, rounds, rows
from palate.store.exposures import Exposure
from palate.store.journal import Journal

WANTED = ContinuousConfig(judgements=5, rounds=2, hours=10, days=7)


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "palate.db") as opened:
        yield opened


def judged(journal, count, about, source=""):
    """So many new judgements."""
    rows.add_raters(journal, [Rater("r")])
    for number in range(count):
        prompt = Prompt.of(f"{about} {number}")
        one, two = (Completion(prompt=prompt.id, text=text, policy="p") for text in "ab")
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, [one, two])
        pair = Comparison(prompt=prompt.id, first=one.id, second=two.id, source=source)
        rows.add_comparisons(journal, [pair])
        said = Judgement(uid=f"{about}{number}", comparison=pair.id, rater="r", verdict=Verdict.FIRST)
        judgements.judge(journal, [said])


def turned(journal, state="done"):
    """A round that froze its dataset as the journal is now."""
    made = rounds.begin(journal, {"steps": ["dataset"]})
    until = judgements.newest(journal)
    rounds.note(journal, made.id, "dataset", "began")
    rounds.note(journal, made.id, "dataset", "done", details={"until": until})
    rounds.note(journal, made.id, "", state)
    return made


def test_a_round_begins_when_there_are_enough_and_then_only_when_there_are_more(journal, tmp_path):
    workspace = Workspace(tmp_path)
    judged(journal, 4, "a")
    assert next_(journal, workspace, WANTED) == ("wait", "4 of 5 new judgements", 0)
    judged(journal, 1, "b")
    assert next_(journal, workspace, WANTED) == ("begin", "5 new judgements", 1)
    turned(journal)
    assert next_(journal, workspace, WANTED).why == "0 of 5 new judgements"
    judged(journal, 6, "c")
    assert next_(journal, workspace, WANTED) == ("begin", "6 new judgements", 2)


def test_what_people_say_in_an_evaluation_begins_no_round(journal, tmp_path):
    judged(journal, 4, "a")
    judged(journal, 9, "b", source="winrate:1234")
    assert next_(journal, Workspace(tmp_path), WANTED).why == "4 of 5 new judgements"
    judged(journal, 1, "c", source="a file about winrate:s")
    assert next_(journal, Workspace(tmp_path), WANTED).do == "begin"


def test_of_two_who_look_at_once_one_begins(journal, tmp_path):
    judged(journal, 5, "a")
    both = [next_(journal, Workspace(tmp_path), WANTED) for _ in range(2)]
    assert [one.number for one in both] == [1, 1]
    first = rounds.begin(journal, {}, expected=both[0].number)
    rounds.note(journal, first.id, "", "done")  # over already, when the other comes
    with pytest.raises(DataError, match="came first"):
        rounds.begin(journal, {}, expected=both[1].number)
    assert len(rounds.every(journal)) == 1


def test_the_budget_ends_it_and_time_gives_it_back(journal, tmp_path):
    workspace = Workspace(tmp_path)
    for about in "ab":
        judged(journal, 5, about)
        assert next_(journal, workspace, WANTED).do == "begin"
        turned(journal)
    judged(journal, 5, "c")
    now = next_(journal, workspace, WANTED)
    assert (now.do, "2 rounds in 7 days" in now.why) == ("wait", True)
    later = (datetime.now(UTC) + timedelta(days=8)).isoformat()
    assert next_(journal, workspace, WANTED, now=later).do == "begin"


def test_machine_time_counts_and_waiting_for_people_does_not(journal, tmp_path, monkeypatch):
    moments = iter(["00:00", "00:00", "01:00", "09:00", "10:30", "10:30"])
    monkeypatch.setattr(rounds, "_now", lambda: f"2026-01-01T{next(moments)}:00.000+00:00")
    made = rounds.begin(journal, {"steps": ["collect"]})  # stamps the round and its beginning
    rounds.note(journal, made.id, "collect", "began")
    rounds.note(journal, made.id, "collect", "waiting")
    rounds.note(journal, made.id, "collect", "began")
    rounds.note(journal, made.id, "collect", "done")
    assert hours(journal, made) == pytest.approx(8.0)


def test_too_many_hours_wait(journal, tmp_path, monkeypatch):
    judged(journal, 5, "a")
    turned(journal)
    judged(journal, 5, "b")
    monkeypatch.setattr("palate.rounds.continuous.hours", lambda journal, one: 6.0)
    now = next_(journal, Workspace(tmp_path), WANTED)
    assert (now.do, "6.0 of 10 hours" in now.why) == ("wait", True)


def test_an_open_round_is_taken_up_and_a_failed_gate_waits_for_a_person(journal, tmp_path):
    workspace = Workspace(tmp_path)
    made = rounds.begin(journal, {"steps": ["collect", "gate"]})
    rounds.note(journal, made.id, "collect", "waiting", details={"why": "3 of 10"})
    assert next_(journal, workspace, WANTED).do == "resume"
    rounds.note(journal, made.id, "collect", "done")
    rounds.note(journal, made.id, "gate", "failed", details={"why": "too low"})
    assert next_(journal, workspace, WANTED).do == "wait"
    with pytest.raises(ConfigError, match="never begin"):
        ContinuousConfig(judgements=0)


def test_the_first_question_of_each_chat_since_a_moment(journal):
    prompts = [Prompt.of(f"question {number}") for number in range(4)]
    rows.add_prompts(journal, prompts)
    said = [Completion(prompt=one.id, text="x", policy="p") for one in prompts]
    rows.add_completions(journal, said)
    at = [f"2026-01-0{day}T00:00:00" for day in range(1, 5)]
    told = [("c1", 0), ("c1", 1), ("c2", 2), ("c1", 3), ("c3", 3)]
    exposures.add(journal, [Exposure(said[n].id, "p", chat, at[n]) for chat, n in told])
    assert exposures.first_questions(journal, "2025") == ["question 0", "question 2", "question 3"]
    assert exposures.first_questions(journal, at[1]) == ["question 2", "question 3"]
