"""The pages of the lineage: who sees what, and what stands on them."""

import shutil

import pytest
from tests import traced

import seeded
from in_process import Visitor
from palate.core.artefacts import Workspace
from palate.core.records import Comparison, Completion, Feedback, Judgement, Prompt, Verdict
from palate.pages.app import Settings, create
from palate.rounds.dashboard.part import part
from palate.store import feedback, judgements, people, rows
from palate.store.journal import Journal


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project in which people judged, a dataset was frozen, a policy learned from it and was released."""
    root = tmp_path_factory.mktemp("project")
    seeded.project(root / "palate.db", queued=5)
    return root, traced.released(root)


@pytest.fixture
def app(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "p")
    with Journal.open(tmp_path / "p" / "palate.db") as journal:
        settings = Settings(hosts=("testserver",))
        yield create(journal, settings=settings, parts=[part(Workspace(tmp_path / "p"))])


def mine(app, who, table="judgement"):
    """Uids of an account's judgements."""
    journal = app.state.journal
    (account,) = [one for one in people.accounts(journal) if one.email == f"{who}@example.org"]
    with journal.reading() as connection:
        query = f"SELECT uid FROM {table} WHERE rater = '{account.rater}' ORDER BY seq"
        return account, list(connection.exec_driver_sql(query).scalars())


def test_a_lead_traces_a_click_and_searches(app, made):
    uid = traced.counted(app.state.journal, app.state.workspace, "rater", made[1]["data"])
    lead = Visitor(app, "lead")
    page = lead.get(f"/trace/{uid}")
    assert page.status_code == 200
    for id in made[1].values():
        assert id in page.text
    assert lead.get(f"/trace?id={uid}").headers["location"] == f"/trace/{uid}"
    assert "stable" in lead.get("/trace").text
    for id in (*made[1].values(), "stable", made[1]["data"][:14]):
        page = lead.get(f"/trace/{id}")
        assert page.status_code == 200, id
        assert "judgements" in page.text
    missing = lead.get("/trace/nothing-like-it")
    assert missing.status_code == 404
    assert "Nothing here is named so" in missing.text


def test_a_rater_sees_their_own_clicks_and_no_others(app, made):
    _, own = mine(app, "rater")
    lead_account, others = mine(app, "lead")
    rater = Visitor(app, "rater")
    uid = traced.counted(app.state.journal, app.state.workspace, "rater", made[1]["data"])
    page = rater.get(f"/later/{uid}")
    assert page.status_code == 200
    assert made[1]["release"] in page.text
    assert "/trace/" not in page.text  # that page is for leads
    assert rater.get("/later").status_code == 200
    assert rater.get("/trace").status_code == rater.get(f"/trace/{uid}").status_code == 403
    theirs = others or [one for one in _all(app) if one not in own]
    refused, unknown = rater.get(f"/later/{theirs[0]}"), rater.get("/later/nobody-clicked-this")
    assert refused.status_code == unknown.status_code == 404
    assert refused.text == unknown.text  # not even whether it is there
    assert rater.get(f"/later?who={lead_account.rater}").status_code == 404
    assert rater.get("/later?who=r-0").status_code == 404
    lead = Visitor(app, "lead")
    assert lead.get(f"/later/{uid}").status_code == 200
    assert lead.get(f"/later?who={mine(app, 'rater')[0].rater}").status_code == 200
    assert Visitor(app).get("/later").status_code == 303


def _all(app):
    with app.state.journal.reading() as connection:
        return list(connection.exec_driver_sql("SELECT uid FROM judgement").scalars())


def test_what_is_not_used_yet_says_so(app):
    journal = app.state.journal
    account, _ = mine(app, "rater")
    with journal.reading() as connection:
        completion = connection.exec_driver_sql("SELECT id FROM completion LIMIT 1").scalar()
    feedback.add(journal, Feedback(uid="a/thumb?", completion=completion, kind="up", person=account.rater))
    rater = Visitor(app, "rater")
    assert "Not used yet" in rater.get("/later").text
    page = rater.get("/later/a%2Fthumb%3F")
    assert page.status_code == 200
    assert "Not used yet" in page.text
    assert "There is no after yet" in page.text


def test_before_and_after_with_fresh_answers(app, made):
    workspace, journal = app.state.workspace, app.state.journal
    rater, ids = Visitor(app, "rater"), made[1]
    uid = traced.counted(journal, workspace, "rater", ids["data"])
    before = rater.get(f"/later/{uid}").text
    prompt, old = traced.asked_again(journal, workspace, ids, uid)
    assert f"palate later {old} {ids['policy']}" in before
    after = Completion(prompt=prompt, text="an answer that the new one gave in a chat", policy=ids["policy"])
    rows.add_completions(journal, [after])
    page = rater.get(f"/later/{uid}").text
    for text in ("old answer", "new answer", "regression to the mean", "more than luck", after.text):
        assert text in page


def test_hostile_text_stays_text(app):
    journal = app.state.journal
    account, _ = mine(app, "rater")
    with journal.reading() as connection:
        prompt = connection.exec_driver_sql("SELECT prompt FROM completion LIMIT 1").scalar()
    bad = Completion(prompt=prompt, text="<script>alert(1)</script>", policy="<b>p</b>")
    rows.add_completions(journal, [bad])
    feedback.add(journal, Feedback(uid="<i>", completion=bad.id, kind="note", person=account.rater, note="<script>x"))
    for page in (Visitor(app, "rater").get("/later/%3Ci%3E"), Visitor(app, "lead").get("/trace/%3Ci%3E")):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<script>x" not in page.text
        assert "<b>p</b>" not in page.text


def test_who_compared_two_models_is_told_that_nothing_is_learned_from_it(app):
    journal = app.state.journal
    account, _ = mine(app, "rater")
    prompt = Prompt.of("which of two models?")
    sides = [Completion(prompt=prompt.id, text=text, policy=text) for text in ("old", "new")]
    shown = Comparison(prompt=prompt.id, first=sides[0].id, second=sides[1].id, source="winrate:1")
    rows.add_prompts(journal, [prompt])
    rows.add_completions(journal, sides)
    rows.add_comparisons(journal, [shown])
    judgements.judge(
        journal, [Judgement(uid="evaluated", comparison=shown.id, rater=account.rater, verdict=Verdict.SECOND)]
    )
    for page in ("/later/evaluated", "/later"):
        text = Visitor(app, "rater").get(page).text
        assert "no dataset of a round learns from that" in text
    assert "Not used yet" not in Visitor(app, "rater").get("/later/evaluated").text
    assert "no dataset of a round learns from that" in Visitor(app, "lead").get("/trace/evaluated").text
