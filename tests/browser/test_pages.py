"""The other pages, used as people use them."""

import json

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

import seeded
from palate.core.records import Comparison, Completion, Prompt, Verdict
from palate.store import check_items, guidelines, queue, rows, schema
from palate.store.journal import Journal

pytestmark = pytest.mark.browser


def test_ranking_by_keyboard_with_ties(visit, project):
    page = visit("rater")
    page.goto("/rank")
    order = json.loads(page.locator("#ranking").get_attribute("data-order"))
    page.keyboard.press("2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    slate = page.locator("#ranking").get_attribute("data-slate")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("#ranking").get_attribute("data-slate") != slate
    with Journal.open(project / "palate.db") as journal, journal.reading() as connection:
        row = connection.execute(select(schema.ranking)).one()
    own = [0] * 4
    for place, rank in zip(order, (2, 1, 2, 0), strict=True):
        own[place] = rank
    assert json.loads(row.ranks) == own
    assert row.slate == slate


def test_a_written_answer_survives_a_reload_and_is_stored_once(visit, project):
    page = visit("rater")
    page.goto("/write")
    page.get_by_label("Your answer").fill("Take the train, and walk from there.")
    page.wait_for_timeout(1600)
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("Take the train, and walk from there.")
    page.get_by_label("Your answer").press("Control+Enter")
    expect(page.get_by_text("Stored as a demonstration")).to_be_visible()
    expect(page.get_by_label("Your answer")).to_have_value("")
    with Journal.open(project / "palate.db") as journal, journal.reading() as connection:
        (row,) = connection.execute(select(schema.written_answer)).all()
        assert row.text == "Take the train, and walk from there."
        assert connection.execute(select(schema.draft)).all() == []


def test_onboarding_by_keyboard_ends_with_the_clause_behind_each(visit, project):
    with Journal.open(project / "palate.db") as journal:
        known = {item.comparison: item.expected for item in check_items.all(journal)}
        with journal.reading() as connection:
            rows = connection.execute(select(schema.comparison)).all()
            text = dict(connection.execute(select(schema.completion.c.id, schema.completion.c.text)).all())
    firsts = {row.id: text[row.first] for row in rows}
    page = visit("rater")
    page.goto("/rate")
    page.get_by_role("link", name="Begin the twelve").click()
    for number in range(12):
        expect(page.locator("#controls")).to_be_visible()
        asked = page.locator("#room").get_attribute("data-current")
        left = page.locator(".pane:visible [data-part=left]").inner_text()
        first_is_left = " ".join(left.split())[:20] == " ".join(firsts[asked].split())[:20]
        right_key = {Verdict.FIRST: "2" if first_is_left else "6", Verdict.SECOND: "6" if first_is_left else "2"}
        # Ten right, two wrong.
        key = right_key.get(known[asked], "4")
        page.keyboard.press(key if number < 10 else {"2": "6", "6": "2", "4": "1"}[key])
    page.wait_for_url("**/onboarding/result")
    expect(page.get_by_role("heading", name="Passed: 10 of 12 right")).to_be_visible()
    expect(page.get_by_text("Truth first").first).to_be_visible()
    page.goto("/rate")
    expect(page.get_by_text("Begin the twelve")).to_have_count(0)


def test_a_split_becomes_a_clause_in_two_clicks_and_goes_back_to_the_raters(visit, project):
    page = visit("lead")
    page.goto("/splits")
    page.get_by_role("link", name="New clause").first.click()
    page.get_by_label("Title of the clause").fill("Sound and sure")
    page.get_by_label("What it says").fill("An answer that sounds sure and is wrong loses.")
    page.get_by_role("button", name="Save, put in force, and ask again").click()
    expect(page.get_by_text("1 comparison went back to the raters.")).to_be_visible()
    expect(page.locator(".diff-add").filter(has_text="Sound and sure")).to_be_visible()
    with Journal.open(project / "palate.db") as journal:
        current = guidelines.current(journal)
        assert "## Sound and sure" in current.text
        assert current.number == 2
        assert queue.progress(journal).open == 121


def until_covered(page):
    """A check item may come between: which, follows from the rater's random name."""
    for _ in range(6):
        expect(page.locator("#controls")).to_be_visible()
        if page.locator(".cover:visible").count():
            return
        page.keyboard.press("4")
    raise AssertionError("no comparison with a warning came")


def test_a_warned_comparison_is_covered_and_can_be_declined_for_good(visit, project):
    with Journal.open(project / "palate.db") as journal:
        made = seeded.comparisons(journal, 5, source="red team", topic="harmful")
        queue.enqueue(journal, made, priority=5.0)
    page = visit("rater")
    page.goto("/rate")
    until_covered(page)
    covered = page.locator("#room").get_attribute("data-current")
    page.keyboard.press("1")
    assert page.locator("#room").get_attribute("data-current") == covered, "nobody judges what they have not seen"
    expect(page.locator(".pane:visible .answers")).to_be_hidden()
    page.keyboard.press("w")
    expect(page.locator(".pane:visible .answers")).to_be_visible()
    page.reload()
    expect(page.locator("#controls")).to_be_visible()
    assert page.locator("#room").get_attribute("data-current") == covered
    page.keyboard.press("1")
    until_covered(page)
    page.keyboard.press("q")
    expect(page.locator("#said")).to_contain_text("You will not be given such comparisons")
    for _ in range(6):
        expect(page.locator("#controls")).to_be_visible()
        assert page.locator(".cover:visible").count() == 0
        page.keyboard.press("4")


def test_what_was_on_its_way_when_a_rater_declined_goes_back(visit, project):
    with Journal.open(project / "palate.db") as journal:
        queue.enqueue(journal, seeded.comparisons(journal, 12, source="red team", topic="harmful"), priority=5.0)
    page = visit("rater")
    page.goto("/coach")  # the room that the login opened asks no more
    held = []

    def refill(route):
        # The server has given more out, and its reply comes only after the rater's "not for me".
        if held or "known" in route.request.post_data_json:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/rate/lease", refill)
    page.goto("/rate")
    for _ in range(6):
        until_covered(page)
        page.wait_for_timeout(200)
        if held:
            break
        page.keyboard.press("w")
        page.keyboard.press("1")
    ((route, reply),) = held
    assert any(task["warning"] for task in reply.json()["tasks"])
    with page.expect_response("**/rate/decline"):
        page.keyboard.press("q")
    with page.expect_response("**/rate/release"):
        route.fulfill(response=reply)
    for _ in range(6):
        expect(page.locator("#controls")).to_be_visible()
        assert page.locator(".cover:visible").count() == 0
        page.keyboard.press("4")
    with Journal.open(project / "palate.db") as journal, journal.reading() as connection:
        given_back = [task["lease"] for task in reply.json()["tasks"] if task["warning"]]
        mine = select(schema.lease.c.uid).where(schema.lease.c.uid.in_(given_back), schema.lease.c.expired == 0)
        assert not connection.execute(mine).all()


def test_differences_guideline_and_theme_by_key(visit):
    page = visit("rater")
    page.goto("/rate")
    expect(page.locator("#controls")).to_be_visible()
    page.keyboard.press("d")
    assert page.locator(".pane:visible del").count() > 0
    assert page.locator(".pane:visible ins").count() > 0
    page.keyboard.press("1")
    assert page.locator(".pane:visible ins").count() > 0, "the switch holds for the next one"
    page.keyboard.press("d")
    assert page.locator(".pane:visible ins").count() == 0
    page.keyboard.press("?")
    expect(page.get_by_role("complementary", name="Guideline")).to_be_visible()
    page.keyboard.press("?")
    page.get_by_role("button", name="Dark colours").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_haste_is_said_and_nothing_is_locked(visit):
    page = visit("rater")
    page.goto("/rate")
    for _ in range(3):
        expect(page.locator("#controls")).to_be_visible()
        page.keyboard.press("2")
    expect(page.locator("#said")).to_contain_text("That was quick")
    expect(page.locator("[data-scale='1']")).to_be_enabled()


def test_hostile_text_is_text(visit, project):
    attack = (
        '<script>window.hit=1</script><img src=x onerror="window.hit=1"> [a](javascript:window.hit=1) '
        "<svg onload=window.hit=1> ![p](http://127.0.0.1:9/pixel.png) <style>body{display:none}</style>"
    )
    with Journal.open(project / "palate.db") as journal:
        prompt = Prompt.of(f"Hostile? {attack}")
        both = [Completion(prompt=prompt.id, text=f"{attack} {side}", policy="m") for side in "ab"]
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, both)
        made = Comparison(prompt=prompt.id, first=both[0].id, second=both[1].id, source="attack")
        rows.add_comparisons(journal, [made])
        queue.enqueue(journal, [made], priority=9.0)
    asked = []
    page = visit("rater")
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/rate")
    for _ in range(4):
        expect(page.locator("#controls")).to_be_visible()
        if page.locator("#room").get_attribute("data-current") == made.id:
            break
        page.keyboard.press("4")
    assert page.locator("#room").get_attribute("data-current") == made.id
    expect(page.locator(".pane:visible [data-part=left]")).to_contain_text("<script>")
    for key in ("d", "d", "e"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    # `evaluate` runs beside the page's policy, so this asks the page and is not stopped by it.
    assert page.evaluate("window.hit") is None
    assert page.locator(".pane img, .pane script, .pane svg, .pane style").count() == 0
    assert page.locator(".pane a[href^=javascript]").count() == 0
    assert all(url.startswith(page.url.split("/rate")[0]) for url in asked)
    expect(page.locator("#controls")).to_be_visible()


def test_the_dashboard_lives(visit, project):
    page = visit("lead")
    page.goto("/dashboard")
    expect(page.get_by_text("Krippendorff's alpha")).to_be_visible()
    before = page.locator("#live .tile").first.inner_text()
    rater = visit("rater")
    rater.goto("/rate")
    expect(rater.locator("#controls")).to_be_visible()
    rater.keyboard.press("1")
    expect(rater.locator("#saved")).to_have_text("All saved")
    page.bring_to_front()
    expect(page.locator("#live .tile").first).not_to_have_text(before, timeout=20000)
