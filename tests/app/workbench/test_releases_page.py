"""The page of releases: who may see it, what its buttons do, and what stands in the audit log afterwards."""

import json

import pytest

from in_process import Visitor
from palate.core.artefacts import Workspace
from palate.pages.app import Settings, create
from palate.rounds import released, releasing
from palate.rounds.dashboard.part import part
from palate.serving import supervisor
from palate.serving.swapping import Swapping
from palate.store import audit, people, releases
from palate.store.journal import Journal


@pytest.fixture
def journal(path):
    with Journal.open(path) as opened:
        yield opened


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture
def app(journal, workspace):
    return create(journal, settings=Settings(hosts=("testserver",)), parts=[part(workspace)])


@pytest.fixture
def made(journal, workspace, tmp_path):
    found = []
    for n in range(3):
        folder = tmp_path / f"model-{n}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architectures": ["GPT2LMHeadModel"], "n": n}))
        (folder / "model.safetensors").write_text(str(n))
        found.append(releasing.add(journal, workspace, folder, why="a test of <pages>"))
    return found


def test_a_project_without_releases_says_what_to_do(visitor):
    page = visitor("lead").get("/releases").text
    assert "palate release add POLICY" in page
    assert 'href="/releases"' in visitor("lead").get("/account").text


def test_raters_may_neither_look_nor_name(visitor, journal, made):
    rater = visitor("rater")
    assert rater.get("/releases").status_code == 403
    assert rater.form("/releases/name", alias="stable", release=made[0].id).status_code == 403
    assert rater.form("/releases/rollback", alias="stable").status_code == 403
    lead = visitor("lead")
    lead.csrf = "another"
    assert lead.form("/releases/name", alias="stable", release=made[0].id).status_code == 403
    assert releases.aliases(journal) == {}


def test_a_lead_names_rolls_back_and_takes_away_and_the_log_knows_who(visitor, journal, made):
    lead = visitor("lead")
    me = next(one for one in people.accounts(journal) if one.role == "lead")
    for one in made:
        reply = lead.form("/releases/name", alias="stable", release=one.id, why=f"try {one.id}")
        assert (reply.status_code, reply.headers["location"]) == (303, "/releases?done=named")
    page = lead.get("/releases?done=named").text
    assert "cuts no answer off" in page
    assert f"to {made[1].id}" in page
    assert "none: a test of &lt;pages&gt;" in page
    assert lead.form("/releases/rollback", alias="stable", why="it is rude").status_code == 303
    assert releases.aliases(journal) == {"stable": made[1].id}
    entry = audit.read(journal, action="named a release")[0]
    assert (entry.actor, entry.object) == (me.id, made[1].id)
    assert entry.details["why"] == f"rolled back from {made[2].id}: it is rude"
    page = lead.get("/releases").text
    assert "it is rude" in page
    assert me.name in page
    lead.form("/releases/rollback", alias="stable")
    reply = lead.form("/releases/rollback", alias="stable")
    assert (reply.status_code, "nothing to go back to" in reply.text) == (400, True)
    assert lead.form("/releases/unname", alias="stable").status_code == 303
    assert releases.aliases(journal) == {}
    assert lead.form("/releases/name", alias="No Name", release=made[0].id).status_code == 400
    assert lead.form("/releases/name", alias="stable", release="nothing").status_code == 400


def test_a_card_is_shown_and_outlives_its_policy(visitor, workspace, made):
    lead = visitor("lead")
    page = lead.get(f"/releases/{made[0].id}").text
    assert "Known limits" in page
    assert "&lt;pages&gt;" in page
    assert "license:" not in page
    (workspace.path(made[0].policy) / "manifest.json").unlink()
    page = lead.get(f"/releases/{made[0].id}").text
    assert "as it was when it was released" in page
    assert "Known limits" in page
    assert "policy gone" in lead.get("/releases").text


def test_what_the_server_is_doing_stands_there(visitor, app, journal, workspace, made):
    releasing.name(journal, "stable", made[0].id)
    wanted = released.wanted(journal, workspace)
    app.state.generator = Swapping(supervisor.Settings(policies=wanted.policies), wanted)
    lead = visitor("lead")
    assert "is being loaded" in lead.get("/releases").text
    app.state.generator.failed("the weights of <this> cannot be read")
    page = lead.get("/releases").text
    assert "the weights of &lt;this&gt; cannot be read" in page
    assert "what answered before goes on" in page
    releasing.name(journal, "stable", made[1].id)
    app.state.generator._coming = released.wanted(journal, workspace)
    assert f"<code>{made[1].id}</code> as stable" in lead.get("/releases").text


def test_a_visitor_of_another_server_is_not_told_of_generators(visitor, made):
    assert isinstance(visitor("owner"), Visitor)
    assert "This server" not in visitor("owner").get("/releases").text
