"""From a click to a row that a model learns from, in one browser, through one server."""

import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

import hands
import seeded
import tiny_models
from palate.core.records import Verdict
from palate.store import judgements, queue, rows
from palate.store.journal import Journal
from served import Server, log_in

pytestmark = pytest.mark.browser
LAST = ".turn:last-child .answer"


@pytest.fixture
def project(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        seeded.accounts(journal, raters=5)
        seeded.guideline(journal)
    return tmp_path


@pytest.fixture
def server(project, tmp_path_factory):
    policy = tiny_models.make(tmp_path_factory.mktemp("policy") / "tiny", context=2048)
    made = Server(project, "all", more=("--policy", f"tiny={policy}")).start()
    yield made
    made.stop()


@pytest.fixture
def visit(browser, server):
    contexts = []

    def opened(who):
        contexts.append(browser.new_context(base_url=server.address, viewport={"width": 1440, "height": 900}))
        page = contexts[-1].new_page()
        log_in(page, who)
        return page

    yield opened
    for context in contexts:
        context.close()


def palate(*arguments, cwd):
    done = subprocess.run([sys.executable, "-m", "palate", *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return cwd / done.stdout.splitlines()[-1]


def lines(folder):
    # Not `splitlines`: the untrained model writes U+0085 and its kin, which end no line of JSON.
    texts = [(folder / f"{split}.jsonl").read_text(encoding="utf-8") for split in ("train", "heldout")]
    return [json.loads(line) for text in texts for line in text.split("\n") if line]


def test_from_click_to_row(visit, project):
    chat = visit("owner")
    old, new = thumb_note_and_new_draft(chat)
    with Journal.open(project / "palate.db") as journal:
        (weak,) = [one for one in rows.comparisons(journal, ["regenerate"])]
        texts = rows.completions(journal)
    assert (weak.first, weak.second) == (old, new)

    # Two raters who do not know which draft is new; they see the note.
    assert "it does not mention figma" in choose(visit("rater"), texts[new].text)
    choose(visit("rater2"), texts[new].text)
    with Journal.open(project / "palate.db") as journal:
        said = judgements.judgements(journal)
        assert queue.progress(journal).closed == 1
    assert {(one.comparison, one.verdict) for one in said} == {(weak.id, Verdict.SECOND)}

    (row,) = lines(palate("dataset", "build", "--minimum-judgements", "2", "--gate", "off", cwd=project))
    assert {row["chosen"], row["rejected"]} == {texts[old].text, texts[new].text}
    assert row["chosen"] == texts[new].text

    (thumb,) = lines(palate("dataset", "approvals", cwd=project))
    assert thumb["completion"] == texts[old].text
    assert thumb["p_good"] < 0.5


@pytest.mark.slow
def test_a_split_becomes_a_clause_and_others_judge_it_anew(visit, project):
    old, new = thumb_note_and_new_draft(visit("owner"))
    with Journal.open(project / "palate.db") as journal:
        texts = rows.completions(journal)
    choose(visit("rater"), texts[old].text)
    choose(visit("rater2"), texts[new].text)
    choose(visit("rater3"), "")
    lead = visit("lead")
    lead.goto("/splits")
    lead.get_by_role("link", name="New clause").click()
    lead.get_by_label("Title of the clause").fill("Name the tool")
    lead.get_by_label("What it says").fill("An answer that names the tool is better.")
    lead.get_by_role("button", name="Save, put in force, and ask again").click()
    expect(lead.get_by_text("1 comparison went back to the raters.")).to_be_visible()
    for who in ("rater4", "rater5"):  # the first three have judged it
        choose(visit(who), texts[new].text)
    with Journal.open(project / "palate.db") as journal:
        *before, one, other = judgements.judgements(journal)
        assert queue.progress(journal).closed == 1
    assert len(before) == 3
    assert one.verdict == other.verdict == Verdict.SECOND
    assert {one.guideline, other.guideline}.isdisjoint({said.guideline for said in before})


@pytest.mark.slow
def test_a_written_answer_becomes_a_row_for_sft(visit, project):
    thumb_note_and_new_draft(visit("owner"))
    page = visit("rater")
    page.goto("/write")
    page.get_by_label("Your answer").fill("Start with figma, then practise.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Stored as a demonstration")).to_be_visible()
    (row,) = lines(palate("dataset", "demonstrations", cwd=project))
    assert row["completion"] == "Start with figma, then practise."
    assert row["prompt"][-1]["content"] == "help me plan a career change."


def thumb_note_and_new_draft(page):
    """A chat in which an answer is bad, why, and one draft more; ids of both drafts."""
    page.goto("/chat")
    page.get_by_label("I agree for this chat").check()
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url(re.compile("/chat/[0-9a-f]{32}"))
    page.locator("#text").fill("help me plan a career change.")
    page.locator("#text").press("Enter")
    expect(page.locator(f"{LAST}:not([aria-busy])[data-completion]")).to_have_count(1, timeout=60_000)
    page.locator("#text").press("Escape")
    old = page.locator(LAST).get_attribute("data-completion")
    page.keyboard.press("d")
    expect(page.locator(f"{LAST} .became")).to_contain_text("Counted as disapproval")
    page.keyboard.press("n")
    page.keyboard.type("it does not mention figma")
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"{LAST} .became")).to_contain_text("Raters who judge this answer see your note")
    page.keyboard.press("r")
    expect(page.get_by_text("Is the new answer better?")).to_be_visible(timeout=60_000)
    new = page.locator(LAST).nth(1).get_attribute("data-completion")
    page.keyboard.press("1")
    expect(page.locator(f"{LAST} .became").first).to_contain_text("will confirm it or not")
    return old, new


def choose(page, text):
    """Judge for the answer with this text, on whichever side it is, or with "" for none; what the page said."""
    page.goto("/rate")
    expect(page.locator("#controls")).to_be_visible(timeout=20_000)
    left, right = (
        letters(page.locator(f".pane:visible [data-part={side}]").inner_text()) for side in ("left", "right")
    )
    assert left != right
    assert not text or letters(text) in (left, right)
    told = page.locator("#room").inner_text()
    page.keyboard.press("4" if not text else "1" if left == letters(text) else "7")
    hands.all_saved(page)
    return told


def letters(text):
    """What Markdown and the browser leave alone of an untrained model's babble."""
    return re.sub("[^a-z]", "", text.lower())[:40]
