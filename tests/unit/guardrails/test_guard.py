"""Guardrails as a whole: any text gives a decision, what passes passes again, and a broken filter is no open door."""

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.core.records import Message
from palate.guardrails import classifier, learning, loading
from palate.guardrails.guard import Score
from palate.guardrails.labelled import Labelled

FILE = """
version = 1

[input]
[[input.rules]]
name = "weapons"
words = ["pipe bomb"]
message = "Not about weapons, please."
[[input.topics]]
name = "doses"
words = ["dose", "pills", "insulin"]
[input.classifier]
model = "guard"
threshold = 0.9

[output]
[[output.rules]]
name = "numbers"
patterns = ['\\b\\d{4} \\d{4}\\b']
[output.grounding]
facts = "facts.csv"
wrong = "correct"
unknown = "refuse"
[[output.grounding.claims]]
relation = "used for"
says = ["{entity} is used for {value}"]
"""
FACTS = "entity,relation,value\nfigma,used for,drawing\npython,used for,programs\n"


def project(folder, text=FILE):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        Labelled(f"how do i {verb} item {n}", verb == "forge", str(n)) for verb in ("forge", "store") for n in range(9)
    ]
    (folder / "guard").mkdir(exist_ok=True)
    classifier.save(folder / "guard" / classifier.FILE, learning.train(rows).classifier, {})
    (folder / "facts.csv").write_text(FACTS, encoding="utf-8")
    path = folder / "guardrails.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return project(tmp_path_factory.mktemp("guardrails"))


@pytest.fixture(scope="module")
def guard(path):
    return loading.load(path)


def asked(*turns):
    roles = ("user", "assistant")
    return [Message(roles[n % 2], text) for n, text in enumerate(turns)]


@pytest.mark.parametrize(
    ("turns", "filter", "rule"),
    [
        (("where is a PIPE bomb",), "rules", "weapons"),
        (("which dose of insulin",), "topics", "doses"),
        (("how do i f0rge item 3?",), "classifier", "stopped"),
        (("how do i store item 3?",), "", ""),
        (("a pipe", "what of it?", "bomb"), "rules", "weapons"),  # over two turns
        (("a pipe bomb", "Fine.", "go on"), "rules", "weapons"),
        (("a pipe bomb", "Not about weapons, please.", "then of tea"), "", ""),  # was stopped already
    ],
)
def test_what_may_be_asked(guard, turns, filter, rule):
    decision = guard.look_at_question(asked(*turns))
    assert decision.blocked == bool(filter)
    assert [(mark.filter, mark.rule) for mark in decision.marks] == ([(filter, rule)] if filter else [])
    if rule == "weapons":
        assert decision.text == "Not about weapons, please."


def test_the_last_turn_alone_where_that_is_set(tmp_path):
    only_last = loading.load(project(tmp_path, FILE.replace("[input]", '[input]\nscope = "last"')))
    assert not only_last.look_at_question(asked("a pipe bomb", "Fine.", "go on")).blocked


@pytest.mark.parametrize(
    ("answer", "action", "text"),
    [
        ("call 5555 1234 now", "block", None),
        ("Figma is used for programs.", "change", "Figma is used for drawing."),
        ("Figma is used for cooking.", "block", None),
        ("Figma is used for drawing.", "pass", "Figma is used for drawing."),
        ("", "pass", ""),
    ],
)
def test_what_may_be_answered(guard, answer, action, text):
    decision = guard.look_at_answer(asked("hello"), answer)
    assert decision.action == action
    assert decision.text == (guard.settings.output.message if text is None else text)


_SPOILED = st.text(max_size=80) | st.lists(
    st.sampled_from(
        [
            "pipe",
            "bomb",
            "5555 1234",
            "figma is used for programs.",
            "Python is used for tea",
            "dose",
            "insulin",
            "\n",
            ".",
        ]
    ),
    max_size=6,
).map(" ".join)


@settings(max_examples=40)
@given(st.lists(_SPOILED, min_size=1, max_size=4))
def test_any_conversation_gives_a_decision(guard, turns):
    decision = guard.look_at_question(asked(*turns))
    assert decision.action in ("pass", "block")
    assert decision.blocked == bool(decision.marks)
    assert decision == guard.look_at_question(asked(*turns))


@settings(max_examples=40)
@given(_SPOILED)
def test_filtering_twice_equals_filtering_once(guard, answer):
    once = guard.look_at_answer(asked("hello"), answer)
    twice = guard.look_at_answer(asked("hello"), once.text)
    assert twice.text == once.text
    assert twice.action == "pass"


def broken(guard, on_error):
    words = "what a person wrote"

    def fail(*_, **__):
        raise KeyError(words)

    class Broken:
        look = score = fail

    answered = replace(guard.answered, grounding=Broken())
    asked_ = replace(guard.asked, judged=guard.asked.judged._replace(classifier=Broken()))
    return replace(
        guard, settings=guard.settings.model_copy(update={"on_error": on_error}), asked=asked_, answered=answered
    )


@pytest.mark.parametrize("on_error", ["block", "pass"])
def test_a_filter_that_fails_decides_as_it_is_set_and_says_so_in_the_log(guard, caplog, on_error):
    caplog.set_level(logging.ERROR, logger="palate.guardrails")
    half = broken(guard, on_error)
    for decision in (half.look_at_question(asked("hello")), half.look_at_answer(asked("hello"), "fine.")):
        assert decision.blocked == (on_error == "block")
        assert [(mark.failed, mark.rule) for mark in decision.marks] == [(True, "KeyError")]
        if decision.blocked:
            assert decision.text == guard.settings.failed_message
    assert caplog.text.count("failed with KeyError") == 2
    assert "what a person wrote" not in caplog.text
    # What still works goes on working.
    assert half.look_at_question(asked("a pipe bomb")).marks[0].filter == "rules"


def test_a_text_that_is_too_long_is_a_failure(guard):
    decision = guard.look_at_question(asked("x " * 20_000))
    assert decision.blocked
    assert decision.marks[0].sentence == "size failed: 40000 characters, of at most 32000"


def test_a_score_decides_and_no_score_is_a_failure(guard):
    values = guard.settings.model_dump()
    values["output"]["reward"] = {"model": "r", "threshold": -1.0, "patience_s": 1.0}
    judged = replace(guard, settings=type(guard.settings).model_validate_json(json.dumps(values)))
    assert judged.needs_score
    low, fine, none = (judged.look_at_answer(asked("hello"), "hi", s) for s in (Score(-2.0), Score(-1.0), None))
    assert (low.blocked, fine.blocked, none.blocked) == (True, False, True)
    assert low.marks[0].sentence == "reward: too low (-2, limit -1)"
    assert none.marks[0].failed
    assert judged.look_at_answer(asked("hello"), "hi", Score(float("nan"))).marks[0].failed


def test_a_version_is_what_is_in_it(path, tmp_path):
    workspace = Workspace(tmp_path)
    frozen = loading.freeze(path, workspace)
    guard = loading.load(path)
    assert frozen.name == guard.id == loading.load(frozen).id
    assert (frozen / "guardrails.toml").read_text() == path.read_text()
    assert set(read_manifest(frozen).inputs) == {"input_classifier", "facts"}
    assert loading.freeze(path, workspace) == frozen
    # Elsewhere, with a comment more, it is the same version; with another fact it is not.
    other = project(tmp_path / "other", "# mine\n" + FILE)
    assert loading.load(other).id == guard.id
    (other.parent / "facts.csv").write_text(FACTS + "tea,used for,drinking\n", encoding="utf-8")
    assert loading.load(other).id != guard.id
    assert loading.load(frozen).look_at_question(asked("a pipe bomb")).blocked


@pytest.mark.parametrize("name", ["facts.csv", classifier.FILE.replace("classifier", "input_classifier")])
def test_a_version_whose_files_were_changed_is_refused(path, tmp_path, name):
    frozen = loading.freeze(path, Workspace(tmp_path))
    (frozen / name).write_bytes((frozen / name).read_bytes() + b"\nx,used for,y")
    with pytest.raises((ConfigError, DataError), match=r"was changed|cannot be read"):
        loading.load(frozen)


def test_a_version_that_was_changed_is_refused(path, tmp_path):
    frozen = loading.freeze(path, Workspace(tmp_path))
    settings_file = frozen / "settings.json"
    settings_file.write_text(settings_file.read_text().replace("pipe bomb", "pipe"), encoding="utf-8")
    with pytest.raises(ConfigError, match="was changed"):
        loading.load(frozen)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pipe bomb", "--", "the rule `weapons`"),
        ("\\b\\d{4} \\d{4}\\b", "(a", "the rule `numbers`"),
        ('relation = "used for"', 'relation = "worn by"', "relation that the lookup does not know"),
        ("{entity} is used for {value}", "{value}", "form of a claim"),
        (
            'unknown = "refuse"',
            'unknown = "refuse"\nnote = "Note: {entity} is used for something"',
            "itself a claim",
        ),
        ("[output]", '[output]\nmessage = "Call 1234 5678."', "stopped by themselves"),
    ],
)
def test_what_cannot_work_is_refused_before_it_guards(tmp_path, old, new, told):
    assert old in FILE
    with pytest.raises(ConfigError) as error:
        loading.load(project(tmp_path, FILE.replace(old, new)))
    assert told in str(error.value)


def test_a_file_that_is_named_and_not_there(tmp_path):
    path = project(tmp_path)
    (tmp_path / "facts.csv").unlink()
    with pytest.raises(MissingArtefact, match="facts"):
        loading.load(path)
