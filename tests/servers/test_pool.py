"""The client against servers that misbehave, row by row: what comes back, from whom, and what is said of the rest."""

import time

import pytest

from palate.core.errors import ConfigError
from palate.models import load, sampling
from palate.models.servers.client import Server
from palate.models.servers.pool import Patience, gather
from palate.models.servers.protocol import Manner, Question
from palate.models.tokenizers import ends_of

QUICK = Patience(pause_s=0.01)
ROWS = 12


@pytest.fixture(scope="module")
def policy(setting):
    return load.load_causal(setting.base)


@pytest.fixture
def ask(policy):
    ends = ends_of(policy.tokenizer).ids

    def ask(*fakes, patience=QUICK, timeout_s=20.0):
        servers = [Server(fake.url, timeout_s=timeout_s) for fake in fakes]
        for server in servers:
            server.greet()
        manner = Manner(ends=tuple(ends), max_new_tokens=10, temperature=0.8, vocabulary=policy.model.config.vocab_size)
        return gather(servers, _questions(), manner, patience=patience)

    return ask


@pytest.fixture(scope="module")
def here(policy):
    """The same rows, sampled here."""
    rows = _questions()
    return sampling.sample(
        policy.model, [list(row.prompt) for row in rows], eos_id=ends_of(policy.tokenizer).ids, max_new_tokens=10,
        temperature=0.8, seeds=[row.seed for row in rows],
    )  # fmt: skip


def _questions():
    return [Question([5 + row % 3, 9, 7][: 1 + row % 3], seed=1000 + row) for row in range(ROWS)]


def same(found, here):
    assert [row.tokens for row in found.rows] == [row.tokens for row in here]
    for row, other in zip(found.rows, here, strict=True):
        assert row.logprobs == pytest.approx(other.logprobs, abs=1e-5)  # rounding of another batch
        assert row.end == other.end


def test_rows_are_those_that_the_same_seeds_give_here(serve, ask, here):
    fake = serve()
    found = ask(fake)
    same(found, here)
    body = fake.calls("/v1/completions")[0]
    assert body["top_p"] == 1.0
    assert body["top_k"] == -1  # one that is left out is filled from generation_config.json
    assert len({row.end for row in here}) == 2  # some end, some are cut off


def test_two_servers_share_the_rows(serve, ask, here):
    fakes = serve(slow_s=0.02), serve(slow_s=0.02)
    same(ask(*fakes), here)
    assert [fake.answered for fake in fakes] == [ROWS // 2, ROWS // 2]


@pytest.mark.parametrize("fault", ["drop", "fail", "truncate", "abort"])
def test_a_row_that_fails_is_tried_again(serve, ask, here, fault):
    fakes = serve(**{fault: {0, 2, 5}}), serve()
    found = ask(*fakes)
    same(found, here)
    assert found.retries == 3
    assert not found.down


def test_a_row_that_fails_everywhere_is_given_up_and_says_why(serve, ask):
    found = ask(serve(fail=set(range(200))), patience=Patience(pause_s=0.001, failures=10**6))
    assert found.missing == ROWS
    assert set(found.reasons) == {
        "a server answered 500: " + '{"error": {"message": "EngineCore encountered an issue"}}'
    }


def test_a_server_that_dies_costs_no_row_while_another_lives(serve, ask, here):
    dying = serve(die_at=3)
    found = ask(dying, serve())
    same(found, here)
    assert found.retries >= 1
    assert dying.http is None


def test_a_server_that_dies_alone_costs_what_it_had_not_answered(serve, ask, here):
    found = ask(serve(die_at=5), patience=Patience(pause_s=0.01, at_once=1))
    kept = [row for row in found.rows if row is not None]
    assert len(kept) == 5
    assert found.missing == ROWS - 5
    assert [row.tokens for row in found.rows if row] == [here[i].tokens for i, row in enumerate(found.rows) if row]
    assert "cannot be reached" in next(iter(found.down.values()))


def test_a_slow_server_is_given_up_and_the_other_asked(serve, ask, here):
    began = time.monotonic()
    found = ask(serve(slow_s=30), serve(), timeout_s=1.0)
    assert time.monotonic() - began < 10
    same(found, here)
    assert "in time" in next(iter(found.down.values()))


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"shift": 5000}, "a token that the policy does not have"),
        ({"ignores_ends": True}, "ends its answers elsewhere"),
        ({"leaves_out": ("token_ids",)}, "no token ids"),
        ({"leaves_out": ("logprobs",)}, "no log-prob for each token"),
        ({"wrong_logprobs": -20.0}, "log-prob is none"),
    ],
)
def test_answers_that_nobody_can_learn_from_are_refused(serve, ask, faults, said):
    found = ask(serve(**faults))
    refused = [reason for reason in found.reasons if reason]
    assert refused
    assert any(said in reason for reason in refused)
    assert any(said in reason for reason in found.down.values()) or faults == {"ignores_ends": True}


@pytest.mark.parametrize("url", ["gpu-7:8000", "ftp://gpu-7", "http://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="--server"):
        Server(url)
