"""Critique and revision by a scripted model: who is asked what, what is kept, and what a failure leaves."""

import json
from collections import Counter

import pytest

from palate.core.constitutions import parse
from palate.core.errors import ConfigError, DataError
from palate.core.records import Prompt
from palate.core.subjects import Answer
from palate.judging.revising import RevisingConfig, revise
from scripted import Parrot

OURS = parse("- be kind\n- be brief\n- be right\n", ".md")
PROMPTS = [Prompt.of(f"question {number}?", kind="career") for number in range(12)]


def scripted(fails=lambda prompt: None):
    """Says how many turns it has seen; may fail."""
    return Parrot(lambda p: fails(p) or f"{len(p.messages)} turns of {p.messages[0].content}")


@pytest.fixture
def keep(tmp_path):
    return tmp_path / "runs" / "revisions.jsonl"


def test_a_revision_follows_answer_and_critique(keep):
    model = scripted()
    told = revise(model, PROMPTS, OURS, RevisingConfig(), keep)
    assert told.failed == {}
    assert [row.prompt for row in told.rows] == PROMPTS
    row = told.rows[3]
    (step,) = row.steps
    assert row.answer == "1 turns of question 3?"
    assert (step.critique, step.revision) == ("3 turns of question 3?", "5 turns of question 3?")
    assert row.demonstration.prompt == PROMPTS[3]
    assert row.demonstration.completion == step.revision
    last = next(p for p in reversed(model.heard) if p.messages[0].content == "question 3?")
    principle = OURS.named(step.principle)
    assert [m.role for m in last.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert [m.content for m in last.messages[1:]] == [
        row.answer, principle.critique_request, step.critique, principle.revision_request,
    ]  # fmt: skip


def test_rounds_build_on_each_other_by_principles_of_their_own(keep):
    told = revise(scripted(), PROMPTS, OURS, RevisingConfig(rounds=3), keep)
    assert all(len(row.steps) == 3 for row in told.rows)
    drawn = Counter(step.principle for row in told.rows for step in row.steps)
    assert set(drawn) == {p.id for p in OURS.principles}


def test_without_a_critique_the_answer_is_rewritten_at_once(keep):
    model = scripted()
    told = revise(model, PROMPTS[:2], OURS, RevisingConfig(critique=False), keep)
    assert len(model.heard) == 4
    assert told.rows[0].steps[0].critique == ""
    assert told.rows[0].steps[0].revision == "3 turns of question 0?"


def test_what_is_done_is_not_done_again_and_gives_the_same(keep):
    whole = revise(scripted(), PROMPTS, OURS, RevisingConfig(), keep.with_name("other.jsonl")).rows
    revise(scripted(), PROMPTS[:5], OURS, RevisingConfig(), keep)
    with keep.open("a") as handle:
        handle.write('{"by": "x", "prom')  # as a death leaves it
    model = scripted()
    assert revise(model, PROMPTS, OURS, RevisingConfig(), keep).rows == whole
    assert {p.messages[0].content for p in model.heard} == {p.text for p in PROMPTS[5:]}
    assert len(keep.read_text().splitlines()) == len(PROMPTS)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Answer("", error="500"), "critique 1: 500"),
        (Answer("   "), "critique 1: nothing was said"),
        (Answer("half", finished=False), "critique 1: it was cut off"),
    ],
)
def test_a_step_that_fails_leaves_no_row_and_is_tried_again(keep, bad, why):
    def fails(prompt):
        return bad if len(prompt.messages) == 3 and prompt.messages[0].content == "question 2?" else None

    told = revise(scripted(fails), PROMPTS, OURS, RevisingConfig(), keep)
    assert told.failed == {PROMPTS[2].id: why}
    assert PROMPTS[2] not in [row.prompt for row in told.rows]
    assert len(told.rows) == len(PROMPTS) - 1
    again = revise(scripted(), PROMPTS, OURS, RevisingConfig(), keep)
    assert (again.failed, [row.prompt for row in again.rows]) == ({}, PROMPTS)


def test_files_of_others_are_refused(keep):
    revise(scripted(), PROMPTS[:2], OURS, RevisingConfig(), keep)
    with pytest.raises(DataError, match="another model"):
        revise(scripted(), PROMPTS, OURS, RevisingConfig(rounds=2), keep)
    keep.write_text(json.dumps({"by": "x"}) + "\n")
    with pytest.raises(DataError, match="line 1"):
        revise(scripted(), PROMPTS, OURS, RevisingConfig(), keep)
    with pytest.raises(ConfigError):
        RevisingConfig(rounds=0)
