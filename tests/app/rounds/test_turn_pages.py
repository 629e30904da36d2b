"""Rounds on their page: what is done, what waits and why, what is at work, and how a lead ends one."""

import json
import os
import signal

import pytest

import seeded
from in_process import Visitor
from palate.core.artefacts import Manifest, Workspace
from palate.pages.app import Settings, create
from palate.rounds.dashboard.part import part
from palate.rounds.turn import alone
from palate.store import audit, people, rounds
from palate.store.journal import Journal

RECIPE = {"steps": ["sft", "collect", "reward", "gate"], "project": {"shape": "classic"}}


@pytest.fixture
def app(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        for role in ("owner", "rater"):
            people.create_account(journal, name=role, email=seeded.EMAILS[role], role=role, password=seeded.PASSWORD)
        yield create(journal, settings=Settings(hosts=("testserver",)), parts=[part(Workspace(tmp_path))])


@pytest.fixture
def journal(app):
    return app.state.journal


def reward(app, name="a"):
    made = Manifest(kind="reward", made_by="train reward", config={"name": name}, inputs={})
    return app.state.workspace.put(made, lambda folder: None).name


def test_an_empty_page_says_what_to_do_and_raters_see_none(app):
    assert "No round yet" in Visitor(app, "owner").get("/rounds").text
    assert Visitor(app, "rater").get("/rounds").status_code == 403
    assert Visitor(app, "owner").get("/rounds/3").status_code == 404


def test_each_step_says_how_it_stands(app, journal):
    made = rounds.begin(journal, RECIPE, actor="command line")
    rounds.note(journal, made.id, "sft", "done", details={"why": "no demonstrations: the base is the reference"})
    rounds.note(journal, made.id, "collect", "began")
    rounds.note(journal, made.id, "collect", "waiting", details={"why": "3 of 10 <b>comparisons</b>"})
    visitor = Visitor(app, "owner")
    page = visitor.get("/rounds").text
    assert "It waits for people at <b>collect</b>: 3 of 10 &lt;b&gt;comparisons&lt;/b&gt;" in page
    assert "no demonstrations: the base is the reference" in page
    assert page.count('class="step open"') == 2
    rounds.note(journal, made.id, "collect", "done", details={"comparisons": 10})
    rounds.note(journal, made.id, "reward", "done", artefact=reward(app), details={"heldout_accuracy": 0.7123})
    rounds.note(journal, made.id, "gate", "failed", details={"why": "win rate: the lower end is .41"})
    page = visitor.get("/rounds/live").text
    assert "<b>gate</b> failed: win rate: the lower end is .41" in page
    assert "heldout accuracy 0.712" in page
    assert "comparisons 10" in page
    assert reward(app) in visitor.get(f"/rounds/{made.number}").text
    rounds.note(journal, made.id, "gate", "done")
    rounds.note(journal, made.id, "", "done")
    assert "Done. Begun" in visitor.get("/rounds").text
    assert "End this round" not in visitor.get("/rounds").text


def test_what_was_cut_off_is_told_from_what_is_at_work(app, journal):
    made = rounds.begin(journal, RECIPE)
    rounds.note(journal, made.id, "sft", "began")
    assert "It was cut off at <b>sft</b>" in Visitor(app, "owner").get("/rounds").text
    run = app.state.workspace.run_folder("policy-1")
    lines = [json.dumps({"step": step, "loss": 2.0 - step / 10}) for step in range(5)]
    (run / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 5, "lo']))
    with alone(app.state.workspace):
        page = Visitor(app, "owner").get("/rounds").text
    assert "At work on <b>sft</b>" in page
    assert "policy-1: 1.6 after 5 steps" in page


def test_a_lead_ends_a_round_and_whoever_is_at_work_is_told(app, journal, monkeypatch):
    told = []
    monkeypatch.setattr("palate.rounds.turn.os.kill", lambda process, number: told.append((process, number)))
    made = rounds.begin(journal, RECIPE)
    visitor = Visitor(app, "owner")
    with alone(app.state.workspace):
        assert visitor.form(f"/rounds/{made.number}/abort", why="a holiday").status_code in (200, 303)
    assert rounds.state(journal, made.id) == "stopped"
    assert told == [(os.getpid(), signal.SIGTERM)]
    assert audit.read(journal, action="ended a round")[0].details == {"why": "a holiday"}
    assert visitor.form(f"/rounds/{made.number}/abort", why="").status_code == 409
    assert Visitor(app, "rater").form(f"/rounds/{made.number}/abort", why="").status_code == 403
