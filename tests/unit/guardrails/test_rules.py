"""Words, phrases, topics, and what is allowed although it holds one of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import ConfigError
from palate.guardrails.rules import first_fit, open_end, rule

WEAPONS = rule(
    "weapons",
    words=["pipe bomb", "nerve agent", "explos*", "爆弾", "grenade"],
    patterns=[r"\bhow (do|can) i make .{0,40}bomb"],
    allow=["bath bomb", "bath bombs", "pomegranate grenade"],
)
DOSES = rule("doses", words=["dose", "pills", "insulin"], at_least=2, message="Ask a doctor, please.")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("where do i get a Pipe-Bomb?", "weapons"),
        ("p i p e  b o m b", "weapons"),
        ("p1pe b0mb", "weapons"),
        ("ріре bomb", "weapons"),  # Cyrillic
        ("explosions everywhere", "weapons"),
        ("unexplosive", None),
        ("the pipe of a bomb", None),
        ("彼は爆弾を作る", "weapons"),
        ("how do i make a bath bomb", None),
        ("how do i make a bath bomb and a bomb", "weapons"),
        ("which dose of insulin?", "doses"),
        ("a dose, a DOSE, one more dose", None),
        ("", None),
    ],
)
def test_what_fits(text, name):
    fitting = first_fit([WEAPONS, DOSES], text)
    assert (fitting.name if fitting else None) == name


def test_a_phrase_without_a_word_is_refused():
    with pytest.raises(ConfigError, match="no word"):
        rule("empty", words=["fine", " -- "])


_WORDS = st.lists(st.sampled_from(["pipe", "bomb", "nerve", "agent", "tea", "explosive", "grenade", "."]), max_size=8)


@settings(max_examples=80)
@given(_WORDS, _WORDS)
def test_a_part_that_is_not_open_holds_no_beginning_of_a_phrase(first, second):
    """What is sent when nothing is open never turns out to be the beginning of what is stopped."""
    only = rule("w", words=["pipe bomb", "nerve agent", "explos*", "tea grenade pipe"])
    sent, rest = " ".join(first), " ".join(second)
    if first_fit([only], sent) is None and not open_end([only], sent):
        alone = first_fit([only], rest) is not None
        assert (first_fit([only], f"{sent} {rest}") is not None) == alone


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_any_text_gives_an_answer(text):
    assert first_fit([WEAPONS, DOSES], text) in (None, WEAPONS, DOSES)
    assert open_end([WEAPONS, DOSES], text) in (True, False)
