import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import DataError
from palate.core.records import Message, Prompt, Verdict
from palate.formats import read
from palate.formats.hh import transcript

MARKERS = ("\n\nHuman:", "\n\nAssistant:")


def said(*turns):
    """A transcript: turns alternate, and the user begins."""
    return "".join(f"\n\n{'Assistant' if i % 2 else 'Human'}: {text}" for i, text in enumerate(turns))


def row(prompt, chosen, rejected):
    return {"chosen": said(*prompt, chosen), "rejected": said(*prompt, rejected)}


def chosen_of(pair):
    return pair.first if pair.verdict is Verdict.FIRST else pair.second


def rejected_of(pair):
    return pair.second if pair.verdict is Verdict.FIRST else pair.first


def test_the_common_turns_are_the_prompt_and_the_last_ones_the_completions(take):
    found = take(row(["hi", "hello\n\nyou", "why?"], "because", "no"))
    assert found.shape == "hh"
    (pair,) = found.pairs
    assert pair.prompt == Prompt((Message("user", "hi"), Message("assistant", "hello\n\nyou"), Message("user", "why?")))
    assert {pair.first, pair.second} == {"because", "no"}
    assert chosen_of(pair) == "because"
    assert (pair.where, pair.row, pair.rater) == ("rows.jsonl:1", 1, None)
    assert found.lost == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(["hi"], "", "no"), "the chosen completion is empty"),
        (row(["hi"], "yes", "  "), "the rejected completion is empty"),
        (row(["hi"], "same", "same "), "the two completions are the same"),
        (row(["  "], "yes", "no"), "the prompt is empty"),
        (
            {"chosen": said("hi", "a", "b", "c"), "rejected": said("hi", "c")},
            "the two conversations differ in their number of turns; found 4 and 2",
        ),
        (
            {"chosen": said("hi", "a"), "rejected": said("ho", "b")},
            "the two conversations differ before their last turn, at turn 1",
        ),
        (
            {"chosen": said("hi", "a", "b"), "rejected": said("hi", "a", "c")},
            "chosen does not end with a turn by the assistant; found a turn by the user",
        ),
        ({"chosen": said("hi", "a"), "rejected": 7}, "rejected is not a text; found `7`"),
        (
            {"chosen": "hello there", "rejected": "x"},
            "chosen does not begin with `Human:`; found `hello there`",
        ),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_reason(take, bad, reason):
    good = row(["q"], "a", "b")
    found = take(good, bad, good)
    assert [pair.where for pair in found.pairs] == ["rows.jsonl:1", "rows.jsonl:3"]
    (refusal,) = found.refused
    assert refusal.where == "rows.jsonl:2"
    assert refusal.reason == reason
    assert refusal.excerpt.startswith("{")
    assert found.rows == 3


def test_a_marker_inside_a_completion_is_refused_and_never_cut(take):
    sneaky = row(["q"], "yes\n\nHuman: and now?", "no")
    more = row(["q"], "yes\n\nHuman: and now?\n\nAssistant: more", "no")
    found = take(row(["q"], "a", "b"), row(["r"], "a", "b"), row(["s"], "a", "b"), sneaky, more)
    assert [refusal.where for refusal in found.refused] == ["rows.jsonl:4", "rows.jsonl:5"]


def test_two_answers_in_a_row_do_not_make_a_prompt(take):
    common = said("q", "a") + "\n\nAssistant: "
    found = take(row(["q"], "a", "b"), {"chosen": common + "one", "rejected": common + "two"})
    assert found.refused[0].reason.startswith("the prompt does not wait for the assistant")


def test_gzip(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(row(["q"], "a", "b")) + "\n").encode()))
    found = read(path)
    assert len(found.pairs) == 1
    assert found.pairs[0].where == "pairs.jsonl.gz:1"


def test_about_half_of_the_chosen_come_first_and_the_verdict_does_not_choose_the_order(take):
    rows = [row([f"q{i}"], f"good {i}", f"bad {i}") for i in range(400)]
    mirrored = [{"chosen": r["rejected"], "rejected": r["chosen"]} for r in rows]
    pairs, others = take(*rows).pairs, take(*mirrored).pairs
    firsts = sum(pair.verdict is Verdict.FIRST for pair in pairs)
    # A fair coin leaves [150, 250] in 400 throws with probability 5e-7; the hash is fixed, so no flakes.
    assert 150 < firsts < 250
    for pair, other in zip(pairs, others, strict=True):
        assert (pair.first, pair.second) == (other.first, other.second)
        assert pair.verdict is not other.verdict


texts = st.text(
    alphabet=st.one_of(st.sampled_from("ab \n:\r\t"), st.characters(exclude_categories=["Cs"])), max_size=20
)
storable = texts.filter(lambda text: "\x00" not in text)
pieces = st.lists(st.one_of(texts, st.sampled_from(["\n\nHuman:", "\n\nAssistant:", "Human:", "\n"]))).map("".join)


def holds_no_marker(text):
    return not any(marker in text for marker in MARKERS)


@settings(max_examples=150)
@given(st.lists(storable.filter(holds_no_marker), min_size=1, max_size=6))
def test_a_transcript_gives_back_its_turns_to_the_byte(turns):
    assert [turn.content for turn in transcript(said(*turns), "chosen")] == turns


@settings(max_examples=150)
@given(st.lists(pieces.filter(lambda text: "\x00" not in text), min_size=1, max_size=4))
def test_whatever_the_texts_hold_no_byte_goes_missing(turns):
    text = said(*turns)
    again = "".join(
        f"\n\n{'Human' if turn.role == 'user' else 'Assistant'}: {turn.content}" for turn in transcript(text, "chosen")
    )
    assert again.replace(": ", ":") == text.replace(": ", ":")


@settings(max_examples=60)
@given(
    head=st.lists(texts.filter(holds_no_marker), min_size=1, max_size=5).filter(lambda x: len(x) % 2 == 1),
    sides=st.tuples(pieces, pieces),
)
def test_records_to_hh_and_back(tmp_path_factory, head, sides):
    """A pair is carried as it was, or refused; it is never carried as something else."""
    path = tmp_path_factory.mktemp("hh") / "rows.jsonl"
    anchor = row(["q"], "a", "b")
    path.write_text("\n".join(json.dumps(r) for r in [anchor, anchor, row(head, *sides)]), encoding="utf-8")
    found = read(path)
    clean = all(map(holds_no_marker, sides))
    storable = "\x00" not in "".join([*head, *sides])
    sound = head[-1].strip() and sides[0].strip() and sides[1].strip() and sides[0].strip() != sides[1].strip()
    if clean and storable and sound:
        assert not found.refused
    if clean and not (storable and sound):
        assert found.refused
    if len(found.pairs) == 3 and clean:
        pair = found.pairs[-1]
        assert [turn.content for turn in pair.prompt.messages] == head
        assert (chosen_of(pair), rejected_of(pair)) == sides


def test_a_value_that_is_no_text_is_named():
    with pytest.raises(DataError, match="U\\+0000"):
        transcript(said("a\x00"), "chosen")
