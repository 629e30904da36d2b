"""What models say of comparisons: each order once, a verdict when both are there, and no place in people's queue."""

import pytest

from palate.core.errors import DataError
from palate.core.records import Verdict
from palate.store import erasure, judgements, opinions, queue, rows
from palate.store.opinions import AIJudge, Said
from palate.store.queue import QueuePolicy

WHO = AIJudge(name="a model", model="folder-1", template="pairwise-1", template_id="t1")


@pytest.fixture
def made(where, filled):
    return filled(where, 4)


@pytest.fixture
def judge(journal):
    return opinions.enrol(journal, WHO)


def said(comparison, swapped, p, **more):
    return Said(comparison=comparison.id, swapped=swapped, p_first=p, **more)


def verdicts(journal):
    return {j.comparison: j.verdict for j in judgements.judgements(journal) if j.task == "model"}


def test_a_judge_is_its_model_and_its_words(journal, judge):
    assert opinions.enrol(journal, WHO) == judge
    assert rows.raters(journal)[judge].kind == "model"
    assert opinions.judges(journal)[judge] == WHO
    others = (AIJudge(name="a model", model="folder-2", template_id="t1"), AIJudge(name="b", model="folder-1"))
    assert len({judge, *(other.rater for other in others)}) == 3


def test_a_verdict_is_the_mean_of_both_orders_and_waits_for_both(journal, judge, made):
    one, two, three = made[:3]
    opinions.add(journal, judge, [said(one, False, 0.9), said(two, False, 0.9), said(three, False, 0.3)])
    assert verdicts(journal) == {}
    opinions.add(journal, judge, [said(one, True, 0.4), said(two, True, 0.12), said(three, True, None, why="cut off")])
    # (.9 + .4) / 2 = .65; (.9 + .12) / 2 = .51 is too near to a half: it liked whatever stood first.
    assert verdicts(journal) == {one.id: Verdict.FIRST, two.id: Verdict.TIE, three.id: Verdict.SKIP}
    (note,) = [j.note for j in judgements.judgements(journal) if j.comparison == three.id and j.rater == judge]
    assert note == "cut off"


def test_said_again_changes_nothing(journal, judge, made):
    rows_ = [said(made[0], swapped, 0.8) for swapped in (False, True)]
    assert opinions.add(journal, judge, rows_) == 2
    assert opinions.add(journal, judge, [said(made[0], True, 0.1)]) == 0
    assert [one.p_first for one in opinions.opinions(journal, judge)[made[0].id]] == [0.8, 0.8]
    assert verdicts(journal) == {made[0].id: Verdict.FIRST}


def test_what_waits_is_what_was_not_said(journal, judge, made):
    opinions.add(journal, judge, [said(made[0], False, 0.8), said(made[1], False, 0.8), said(made[1], True, 0.8)])
    left = opinions.left(journal, judge)
    waiting = list(opinions.waiting(journal, left))
    assert {one.comparison: one.orders for one in waiting} == {
        made[0].id: (True,),
        **{one.id: (False, True) for one in made[2:]},
    }
    assert left.questions == 1 + 2 * len(made[2:])
    assert list(opinions.waiting(journal, left.first(1))) == waiting[:1]
    (first,) = [one for one in waiting if one.comparison == made[0].id]
    texts = rows.completions(journal)
    assert (first.pair.first, first.pair.second) == (texts[made[0].first].text, texts[made[0].second].text)
    assert opinions.left(journal, judge, ["no such source"]).questions == 0
    one_order = opinions.left(journal, judge, orders=[False])
    assert [one.comparison for one in opinions.waiting(journal, one_order)] == [one.id for one in made[2:]]
    assert opinions.counts(journal) == {judge: 2}


def test_more_than_a_page_of_them_is_waiting_in_their_order(journal, judge, made, monkeypatch):
    monkeypatch.setattr(opinions, "_PAGE", 3)
    assert [one.comparison for one in opinions.waiting(journal, opinions.left(journal, judge))] == [c.id for c in made]


def test_it_takes_no_place_in_the_queue(journal, judge, made):
    queue.enqueue(journal, made, wanted=1)
    opinions.add(journal, judge, [said(one, swapped, 0.9) for one in made for swapped in (False, True)])
    rows.add_raters(journal, [rows.Rater("somebody")])
    assert len(queue.take(journal, "somebody", len(made), policy=QueuePolicy())) == len(made)


def test_nonsense_is_refused_and_nothing_of_it_stored(journal, judge, made):
    for bad, words in (
        ([said(made[0], False, 0.5), said(made[1], False, 1.5)], "no probability"),
        ([said(made[0], False, 0.5), Said(comparison="nowhere", swapped=False, p_first=0.5)], "not in the journal"),
    ):
        with pytest.raises(DataError, match=words):
            opinions.add(journal, judge, bad)
    with pytest.raises(DataError):
        opinions.add(journal, "model-nobody", [said(made[0], False, 0.5)])
    assert opinions.opinions(journal, judge) == {}


def test_who_is_forgotten_takes_what_was_said_of_their_texts_along(journal, judge, made):
    opinions.add(journal, judge, [said(one, swapped, 0.9) for one in made for swapped in (False, True)])
    erasure.forget(journal, judge)
    assert opinions.judges(journal) == {}
    assert verdicts(journal) == {}
