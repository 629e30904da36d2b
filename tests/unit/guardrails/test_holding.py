"""What is held back, and what is let through while an answer is still being written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.records import Message
from palate.guardrails import loading
from palate.guardrails.folding import readings
from palate.guardrails.holding import Held
from palate.guardrails.rules import words_of

FILE = """
version = 1
[output]
stream = "sentences"
message = "No."
[[output.rules]]
name = "phrases"
words = ["pipe bomb", "first then light it", "secret*"]
patterns = ['\\bmix .{0,30}bleach']
[output.grounding]
facts = "facts.jsonl"
wrong = "correct"
unknown = "annotate"
[[output.grounding.claims]]
relation = "used for"
says = ["{entity} is used for {value}"]
"""
PHRASES = (("pipe", "bomb"), ("first", "then", "light", "it"))


@pytest.fixture(scope="module", params=["sentences", "whole"])
def guard(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("held")
    facts = [{"entity": "figma", "relation": "used for", "value": "drawing"}]
    facts += [{"entity": "python", "relation": "used for", "value": "programs"}]
    (folder / "facts.jsonl").write_text("\n".join(map(json.dumps, facts)))
    (folder / "guardrails.toml").write_text(FILE.replace('"sentences"', f'"{request.param}"'))
    return loading.load(folder / "guardrails.toml")


def stream(guard, pieces):
    held, sent = Held(guard, [Message("user", "hello")]), []
    for piece in pieces:
        if held.add(piece):
            sent.append(held.look())
        if held.decision:
            return held, sent
    return held, [*sent, held.end()]


_PIECE = st.sampled_from(
    [
        *("a ", "pipe", "bomb", "b", " ", ". ", "\n", "first", "then", "light it", "secrets", "mix", "bleach", "tea"),
        *("! ", "figma is used for programs", "python is used for tea", "p i p e", "\u200b", "."),
    ]
)


@settings(max_examples=60)
@given(st.lists(_PIECE, max_size=12))
def test_what_was_sent_is_a_beginning_of_what_is_shown_in_the_end(guard, pieces):
    held, sent = stream(guard, pieces)
    raw = "".join(pieces)
    assert "".join(sent) == held.sent
    whole = guard.look_at_answer(held.messages, raw)
    if held.decision.blocked:
        assert held.sent.endswith("No.")
        assert whole.blocked or guard.look_at_answer(held.messages, held.raw).blocked
    else:
        assert held.sent == whole.text
    if not guard.holds_sentences:
        assert len([one for one in sent if one]) <= 1


@settings(max_examples=60)
@given(st.lists(_PIECE, max_size=12))
def test_no_part_of_a_phrase_that_is_stopped_is_ever_sent(guard, pieces):
    held, _ = stream(guard, pieces)
    if not held.decision.blocked:
        return
    shown = held.sent.removesuffix("No.")
    for reading in readings(shown):
        words = [word.text for word in words_of(reading)]
        # A word of a phrase may stand by itself, but never where the phrase went on.
        for phrase in PHRASES:
            end = next((size for size in range(len(phrase) - 1, 0, -1) if tuple(words[-size:]) == phrase[:size]), 0)
            assert not end, (held.raw, shown)
        assert not any(word.startswith("secret") for word in words)


def test_sentences_go_out_as_they_pass(guard):
    held, sent = stream(
        guard, ["Hello", " there. ", "Figma is used for programs.", "\nA pipe", "\nbomb is", " a thing."]
    )
    if guard.holds_sentences:
        assert [one for one in sent if one] == ["Hello there.", " Figma is used for drawing.\n", "\n\nNo."]
        assert held.raw.endswith("bomb is a thing.") or held.decision.blocked
    else:
        assert sent == ["No."]
    assert held.decision.marks[-1].rule == "phrases"


def test_a_pattern_that_has_begun_holds_back_what_could_complete_it(guard):
    held, sent = stream(
        guard, ["Tea is good. ", "Now mix it well! ", "Very well. ", "All of it, for a long long time.\n", "x"]
    )
    assert held.sent == "Tea is good. Now mix it well! Very well. All of it, for a long long time.\nx"
    if guard.holds_sentences:
        # `mix` could be followed by `bleach` for another 30 characters.
        assert next(one for one in sent if one) == "Tea is good."
        assert "Now mix" not in "".join(sent[:3])


@pytest.mark.parametrize(
    "pieces", [["Take a pipe. ", "Bomb. "], ["First. ", "Then. ", "Light it."], ["b. ", "o. ", "m"]]
)
def test_a_phrase_that_goes_on_behind_a_full_stop_is_not_begun(guard, pieces):
    held, sent = stream(guard, pieces)
    assert held.decision.blocked == (pieces[0] != "b. ")
    assert "".join(sent[:-1]) == ""
