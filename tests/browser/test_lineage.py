"""A click found again by who made it, the way of anything walked by a lead, and a round that is seen to go on."""

import pytest
from playwright.sync_api import expect
from tests import traced

from accessible import violations
from palate.core.artefacts import Workspace
from palate.store import rounds
from palate.store.journal import Journal

pytestmark = pytest.mark.browser


@pytest.fixture
def ids(project):
    """A release that judgements shaped; asked for before the server starts."""
    return traced.released(project)


def fits(page, pictures, name):
    """Nothing is wider than the window, and axe finds nothing, in both themes."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.screenshot(path=pictures / f"{name}-{scheme}-{width}.png", full_page=True)
        assert violations(page) == []
    page.set_viewport_size({"width": 1280, "height": 900})


def test_who_clicked_sees_what_became_of_it(ids, visit, project, pictures):
    workspace = Workspace(project)
    with Journal.open(project / "palate.db") as journal:
        uid = traced.counted(journal, workspace, "rater", ids["data"])
        traced.asked_again(journal, workspace, ids, uid)
    page = visit("rater", bypass_csp=True)
    page.get_by_role("link", name="Your clicks").click()
    expect(page.get_by_role("heading", name="Your clicks, later")).to_be_visible()
    fits(page, pictures, "clicks")
    mine = page.locator(f'a[href="/later/{uid}"]')
    while not mine.count():  # the first of their clicks is the last in the list
        page.get_by_role("link", name="Older").click()
        page.wait_for_load_state()
    mine.click()
    expect(page.get_by_text(ids["release"]).first).to_be_visible()
    for heading in ("What was asked", "What became of it", "The answer to that prompt, before and after"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_text("that is more than luck")).to_be_visible()
    expect(page.get_by_text("new answer", exact=True)).to_be_visible()
    fits(page, pictures, "later")


def test_a_lead_walks_from_a_release_to_a_click_and_back(ids, visit, project, pictures):
    page = visit("lead", bypass_csp=True)
    page.get_by_role("link", name="Trace").click()
    page.get_by_label("Id").fill("stable")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Release {ids['release']}")).to_be_visible()
    fits(page, pictures, "trace-release")
    way = page.locator(".way")
    for kind, name in (("policy", "Policy"), ("reward", "Reward"), ("data", "Dataset")):
        way.get_by_role("link", name=ids[kind]).click()
        expect(page.locator("h1")).to_contain_text(name)
    if not page.locator("details[open]").count():
        page.locator("summary").first.click()
    page.locator("details[open] a").first.click()
    expect(page.get_by_role("link", name="What became of this click")).to_be_visible()
    fits(page, pictures, "trace-click")
    page.get_by_role("link", name="What became of this click").click()
    expect(page.get_by_text(ids["release"]).first).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Trace something else").click()
    page.get_by_label("Id").fill("nothing-like-it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing here is named so")).to_be_visible()


def test_a_round_is_seen_to_go_on_and_a_lead_ends_it(visit, project, pictures):
    page = visit("lead", bypass_csp=True)
    page.get_by_role("link", name="Rounds").click()
    expect(page.get_by_text("No round yet")).to_be_visible()
    recipe = {"steps": ["sft", "collect", "dataset", "reward", "gate"], "project": {"shape": "classic"}}
    with Journal.open(project / "palate.db") as journal:
        made = rounds.begin(journal, recipe, actor="command line")
        rounds.note(journal, made.id, "sft", "done", details={"why": "no demonstrations: the base is the reference"})
        rounds.note(journal, made.id, "collect", "waiting", details={"why": "3 of 10 comparisons"})
        expect(page.get_by_text("It waits for people at collect")).to_be_visible(timeout=30_000)  # without a reload
        rounds.note(journal, made.id, "collect", "done", details={"comparisons": 10})
        rounds.note(journal, made.id, "dataset", "failed", details={"why": "there is no preference to freeze"})
        expect(page.get_by_role("alert").filter(has_text="there is no preference")).to_be_visible(timeout=30_000)
        page.reload()
        fits(page, pictures, "round")
        page.get_by_text("End this round").click()
        page.get_by_label("Why, for the record").fill("a holiday")
        page.get_by_role("button", name="End round 1").click()
        expect(page.get_by_text("End this round")).to_have_count(0)
        assert rounds.state(journal, made.id) == "stopped"
