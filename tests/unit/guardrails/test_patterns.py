"""Patterns find what Python's own engine finds, and no text can keep them busy."""

import random
import re
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from palate.core.errors import ConfigError, DataError
from palate.guardrails import automaton
from palate.guardrails.patterns import compiled

_SINGLE = st.sampled_from(
    ["a", "b", "c", ".", r"\w", r"\d", r"\s", "[ab]", "[^a]", "[a-c1]", r"\b", "^", "$", r"[\d_]"]
)
_COUNT = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{1,}", "*?", "+?"])
_PATTERN = st.recursive(
    _SINGLE,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, _COUNT).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=8,
)
_TEXT = st.text("abc1_ \n.", min_size=1, max_size=10)


@settings(max_examples=80)
@given(_PATTERN, st.lists(_TEXT, min_size=1, max_size=8))
def test_the_same_is_found_as_by_an_engine_that_tries(pattern, texts):
    try:
        ours = compiled(pattern)
    except ConfigError:
        assume(False)
    theirs = re.compile(pattern, re.MULTILINE)
    for text in texts:
        assert ours.search(text).found == bool(theirs.search(text)), (pattern, text)


# Patterns that find nothing and wait for nothing are rare; forty of them are looked for all the same.
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(_PATTERN, _TEXT, _TEXT)
def test_what_is_not_open_is_not_completed_by_what_follows(pattern, text, more):
    """Sending a part that is not open gives nothing of a later match away."""
    try:
        ours = compiled(pattern)
    except ConfigError:
        assume(False)
    searched = ours.search(text)
    assume(not searched.found and not searched.open)
    theirs = re.compile(pattern, re.MULTILINE)
    found = theirs.search(text + more)
    assert found is None or found.start() >= len(text) or found.start() == found.end()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+$b", "a" * 100_000),
        (r"(a|a)*b", "a" * 100_000),
        (r"(.*)*x", "y" * 100_000),
        (r"how .{0,60}bomb", "how to " * 14_000),
        (r"\w+\s*\w+\s*\w+\s*\d", "word " * 20_000),
    ],
)
def test_no_text_keeps_a_pattern_busy(pattern, text):
    begun = time.perf_counter()
    assert not compiled(pattern).search(text).found
    assert time.perf_counter() - begun < 3


def test_a_search_that_would_need_too_much_is_given_up(monkeypatch):
    monkeypatch.setattr(automaton, "_WORK", 20_000)
    choices = "".join(random.Random(0).choices("ab", k=5_000))
    with pytest.raises(DataError, match="given up"):
        compiled("(a|b)*a(a|b){300}c").search(choices)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "not known here"),
        ("(?=a)b", "looks around"),
        ("(?P<n>a)", "looks around"),
        ("(a", "without its `)`"),
        ("a)", "without its `(`"),
        ("[a", "without its `]`"),
        ("*a", "could be repeated"),
        ("a{2,1}", "allows nothing"),
        ("a{x}", "begins no count"),
        ("((a{90}){90}){90}", "counts multiply"),
        ("(" * 100 + "a" + ")" * 100, "without end"),
        ("a*", "fits every text"),
        ("", "fits every text"),
        ("a\\", "not known here"),
    ],
)
def test_what_cannot_be_searched_for_in_linear_time_is_refused(pattern, why):
    with pytest.raises(ConfigError, match=re.escape(why)):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("Fake an INVOICE", "how to fake an invoice", True),
        ("fake an", "fake\nan", True),
        ("пароль", "napoлb", True),  # folded as texts are
        (r"\$\d+", "it costs $20", True),
        (r"[A-Z]{3}", "abc", True),
        (r"\bcat\b", "concatenate", False),
        (r"^to fake", "first\nto fake", True),
        (r"^to fake", "how to fake", False),
    ],
)
def test_patterns_are_folded_as_texts_are(pattern, text, found):
    assert compiled(pattern).search(text).found is found
