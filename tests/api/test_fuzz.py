"""Requests that nobody would think of, made from our own OpenAPI: no failure on our side, none undocumented.

`PALATE_FUZZ_EXAMPLES` says how many requests a route gets; `make api-fuzz` sends many, `make test` few.
"""

import os

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

EXAMPLES = int(os.environ.get("PALATE_FUZZ_EXAMPLES", "5"))
OURS = ("/v1/", "/api/public/", "/messages/")


@pytest.fixture(scope="module")
def answered(server):
    """A reply's id, so that feedback has something to be on."""
    asked = {"model": "llama", "messages": [{"role": "user", "content": "practice?"}], "max_tokens": 3}
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.post(f"{server.address}/v1/chat/completions", json=asked, headers=headers, timeout=60).json()["id"]


@pytest.fixture(scope="module")
def document(server):
    found = httpx.get(f"{server.address}/openapi.json").json()
    found["paths"] = {path: said for path, said in found["paths"].items() if path.startswith(OURS)}
    return found


def test_the_document_says_what_can_go_wrong(document):
    assert {"/v1/models", "/v1/chat/completions", "/v1/feedback", "/api/public/scores"} <= set(document["paths"])
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            codes = set(said["responses"])
            assert {"200", "400", "401", "403", "413"} <= codes, (method, path)
            assert "422" not in codes, (method, path)
            for code, reply in said["responses"].items():
                assert reply["description"], (path, code)
            assert said["security"], (method, path)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/models/{name}",
        "/v1/chat/completions",
        "/v1/feedback",
        "/api/public/scores",
        "/messages/{message}/feedbacks",
    ],
)
def test_no_request_makes_the_server_fail(document, server, answered, path):
    schema = schemathesis.openapi.from_dict(document)
    headers = {"Authorization": f"Bearer {server.token}"}
    operation = schema[path]["GET" if path.startswith("/v1/models") else "POST"]
    sent = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(case):
        if mode == GenerationMode.POSITIVE and path == "/v1/chat/completions":
            # Known names, short answers: else every request ends at the first check.
            case.body.update(model="llama", max_tokens=2, max_completion_tokens=2)
        if mode == GenerationMode.POSITIVE and path == "/v1/feedback":
            case.body["id"] = answered
        # What must hold between two fields cannot be said in a schema; the 400 for it is documented.
        reply = case.call_and_validate(
            base_url=server.address, headers=headers, timeout=60, excluded_checks=[positive_data_acceptance]
        )
        sent.append(reply.status_code)

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            strategy = operation.as_strategy(generation_mode=mode)
        except ValueError:
            continue
        given(case=strategy)(fuzz)()
    assert len(sent) >= 2
    assert max(sent) < 500


def test_forged_and_missing_tokens_are_refused_everywhere(document, server):
    for path, methods in document["paths"].items():
        for method in methods:
            for headers in ({}, {"Authorization": "Bearer sk-palate-forged"}, {"Authorization": "Basic abc"}):
                address = server.address + path.replace("{name}", "llama").replace("{message}", "x")
                reply = httpx.request(method, address, headers=headers, json={})
                assert reply.status_code == 401, (method, path)
                assert reply.headers["www-authenticate"] == "Bearer"


def test_a_token_reaches_its_scopes_only(document, server):
    weak = {"Authorization": f"Bearer {server.weak}"}
    assert httpx.get(f"{server.address}/v1/models", headers=weak).status_code == 403
    asked = {"id": "chatcmpl-none", "kind": "up"}
    assert httpx.post(f"{server.address}/v1/feedback", headers=weak, json=asked).status_code == 404
