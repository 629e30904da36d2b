"""The shapes in which others send feedback, against the real server."""

import httpx
import pytest

from palate.store import exposures, feedback
from palate.store.journal import Journal


@pytest.fixture(scope="module")
def http(server):
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.address, headers=headers, timeout=60) as made:
        yield made


@pytest.fixture
def journal(server):
    with Journal.open(server.journal) as opened:
        yield opened


@pytest.fixture
def reply(http):
    asked = {"model": "llama", "messages": [{"role": "user", "content": "practice?"}], "max_tokens": 6}
    return http.post("/v1/chat/completions", json=asked).json()["id"]


def standing(journal, reply):
    (shown,) = exposures.of_chat(journal, reply)
    return [(one.kind, one.value, one.note) for one in feedback.of(journal, [shown.completion])]


@pytest.mark.parametrize(
    ("score", "stored"),
    [
        ({"value": 1, "dataType": "BOOLEAN"}, ("up", "", "")),
        ({"value": 0, "dataType": "BOOLEAN"}, ("down", "", "")),
        ({"value": 1}, ("up", "", "")),
        ({"value": 0, "name": "user-feedback"}, ("down", "", "")),
        ({"value": 0, "name": "quality", "dataType": "NUMERIC"}, ("none", "", "")),
        ({"value": -0.5, "dataType": "NUMERIC", "comment": "wrong"}, ("down", "", "wrong")),
        ({"value": "thumbs-up", "dataType": "CATEGORICAL"}, ("up", "", "")),
        ({"value": "off topic", "dataType": "CATEGORICAL"}, ("note", "", "n: off topic")),
        ({"value": "too long", "dataType": "TEXT", "comment": "very"}, ("note", "", "n: too long\nvery")),
        ({"value": "use a long one.", "dataType": "CORRECTION"}, ("edit", "use a long one.", "")),
    ],
)
def test_langfuse_scores(http, journal, reply, score, stored):
    body = {"name": "n", "traceId": "chat-1", "observationId": reply, "environment": "prod", **score}
    body["id"] = f"score-{reply}"
    first = http.post("/api/public/scores", json=body)
    assert first.status_code == 200, first.text
    assert first.json() == {"id": body["id"]}
    assert http.post("/api/public/scores", json=body).json() == first.json()
    assert stored in standing(journal, reply)
    changed = http.post("/api/public/scores", json={**body, "comment": "another"})
    assert changed.status_code == 409


@pytest.mark.parametrize(
    "score",
    [
        {"name": "n", "value": 2, "dataType": "BOOLEAN", "traceId": "{reply}"},
        {"name": "n", "value": "yes", "dataType": "NUMERIC", "traceId": "{reply}"},
        {"name": "n", "value": 1},
        {"value": 1, "traceId": "{reply}"},
    ],
)
def test_scores_that_mean_nothing_are_refused(http, reply, score):
    body = {key: reply if value == "{reply}" else value for key, value in score.items()}
    refused = http.post("/api/public/scores", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


@pytest.mark.parametrize("base", ["", "/v1"])
def test_dify_thumbs(http, journal, reply, base):
    for rating in ("like", "like", "dislike", "dislike", None, "like"):
        said = http.post(f"{base}/messages/{reply}/feedbacks", json={"rating": rating, "user": "abc-123"})
        assert (said.status_code, said.json()) == (200, {"result": "success"})
    # What stands already is not stored again; what changed is.
    found = standing(journal, reply)
    assert [kind for kind, *_ in found if kind != "regenerate"][-4:] == ["up", "down", "none", "up"]


def test_dify_needs_a_user_and_a_reply(http, reply):
    assert http.post(f"/messages/{reply}/feedbacks", json={"rating": "like"}).status_code == 400
    missing = http.post("/messages/chatcmpl-none/feedbacks", json={"rating": "like", "user": "a"})
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "answer_not_found"
    assert http.post(f"/messages/{reply}/feedbacks", headers={"Authorization": ""}, json={}).status_code == 401


def test_a_regeneration_names_the_new_reply(http, journal, reply):
    asked = {"model": "llama", "messages": [{"role": "user", "content": "practice?"}], "max_tokens": 7}
    new = http.post("/v1/chat/completions", json=asked).json()["id"]
    told = http.post("/v1/feedback", json={"id": reply, "kind": "regenerate", "value": f"better {new}"}).json()
    assert told["comparison"]
    assert "will confirm it or not" in told["outcome"]
    nothing = http.post("/v1/feedback", json={"id": reply, "kind": "regenerate", "value": "better nothing"})
    assert nothing.status_code == 404
    elsewhere = {**asked, "messages": [{"role": "user", "content": "figma?"}]}
    other = http.post("/v1/chat/completions", json=elsewhere).json()["id"]
    refused = http.post("/v1/feedback", json={"id": reply, "kind": "regenerate", "value": other})
    assert refused.status_code == 400
    assert "different prompts" in refused.json()["error"]["message"]
