"""What a judge and people said of the same comparisons: counted in the database as it is counted by hand."""

import random
from dataclasses import replace

import pytest

from palate.core.records import Judgement, Rater, Verdict
from palate.preferences.voices import by_comparison
from palate.store import beside, judgements, opinions, rows
from palate.store.opinions import AIJudge, Said


@pytest.fixture
def judge(journal, where, filled):
    """Two judges, and people who judge again, correct themselves, skip, and like neither."""
    made = filled(where, 30)
    draw = random.Random(0)
    rows.add_raters(journal, [Rater("imported", kind="import")])
    said = [
        Judgement(uid=f"u{n}", comparison=draw.choice(made).id, rater=rater, verdict=draw.choice(list(Verdict)))
        for n, rater in enumerate(draw.choices(["r0", "r1", "r2", "imported"], k=150))
    ]
    judgements.judge(journal, said)
    for one in draw.sample(said, 30):
        judgements.judge(journal, [replace(one, uid=f"{one.uid} again", verdict=Verdict.FIRST, supersedes=one.uid)])
    names = []
    for name in ("judge", "another"):
        names.append(opinions.enrol(journal, AIJudge(name=name, model=name)))
        told = []
        for number, one in enumerate(made[:25]):
            both = [draw.random(), draw.random() if number % 6 else None]
            told += [
                Said(comparison=one.id, swapped=swapped, p_first=p, principle=f"p{number % 3}")
                for swapped, p in zip((False, True), both, strict=True)
            ]
        opinions.add(journal, names[-1], told)
    return names[0]


def test_it_is_what_it_would_be_by_hand(journal, judge):
    kinds = {id: one.kind for id, one in rows.raters(journal).items()}
    told = judgements.judgements(journal)
    own = {j.comparison: j.verdict for j in told if j.rater == judge}
    voices = by_comparison([j for j in told if kinds[j.rater] != "model"])
    said, texts = opinions.opinions(journal, judge), rows.completions(journal)
    expected = []
    for one in rows.comparisons(journal):
        if one.id not in voices or own.get(one.id, Verdict.SKIP) is Verdict.SKIP:
            continue
        votes = [j.verdict for j in voices[one.id]]
        shown = [1 - o.p_first if o.swapped else o.p_first for o in said[one.id]]
        expected.append(
            beside.Beside(
                prompt=one.prompt,
                kind=rows.prompts(journal)[one.prompt].kind,
                verdict=own[one.id],
                first=votes.count(Verdict.FIRST),
                second=votes.count(Verdict.SECOND),
                tie=votes.count(Verdict.TIE),
                shown_first=pytest.approx(sum(shown) / 2),
                gap=len(texts[one.first].text) - len(texts[one.second].text),
                principle=said[one.id][0].principle,
            )
        )
    assert 5 < len(expected) < 25
    assert list(beside.beside(journal, judge)) == expected
    silent = sum(verdict is Verdict.SKIP for verdict in own.values())
    assert silent == 5
    assert beside.judged(journal, judge) == (len(own) - silent, silent)


def test_one_order_says_nothing_of_what_is_shown_first(journal, where, filled):
    (one,) = filled(where, 1)
    who = opinions.enrol(journal, AIJudge(name="reward", model="r"))
    opinions.add(journal, who, [Said(comparison=one.id, swapped=False, p_first=0.9)], orders=(False,))
    assert list(beside.beside(journal, who)) == []
    judgements.judge(journal, [Judgement(uid="u", comparison=one.id, rater="r0", verdict=Verdict.TIE)])
    (found,) = beside.beside(journal, who)
    assert (found.verdict, found.tie, found.shown_first) == (Verdict.FIRST, 1, None)
