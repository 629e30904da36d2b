"""The page on A/B tests: what it says of none, one under way, one that is over; and it ends what is over."""

import time
from datetime import UTC, datetime

import pytest
from tests import trials as made

import seeded
from in_process import Visitor
from palate.core.artefacts import Workspace
from palate.pages.app import Settings, create
from palate.rounds import trials
from palate.rounds.dashboard import ab
from palate.rounds.dashboard.part import part
from palate.rounds.trials import Plan
from palate.store import experiments, people
from palate.store.journal import Journal


@pytest.fixture
def app(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        for role in ("owner", "rater"):
            people.create_account(journal, name=role, email=seeded.EMAILS[role], role=role, password=seeded.PASSWORD)
        yield create(journal, settings=Settings(hosts=("testserver",)), parts=[part(Workspace(tmp_path))])


@pytest.fixture
def journal(app):
    return app.state.journal


def served(journal, test, count=40):
    made.crowd(journal, test, [f"p{number}" for number in range(count)], lambda treated: "up" if treated else "down")


def test_an_empty_page_says_what_to_do_and_raters_see_none(app):
    page = Visitor(app, "owner").get("/ab").text
    assert "Nothing was tested yet" in page
    assert "palate ab start" in page
    assert Visitor(app, "rater").get("/ab").status_code == 403
    assert Visitor(app).get("/ab").status_code in (302, 303, 401)


def test_a_test_under_way_is_shown_with_its_interval(app, journal, monkeypatch):
    test = made.begun(journal, Plan(difference=0.3, spread=0.5, people=200), name="warmer <b>answers</b>")
    visitor = Visitor(app, "owner")
    assert "Nobody counts yet" in visitor.get("/ab").text
    served(journal, test)
    look = trials.look

    def tomorrow(journal, test):
        return look(journal, test, now=datetime.now(UTC) + made.WINDOW * 2)

    monkeypatch.setattr(ab.trials, "look", tomorrow)
    page = visitor.get("/ab").text
    assert "warmer &lt;b&gt;answers&lt;/b&gt;" in page
    assert "The new release is better. Approval: +100.0 points in 40 people" in page
    assert '<polygon class="fill-blue"' in page
    for word in ("policy-old", "policy-new", "stable", "candidate", "The split is as planned", "answers kept"):
        assert word in page
    experiments.end(journal, test.id, "stopped", details={"why": "a <try>", "low": -0.1, "high": 0.2, "people": 4})
    page = visitor.get("/ab").text
    assert "No test is under way" in page
    assert "Stopped by hand (a &lt;try&gt;): −10.0 to +20.0 points, n 4" in page


def test_a_running_server_ends_a_test_that_is_over(app, journal, monkeypatch):
    test = made.begun(journal, Plan(difference=0.3, spread=0.5, people=200, window_h=0.3 / 3600))
    served(journal, test, 25)
    time.sleep(0.4)
    monkeypatch.setattr(ab, "SETTLE_S", 0.05)
    with Visitor(app).client:
        end = time.monotonic() + 20
        while experiments.steps(journal, test.id)[-1].state == "began" and time.monotonic() < end:
            time.sleep(0.05)
    assert experiments.steps(journal, test.id)[-1].details["verdict"] == "better"
