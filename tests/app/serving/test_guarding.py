"""Answers under guard: what comes out of them, event by event, without a model."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guarded
from palate.guardrails import loading
from palate.serving.answering import Growing
from palate.serving.guarding import Guarded, question
from palate.serving.orders import Chosen, Ended, Order, Piece, Started


@pytest.fixture(scope="module", params=["sentences", "whole"])
def guard(request, tmp_path_factory):
    return loading.load(guarded.file(tmp_path_factory.mktemp("rails"), request.param))


def run(guard, events, n=1, asked="hello"):
    """What is sent, what is collected, and how many events of the model's were waited for."""
    read, closed = [], []

    async def rest():
        try:
            for event in events:
                read.append(event)
                yield event
        finally:
            closed.append(True)

    async def go():
        order = Order(id="o", policy="p", messages=(("user", asked),), n=n)
        made = Guarded(guard, None, order, Growing(Started(3, 9), rest(), n))
        sent = [event async for event in made.events()]
        return sent, made.collected

    sent, collected = asyncio.run(go())
    assert closed
    return sent, collected, len(read)


def pieces(text, choice=0, size=4):
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    return [Piece(choice, part, (Chosen(part, -1.0),)) for part in parts]


def told(sent, choice=0):
    return "".join(event.text for event in sent if isinstance(event, Piece) and event.choice == choice)


def test_what_passes_comes_out_as_it_was_with_its_log_probs(guard):
    text = "one thing. another thing! the end"
    sent, said, _ = run(guard, [*pieces(text), Ended(0, "stop", 8)])
    assert told(sent) == text == said.texts[0]
    assert "".join(one.text for one in said.chosen[0]) == text
    assert (said.reasons, said.tokens, said.decisions, said.withheld) == (["stop"], [8], {}, {})
    assert isinstance(sent[0], Started)
    assert len(sent) > 3 if guard.holds_sentences else len(sent) == 3


def test_what_is_stopped_never_leaves(guard):
    text = "it is red. the secret code is tango. bye now. all of this is long enough. really."
    sent, said, read = run(guard, [*pieces(text), Ended(0, "stop", 20)])
    expected = "it is red.\n\nI stop here." if guard.holds_sentences else "I stop here."
    assert told(sent) == said.texts[0] == expected
    assert said.reasons == ["content_filter"]
    assert "secret" not in "".join(one.text for one in said.chosen[0])
    assert said.withheld[0].startswith("it is red. the secret code is tango.")
    assert said.decisions[0].marks[0].rule == "codes"
    # What nobody will read is not waited for.
    assert (read < len(pieces(text))) == guard.holds_sentences


def test_a_correction_is_sent_in_place_of_what_was_written(guard):
    sent, said, _ = run(guard, [*pieces(guarded.SAID[guarded.WRONG]), Ended(0, "length", 5)])
    assert told(sent) == said.texts[0] == guarded.RIGHT
    assert said.reasons == ["length"]
    assert said.decisions[0].action == "change"
    assert said.withheld[0] == guarded.SAID[guarded.WRONG]
    assert "cooking" not in "".join(one.text for one in said.chosen[0])


def test_answers_side_by_side_are_looked_at_one_by_one(guard):
    bad, good = pieces("a. the secret code is x. b."), pieces("fine. all is fine.", choice=1)
    mixed = [piece for pair in zip(bad, good, strict=False) for piece in pair] + bad[len(good) :]
    sent, said, _ = run(guard, [*mixed, Ended(0, "stop", 4), Ended(1, "stop", 5)], n=2)
    assert said.texts[1] == told(sent, 1) == "fine. all is fine."
    assert said.reasons == ["content_filter", "stop"]
    assert told(sent).endswith("I stop here.")
    assert sum(isinstance(event, Ended) for event in sent) == 2


def test_a_stopped_question_gets_the_message_and_no_model(guard):
    order = Order(id="o", policy="p", messages=(("user", "a p1pe bomb"),), n=2)

    async def go():
        return await (await question(guard, order)).whole()

    said = asyncio.run(go())
    assert said.texts == ["I can't help with that."] * 2
    assert said.reasons == ["content_filter"] * 2
    assert said.tokens == [0, 0]
    assert {one.side for one in said.decisions.values()} == {"input"}


_TEXT = st.lists(
    st.sampled_from(
        ["secret ", "code", "word. ", "figma is used for cooking", "tofu is used for tea. ", "a. ", "\n", "b"]
    ),
    max_size=10,
).map("".join)


@settings(max_examples=40)
@given(_TEXT, st.integers(1, 9))
def test_what_is_streamed_is_what_is_stored(guard, text, size):
    sent, said, _ = run(guard, [*pieces(text, size=size), Ended(0, "stop", 3)])
    assert told(sent) == said.texts[0]
    assert said.reasons[0] in ("stop", "content_filter")
    assert not re.search(r"\bsecret code", said.texts[0])
    assert not said.chosen[0] or "".join(one.text for one in said.chosen[0]) in text
