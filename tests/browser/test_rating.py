"""A rater at work: the keyboard, what survives, and how soon the next comparison is there."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

import hands
from hands import current
from palate.core.records import Verdict
from palate.store import schema
from palate.store.journal import Journal
from palate.store.judgements import judgements

pytestmark = pytest.mark.browser


def room(page):
    page.goto("/rate")
    expect(page.locator("#controls")).to_be_visible()
    return page


def saved(page):
    expect(page.locator("#saved")).to_have_text("All saved", timeout=15000)


def stored(project, rater_name="Rater"):
    """What the rater of the test said, newest last, without what was taken back."""
    with Journal.open(project / "palate.db") as journal, journal.reading() as connection:
        query = select(schema.account.c.rater).where(schema.account.c.name == rater_name)
        rater = connection.execute(query).scalar()
        return [j for j in judgements(journal) if j.rater == rater and not j.uid.startswith(rater)]


@pytest.mark.slow
def test_fifty_in_a_row_by_keyboard_and_each_next_one_is_there_within_100_ms(visit, project, record_property):
    page = visit("rater", bypass_csp=True)
    room(page)
    shown, times = hands.in_a_row(page, 50)
    saved(page)
    p95 = hands.p95(times)
    record_property("key_to_next_p95_ms", p95)
    said = stored(project)
    assert [j.comparison for j in said] == shown
    assert p95 <= 100


def test_a_verdict_is_of_the_sides_that_were_shown(visit, project):
    page = room(visit("rater"))
    left_texts = {}
    for key in "1736":
        left_texts[current(page)] = (key, page.locator(".pane:visible [data-part=left]").inner_text())
        page.keyboard.press(key)
    saved(page)
    with Journal.open(project / "palate.db") as journal, journal.reading() as connection:
        for judgement in stored(project):
            key, left = left_texts[judgement.comparison]
            one = connection.execute(
                select(schema.comparison).where(schema.comparison.c.id == judgement.comparison)
            ).one()
            better = one.first if judgement.verdict is Verdict.FIRST else one.second
            text = connection.execute(select(schema.completion.c.text).where(schema.completion.c.id == better)).scalar()
            chose_left = " ".join(left.split())[:20] == " ".join(text.split())[:20]
            assert chose_left == (key in "123")
            assert judgement.strength == {"1": 3, "7": 3, "3": 1, "6": 2}[key]
            assert judgement.guideline


def test_both_bad_skip_reasons_and_note_go_with_the_verdict(visit, project):
    page = room(visit("rater"))
    page.keyboard.press("r")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.type("7 is not a verdict here")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.keyboard.press("x")
    page.keyboard.press("s")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("2")
    saved(page)
    first, second, third = stored(project)
    assert (first.reasons, first.note) == (("helpful",), "7 is not a verdict here")
    assert (second.verdict, second.note, second.reasons) == (Verdict.BOTH_BAD, "", ())
    assert (third.verdict, third.reasons) == (Verdict.SKIP, ("skip: topic",))


def test_undo_brings_it_back_with_its_note_and_the_new_word_holds(visit, project):
    page = room(visit("rater"))
    asked = current(page)
    page.keyboard.press("n")
    page.keyboard.type("at first")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    saved(page)
    page.keyboard.press("z")
    assert current(page) == asked
    expect(page.locator("#note")).to_have_value("at first")
    page.keyboard.press("7")
    saved(page)
    (said,) = [j for j in stored(project) if j.comparison == asked]
    assert (said.strength, said.note) == (3, "at first")
    assert said.supersedes


def test_a_reload_and_the_back_button_keep_comparison_note_and_verdicts(visit, project):
    page = room(visit("rater"))
    page.keyboard.press("1")
    saved(page)
    asked = current(page)
    page.keyboard.press("n")
    page.keyboard.type("half a sen")
    page.reload()
    expect(page.locator("#controls")).to_be_visible()
    assert current(page) == asked
    expect(page.locator("#note")).to_have_value("half a sen")
    page.goto("/guideline")
    page.go_back()
    expect(page.locator("#controls")).to_be_visible()
    assert current(page) == asked
    expect(page.locator("#note")).to_have_value("half a sen")
    page.keyboard.press("4")
    saved(page)
    assert [(j.verdict, j.note) for j in stored(project)][1] == (Verdict.TIE, "half a sen")


def test_a_dead_server_stops_nobody_and_loses_nothing(visit, project, server):
    page = room(visit("rater"))
    server.kill()
    shown = []
    for key in "17":
        shown.append(current(page))
        page.keyboard.press(key)
    expect(page.locator("#saved")).to_contain_text("2 waiting")
    assert stored(project) == []
    server.start()
    saved(page)
    assert [j.comparison for j in stored(project)] == shown


def test_verdicts_that_wait_survive_the_tab(visit, project, server):
    page = room(visit("rater"))
    asked = current(page)
    server.kill()
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_contain_text("1 waiting")
    context = page.context
    page.close()
    server.start()
    again = context.new_page()
    room(again)
    saved(again)
    assert [j.comparison for j in stored(project)] == [asked]


@pytest.mark.parametrize("reply", ["", '{"progress": ', "<html>Log in to the network of this hotel</html>"])
def test_a_reply_that_is_none_stores_nothing_and_is_asked_for_again(visit, project, reply):
    page = room(visit("rater"))
    asked = current(page)
    broken = []
    page.route("**/rate/verdict", lambda route: (broken.append(route), route.fulfill(status=200, body=reply)))
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_contain_text("1 waiting, kept on this computer.")
    assert broken
    assert stored(project) == []
    page.unroute("**/rate/verdict")
    saved(page)
    assert [j.comparison for j in stored(project)] == [asked]


def test_two_tabs_of_one_rater_do_not_get_in_each_others_way(visit, project):
    page = room(visit("rater"))
    other = room(page.context.new_page())
    assert current(page) != current(other)
    for _ in range(5):
        for tab, key in ((page, "1"), (other, "7")):
            # A key before the next one is there is nobody's verdict; a rater cannot be that fast.
            expect(tab.locator("#controls")).to_be_visible()
            tab.keyboard.press(key)
    saved(page)
    saved(other)
    said = stored(project)
    assert len(said) == 10
    assert len({j.comparison for j in said}) == 10


def test_a_duplicated_tab_does_not_judge_the_same_twice(visit, project):
    page = room(visit("rater"))
    with page.context.expect_page() as opened:
        page.evaluate("window.open('/rate')")  # a copy of this tab's memory goes with it
    other = opened.value
    expect(other.locator("#controls")).to_be_visible()
    assert current(other) != current(page)


def test_an_expired_session_keeps_the_verdict_until_the_next_login(visit, project):
    page = room(visit("rater"))
    asked = current(page)
    page.context.clear_cookies()
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_contain_text("Log in again")
    page.get_by_role("link", name="Log in again").click()
    page.get_by_label("E-mail").fill("rater@example.org")
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/rate")
    saved(page)
    assert [j.comparison for j in stored(project)] == [asked]


def test_a_held_key_is_one_verdict_and_keys_can_be_turned_off(visit, project):
    page = room(visit("rater"))
    page.keyboard.down("1")
    page.keyboard.down("1")  # a repeat
    page.keyboard.up("1")
    saved(page)
    assert len(stored(project)) == 1
    page.get_by_label("Single keys are on").uncheck()
    before = current(page)
    page.locator("h1").click()
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    assert current(page) == before


def test_a_key_right_after_an_edit_is_heard(visit):
    page = room(visit("rater"))
    asked = current(page)
    page.keyboard.press("e")
    page.keyboard.type("A better beginning. ")
    # In one go, so before the browser has drawn a frame: the field of the closed dialog still has the focus.
    page.evaluate(
        """() => {
            const press = (key, more = {}) => document.activeElement.dispatchEvent(
                new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
            press("Enter", { ctrlKey: true });
            press("1");
        }"""
    )
    assert current(page) != asked


def test_an_edit_is_a_demonstration_and_beats_its_original(visit, project):
    page = room(visit("rater"))
    asked = current(page)
    page.keyboard.press("e")
    page.keyboard.type("A better beginning. ")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("edited by you").first).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#room")).not_to_have_attribute("data-current", asked)  # the edit's own save may be told first
    saved(page)
    with Journal.open(project / "palate.db") as journal, journal.reading() as connection:
        written = connection.execute(select(schema.written_answer)).one()
        assert written.text.startswith("A better beginning.")
        assert written.original
    said = stored(project)
    assert {j.comparison for j in said} > {asked}
    assert len(said) == 2
