"""An A/B test over HTTP: whoever names no model is served by one arm, always the same; whoever names one is in none."""

import time

import openai
import pytest

from browsing import Browser
from palate.rounds import trials
from palate.rounds.trials import Plan
from palate.serving import trial
from palate.store import answers, experiments, exposures, releases
from palate.store.journal import Journal
from running_server import PASSWORD

QUESTION = [{"role": "user", "content": "how do i protect a password?"}]


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key=server.token, max_retries=0, timeout=60) as made:
        yield made


@pytest.fixture
def journal(server):
    with Journal.open(server.journal) as opened:
        yield opened


def ask(client, model, user, **more):
    return client.chat.completions.create(model=model, messages=QUESTION, max_tokens=4, user=user, **more)


@pytest.fixture
def policies(client):
    """Id of each served policy."""
    return {model: ask(client, model, "warm up").system_fingerprint for model in ("llama", "gpt2")}


@pytest.fixture
def test(journal, policies):
    arms = [releases.add(journal, policies[name]).id for name in ("llama", "gpt2")]
    begun = trials.begin(journal, "a try", *arms, Plan(difference=0.2, people=100))
    yield begun
    experiments.end(journal, begun.id, "stopped", details={})


def test_each_user_is_served_by_their_arm(client, journal, policies, test):
    released = {one.id: one.policy for one in releases.every(journal)}
    users = [f"user {number}" for number in range(12)]
    first = [ask(client, "palate", user) for user in users]
    served = [one.system_fingerprint for one in first]
    assert set(served) == set(policies.values()), "of 12 people, all in one arm once in 2,048"
    assert {one.model for one in first} == {"palate"}
    assert [ask(client, "palate", user).system_fingerprint for user in users[:4]] == served[:4]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, "palate", users[0], stream=True))
    assert text
    people = experiments.assigned(journal, test.id)
    assert [released[one.arm] for one in people] == served
    assert [trial.arm_of(test, one.person) for one in people] == [one.arm for one in people]
    (shown,) = exposures.of_chat(journal, first[0].id)
    assert answers.find(journal, [shown.completion])[shown.completion].completion.policy == served[0]
    assert shown.person == people[0].person


def test_whoever_names_a_model_or_keeps_nothing_is_in_no_test(client, journal, policies, test):
    for model in policies:
        assert ask(client, model, "names one").system_fingerprint == policies[model]
    assert ask(client, "palate", "keeps nothing", store=False).system_fingerprint == policies["llama"]
    assert experiments.assigned(journal, test.id) == []


def test_the_chat_page_gives_what_the_test_says_unless_one_is_chosen(server, journal, policies, test):
    browser = Browser(server.address, server.owner, PASSWORD)
    chat = browser.begin(agreed=True)
    assert '<option value="">' in browser.page(f"/chat/{chat}")
    browser.ask(chat, "hello", policy="gpt2")
    assert experiments.assigned(journal, test.id) == []
    _, (completion,), _ = browser.ask(chat, "how do i protect a password?", policy="")
    (one,) = experiments.assigned(journal, test.id)
    said = answers.find(journal, [completion])[completion].completion.policy
    assert said == {one.id: one.policy for one in releases.every(journal)}[one.arm]
    browser.http.close()


@pytest.fixture
def pairs(journal, policies):
    arms = [releases.add(journal, policies[name]).id for name in ("llama", "gpt2")]
    begun = trials.begin(journal, "drafts", *arms, Plan(outcome="pairs", difference=0.2, people=100, window_h=1e-4))
    yield begun
    experiments.end(journal, begun.id, "stopped", details={})


def test_two_drafts_are_of_both_releases_where_pairs_decide(server, journal, policies, pairs):
    browser = Browser(server.address, server.owner, PASSWORD)
    chat = browser.begin(agreed=True)
    _, ids, lines = browser.ask(chat, "how do i protect a password?", drafts=2, policy="")
    ordered = {line["completion"]: line["index"] for line in lines if "completion" in line}
    first, second = sorted(ids, key=ordered.__getitem__)
    found = answers.find(journal, ids)
    wrote = {id: found[id].completion.policy for id in ids}
    (one,) = experiments.assigned(journal, pairs.id)
    released = {release.id: release.policy for release in releases.every(journal)}
    assert wrote[first] == released[one.arm], "their own comes first; which stands on the left is chance"
    assert set(wrote.values()) == set(policies.values())
    for id in ids:
        said = "".join(line["text"] for line in lines if "text" in line and line["index"] == ordered[id])
        assert said == found[id].completion.text
    assert found[first].prompt.id == found[second].prompt.id
    body = {"uid": "d1", "first": first, "second": second, "better": second}
    assert "first judgement" in browser.send(f"/chat/{chat}/pick", body).json()["sentence"]
    _, named, _ = browser.ask(chat, "and now?", drafts=2, policy="gpt2", after=second)
    assert {answers.find(journal, [id])[id].completion.policy for id in named} == {policies["gpt2"]}
    time.sleep(0.5)
    look = trials.look(journal, pairs)
    new = wrote[second] == policies["gpt2"]
    assert (look.counted, look.primary.treatment) == (1, (1, float(new)))
    browser.http.close()


def test_where_thumbs_decide_both_drafts_are_of_the_persons_own_release(server, journal, policies, test):
    browser = Browser(server.address, server.owner, PASSWORD)
    _, ids, _ = browser.ask(browser.begin(agreed=True), "which one?", drafts=2, policy="")
    assert len({answers.find(journal, [id])[id].completion.policy for id in ids}) == 1
    browser.http.close()


def test_without_a_test_the_first_policy_answers(client, journal, policies):
    assert ask(client, "palate", "somebody").system_fingerprint == policies["llama"]
    with pytest.raises(openai.NotFoundError, match="There is no model `palata`"):
        ask(client, "palata", "somebody")
