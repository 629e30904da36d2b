"""No WCAG A or AA violation on any page, in both themes, and nothing wider than a telephone."""

import shutil

import pytest
from playwright.sync_api import expect

from accessible import violations
from served import Server, log_in

pytestmark = pytest.mark.browser

OWNER_PAGES = (
    "/rate", "/rank", "/write", "/onboarding", "/coach", "/guideline", "/guideline/new", "/splits", "/checks",
    "/findings", "/voice", "/queue", "/dashboard", "/rounds", "/releases", "/ab", "/trace", "/later", "/account",
    "/accounts", "/audit", "/no/such/page",
)  # fmt: skip
RATER_PAGES = ("/rate", "/coach", "/guideline", "/account", "/onboarding/result", "/dashboard")
STATES = {
    "guideline drawer": ("?",),
    "skipping": ("s",),
    "editing": ("e",),
    "differences": ("d",),
    "after a verdict": ("1",),
}


@pytest.fixture(scope="module")
def running(template, tmp_path_factory):
    project = shutil.copytree(template, tmp_path_factory.mktemp("axe") / "project")
    made = Server(project).start()
    yield made
    made.stop()


@pytest.fixture(scope="module", params=["light", "dark"])
def logged_in(request, browser, running):
    """A page of each role, in one theme."""
    # axe is put into the page as a script, which the pages' policy forbids to everybody else.
    contexts = {
        who: browser.new_context(base_url=running.address, color_scheme=request.param, bypass_csp=True)
        for who in ("owner", "rater4", "")
    }
    pages = {who: context.new_page() for who, context in contexts.items()}
    for who, page in pages.items():
        if who:
            log_in(page, who)
    yield pages
    for context in contexts.values():
        context.close()


def test_the_tool_finds_what_is_wrong(logged_in):
    page = logged_in[""]
    settled(page, "/login")
    page.evaluate("document.querySelector('label').remove(); document.querySelector('.hint').style.color = '#999'")
    page.evaluate("document.querySelector('.hint').style.background = '#aaa'")
    assert {one[0] for one in violations(page)} >= {"color-contrast", "label"}


def settled(page, path):
    page.goto(path)
    if path in ("/rate", "/onboarding"):
        expect(page.locator("#controls")).to_be_visible()


@pytest.mark.parametrize("path", OWNER_PAGES)
def test_an_owners_page_can_be_used_by_everybody(logged_in, path):
    settled(logged_in["owner"], path)
    assert violations(logged_in["owner"]) == []


@pytest.mark.parametrize("path", RATER_PAGES)
def test_a_raters_page_can_be_used_by_everybody(logged_in, path):
    settled(logged_in["rater4"], path)
    assert violations(logged_in["rater4"]) == []


@pytest.mark.parametrize("path", ["/login", "/welcome/none"])
def test_a_page_before_the_login_can_be_used_by_everybody(logged_in, path):
    settled(logged_in[""], path)
    assert violations(logged_in[""]) == []


@pytest.mark.parametrize("keys", STATES.values(), ids=STATES)
def test_the_room_can_be_used_by_everybody_in_every_state(logged_in, keys):
    page = logged_in["rater4"]
    settled(page, "/rate")
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert violations(page) == []


@pytest.mark.parametrize("path", [*OWNER_PAGES, "/login"])
@pytest.mark.parametrize("width", [390, 768, 1440])
def test_no_page_is_wider_than_its_window(browser, running, logged_in, path, width):
    page = logged_in["owner"]
    page.set_viewport_size({"width": width, "height": 844})
    settled(page, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 720})
