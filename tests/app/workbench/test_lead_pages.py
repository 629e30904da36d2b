"""Pages of leads: the guideline and its versions, splits, the queue, CSV, the dashboard."""

import csv
import io
import re

import pytest

import seeded
from palate.preferences.resampling import Estimate
from palate.store import guidelines, people, queue, settings
from palate.workbench import csv_text
from palate.workbench.coach import band
from palate.workbench.measured import days, measure
from palate.workbench.rules import line_diff, with_clause
from palate.workbench.scale import PLACES, SKIP, said, spoken


def test_a_new_version_is_stored_and_put_in_force(visitor, app):
    lead = visitor("lead")
    old = guidelines.current(app.state.journal)
    changed = seeded.GUIDELINE.replace("A shorter answer", "The shorter answer")
    reply = lead.form("/guideline/new", parent=old.id, text=changed.replace("\n", "\r\n"), then="keep")
    assert reply.status_code == 303
    assert guidelines.current(app.state.journal).id == old.id
    new = guidelines.all(app.state.journal)[-1]
    assert (new.number, new.parent, new.text) == (2, old.id, changed)
    assert lead.form("/guideline/use", guideline=new.id).status_code == 303
    assert guidelines.current(app.state.journal).id == new.id
    page = lead.get(f"/guideline/diff?old={old.id}&new={new.id}").text
    assert "Clauses that changed: Say it once." in page
    assert lead.get("/guideline/diff?old=x&new=y").status_code == 404
    assert visitor("rater").form("/guideline/use", guideline=old.id).status_code == 403


def test_a_changed_clause_asks_again_about_what_it_touches(visitor, app):
    lead = visitor("lead")
    old = guidelines.current(app.state.journal)
    lead.form("/guideline/new", parent=old.id, text=seeded.GUIDELINE.replace("wrong", "false"), then="use")
    new = guidelines.current(app.state.journal)
    page = lead.get(f"/guideline/diff?old={old.id}&new={new.id}").text
    touched = int(re.search(r"Ask again about the (\d+) comparisons", page)[1])
    votes = measure(app.state.journal).votes.voices()
    both = votes.counts(votes.label, 3)
    assert touched == ((both[:, 0] > 0) & (both[:, 1] > 0)).sum() > 0
    before = queue.progress(app.state.journal).open
    reply = lead.form("/guideline/requeue", old=old.id, new=new.id)
    assert f"{touched} comparisons went back" in lead.get(reply.headers["location"]).text
    assert queue.progress(app.state.journal).open == before + touched


def test_a_clause_is_added_once_and_replaced_by_its_title():
    one = with_clause("# Top\n\n## First\n\nOld.\n", "Second  clause", "New words.\r\n")
    assert one == "# Top\n\n## First\n\nOld.\n\n## Second clause\n\nNew words.\n"
    assert with_clause(one, "Second clause", "Other words.") == one.replace("New words.", "Other words.")
    assert with_clause("", "Only", "This.") == "## Only\n\nThis.\n"


def test_a_diff_has_signs():
    assert line_diff("a\nb\n", "a\nc\n") == [("@", "…"), (" ", "a"), ("-", "b"), ("+", "c")]
    assert line_diff("--- a\nb", "--- a\nc")[1] == (" ", "--- a")


def test_cells_that_a_spreadsheet_would_run_are_text(visitor, app):
    rater = next(one for one in people.accounts(app.state.journal) if one.email == "rater@example.org")
    people.rename(app.state.journal, rater.id, '=HYPERLINK("http://evil.example")')
    reply = visitor("lead").get("/queue.csv")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert rows[0]["name"] == '\'=HYPERLINK("http://evil.example")'
    assert (rows[0]["pairs"], rows[0]["rater"]) == ("60", rater.rater)
    assert reply.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_each_dangerous_beginning(cell):
    (row,) = csv.reader(io.StringIO(csv_text.table(["x"], [[cell]]).split("\r\n", 1)[1]))
    assert row == [f"'{cell}"]
    assert csv_text.harmless(-1.5) == -1.5
    assert csv_text.harmless("a=1") == "a=1"


def test_hours_leave_out_lunch_and_what_was_undone(visitor, app):
    rater = visitor("rater6")
    tasks = rater.json("/rate/lease", {"count": 2}).json()["tasks"]
    for number, (task, seconds) in enumerate(zip(tasks, (30, 7200), strict=True)):
        body = {"uid": f"h{number}", "lease": task["lease"], "comparison": task["comparison"], "scale": "1"}
        assert rater.json("/rate/verdict", {**body, "seconds": seconds}).status_code == 200
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(visitor("lead").get("/queue.csv").text))}
    assert rows["Rater 6"]["pairs"] == "2"
    assert float(rows["Rater 6"]["hours"]) == pytest.approx((30 + 900) / 3600, abs=0.01)
    rater.json("/rate/undo", {"uid": "h1"})
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(visitor("lead").get("/queue.csv").text))}
    assert rows["Rater 6"]["pairs"] == "1"


def test_the_budget_counts_pairs_and_answers(visitor):
    lead = visitor("lead")
    amounts = {"budget": "100", "comparison": "0,5", "demonstration": "8", "currency": "EUR"}
    assert lead.form("/queue/budget", **amounts).status_code == 303
    page = lead.get("/queue").text
    assert "90.00 EUR" in page
    assert "Enough for 20 pairs more." in page
    for wrong in ("-1", "nan", "inf", "lots"):
        assert lead.form("/queue/budget", budget=wrong, comparison="1", demonstration="1").status_code == 400


def test_the_queue_is_filled_from_a_source(visitor, app):
    lead = visitor("lead")
    before = queue.progress(app.state.journal).open
    assert "not queued (5)" in lead.get("/queue").text
    assert lead.form("/queue/fill", source="not queued", wanted="1").status_code == 303
    assert queue.progress(app.state.journal).open == before + 5
    assert "not queued (5)" not in lead.get("/queue").text


def test_reasons_and_warnings_are_the_projects(visitor, app):
    lead = visitor("lead")
    lead.form("/queue/asking", reasons="brand voice\n\n<b>bold</b>\nbrand voice", warned="Cooking")
    page = visitor("rater").get("/rate").text
    assert 'value="brand voice"' in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert settings.get(app.state.journal, "workbench.asking")["warned"] == ["cooking"]
    tasks = visitor("rater").json("/rate/lease", {"count": 12}).json()["tasks"]
    assert "Topic: cooking." in {task["warning"] for task in tasks}


def test_an_empty_project_says_what_to_do_next(tmp_path):
    from in_process import Visitor, application

    with application(tmp_path / "new.db") as app:
        seeded.accounts(app.state.journal)
        owner = Visitor(app, "owner")
        for path, words in (
            ("/dashboard", "No judgements yet"), ("/queue", "The queue is empty"), ("/splits", "No split verdicts"),
            ("/guideline", "Write the first version"), ("/rank", "Nothing to rank"), ("/write", "Nothing to write"),
            ("/coach", "Nothing yet"), ("/onboarding", "No onboarding yet"),
        ):  # fmt: skip
            reply = owner.get(path)
            assert reply.status_code == 200
            assert words in reply.text
        assert owner.form("/guideline/new", text="## One\n\nBe brief.", then="use").status_code == 303
        assert "Be brief." in owner.get("/guideline").text


def test_a_rater_sees_only_their_own_page(visitor, app):
    page = visitor("rater").get("/coach").text
    others = [
        one for one in people.accounts(app.state.journal) if one.role == "rater" and one.email != "rater@example.org"
    ]
    assert others
    for other in others:
        assert other.rater not in page
        assert other.name not in page


def test_a_small_team_has_no_band():
    def share(value):
        return Estimate(value, value, value, 10)

    assert band([share(0.5)] * 3) is None
    found = band([share(value) for value in (0.2, 0.4, 0.6, 0.8)])
    assert (round(found.low, 2), round(found.high, 2), found.raters) == (0.35, 0.65, 4)


def test_every_answer_of_the_scale_reads_back_as_what_was_meant():
    for swapped in (False, True):
        for place in PLACES:
            meant = said(place, swapped=swapped)
            words = spoken(meant.verdict, meant.strength, swapped=swapped)
            if place in "123":
                assert words.startswith("first")
            elif place in "567":
                assert words.startswith("second")
            elif place != SKIP:
                assert words in ("equally good", "both bad")


def test_days_end_today_and_count_all(app):
    found = measure(app.state.journal).votes
    names, counts = days(found)
    assert len(names) == 28
    assert sum(counts) == len(found)


def test_figures_stand_with_interval_and_n(visitor):
    page = visitor("lead").get("/dashboard").text
    tile = page[page.index("Raw agreement") :][:400]
    assert re.search(r"\d+ %.*\d+ to \d+ %, n \d+ pairs of raters", tile, re.DOTALL)
    assert "nan" not in page.lower().replace("finance", "")
