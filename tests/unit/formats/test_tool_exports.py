"""What annotation tools, observability and chat front ends export."""

import json
import zipfile

import pytest

from palate.core.errors import DataError
from palate.core.records import Verdict
from palate.formats import Limits, Recorder, read, stream


def said(pairs):
    return [(p.rater, p.first if p.verdict is Verdict.FIRST else p.second, p.verdict is Verdict.TIE) for p in pairs]


# --- Argilla

FLAT = {
    "id": "1",
    "status": "completed",
    "prompt": "q",
    "response1": "a",
    "response2": "b",
    "preference.responses": ["A", "response2", "B"],
    "preference.responses.users": ["u1", "u2", "u3"],
    "preference.responses.status": ["submitted", "submitted", "draft"],
    "comment.responses": ["clear"],
    "comment.responses.users": ["u2"],
    "preference.suggestion": "A",
    "preference.suggestion.score": 0.8,
}


def test_argilla_flattened(take):
    found = take(FLAT)
    assert (found.shape, said(found.pairs)) == ("argilla", [("u1", "a", False), ("u2", "b", False)])
    assert [pair.note for pair in found.pairs] == ["", "clear"]
    assert found.lost == {"preference.suggestion": 1, "preference.suggestion.score": 1}


def test_argilla_of_older_sdks(take):
    row = {"prompt": "q", "response1": "a", "response2": "b", "preference.response.u1": "B"}
    assert said(take(row).pairs) == [("u1", "b", False)]


def test_argilla_records_and_rankings(take):
    ranking = [{"value": "response2", "rank": 1}, {"value": "response1", "rank": 1}, {"value": "response3", "rank": 3}]
    fields = {"prompt": "q", "response1": "a", "response2": "b", "response3": "c", "source": "web"}
    found = take({"id": "1", "fields": fields, "responses": {"rank": [{"value": ranking, "user_id": "u1"}]}})
    (ranked,) = found.rankings
    assert (ranked.answers, ranked.ranks, ranked.rater) == (("a", "b", "c"), (1, 1, 3), "u1")
    assert found.lost == {"fields.source": 1}
    two = {"prompt": "q", "response1": "a", "response2": "b"}
    tie = take({"fields": two, "responses": {"rank": [{"value": ranking[:2], "user_id": "u1"}]}})
    assert [pair.verdict for pair in tie.pairs] == [Verdict.TIE]
    old = {"status": "submitted", "user_id": "u9", "values": {"rank": {"value": "response1"}}}
    assert said(take({"fields": two, "responses": [old, old | {"status": "discarded"}]}).pairs) == [("u9", "a", False)]


def test_argilla_without_a_submitted_response_is_refused(take):
    drafts = FLAT | {"preference.responses.status": ["draft"] * 3}
    assert "nobody submitted" in take(FLAT, drafts).refused[0].reason


# --- Label Studio


def task(*annotations, **data):
    return {"id": 1, "data": {"prompt": "q", "answer1": "a", "answer2": "b"} | data, "annotations": list(annotations)}


def annotation(*results, **more):
    return {"id": 9, "completed_by": 7, "lead_time": 12.5, "was_cancelled": False, "result": list(results)} | more


LEFT = {"type": "pairwise", "from_name": "comparison", "to_name": "answer1,answer2", "value": {"selected": "left"}}
RIGHT = LEFT | {"value": {"selected": "right"}}


def test_label_studio(take):
    words = {"type": "textarea", "value": {"text": ["because", "so"]}}
    reasons = {"type": "choices", "value": {"choices": ["helpful"]}}
    made = annotation(LEFT, words, reasons, updated_at="2026-01-02T03:04:05Z")
    found = take(task(made, annotation(RIGHT, completed_by={"id": 8}), annotation(LEFT, was_cancelled=True), extra="x"))
    assert (found.shape, said(found.pairs)) == ("label-studio", [("7", "a", False), ("8", "b", False)])
    one = found.pairs[0]
    assert (one.note, one.reasons, one.seconds) == ("because\nso", ("helpful",), 12.5)
    assert one.judged_at == "2026-01-02T03:04:05.000+00:00"
    assert found.lost == {"annotations that were cancelled": 1, "data.extra": 1}


def test_label_studio_ranker(take):
    items = [{"id": f"i{n}", "body": f"answer {n}"} for n in range(4)]
    one = {"type": "ranker", "value": {"ranker": {"rank": ["i2", "i0"], "_": ["i1", "i3"]}}}
    tiers = {"type": "ranker", "value": {"ranker": {"good": ["i0", "i1"], "bad": ["i3"], "_": ["i2"]}}}
    found = take({"data": {"prompt": "q", "items": items}, "annotations": [annotation(one), annotation(tiers)]})
    assert [ranking.ranks for ranking in found.rankings] == [(2, 0, 1, 0), (1, 1, 0, 2)]
    recorder = Recorder("f")
    assert recorder.take(found) == []
    records = recorder.taken()
    assert (len(records.slates), len(records.rankings), len(records.completions)) == (1, 2, 4)


def test_label_studio_without_a_comparison_is_refused(take):
    other = annotation({"type": "rating", "value": {"rating": 3}})
    found = take(task(annotation(LEFT)), task(other), task(annotation(LEFT | {"value": {"pairwise": "left"}})))
    assert [refusal.where for refusal in found.refused] == ["rows.jsonl:2", "rows.jsonl:3"]


# --- Potato


@pytest.mark.parametrize(
    ("answer", "verdict", "strength"),
    [
        ({"selection": "A"}, Verdict.FIRST, 0),
        ({"selection": "tie"}, Verdict.TIE, 0),
        ({"scale_value": "-2"}, Verdict.FIRST, 2),
        ({"scale_value": "3"}, Verdict.SECOND, 3),
        ({"scale_value": "0"}, Verdict.TIE, 0),
    ],
)
def test_potato(take, answer, verdict, strength):
    row = {"id": "1", "prompt": "q", "text": ["a", "b"], "user": "eve", "label_annotations": {"preference": answer}}
    found = take(row)
    (pair,) = found.pairs
    assert (found.shape, pair.verdict, pair.strength, pair.rater) == ("potato", verdict, strength, "eve")
    assert found.lost == {"id": 1}
    assert take(row, row | {"label_annotations": {"preference": {"selection": "?"}}}).refused


# --- Langfuse

SCORE = {"id": "s1", "traceId": "t", "observationId": "c1", "name": "user-feedback", "value": 1, "dataType": "NUMERIC"}


@pytest.mark.parametrize(
    ("change", "kind", "value", "note"),
    [
        ({}, "up", "", ""),
        ({"value": 0, "comment": "why"}, "down", "", "why"),
        ({"dataType": "BOOLEAN", "value": 0}, "down", "", ""),
        ({"dataType": "CATEGORICAL", "value": None, "stringValue": "Good"}, "up", "", ""),
        ({"dataType": "TEXT", "stringValue": "long"}, "note", "", "long"),
        ({"dataType": "CORRECTION", "stringValue": "better"}, "edit", "better", ""),
    ],
)
def test_langfuse_scores(take, change, kind, value, note):
    (signal,) = take(SCORE | change).signals
    assert (signal.kind, signal.value, signal.note, signal.completion) == (kind, value, note, "c1")


def test_langfuse_with_texts_and_as_the_api_answers(take):
    asked = {"messages": [{"role": "user", "content": "q"}]}
    score = SCORE | {"input": json.dumps(asked), "output": {"role": "assistant", "content": "a"}, "source": "API"}
    found = take({"data": [score, SCORE | {"id": "s2", "value": -1}], "meta": {"page": 1}})
    assert found.shape == "langfuse"
    one, other = found.signals
    assert (one.prompt.text, one.text, one.completion, other.completion) == ("q", "a", "", "c1")
    assert [(approval.completion, approval.p_good) for approval in found.approvals] == [("a", 1.0)]
    assert found.lost == {"meta": 1, "data[].source": 1}
    assert "no thumb" in take(SCORE, SCORE | {"value": 0.7}).refused[0].reason


# --- Open WebUI


def feedback(rating=1, message="m2", **more):
    messages = {
        "m1": {"id": "m1", "parentId": None, "childrenIds": ["m2", "m3"], "role": "user", "content": "q"},
        "m2": {"id": "m2", "parentId": "m1", "role": "assistant", "content": "a", "model": "x"},
        "m3": {"id": "m3", "parentId": "m1", "role": "assistant", "content": "b", "model": "y"},
    }
    return {
        "id": "f1",
        "user_id": "u1",
        "type": "rating",
        "data": {"rating": rating, "model_id": "x", "sibling_model_ids": ["y"], "reason": "clear", "comment": "good"},
        "meta": {"arena": True, "chat_id": "c", "message_id": message},
        "snapshot": {"chat": {"chat": {"history": {"messages": messages, "currentId": "m2"}}}},
        "created_at": 1_767_225_600,
        "updated_at": 1_767_225_600,
    } | more


def test_open_webui(take):
    found = take(feedback(), feedback(-1, message="m3"))
    assert (found.shape, found.lost, found.refused) == ("open-webui", {}, [])
    assert [(s.kind, s.text, s.person, s.note, s.writer) for s in found.signals] == [
        ("up", "a", "u1", "clear\ngood", "x"),
        ("down", "b", "u1", "clear\ngood", "y"),
    ]
    assert {signal.created_at for signal in found.signals} == {"2026-01-01T00:00:00.000+00:00"}
    assert [approval.p_good for approval in found.approvals] == [1.0, 0.0]
    assert said(found.pairs) == [("u1", "a", False), ("u1", "a", False)]
    bad = take(feedback(), feedback("great"), feedback(message="m1"), feedback(snapshot=None))
    assert len(bad.refused) == 3


# --- ChatGPT


def node(id, parent, role, text, *children):
    message = {"id": id, "author": {"role": role}, "content": {"content_type": "text", "parts": [text]}}
    message["metadata"] = {"model_slug": "big"} if role == "assistant" else {}
    return {"id": id, "parent": parent, "children": list(children), "message": message}


TALK = {
    "id": "c1",
    "title": "t",
    "mapping": {
        "root": {"id": "root", "parent": None, "children": ["u1"], "message": None},
        "u1": node("u1", "root", "user", "q", "a1", "a2"),
        "a1": node("a1", "u1", "assistant", "old"),
        "a2": node("a2", "u1", "assistant", "new"),
    },
}
ALONE = {"id": "c2", "mapping": {"u9": node("u9", None, "user", "only asked")}}
THUMB = {
    "id": "a2",
    "conversation_id": "c1",
    "user_id": "me",
    "rating": "thumbs_up",
    "content": json.dumps({"text": "nice", "tags": ["helpful"]}),
    "create_time": "2025-03-01T10:00:00.000000+00:00",
}


def compared(rating, placed):
    step = {"new_turn": [{"id": "a2"}], "new_completion_placement": placed, "completion_comparison_rating": rating}
    return {"input": {"conversation_id": "c1"}, "output": {"feedback_step_2": step}, "user_id": "me"}


def export(folder, comparisons, feedback=(THUMB,)):
    folder.mkdir()
    files = {"conversations": [TALK, ALONE], "message_feedback": feedback, "model_comparisons": comparisons}
    for name, rows in files.items():
        (folder / f"{name}.json").write_text(json.dumps(list(rows)), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("rating", "placed", "first", "verdict"),
    [
        ("new", "left", "new", Verdict.FIRST),
        ("new", "right", "old", Verdict.SECOND),
        ("original", "left", "new", Verdict.SECOND),
        ("original", "not-applicable", "old", Verdict.FIRST),
        ("same", "not-applicable", "old", Verdict.TIE),
    ],
)
def test_a_chatgpt_export(tmp_path, rating, placed, first, verdict):
    folder = export(tmp_path / "out", [compared(rating, placed)])
    found = read(folder)
    assert (found.shape, found.rows, found.lost, found.refused) == ("chatgpt", 2, {}, [])
    (pair,), (signal,) = found.pairs, found.signals
    assert (pair.first, pair.verdict, pair.prompt.text, pair.rater) == (first, verdict, "q", "me")
    assert (signal.kind, signal.text, signal.note, signal.writer) == ("up", "new", "helpful\nnice", "big")
    assert [prompt.text for prompt in found.prompts] == ["only asked"]
    packed = tmp_path / "out.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"export/{file.name}")
    again = read(packed)
    assert (again.pairs, again.signals) == (found.pairs, found.signals)


def test_a_chatgpt_export_with_holes(tmp_path):
    elsewhere = THUMB | {"conversation_id": "gone"}
    no_answer = THUMB | {"id": "u1"}
    folder = export(tmp_path / "out", [compared("maybe", "left")], [THUMB, elsewhere, no_answer])
    found = read(folder)
    assert len(found.signals) == 1
    assert [refusal.where for refusal in found.refused] == ["message_feedback.json:1"]
    assert found.lost == {
        "feedback on what is no answer of the conversation": 1,
        "comparisons whose answers are not both in the conversation": 1,
    }
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", "[" + " " * 3_000_000)
    with pytest.raises(DataError, match="no row of a file can be read"):
        stream(bomb, limits=Limits(unfold_free_bytes=1_000_000))
