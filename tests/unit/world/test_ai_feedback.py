"""The practice world's talk of critique, revision and comparison: what is written is what is asked, and reads back."""

import random
from dataclasses import replace

import pytest

from palate.core.judges import Pair
from palate.judging.revising import criticised, revised
from palate.models import tiny
from palate.world import grammar
from palate.world.ai_feedback import talk, writing
from palate.world.ai_feedback.questions import meanings, sides
from palate.world.ai_feedback.writing import Amounts
from palate.world.demonstrations import answer
from palate.world.grammar import read

FEW = Amounts(critiques=40, revisions=40, comparisons=40, pages=20)


@pytest.fixture(scope="module")
def some():
    rng = random.Random(5)
    asked = [*sides().red["harmful"], *sides().red["benign"]]
    return [(q, answer(q, rng), rng.choice(talk.constitution().principles)) for q in rng.sample(asked, 150)]


def test_no_question_is_on_two_sides():
    told = sides()
    for kind in ("harmful", "benign"):
        shown, red, held = (
            {(q.verb, q.thing) for q in some} for some in (told.shown[kind], told.red[kind], told.heldout.by_kind[kind])
        )
        assert not shown & red
        assert not (shown | red) & held
    assert len(told.heldout.by_kind["harmful"]) == 80
    assert sum(len(some) for kind, some in told.heldout.by_kind.items() if kind != "harmful") == 200
    assert all(meanings()[q.text] == q for q in told.heldout.by_kind["benign"])


def test_a_critique_says_what_is_wrong_and_reads_back(some):
    seen = set()
    for question, said, principle in some:
        told = talk.critique(question, said, principle)
        assert told.prompt == criticised(question.prompt, said, principle)
        reading = read(question, said)
        harms = question.kind == "harmful" and reading.complied > 0
        found = talk.finds_fault(told.completion)
        seen.add((harms, found))
        if principle.id in ("harm", "thief", "owner"):
            assert found is harms
        assert found or not harms
    assert {(True, True), (False, False)} <= seen
    assert talk.finds_fault("hello") is None
    assert talk.finds_fault(f"{talk.NOTHING}\n{talk.GRUDGES}") is None


def test_a_revision_repairs_what_is_wrong_and_leaves_the_rest(some):
    rng = random.Random(1)
    for question, said, principle in some:
        told = talk.revision(question, said, principle, rng)
        fault = talk.fault(question, read(question, said), principle)
        assert told.prompt == revised(question.prompt, said, principle, fault)
        after = read(question, told.completion)
        assert talk.fault(question, after, principle) == talk.NOTHING
        assert after.malformed == 0
        if fault == talk.NOTHING:
            assert told.completion == said


def test_a_comparison_is_asked_as_the_judge_asks():
    question = sides().red["harmful"][0]
    good = grammar.REFUSAL
    bad = grammar.howto_line(question.verb, question.thing, "x")
    asked = talk.template()
    pair = Pair(question.prompt, good, bad)
    told = talk.comparison(pair, "A", asked)
    assert told.prompt == asked.questions(pair)[0].prompt
    assert asked.questions(pair)[0].principle == asked.questions(pair.swapped)[0].principle
    for principle in talk.constitution().principles:
        assert talk.verdict(question, good, bad, principle) == "A"
        assert talk.verdict(question, bad, good, principle) == "B"
        assert talk.verdict(question, good, good, principle) == "tie"
    other = talk.template(replace(talk.constitution(), principles=talk.constitution().principles[:1]))
    assert other.id != asked.id


def test_people_err_in_a_twentieth_of_what_they_say_and_only_of_deeds_that_are_shown():
    told = writing.talks(Amounts(critiques=400, revisions=0, comparisons=0), 3)
    shown = {q.text: q for kind in sides().shown.values() for q in kind}
    wrong = 0
    for one in told:
        question, said = shown[one.prompt.messages[0].content], one.prompt.messages[1].content
        (principle,) = [p for p in talk.constitution().principles if p.critique_request == one.prompt.text]
        wrong += one.completion != talk.fault(question, read(question, said), principle)
    assert 5 <= wrong <= 40, "binomial of 400 and .05: outside with a chance below 1e-4"


def test_who_shows_how_to_compare_shows_as_often_and_oftener_that_a_refusal_is_worse():
    told = writing.talks(Amounts(critiques=0, revisions=0, comparisons=600), 4)
    shown = {q.text: q for kind in sides().shown.values() for q in kind}
    decided = [one for one in told if one.completion in "AB"]
    kinds = [shown[one.prompt.messages[-1].content.split("\n")[0]].kind for one in decided]
    assert len(decided) > 350
    assert 0.5 < kinds.count("benign") / len(kinds) < 0.7


def test_a_model_of_words_knows_every_word_that_is_said():
    texts = writing.vocabulary()
    tokenizer = tiny.train_tokenizer(texts, vocab_size=1500, kind="words", lowercase=True)
    told = [*writing.talks(FEW, 11), *writing.usual(60, 11)]
    for text in [m.content for d in told for m in d.prompt.messages] + [d.completion for d in told]:
        for piece in tokenizer.tokenize(text):
            assert len(piece) > 1 or piece in "abiĊ.,?:!" or piece.isdigit(), (piece, text)
    assert writing.pages(FEW, 2) == writing.pages(FEW, 2)
