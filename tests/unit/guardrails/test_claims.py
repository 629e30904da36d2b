"""Claims against a lookup."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import ConfigError, DataError
from palate.guardrails import facts
from palate.guardrails.claims import claims, corrected, kind
from palate.guardrails.grounding import Grounding

ROWS = """entity,relation,value
ux design,first tool,figma
ux design,then,user research
ux design,months,6 to 9
law,first tool,contract law
law,then,case research
law,months,20 to 36
figma,used for,ux design
figma,used for,drawing
contract law,used for,law
the red line,opens,5.30 am
"""
ASKED = ["change from {any} to {entity}", "become {entity}?"]
KINDS = (
    kind("first tool", ["start with {value} and then practice {any}."], ASKED),
    kind("then", ["start with {any} and then practice {value}."], ASKED),
    kind("months", ["plan {value} months."], ASKED),
    kind("used for", ["{entity} is used for {value}", "for {value} people take {entity}."], []),
    kind("opens", ["{entity} opens at {value}."], []),
)


@pytest.fixture(scope="module")
def lookup(tmp_path_factory):
    path = tmp_path_factory.mktemp("facts") / "facts.csv"
    path.write_text(ROWS, encoding="utf-8")
    return facts.read(path)


def said(lookup, answer, question="help me with a change from law to UX Design, please"):
    return [(c.relation, c.entity, c.said, c.verdict) for c in claims(KINDS, lookup, [question], answer)]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Start with Figma and then practice user research.", ["right", "right"]),
        ("start with contract law and then practice drawing!", ["contradicts", "unknown value"]),
        ("Plan 6 to 9 months.", ["right"]),
        ("plan 6 to 90 months.", ["unknown value"]),
        ("plan 20 to 36 months.", ["contradicts"]),
        ("figma is used for drawing", ["right"]),
        ("I think that Figma is used for law, really.", ["contradicts"]),
        ("for law people take contract law.", ["right"]),
        ("for ux design people take contract law.", ["contradicts"]),
        ("photoshop is used for ux design.", []),  # of photoshop nothing is known
        ("The red line opens at 5.30 am. Bye.", ["right"]),
        ("the red line opens at 6 am.", ["unknown value"]),
        ("start with figma.\nand then practice law.", []),  # no form crosses a line
        ("", []),
    ],
)
def test_what_is_claimed(lookup, answer, found):
    assert [verdict for *_, verdict in said(lookup, answer)] == found


def test_of_whom_it_is_said_stands_in_the_latest_question_that_names_one(lookup):
    asked = ["how do i become law?", "and now a change from law to ux design", "how long?"]
    (claim,) = claims(KINDS, lookup, asked, "plan 20 to 36 months.")
    assert (claim.entity, claim.verdict, claim.right) == ("ux design", "contradicts", ("6 to 9",))
    assert claims(KINDS, lookup, ["how long?"], "plan 20 to 36 months.") == []


def grounding(lookup, wrong="correct", unknown="correct", note="Note: {said} is not right; {right} is."):
    return Grounding(lookup, KINDS, wrong, unknown, note)


def test_a_wrong_value_is_corrected_where_one_is_right_and_noted_where_several_are(lookup):
    asked = ["help me with a change from law to ux design"]
    answer = "Sure.\nStart with contract law and then practice drawing.\nFigma is used for law."
    found = grounding(lookup).look(asked, answer)
    assert found.text == (
        "Sure.\nStart with figma and then practice user research.\nFigma is used for law."
        "\n\nNote: law is not right; ux design or drawing is."
    )
    assert [mark.rule for mark in found.marks] == [
        "first tool: contradicts, corrected",
        "then: unknown value, corrected",
        "used for: contradicts, noted",
    ]
    assert grounding(lookup).look(asked, found.text).text == found.text
    assert grounding(lookup, wrong="refuse").look(asked, answer).refused
    untouched = grounding(lookup, wrong="pass", unknown="pass").look(asked, answer)
    assert (untouched.text, untouched.refused) == (answer, False)


_LINES = st.sampled_from(
    [
        "Start with contract law and then practice drawing.",
        "start with figma and then practice case research. plan 1 to 2 months.",
        "figma is used for law. For ux design people take contract law.",
        "plan 20 to 36 months.",
        "hello",
        "The Red Line opens at noon!",
    ]
)


@settings(max_examples=40)
@given(
    st.lists(_LINES, max_size=5),
    st.sampled_from(["correct", "annotate"]),
    st.sampled_from(["correct", "annotate", "pass"]),
)
def test_a_second_look_changes_nothing(lookup, lines, wrong, unknown):
    check = grounding(lookup, wrong, unknown)
    asked = ["a change from law to ux design"]
    once = check.look(asked, "\n".join(lines))
    assert check.look(asked, once.text).text == once.text
    if wrong == unknown == "correct":
        again = claims(KINDS, lookup, asked, once.text.partition("\n\nNote")[0])
        assert all(claim.verdict == "right" or len(claim.right) > 1 for claim in again)


@settings(max_examples=30)
@given(st.text(max_size=120), st.text(max_size=60))
def test_any_answer_can_be_looked_at(lookup, answer, question):
    found = claims(KINDS, lookup, [question], answer)
    assert corrected(answer, []) == answer
    assert all(answer[claim.start : claim.end] == claim.said for claim in found)


@pytest.mark.parametrize("says", ["no place", "{value}{any}", "{value} {value}", "{value", "{else} {value}", "{value}"])
def test_a_form_that_cannot_be_used(says):
    with pytest.raises(ConfigError, match="form of a claim"):
        kind("r", [says], ASKED)


def test_a_claim_says_of_whom_it_speaks():
    with pytest.raises(ConfigError, match="of whom"):
        kind("r", ["plan {value} months"], [])


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("f.csv", "entity,value\na,b\n", "other columns"),
        ("f.csv", "entity,relation,value\na,,b\n", "lacks something"),
        ("f.csv", "entity,relation,value\n", "no fact"),
        ("f.jsonl", '{"entity": "a", "relation": "r", "value": "b"}\n{', "no JSON"),
        ("f.jsonl", '{"entity": "a", "relation": "r", "values": []}', "lacks something"),
        ("f.jsonl", "[1]", "no object"),
    ],
)
def test_a_lookup_that_cannot_be_read(tmp_path, name, text, why):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=why):
        facts.read(path)


def test_lines_of_json_say_the_same_as_csv(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(
        '{"entity": "Figma", "relation": "used for", "values": ["ux design", "drawing"]}\n'
        '{"entity": "tea", "relation": "minutes", "value": 4}\n',
        encoding="utf-8",
    )
    found = facts.read(path)
    assert found.of("FIGMA", "used for") == ("ux design", "drawing")
    assert found.of("tea", "minutes") == ("4",)
