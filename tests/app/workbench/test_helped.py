"""Help on a card: beside the answer that it is about as this rater sees it, hostile HTML, and dealt once."""

import pytest

from palate.store import assistance, attachments, rows
from palate.store.attachments import Attachment
from palate.workbench.helped import helped_html


def wrote(comparison="c", kind="critique", text="It leaves out the dose.", **more):
    return Attachment(comparison=comparison, kind=kind, helper="helper-1", text=text, **more)


def test_a_text_on_an_answer_stands_on_the_side_on_which_the_rater_sees_it():
    some = [wrote(side="first", text="of one"), wrote(side="second", text="of two"), wrote(kind="summary", text="both")]
    for swapped, left, right in ((False, "of one", "of two"), (True, "of two", "of one")):
        html = helped_html(some, swapped=swapped)
        assert f'note left"><h3 class="small">Critique of the first answer, by helper-1</h3><p>{left}' in html
        assert f'note right"><h3 class="small">Critique of the second answer, by helper-1</h3><p>{right}' in html
        assert 'note both"><h3 class="small">Summary, by helper-1</h3><p>both' in html
        # Always in the order in which it is read, so that the place of a note tells nothing.
        assert html.index("both") < html.index("note left") < html.index("note right")
    assert helped_html([], swapped=True) == ""


def test_a_debate_is_read_turn_by_turn():
    some = [
        wrote(kind="debate", side=side, turn=turn, text=f"{side}{turn}")
        for turn in (1, 2)
        for side in ("second", "first")
    ]
    html = helped_html(some, swapped=False)
    order = [html.index(word) for word in ("first1", "second1", "first2", "second2")]
    assert order == sorted(order)
    assert "Argument for the first answer, turn 2, by helper-1" in html


@pytest.mark.parametrize("text", [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "</div></aside><b>out</b>",
])  # fmt: skip
def test_what_a_helper_writes_is_hostile(text):
    html = helped_html([Attachment(comparison="c", kind="check", helper="<i>h</i>", text=text)], swapped=False)
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert "<i>" not in html
    assert html.count("</div>") == 1


def test_it_is_shown_to_some_and_what_was_shown_is_written_down(visitor, app):
    journal = app.state.journal
    every = rows.comparisons(journal)
    attachments.add(journal, [wrote(one.id) for one in every])
    tasks = {name: visitor(name).json("/rate/lease", {"count": 6}).json()["tasks"] for name in ("rater", "rater2")}
    helped = {name: {task["comparison"] for task in some if task["help_html"]} for name, some in tasks.items()}
    dealt = assistance.all(journal)
    assert len(dealt) == sum(map(len, tasks.values()))
    assert {one.comparison for one in dealt if one.shown} == set.union(*helped.values())
    assert all("It leaves out the dose." in t["help_html"] for some in tasks.values() for t in some if t["help_html"])
    assert 0 < sum(map(len, helped.values())) < len(dealt), "both ways were met"
    # Lost by the page and given again, it is the same.
    again = visitor("rater").json("/rate/lease", {"count": 0, "known": []}).json()["tasks"]
    assert {task["comparison"] for task in again if task["help_html"]} == helped["rater"]
    assert len(assistance.all(journal)) == len(dealt)


def test_with_nothing_attached_nothing_is_written_down(visitor, app):
    assert visitor("rater").json("/rate/lease", {"count": 3}).json()["tasks"][0]["help_html"] == ""
    assert assistance.all(app.state.journal) == []
