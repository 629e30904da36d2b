"""Palate's own file: everything that a journal holds, there and back."""

import json
import random

import pytest

from palate.core.errors import DataError
from palate.core.guidelines import Guideline
from palate.core.ids import content_id
from palate.core.records import (
    TASKS,
    Comparison,
    Completion,
    Feedback,
    Judgement,
    Message,
    Prompt,
    Ranking,
    Rater,
    Slate,
    Verdict,
    WrittenAnswer,
)
from palate.formats import Recorder, read
from palate.formats.write import write_lossless

PROMPT = Prompt((Message("system", "be kind"), Message("user", "q\u2028?")), "career", "pt-BR")
FIRST = Completion(prompt=PROMPT.id, text="a\n", policy="x", temperature=0.7, sample=3, finished=False)
SECOND = Completion(prompt=PROMPT.id, text="b", policy="y")
SHOWN = Comparison(prompt=PROMPT.id, first=FIRST.id, second=SECOND.id, source="round 2")
RATER = Rater("p-1", "person", "nurses", ("de", "en"), ("career",))
GUIDELINE = Guideline(text="## Tone\nbe kind", number=2, parent="p", author="lead", created_at="2026-01-01T00:00:00Z")
SAID = Judgement(
    uid="j1",
    comparison=SHOWN.id,
    rater=RATER.id,
    verdict=Verdict.SECOND,
    strength=2,
    reasons=("helpful", "own"),
    note="=1+1",
    guideline=GUIDELINE.id,
    seconds=12.5,
    judged_at="2026-01-02T03:04:05.678+00:00",
    swapped=True,
    task="repeat",
)
SLATE = Slate(prompt=PROMPT.id, completions=(SECOND.id, FIRST.id), source="s")
T = "2026-01-01T00:00:00.000+00:00"
FACTS = [
    PROMPT,
    FIRST,
    SECOND,
    SHOWN,
    RATER,
    GUIDELINE,
    SAID,
    SLATE,
    Ranking(uid="r1", slate=SLATE.id, rater=RATER.id, ranks=(1, 1), order=(1, 0), reasons=("x",), judged_at=T),
    WrittenAnswer(uid="w1", prompt=PROMPT.id, text="better", rater=RATER.id, original=FIRST.id, written_at=T),
    Feedback(uid="f1", completion=FIRST.id, kind="edit", person="p-2", value="v", note="n", consent="c", created_at=T),
]


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_every_record_comes_back_as_it_was(tmp_path, name):
    assert write_lossless(tmp_path / name, FACTS) == len(FACTS)
    found = read(tmp_path / name)
    assert (found.shape, found.refused, found.lost) == ("judgements", [], {})
    assert [fact.record for fact in found.facts] == FACTS


def test_random_judgements_come_back(tmp_path):
    draw = random.Random(0)
    said = [
        Judgement(
            uid=f"u{i}",
            comparison=SHOWN.id,
            rater=f"r{i % 7}",
            verdict=draw.choice(list(Verdict)),
            strength=draw.randrange(4),
            reasons=tuple(draw.choices("abc", k=draw.randrange(3))),
            note="".join(draw.choices('a" \\\n\u2028é😀,=', k=draw.randrange(9))),
            seconds=draw.choice([None, draw.random() * 100]),
            supersedes=draw.choice(["", "u0"]),
            swapped=draw.random() < 0.5,
            task=draw.choice(TASKS),
        )
        for i in range(500)
    ]
    write_lossless(tmp_path / "a.jsonl", said)
    assert [fact.record for fact in read(tmp_path / "a.jsonl").facts] == said


def test_a_changed_line_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    write_lossless(path, FACTS)
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[1] = lines[1].replace('"text": "a\\n"', '"text": "something else"')
    path.write_text("\n".join(lines), encoding="utf-8")
    (refusal,) = read(path).refused
    assert refusal.where == "a.jsonl:2"
    assert "the id does not follow from the content" in refusal.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": "maybe"}, "the verdict is not known"),
        ({"strength": 7}, "strength outside the scale"),
        ({"strength": "2"}, "strength is no whole number"),
        ({"seconds": -1}, "seconds is no number from 0 on"),
        ({"swapped": 1}, "swapped is neither true nor false"),
        ({"task": "play"}, "kind of task that Palate does not know"),
        ({"judged_at": "yesterday"}, "judged_at is no time"),
        ({"judged_at": "2026-01-01T00:00:00"}, "judged_at is no time"),
        ({"reasons": "helpful"}, "reasons is not a list"),
        ({"uid": " "}, "the uid is empty"),
        ({"rater": None}, "rater is not a text"),
    ],
)
def test_what_no_journal_could_hold_is_refused(take, change, reason):
    row = {"record": "judgement", "uid": "u", "comparison": "c", "rater": "r", "verdict": "tie"}
    found = take(row, row | change)
    assert len(found.facts) == 1
    assert reason in found.refused[0].reason
    with pytest.raises(DataError):
        take(row | change)


BY_HAND = {"prompt": "q", "first": "a", "second": "b", "verdict": "second", "rater": "ann"}


def test_a_judgement_written_by_hand(take):
    more = {"strength": 3, "seconds": 4, "swapped": True, "task": "check", "reasons": ["x"], "note": "n"}
    found = take(BY_HAND | more, BY_HAND | {"prompt": [{"role": "user", "content": "q"}], "verdict": "tie"})
    assert (found.shape, found.refused, found.lost) == ("judgements", [], {})
    recorder = Recorder("f00d")
    recorder.take(found)
    records = recorder.taken()
    assert len(records.prompts) == len(records.comparisons) == len(records.raters) == 1
    assert [completion.text for completion in records.completions] == ["a", "b"]
    one, other = records.judgements
    assert (one.verdict, one.strength, one.seconds, one.swapped, one.task) == (Verdict.SECOND, 3, 4.0, True, "check")
    assert (one.rater, one.reasons, one.note) == ("import:f00d:ann", ("x",), "n")
    assert one.uid == content_id("imported judgement", ["f00d", 1])
    assert other.verdict is Verdict.TIE
    assert recorder.waiting == 0


@pytest.mark.parametrize("change", [{"strength": 4}, {"task": "x"}, {"verdict": 9}, {"second": "a"}, {"prompt": []}])
def test_a_line_by_hand_that_makes_no_sense_is_refused(take, change):
    assert len(take(BY_HAND, BY_HAND | change).refused) == 1


def test_the_file_is_json_a_line(tmp_path):
    write_lossless(tmp_path / "a.jsonl", FACTS)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").split("\n") if line]
    assert rows[2] == {"record": "completion", "id": SECOND.id, "prompt": PROMPT.id, "text": "b", "policy": "y"}
