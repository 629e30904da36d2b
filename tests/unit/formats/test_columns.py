import pytest

from palate.core.errors import ConfigError, DataError
from palate.core.records import Verdict
from palate.formats import read

MAP = {"first": "x", "second": "y", "verdict": "label"}


def judged(label, **more):
    return {"prompt": "q", "x": "one", "y": "two", "label": label, **more}


UNDERSTOOD = {
    Verdict.FIRST: ["first", "FIRST", " a ", "A", "A>B", "A > B", "1", 1, 1.0, "1.0", "model_a", "left", "x"],
    Verdict.SECOND: ["second", "b", "B", "B>A", "b > a", "2", 2, 2.0, "2.0", "model_b", "right", "y"],
    Verdict.TIE: ["tie", "Tie", "A=B", "A = B", "0", 0, 0.0, "0.0"],
    Verdict.BOTH_BAD: ["both_bad", "both bad", "tie (bothbad)"],
}


@pytest.mark.parametrize(("verdict", "word"), [(v, word) for v, words in UNDERSTOOD.items() for word in words])
def test_verdicts_that_are_understood(take, verdict, word):
    (pair,) = take(judged(word), columns=MAP).pairs
    assert pair.verdict is verdict
    assert (pair.first, pair.second) == ("one", "two"), "the display order of the file is kept"


@pytest.mark.parametrize(
    "word",
    ["", None, "maybe", "A>>B", "3", -1, 1.5, True, False, "nan", "inf", "A wins", [], "skip", "z", 10**400],
)
def test_an_unknown_verdict_is_never_a_tie(take, word):
    found = take(judged("a"), judged(word), columns=MAP)
    assert len(found.pairs) == 1
    (refusal,) = found.refused
    assert refusal.reason.startswith("the verdict is ")
    assert str(word)[:60] in refusal.reason


def test_a_verdict_that_names_a_mapped_column_means_that_column(take):
    row = {"prompt": "q", "a": "one", "b": "two", "label": "a"}
    (pair,) = take(row, columns={"first": "b", "second": "a", "verdict": "label"}).pairs
    assert (pair.first, pair.second, pair.verdict) == ("two", "one", Verdict.SECOND)


def test_raters_and_kinds_are_carried(take):
    rows = [judged("a", who="ann", topic="t"), judged("b", who=7), judged("b", who="")]
    found = take(*rows, columns={**MAP, "rater": "who", "kind": "topic"})
    assert [pair.rater for pair in found.pairs] == ["ann", "7", None]
    assert [pair.prompt.kind for pair in found.pairs] == ["t", "", ""]
    assert found.lost == {}
    assert found.columns == {**MAP, "rater": "who", "kind": "topic"}


@pytest.mark.parametrize("key", ["rater", "kind"])
def test_labels_that_cannot_be_stored_are_refused(take, key):
    found = take(judged("a", label2="x"), judged("a", label2="x\x00"), columns={**MAP, key: "label2"})
    assert found.refused[0].reason == f"{key} holds the character U+0000, which cannot be stored"


def test_a_column_of_the_right_name_needs_no_mapping(take):
    assert take(judged("a"), columns=MAP).pairs[0].prompt.text == "q"
    row = {"question": "q", "chosen": "yes", "rejected": "no"}
    found = take(row, columns={"prompt": "question"})
    assert found.pairs[0].prompt.text == "q"
    assert {found.pairs[0].first, found.pairs[0].second} == {"yes", "no"}


def test_texts_compared_without_a_question_have_a_prompt_without_turns(take):
    row = {"x": "one", "y": "two", "label": "y"}
    (pair,) = take(row, columns=MAP).pairs
    assert pair.prompt.messages == ()
    assert pair.verdict is Verdict.SECOND


def test_conversations_side_by_side(take):
    def talk(answer):
        return [{"role": "user", "content": "q"}, {"role": "assistant", "content": answer}]

    row = {"conversation_a": talk("one"), "conversation_b": talk("two"), "winner": "tie (bothbad)"}
    mapping = {"first": "conversation_a", "second": "conversation_b", "verdict": "winner"}
    (pair,) = take(row, columns=mapping).pairs
    assert (pair.prompt.text, pair.first, pair.verdict) == ("q", "one", Verdict.BOTH_BAD)


def test_demonstrations_and_prompts_by_map(take):
    row = {"question": "q", "solution": "a", "topic": "t"}
    found = take(row, columns={"prompt": "question", "completion": "solution"})
    assert found.demonstrations[0].completion == "a"
    assert found.lost == {"topic": 1}
    found = take(row, columns={"prompt": "question", "kind": "topic"})
    assert (found.prompts[0].text, found.prompts[0].kind) == ("q", "t")
    assert found.lost == {"solution": 1}


def test_a_table(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'\xef\xbb\xbfprompt,x,y,label\r\n"q, or\r\nnot",one,two,A\r\n\r\nr,1,2,B\r\n')
    found = read(path, columns=MAP)
    assert [(p.where, p.prompt.text) for p in found.pairs] == [
        ("rows.csv:2", "q, or\r\nnot"),
        ("rows.csv:5", "r"),
    ]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_tables_with_other_separators(tmp_path, name):
    separator = ";" if name.endswith("csv") else "\t"
    path = tmp_path / name
    lines = [["prompt", "x", "y", "label"], ["q", "a, b", "two", "left"]]
    path.write_text("\n".join(separator.join(line) for line in lines), encoding="utf-8")
    assert read(path, columns=MAP).pairs[0].first == "a, b"


def test_a_missing_column_is_named_with_those_that_are_there(take):
    with pytest.raises(DataError, match="lacks columns") as caught:
        take(judged("a"), columns={**MAP, "verdict": "labels"})
    assert caught.value.expected == "`labels`"
    assert caught.value.found == "`prompt`, `x`, `y`, `label`"
    assert "did you mean `label`?" in caught.value.hint


def test_a_row_that_lacks_a_column_is_refused(take):
    found = take(judged("a"), {"prompt": "q", "x": "one", "label": "a"}, columns=MAP)
    assert found.refused[0].reason == "the row has no column `y`"


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"winner": "label"}, "names something that a column cannot be"),
        ({"first": "x", "chosen": "y"}, "does not say what the rows are"),
        ({"rater": "who"}, "does not say what the rows are"),
        ({"completion": "x", "rater": "who"}, "does not say what the rows are"),
    ],
)
def test_a_map_that_makes_no_sense(take, columns, what):
    with pytest.raises(ConfigError, match=what):
        take({"p": "q", "x": "one", "y": "two"}, columns=columns)


def test_zeros_and_ones_without_a_two_are_not_taken_for_ties(take):
    rows = [judged(i % 2, id=i) for i in range(20)]
    with pytest.raises(DataError, match="hardly fits 0 for a tie") as caught:
        take(*rows, columns=MAP)
    assert caught.value.found == "10 times 0 and 10 times 1 in `label`"
    assert len(take(*rows[:19], columns=MAP).pairs) == 19, "too few to tell"
    assert len(take(*rows, judged(2), columns=MAP).pairs) == 21


@pytest.mark.parametrize(("x", "y"), [("same", "same"), ("", "two"), (True, "two")])
def test_pairs_that_teach_nothing_are_refused(take, x, y):
    found = take(judged("a"), {**judged("a"), "x": x, "y": y}, columns=MAP)
    assert len(found.refused) == 1
