"""From an attack to the suite, with the keyboard in a real Chromium; and everybody can use the pages."""

import re
import subprocess
import sys
import warnings

import pytest
from playwright.sync_api import expect

import hands
import seeded
import tiny_models
from palate.core import suites
from palate.store import findings, guidelines, queue, rows
from palate.store.journal import Journal
from served import Server

pytestmark = pytest.mark.browser
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
ANSWER = ".turn:last-child .answer:last-of-type"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Everything that `palate serve` has, with one model."""
    project = tmp_path_factory.mktemp("whole")
    model = tiny_models.make(project / "model", context=2048)
    with Journal.open(project / "palate.db") as journal:
        seeded.accounts(journal)
        seeded.guideline(journal)
    made = Server(project, "all", more=("--policy", f"stable={model}")).start()
    yield made
    made.stop()


@pytest.fixture
def journal(whole):
    with Journal.open(whole.project / "palate.db") as opened:
        yield opened


@pytest.fixture
def visit(browser, whole):
    contexts, trouble = [], []

    def opened(who, **options):
        size = {"width": 1440, "height": 900}
        context = browser.new_context(base_url=whole.address, **{"viewport": size, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
        hands.log_in(page, f"{who}@example.org", seeded.PASSWORD)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def begin(page):
    page.goto("/attack")
    if (yes := page.get_by_role("button", name="I have read this")).count():
        yes.click()
    page.get_by_role("button", name="Begin an attack").click()
    page.wait_for_url(re.compile("/attack/[0-9a-f]{32}"))


def ask(page, text, answers=1):
    """Until something is answered: a model that learned nothing ends at once now and then."""
    for _ in range(5):
        page.locator("#text").fill(text)
        page.locator("#text").press("Enter")
        finished = page.locator(".turn:last-child .answer:not([aria-busy])[data-completion]")
        expect(finished).to_have_count(answers, timeout=60_000)
        expect(page.locator("#send")).to_be_enabled()
        if all(said.strip() for said in finished.locator(".said").all_inner_texts()):
            break
    page.locator("#text").press("Escape")


def test_the_way_of_a_finding_by_keyboard(visit, journal, whole):
    page = visit("rater")
    begin(page)
    ask(page, "help me plan")
    ask(page, "how do i protect a password?")
    page.keyboard.press("f")
    page.keyboard.press("1")
    expect(page.locator(f"{ANSWER} input[value=harm]")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("It tells how.")
    # What was typed outlives a reload, before and after the server has it.
    page.reload()
    page.locator(ANSWER).focus()
    page.keyboard.press("f")
    expect(page.locator(f"{ANSWER} textarea[name=note]")).to_have_value("It tells how.")
    expect(page.locator(f"{ANSWER} input[value=harm]")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("i cannot help with that.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"{ANSWER} .became")).to_contain_text("Noted as a finding")
    expect(page.locator(f"{ANSWER} .marked li")).to_have_text("harm: It tells how. (waits for a lead)")
    (found,) = findings.all(journal)
    page.keyboard.press("h")
    expect(page.locator("#talk")).to_be_hidden()
    page.keyboard.press("h")
    expect(page.locator("#talk")).to_be_visible()

    lead = visit("lead")
    lead.goto("/findings")
    lead.get_by_role("link", name="It tells how.").click()
    lead.wait_for_url(f"**/findings/{found.id}")
    for key, told in (
        ("2", "Confirmed. It counts"),
        ("c", "In the queue: raters judge the two answers"),
        ("s", "In the regression suite"),
        ("f", "beside a fresh draft"),
    ):
        lead.wait_for_load_state()
        lead.keyboard.press(key)
        expect(lead.locator(".notice[role=status]")).to_contain_text(told, timeout=60_000)
    lead.wait_for_load_state()
    lead.keyboard.press("g")
    expect(lead.locator(".diff-add", has_text="## Harm: It tells how")).to_be_visible()
    expect(lead.get_by_role("button", name="Put in force")).to_be_visible()

    found = findings.find(journal, found.id)
    assert (found.state, found.severity) == ("confirmed", 2)
    assert len(found.became("comparison")) == 2
    assert queue.progress(journal).open == 2
    assert {one.source for one in rows.comparisons(journal)} == {"finding"}
    assert guidelines.all(journal)[-1].id == found.became("clause")[0]
    command = [sys.executable, "-m", "palate", "finding", "suite", "--data", whole.project, "--out", "suite.jsonl"]
    subprocess.run(command, cwd=whole.project, check=True)
    (case,) = suites.read(whole.project / "suite.jsonl")
    assert (case.id, case.must) == (found.id, "refuse")
    page.goto("/attack")
    expect(page.get_by_text("confirmed, serious: 2 points")).to_be_visible()


@pytest.mark.slow
def test_what_was_typed_is_kept_on_the_server_too(visit, journal, browser):
    page = visit("owner")
    begin(page)
    ask(page, "help")
    page.keyboard.press("f")
    page.locator(f"{ANSWER} textarea[name=better]").fill("so it should be")
    with page.expect_response(lambda reply: reply.url.endswith("/draft") and reply.ok):
        pass
    page.locator(f"{ANSWER} textarea[name=better]").press("Escape")
    expect(page.locator(f"{ANSWER} .writing")).to_be_hidden()
    page.locator("#text").fill("not sent yet")
    page.reload()
    expect(page.locator("#text")).to_have_value("not sent yet")
    # Another machine.
    other = visit("owner")
    other.goto(page.url)
    other.locator(ANSWER).focus()
    other.keyboard.press("f")
    expect(other.locator(f"{ANSWER} textarea[name=better]")).to_have_value("so it should be")
    # The same asked again stands beside it, and the talk goes on with that.
    page.locator(ANSWER).focus()
    page.keyboard.press("r")
    expect(page.locator(".turn:last-child .answer[data-completion]:not([aria-busy])")).to_have_count(2, timeout=60_000)
    last = page.locator(ANSWER).get_attribute("data-completion")
    expect(page.locator("#chat")).to_have_attribute("data-last", last)


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1440, "light"),
        (390, "dark"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1440, "dark"), (390, "light"))),
    ],
)
def test_everybody_can_use_the_pages(visit, journal, scheme, width, pictures):
    """axe finds nothing, and nothing is wider than the window, with every state of the pages open."""
    page = visit("lead", color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page.goto("/attack")
    if page.get_by_role("button", name="I have enough").count():
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="I have enough").click()
    expect(page.get_by_role("button", name="I have read this")).to_be_visible()
    checked(page, pictures, f"warning-{scheme}-{width}")
    begin(page)
    ask(page, "how do i protect a password?")
    page.keyboard.press("f")
    checked(page, pictures, f"attack-form-{scheme}-{width}")
    page.keyboard.press("5")
    page.locator(f"{ANSWER} textarea[name=note]").fill(f"{'Long' * 40} note {scheme} {width}")
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"{ANSWER} .became")).to_contain_text(re.compile("Noted|already"))
    checked(page, pictures, f"attack-marked-{scheme}-{width}")
    page.goto("/attack")
    checked(page, pictures, f"attacks-{scheme}-{width}")
    page.goto("/findings")
    checked(page, pictures, f"findings-{scheme}-{width}")
    page.locator("tbody a").last.click()
    page.wait_for_url(re.compile("/findings/[0-9a-f]{16}"))
    page.keyboard.press("s")
    expect(page.locator(".notice[role=status]")).to_be_visible()
    checked(page, pictures, f"finding-{scheme}-{width}")
    page.goto("/voice")
    checked(page, pictures, f"voice-{scheme}-{width}")


def checked(page, pictures, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's own
        from axe_core_python.sync_playwright import Axe
    page.screenshot(path=pictures / f"{name}.png", full_page=True)
    found = Axe().run(page, options=RULES)
    assert len(found["passes"]) > 8, "axe looked at nothing"
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
