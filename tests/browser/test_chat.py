"""The chat, used with the keyboard in a real Chromium."""

import re
import warnings

import pytest
from playwright.sync_api import expect

from palate.core.records import Verdict
from palate.store import demonstrations, feedback, judgements, queue, rows
from palate.store.journal import Journal
from running_server import PASSWORD, start, stop

pytestmark = pytest.mark.browser
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
ANSWER = ".turn:last-child .answer"


@pytest.fixture(scope="module")
def chatting(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("chat"))
    yield running
    stop(running)


@pytest.fixture
def journal(chatting):
    with Journal.open(chatting.journal) as opened:
        yield opened


def logged_in(browser, chatting, **options):
    context = browser.new_context(base_url=chatting.address, **options)
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("E-mail").fill(chatting.owner)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    return page


@pytest.fixture
def page(browser, chatting):
    trouble = []
    made = logged_in(browser, chatting, viewport={"width": 1440, "height": 900})
    made.on("pageerror", lambda error: trouble.append(str(error)))
    made.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    yield made
    made.context.close()
    assert trouble == []


def begin(page, *, agreed=True):
    page.goto("/chat")
    if agreed:
        page.get_by_label("I agree for this chat").check()
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url(re.compile("/chat/[0-9a-f]{32}"))


def ask(page, text, key="Enter", answers=1):
    page.locator("#text").fill(text)
    page.locator("#text").press(key)
    finished = page.locator(f"{ANSWER}:not([aria-busy])[data-completion]")
    expect(finished).to_have_count(answers, timeout=60_000)
    expect(page.locator("#send")).to_be_enabled()


def leave_field(page):
    page.locator("#text").press("Escape")


def became(page):
    return page.locator(f"{ANSWER} .became")


def test_thumb_note_and_a_new_draft_by_keyboard(page, journal):
    begin(page)
    ask(page, "help me plan a career change. mail olga@example.org")
    expect(page.locator(".asked .prose")).to_contain_text("<EMAIL_1>")
    expect(page.locator(".asked")).to_contain_text("1 place was taken out")
    leave_field(page)
    page.keyboard.press("d")
    expect(became(page)).to_contain_text("Counted as disapproval")
    expect(page.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("n")
    page.keyboard.type("it does not mention figma")
    page.keyboard.press("Control+Enter")
    expect(became(page)).to_contain_text("Raters who judge this answer see your note")
    old = page.locator(ANSWER).get_attribute("data-completion")
    page.keyboard.press("r")
    expect(page.get_by_text("Is the new answer better?")).to_be_visible(timeout=60_000)
    new = page.locator(ANSWER).nth(1).get_attribute("data-completion")
    page.keyboard.press("1")
    expect(became(page).first).to_contain_text("will confirm it or not")
    kinds = [(one.kind, one.value, one.note) for one in feedback.of(journal, [old])]
    assert kinds == [
        ("down", "", ""),
        ("note", "", "it does not mention figma"),
        ("regenerate", f"drawn {new}", ""),
        ("regenerate", f"better {new}", ""),
    ]
    (pair,) = [one for one in rows.comparisons(journal, ["regenerate"]) if one.first == old]
    assert pair.second == new
    assert queue.progress(journal).open >= 1
    page.reload()
    expect(page.locator("#chat")).to_have_attribute("data-last", new)
    expect(page.get_by_text("1 other draft is kept")).to_be_visible()


def test_one_of_two_drafts_by_keyboard(page, journal):
    begin(page)
    ask(page, "how do i protect a password?", "Control+Enter", answers=2)
    left = page.locator(ANSWER).first.get_attribute("data-completion")
    leave_field(page)
    page.keyboard.press("1")
    expect(page.locator("#chat")).to_have_attribute("data-last", left)
    expect(became(page).first).to_contain_text("first judgement of this pair")
    (pair,) = [one for one in rows.comparisons(journal, ["draft"]) if left in (one.first, one.second)]
    (said,) = [one for one in judgements.judgements(journal) if one.comparison == pair.id]
    assert (said.verdict == Verdict.FIRST) == (pair.first == left)


def test_an_edit_becomes_what_the_talk_goes_on_with(page, journal):
    begin(page)
    ask(page, "practice?")
    leave_field(page)
    page.keyboard.press("e")
    field = page.locator(f"{ANSWER} textarea").first
    expect(field).to_be_focused()
    field.fill("practice with **five** people <b>first</b>.")
    page.keyboard.press("Control+Enter")
    own = page.locator(f"{ANSWER} strong", has_text="five")
    expect(own).to_be_visible()
    expect(page.locator(f"{ANSWER} b")).to_have_count(0)
    assert demonstrations.all(journal)[-1].text == "practice with **five** people <b>first</b>."
    ask(page, "and then?")
    page.reload()
    expect(page.locator(".turn").first.locator(".said strong")).to_have_text("five")


def test_stopping_keeps_what_was_shown(page):
    begin(page)
    page.locator("#text").fill("help me plan")
    page.locator("#text").press("Enter")
    expect(page.locator(f"{ANSWER} .said")).not_to_be_empty(timeout=60_000)
    if page.locator("#stop").is_visible():
        page.keyboard.press("Escape")
    expect(page.locator(f"{ANSWER}[data-completion]:not([aria-busy])")).to_have_count(1, timeout=20_000)
    shown = page.locator(ANSWER).get_attribute("data-completion")
    page.reload()
    expect(page.locator(ANSWER)).to_have_attribute("data-completion", shown)


def test_without_consent_the_page_says_so(page):
    begin(page, agreed=False)
    ask(page, "can i help?")
    expect(page.locator("#agreed-word")).to_have_text("no")
    leave_field(page)
    page.keyboard.press("u")
    expect(became(page)).to_contain_text("it trains nothing")
    page.get_by_label("I agree for this chat").check()
    expect(page.locator("#agree-became")).to_contain_text("From now on")
    page.get_by_label("I agree for this chat").uncheck()
    expect(page.locator("#agree-became")).to_contain_text("Taken back")


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1440, "light"),
        (390, "dark"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1440, "dark"), (390, "light"))),
    ],
)
def test_everybody_can_use_the_pages(browser, chatting, scheme, width, pictures):
    """axe finds nothing, and nothing is wider than the window, with every state of the page open."""
    size = {"width": width, "height": 900}
    page = logged_in(browser, chatting, color_scheme=scheme, viewport=size, bypass_csp=True)
    begin(page)
    checked(page, pictures, f"chat-new-{scheme}-{width}")
    ask(page, "help me plan a career change.")
    leave_field(page)
    page.keyboard.press("n")
    checked(page, pictures, f"chat-note-{scheme}-{width}")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.get_by_text("Is the new answer better?")).to_be_visible(timeout=60_000)
    checked(page, pictures, f"chat-again-{scheme}-{width}")
    page.keyboard.press("3")
    page.goto("/chat")
    checked(page, pictures, f"chats-{scheme}-{width}")
    page.goto("/feedback")
    checked(page, pictures, f"feedback-{scheme}-{width}")
    page.context.close()


def checked(page, pictures, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's own
        from axe_core_python.sync_playwright import Axe
    page.screenshot(path=pictures / f"{name}.png", full_page=True)
    found = Axe().run(page, options=RULES)
    assert len(found["passes"]) > 8, "axe looked at nothing"
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
