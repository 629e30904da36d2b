"""The page on A/B tests, empty and with a test under way, in a real Chromium: both themes, wide and narrow."""

import itertools

import pytest
from tests import trials as made

from accessible import violations
from palate.rounds.trials import Plan
from palate.store.journal import Journal
from served import Server, log_in

pytestmark = pytest.mark.browser
THUMBS = itertools.cycle(("up", "down", "none"))


def test_the_page_can_be_used_by_everybody(browser, project):
    server = Server(project).start()
    # axe is put into the page as a script, which the pages' policy forbids to everybody else.
    context = browser.new_context(base_url=server.address, bypass_csp=True)
    page = context.new_page()
    log_in(page, "owner")
    for under_way in (False, True):
        if under_way:
            with Journal.open(project / "palate.db") as journal:
                test = made.begun(journal, Plan(difference=0.3, spread=0.5, people=200, window_h=1e-5))
                made.crowd(journal, test, [f"p{number}" for number in range(30)], lambda treated: next(THUMBS))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 844})
                page.goto("/ab")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.locator("svg.chart").count() == under_way
            assert violations(page) == []
    context.close()
    server.stop()
