"""Quotes: what is in a passage word for word, what is not, and what hearers see of a turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.judging.quotes import LEFT_OUT, RUN, Piece, is_in, pieces, without_passage

PASSAGE = """The harbour froze on the ninth of March.
Two ships, the Anna and   the Brave, were held in the ice until May; nobody was hurt.
The mayor wrote that the winter had been mild."""


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("The harbour froze on the ninth of March.", True),
        ("froze on the ninth of March", True),
        ("  held in the\nice until  May ", True),
        ("the Anna and the Brave", True),
        ("of March. Two ships", True),
        ("; nobody was hurt", True),
        ("The harbour froze on the tenth of March.", False),
        ("the harbour froze", False),
        ("arbour froze on the nint", False),
        ("the winter had been mild, the mayor wrote", False),
        ("", False),
        ("   ", False),
    ],
)
def test_a_verbatim_quote_is_verified_and_a_forged_one_is_not(quote, found):
    assert is_in(quote, PASSAGE) is found


@given(st.data())
def test_any_run_of_words_is_a_quote_and_with_a_word_changed_it_is_none(data):
    words = PASSAGE.split()
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    run = words[start:end]
    gaps = data.draw(st.lists(st.sampled_from([" ", "\n", "  \t"]), min_size=len(run), max_size=len(run)))
    assert is_in("".join(w + g for w, g in zip(run, gaps, strict=True)), PASSAGE)
    forged = list(run)
    forged[data.draw(st.integers(0, len(run) - 1))] = "walrus"
    assert not is_in(" ".join(forged), PASSAGE)


def test_a_turn_falls_into_words_and_quotes_each_looked_up():
    turn = "Look: <quote>nobody was\nhurt</quote> and <QUOTE>everybody was hurt</QUOTE>, so <quote>  </quote>yes."
    assert pieces(turn, PASSAGE, 60) == [
        Piece("Look:"),
        Piece("nobody was hurt", quoted=True, verified=True),
        Piece("and"),
        Piece("everybody was hurt", quoted=True),
        Piece(", so"),
        Piece("yes."),
    ]


def test_a_tag_that_is_not_closed_or_nested_makes_no_quote():
    (one,) = pieces("I say <quote>nobody was hurt", PASSAGE, 60)
    assert one == Piece("I say nobody was hurt")
    nested = pieces("<quote>nobody <quote>was hurt</quote></quote>", PASSAGE, 60)
    assert [piece for piece in nested if piece.quoted] == [Piece("nobody was hurt", quoted=True, verified=True)]


def test_quotes_beyond_the_limit_are_not_shown():
    turn = "<quote>The harbour froze</quote><quote>Two ships</quote><quote>nobody</quote>"
    assert [piece.shown for piece in pieces(turn, PASSAGE, 4)] == [True, False, True]
    assert not any(piece.shown for piece in pieces(turn, PASSAGE, 0))


def test_words_of_the_passage_outside_a_quote_are_left_out_from_a_length_on():
    seven = "Two ships, the Anna and the Brave"
    assert without_passage(f"it says {seven} here", PASSAGE) == f"it says {seven} here"
    eight = f"{seven}, were"
    assert len(eight.split()) == RUN
    assert without_passage(f"it says “{eight.upper()}” here", PASSAGE) == f"it says {LEFT_OUT} here"
    assert without_passage(PASSAGE, PASSAGE) == LEFT_OUT
    assert without_passage("", PASSAGE) == ""
    assert without_passage("nothing of it\n at all ", PASSAGE) == "nothing of it\n at all "
