"""Verdicts over HTTP: what is stored, what is refused, and what is the same when sent twice."""

import re

import pytest
from sqlalchemy import select

from palate.core.records import Verdict
from palate.store import queue, schema
from palate.store.judgements import judgements


def lease(visitor, count=1):
    reply = visitor.json("/rate/lease", {"count": count})
    assert reply.status_code == 200, reply.text
    return reply.json()["tasks"]


def verdict(task, scale="2", uid="u1", **more):
    return {"uid": uid, "lease": task["lease"], "comparison": task["comparison"], "scale": scale, **more}


def said(app, uid):
    return next((j for j in judgements(app.state.journal, current=False) if j.uid == uid), None)


def comparison(app, id):
    with app.state.journal.reading() as connection:
        return connection.execute(select(schema.comparison).where(schema.comparison.c.id == id)).one()


def text(app, id):
    with app.state.journal.reading() as connection:
        return connection.execute(select(schema.completion.c.text).where(schema.completion.c.id == id)).scalar_one()


@pytest.mark.parametrize(
    ("scale", "left_better", "strength"),
    [("1", True, 3), ("2", True, 2), ("3", True, 1), ("5", False, 1), ("6", False, 2), ("7", False, 3)],
)
def test_the_scale_is_about_the_sides_as_shown(visitor, app, scale, left_better, strength):
    rater = visitor("rater")
    swaps = set()
    for number, task in enumerate(lease(rater, 12)):
        uid = f"s{number}"
        assert rater.json("/rate/verdict", verdict(task, scale, uid)).status_code == 200
        stored, shown = said(app, uid), comparison(app, task["comparison"])
        better = shown.first if stored.verdict is Verdict.FIRST else shown.second
        assert text(app, better) == task["left_text" if left_better else "right_text"]
        assert stored.strength == strength
        assert stored.swapped == (text(app, shown.first) != task["left_text"])
        swaps.add(stored.swapped)
    assert swaps == {True, False}, "sides are dealt, not fixed"


def test_nothing_in_a_card_tells_who_wrote_what(visitor):
    for task in lease(visitor("rater"), 6):
        assert set(task) == {
            "lease", "comparison", "prompt_html", "help_html", "left_html", "right_html", "left_text", "right_text",
            "warning", "note",
        }  # fmt: skip
        assert "model-" not in str(task)


def test_sent_twice_is_stored_once(visitor, app):
    rater = visitor("rater")
    (task,) = lease(rater)
    for _ in range(3):
        reply = rater.json("/rate/verdict", verdict(task, "3", note="n", seconds=4.5))
        assert (reply.status_code, reply.json()["stored"]) == (200, "u1")
    assert sum(j.uid == "u1" for j in judgements(app.state.journal)) == 1
    changed = rater.json("/rate/verdict", verdict(task, "7"))
    assert changed.status_code == 400
    assert "used before" in changed.json()["error"]["message"]


def test_another_raters_lease_is_no_lease(visitor, app):
    rater, other = visitor("rater"), visitor("rater2")
    # One that comes again may be one that the other has judged, and may edit.
    task = next(one for one in lease(rater, 12) if "of sampling" in one["prompt_html"])
    reply = other.json("/rate/verdict", verdict(task))
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "lease_lost")
    guessed = other.json("/rate/verdict", {**verdict(task), "lease": "0" * 32})
    assert guessed.json()["error"]["message"] == reply.json()["error"]["message"], "a guess learns nothing"
    assert other.json("/rate/heartbeat", {"leases": [task["lease"]]}).json() == {"held": []}
    assert other.json("/rate/release", {"leases": [task["lease"]]}).json() == {"released": 0}
    assert other.json("/rate/edit", edit(task)).status_code == 409
    assert rater.json("/rate/verdict", verdict(task)).status_code == 200
    assert other.json("/rate/undo", {"uid": "u1"}).status_code == 400
    assert said(app, "u1").verdict is not Verdict.SKIP


def test_a_lease_is_for_its_own_comparison(visitor):
    rater = visitor("rater")
    one, two = lease(rater, 2)
    assert rater.json("/rate/verdict", {**verdict(one), "comparison": two["comparison"]}).status_code == 409
    assert rater.json("/rate/verdict", {**verdict(one), "comparison": "feedfacefeedface"}).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"scale": "8"}, {"scale": "0"}, {"seconds": -1}, {"seconds": "NaN"}, {"note": "x" * 4001}, {"uid": ""},
        {"uid": "a b"}, {"reasons": ["x"] * 21}, {"guideline": "made-up"}, {"extra": 1}, {"skip_reason": "bored"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_sentence(visitor, app, change):
    rater = visitor("rater")
    (task,) = lease(rater)
    reply = rater.json("/rate/verdict", {**verdict(task), **change})
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]
    assert said(app, "u1") is None


def test_undo_gives_it_back_and_asked_twice_says_the_same(visitor, app):
    rater = visitor("rater")
    (task,) = lease(rater)
    rater.json("/rate/verdict", verdict(task, "1"))
    again = rater.json("/rate/undo", {"uid": "u1"}).json()["task"]
    assert again == rater.json("/rate/undo", {"uid": "u1"}).json()["task"]
    assert again["comparison"] == task["comparison"]
    reply = rater.json("/rate/verdict", {**verdict(task, "7", "u2"), "lease": again["lease"]})
    assert reply.status_code == 200
    mine = [j for j in judgements(app.state.journal) if j.comparison == task["comparison"] and j.uid.startswith("u")]
    assert [j.uid for j in mine] == ["u2"]


def test_no_comparison_goes_to_more_raters_than_were_asked(visitor, app):
    taken = []
    for number in range(1, 5):
        tasks = lease(visitor("rater" if number == 1 else f"rater{number}"), 20)
        taken += [task["comparison"] for task in tasks]
    with app.state.journal.reading() as connection:
        queued = set(
            connection.execute(select(schema.task.c.comparison).where(schema.task.c.kind == "normal")).scalars()
        )
    assert max(taken.count(one) for one in queued) == 2


def test_leases_that_a_page_lost_are_given_again(visitor):
    rater = visitor("rater")
    lost, kept = lease(rater, 2)
    reply = rater.json("/rate/lease", {"count": 3, "known": [kept["lease"]]}).json()
    assert reply["held"] == [kept["lease"]]
    assert [task["lease"] for task in reply["tasks"]].count(lost["lease"]) == 1
    assert {**reply["tasks"][0], "note": ""} == lost
    assert len(reply["tasks"]) == 3
    assert kept["lease"] not in {task["lease"] for task in reply["tasks"]}


def edit(task, side="left", words="Better words."):
    return {
        "uid": "e1", "lease": task["lease"], "comparison": task["comparison"], "side": side, "text": words,
        "judgement": "u1",
    }  # fmt: skip


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_edit_beats_the_answer_that_stood_on_that_side(visitor, app, side):
    rater = visitor("rater")
    for task in lease(rater, 4):
        body = {**edit(task, side), "uid": f"e{task['comparison'][:6]}"}
        assert rater.json("/rate/edit", body).status_code == 200
        assert rater.json("/rate/edit", body).status_code == 200
        with app.state.journal.reading() as connection:
            query = select(schema.written_answer).where(schema.written_answer.c.uid == body["uid"])
            row = connection.execute(query).one()
        assert text(app, row.original) == task[f"{side}_text"]
        made = said(app, f"{body['uid']} edit")
        shown = comparison(app, made.comparison)
        better = shown.first if made.verdict is Verdict.FIRST else shown.second
        assert text(app, better) == "Better words."


def test_programs_rate_with_a_token(visitor, app):
    rater = visitor("rater")
    secret = re.search(r"sk-palate-[\w-]+", rater.form("/account/tokens", scope="rate").text)[0]
    program = visitor().client
    bearer = {"Authorization": f"Bearer {secret}"}
    task = program.post("/api/rate/lease", json={"count": 1}, headers=bearer).json()["tasks"][0]
    assert program.post("/api/rate/verdict", json=verdict(task), headers=bearer).status_code == 200
    assert said(app, "u1") is not None
    paths = app.openapi()["paths"]
    assert "/api/rate/verdict" in paths
    assert not [path for path in paths if path.startswith("/rate")]


def test_a_draft_is_kept_until_it_is_a_note(visitor):
    rater = visitor("rater")
    (task,) = lease(rater)
    rater.json("/rate/draft", {"comparison": task["comparison"], "text": "so far"})
    again = rater.json("/rate/lease", {"count": 1, "known": []}).json()["tasks"][0]
    assert again["note"] == "so far"
    rater.json("/rate/verdict", verdict(task, note="so far, and further"))
    again = rater.json("/rate/undo", {"uid": "u1"}).json()["task"]
    found = rater.json("/rate/lease", {"count": 1, "known": []}).json()["tasks"][0]
    assert (found["lease"], found["note"]) == (again["lease"], "")


def test_an_empty_queue_says_why(visitor, app):
    with app.state.journal.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM lease")
        connection.exec_driver_sql("DELETE FROM task")
    reply = visitor("rater").json("/rate/lease", {"count": 2, "known": []}).json()
    assert "The queue is empty" in reply["empty"] or reply["tasks"]
    assert queue.progress(app.state.journal).open == 0
