"""Rankings, written answers, guidelines, check items and onboarding: stored once, read back as they were."""

from dataclasses import replace

import pytest

from palate.core.errors import DataError
from palate.core.records import Completion, Prompt, Ranking, Slate, Verdict, WrittenAnswer, changed, clauses
from palate.store import check_items, demonstrations, guidelines, onboarding, rankings, rows
from palate.store.check_items import CheckItem
from palate.store.judgements import judgements


@pytest.fixture
def slate(journal, where, filled):
    (shown,) = filled(where, 1)
    third = Completion(prompt=shown.prompt, text="a third", policy="p")
    rows.add_completions(journal, [third])
    made = Slate(prompt=shown.prompt, completions=(shown.first, shown.second, third.id), source="s")
    assert rankings.add_slates(journal, [made, made]) == 1
    assert rankings.add_slates(journal, [made]) == 0
    return made


def ranking(slate, uid="one", **more):
    given = {"rater": "r0", "ranks": (2, 1, 2), "order": (2, 0, 1), "reasons": ("clear",), "note": "ü", "seconds": 40.0}
    return Ranking(uid=uid, slate=slate.id, **{**given, **more})


def test_a_ranking_is_stored_once_and_comes_back_as_it_was(journal, slate):
    said = ranking(slate)
    assert rankings.add(journal, [said]) == 1
    assert rankings.add(journal, [said]) == 0
    assert rankings.all(journal) == [said]
    assert rankings.slates(journal) == {slate.id: slate}
    assert rankings.slates(journal, ["other"]) == {}
    better = ranking(slate, "two", ranks=(1, 2, 0), supersedes="one")
    assert rankings.add(journal, [better]) == 1
    assert rankings.all(journal) == [better]
    assert rankings.all(journal, current=False) == [said, better]
    assert rankings.next_for(journal, "r0") is None
    assert rankings.next_for(journal, "r1") == slate


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"uid": ""}, "no uid"),
        ({"rater": "nobody"}, "not in the journal"),
        ({"ranks": (1, 2), "order": (0, 1)}, "as long as its slate"),
        ({"seconds": float("nan")}, "no length of time"),
        ({"supersedes": "none"}, "not its own"),
        ({"uid": "one", "note": "other"}, "uid was used before"),
    ],
)
def test_rankings_that_cannot_be_are_refused_and_nothing_is_stored(journal, slate, wrong, match):
    rankings.add(journal, [ranking(slate)])
    with pytest.raises(DataError, match=match):
        rankings.add(journal, [ranking(slate, "fine"), ranking(slate, **{"uid": "two", **wrong})])
    assert len(rankings.all(journal)) == 1


def test_slates_of_other_prompts_are_refused(journal, where, filled):
    one, other = filled(where, 2)
    with pytest.raises(DataError, match="another prompt"):
        rankings.add_slates(journal, [Slate(prompt=one.prompt, completions=(one.first, other.first))])
    for completions in ((one.first,), (one.first, one.first), tuple("abcdefg")):
        with pytest.raises(DataError, match="cannot be ranked"):
            Slate(prompt=one.prompt, completions=completions)
    for ranks, order in (((1, 4, 2), (0, 1, 2)), ((1, 2, 3), (0, 1, 1)), ((-1, 1, 1), (0, 1, 2))):
        with pytest.raises(DataError, match="does not order"):
            Ranking(uid="x", slate="s", rater="r", ranks=ranks, order=order)


def test_an_edit_beats_what_it_was_made_from(journal, where, filled):
    made = filled(where, 8)
    for number, comparison in enumerate(made):
        written = WrittenAnswer(
            uid=f"w{number}", prompt=comparison.prompt, text="much better", rater="r0", original=comparison.first
        )
        shown = demonstrations.add(journal, written)
        assert demonstrations.add(journal, written) == shown
        sides = {side: rows.completions(journal)[getattr(shown, side)] for side in ("first", "second")}
        said = next(j for j in judgements(journal) if j.comparison == shown.id)
        assert (said.rater, sides[said.verdict].text, sides[said.verdict].policy) == ("r0", "much better", "person:r0")
    verdicts = {j.verdict for j in judgements(journal)}
    # 8 edits all on one side: once in 128 projects, and these are always the same.
    assert verdicts == {Verdict.FIRST, Verdict.SECOND}
    assert len(demonstrations.all(journal)) == len(judgements(journal)) == 8


def test_a_new_answer_or_an_unchanged_one_makes_no_comparison(journal, where, filled):
    (comparison,) = filled(where, 1)
    text = rows.completions(journal)[comparison.first].text
    anew = WrittenAnswer(uid="a", prompt=comparison.prompt, text="mine", rater="r0")
    same = WrittenAnswer(uid="b", prompt=comparison.prompt, text=text, rater="r0", original=comparison.first)
    assert demonstrations.add(journal, anew) is None
    assert demonstrations.add(journal, same) is None
    later = replace(anew, uid="c", text="mine, better", supersedes="a")
    demonstrations.add(journal, later)
    assert demonstrations.all(journal) == [same, later]
    assert demonstrations.all(journal, current=False) == [anew, same, later]
    assert judgements(journal) == []


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"uid": ""}, "says nothing"),
        ({"text": "  \n"}, "says nothing"),
        ({"rater": "nobody"}, "not in the journal"),
        ({"prompt": "0" * 16}, "not in the journal"),
        ({"original": "0" * 16}, "not in the journal"),
        ({"uid": "there", "text": "other"}, "uid was used before"),
    ],
)
def test_answers_that_cannot_be_are_refused(journal, where, filled, wrong, match):
    (comparison,) = filled(where, 1)
    there = WrittenAnswer(uid="there", prompt=comparison.prompt, text="t", rater="r0")
    demonstrations.add(journal, there)
    with pytest.raises(DataError, match=match):
        demonstrations.add(journal, replace(there, **{"uid": "new", **wrong}))
    other = Prompt.of("other")
    rows.add_prompts(journal, [other])
    with pytest.raises(DataError, match="another prompt"):
        demonstrations.add(journal, replace(there, uid="new", prompt=other.id, original=comparison.first))
    assert demonstrations.all(journal) == [there]


TEXT = """Intro.

## Be honest
Say so.

```
## no heading
```

## Tone ##
Kind.

## Tone
Twice.
"""


def test_clauses_are_the_sections_of_a_guideline():
    found = clauses(TEXT)
    assert [(c.id, c.title) for c in found] == [("be-honest", "Be honest"), ("tone", "Tone"), ("tone-2", "Tone")]
    assert found[0].text == "Say so.\n\n```\n## no heading\n```"
    assert changed(TEXT, TEXT) == ()
    assert changed(TEXT, TEXT.replace("Kind.", "Kinder.")) == ("tone",)
    assert changed(TEXT, "## Be honest\nAlways.\n\n## New\nx\n") == ("be-honest", "new", "tone", "tone-2")


def test_versions_of_the_guideline(journal):
    assert guidelines.current(journal) is None
    one = guidelines.add(journal, TEXT, author="ada")
    two = guidelines.add(journal, TEXT + "\nMore.\n", parent=one.id)
    assert (one.number, two.number, two.parent) == (1, 2, one.id)
    assert guidelines.add(journal, TEXT, author="eve") == one
    assert guidelines.all(journal) == [one, two]
    for version in (one, two, one):
        guidelines.put_in_force(journal, version.id, actor="ada")
        assert guidelines.current(journal) == version
    assert [entry.guideline for entry in guidelines.history(journal)] == [one.id, two.id, one.id]
    with pytest.raises(DataError):
        guidelines.put_in_force(journal, "none")
    with pytest.raises(DataError):
        guidelines.add(journal, "x", parent="none")


def test_check_items_and_passes(journal, where, filled):
    one, other = filled(where, 2)
    item = CheckItem(comparison=one.id, expected=Verdict.SECOND, explanation="it is wrong", clause="tone", author="ada")
    check_items.add(journal, item)
    assert check_items.all(journal) == [item]
    better = replace(item, expected=Verdict.TIE)
    check_items.add(journal, better)
    assert check_items.all(journal) == [better]
    with pytest.raises(DataError, match="no answer"):
        CheckItem(comparison=other.id, expected=Verdict.SKIP)
    with pytest.raises(DataError, match="not in the journal"):
        check_items.add(journal, replace(item, comparison="0" * 16))
    first = onboarding.add(journal, "r0", guideline="g", correct=8, of=12, passed=False)
    second = onboarding.add(journal, "r0", guideline="g", correct=11, of=12, passed=True)
    assert onboarding.of(journal, "r0") == [first, second]
    assert onboarding.of(journal, "r1") == []
    with pytest.raises(DataError):
        onboarding.add(journal, "nobody", guideline="g", correct=1, of=1, passed=True)
