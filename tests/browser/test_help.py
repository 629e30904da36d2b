"""Help on the page of a rater: beside the answers, calm, and nothing moves."""

import pytest
from playwright.sync_api import expect

from accessible import violations
from palate.store import assistance, attachments, rows
from palate.store.attachments import Attachment
from palate.store.journal import Journal

pytestmark = pytest.mark.browser
LONG = "The first sentence is sure of a thing that nobody can know. " * 3


@pytest.fixture
def helped(project):
    """All comparisons have help, and everybody sees it."""
    with Journal.open(project / "palate.db") as journal:
        for comparison in rows.comparisons(journal):
            said = [
                Attachment(comparison=comparison.id, kind=kind, helper="critic-3", side=side, text=text)
                for kind, side, text in (
                    ("summary", "", "Both name a train; **one** names a river too. <script>alert(1)</script>"),
                    ("critique", "first", LONG),
                    ("critique", "second", "It repeats itself.\n\n- once\n- twice"),
                )
            ]
            attachments.add(journal, said)
            assistance.set_share(journal, comparison.source, 1.0)
    return project


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_help_stands_beside_what_it_is_about(helped, visit, theme, tmp_path):
    page = visit("rater", color_scheme=theme, bypass_csp=True)
    page.goto("/rate")
    expect(page.locator("#controls")).to_be_visible()
    help = page.locator(".pane:visible .help")
    expect(help).to_contain_text("Written by a model; it may be wrong")
    expect(help).to_contain_text("Summary, by critic-3")
    # A tag in it is text.
    expect(help).to_contain_text("<script>")
    left, right = help.locator(".note.left"), help.locator(".note.right")
    expect(left).to_contain_text("Critique of the first answer")
    assert left.bounding_box()["x"] < right.bounding_box()["x"]
    assert left.bounding_box()["y"] == right.bounding_box()["y"]
    page.screenshot(path=tmp_path / "wide.png")
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert left.bounding_box()["x"] == right.bounding_box()["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "narrow.png", full_page=True)


def test_nothing_moves_when_the_next_one_comes(helped, visit):
    page = visit("rater")
    page.goto("/rate")
    expect(page.locator("#controls")).to_be_visible()
    tops = set()
    for _ in range(4):
        tops.add(
            (page.locator(".pane:visible .answers").bounding_box()["y"], page.locator(".scale").bounding_box()["y"])
        )
        before = page.locator("#room").get_attribute("data-current")
        page.keyboard.press("2")
        page.wait_for_function("before => document.querySelector('#room').dataset.current !== before", arg=before)
    assert len(tops) == 1
    # The keys can be reached without scrolling.
    assert page.locator(".scale").bounding_box()["y"] + page.locator(".scale").bounding_box()["height"] <= 900


def test_without_help_there_is_no_place_for_it(project, visit):
    page = visit("rater")
    page.goto("/rate")
    expect(page.locator("#controls")).to_be_visible()
    assert page.locator(".help:visible").count() == 0
