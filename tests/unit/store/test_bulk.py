"""Many rows in at once, columns and a stream out: the same facts as one by one."""

import math
from dataclasses import replace

import pytest

from palate.core.errors import DataError
from palate.core.records import (
    TASKS,
    Comparison,
    Completion,
    Feedback,
    Guideline,
    Prompt,
    Ranking,
    Rater,
    Slate,
    Verdict,
    WrittenAnswer,
)
from palate.store import backup, bulk, demonstrations, feedback, guidelines, queue, rankings, rows
from palate.store.columns import VERDICTS
from palate.store.judgements import judgements


@pytest.fixture
def records(says):
    """A thousand comparisons of two hundred prompts, and what three raters said."""
    prompts = [Prompt.of(f"prompt {n}\x00", kind=f"k{n % 3}", language="de" if n % 2 else "") for n in range(200)]
    completions = [
        Completion(prompt=p.id, text=f"answer {k} " + "ü" * k, policy="p", sample=k) for p in prompts for k in range(5)
    ]
    by = {p.id: completions[5 * n : 5 * n + 5] for n, p in enumerate(prompts)}
    comparisons = [
        Comparison(prompt=p.id, first=by[p.id][k].id, second=by[p.id][(k + 1) % 5].id, source=f"s{n % 2}")
        for n, p in enumerate(prompts)
        for k in range(5)
    ]
    raters = [Rater("r0", group="nurses"), Rater("r1", "model"), Rater("r2", languages=("de",))]
    verdicts = list(Verdict)
    said = [
        says(
            c,
            f"r{k}",
            verdicts[(n + k) % 5],
            strength=n % 4,
            seconds=None if n % 7 == 0 else n / 10,
            swapped=bool(n % 2),
            task=TASKS[n % 2],
            guideline=f"g{n % 2}",
            reasons=("a",) * (n % 3),
            judged_at=f"2026-01-01T00:00:{n % 60:02d}.000+00:00",
        )
        for n, c in enumerate(comparisons)
        for k in range(3)
    ]
    said.append(replace(said[0], uid="later", verdict=Verdict.TIE, supersedes=said[0].uid))
    return {
        "prompts": prompts,
        "completions": completions,
        "comparisons": comparisons,
        "raters": raters,
        "judgements": said,
    }


def test_it_is_as_if_they_came_one_by_one(journal, records):
    assert bulk.add(journal, **records) == {
        **{name: len(rows) for name, rows in records.items()},
        **dict.fromkeys(("slates", "rankings", "written_answers", "feedback", "guidelines"), 0),
    }
    assert list(rows.prompts(journal).values()) == records["prompts"]
    assert list(rows.completions(journal).values()) == records["completions"]
    assert rows.comparisons(journal) == records["comparisons"]
    assert list(rows.raters(journal).values()) == records["raters"]
    assert judgements(journal, current=False) == records["judgements"]
    assert set(bulk.add(journal, **records).values()) == {0}


def test_nouns_of_every_kind(journal, records):
    bulk.add(journal, **records)
    shown = records["comparisons"][0]
    slate = Slate(prompt=shown.prompt, completions=(shown.first, shown.second))
    more = {
        "slates": [slate],
        "rankings": [Ranking(uid="k", slate=slate.id, rater="r0", ranks=(1, 1), order=(0, 1))],
        "written_answers": [WrittenAnswer(uid="w", prompt=shown.prompt, text="t", rater="r0")],
        "feedback": [Feedback(uid="f", completion=shown.first, kind="up", person="p")],
        "guidelines": [Guideline(text="## A\n", number=1)],
    }
    assert {name: number for name, number in bulk.add(journal, **more).items() if number} == dict.fromkeys(more, 1)
    assert set(bulk.add(journal, **more).values()) == {0}
    found = [list(rankings.slates(journal).values()), rankings.all(journal), demonstrations.all(journal)]
    assert [*found, feedback.every(journal), guidelines.all(journal)] == list(more.values())


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("completions", {"prompt": "0" * 16}, "prompt that is not in the journal"),
        ("comparisons", {"first": "0" * 16}, "completion that is not in the journal"),
        ("judgements", {"rater": "nobody", "uid": "x"}, "unknown rater"),
        ("judgements", {"note": "other"}, "uid was used before"),
        ("judgements", {"uid": "x", "seconds": float("nan")}, "no length of time"),
    ],
)
def test_one_bad_row_stores_nothing(journal, records, name, change, match):
    records[name].append(replace(records[name][3], **change))
    with pytest.raises(DataError, match=match):
        bulk.add(journal, **records)
    assert sum(rows.counts(journal).values()) == 0


@pytest.mark.parametrize("add", [rows.add_comparisons, lambda journal, made: bulk.add(journal, comparisons=made)])
def test_both_sides_of_a_comparison_answer_its_prompt(journal, records, add):
    del records["judgements"], records["comparisons"]
    bulk.add(journal, **records)
    one, two, *_, other = records["completions"]
    fine = Comparison(prompt=one.prompt, first=one.id, second=two.id)
    for wrong in (replace(fine, second=other.id), replace(fine, prompt=other.prompt), replace(fine, second=one.id)):
        with pytest.raises(DataError, match="two completions of its prompt"):
            add(journal, [fine, wrong])
    assert rows.comparisons(journal) == []


def test_imported_judgements_count_in_the_queue(journal, records):
    said = records.pop("judgements")
    bulk.add(journal, **records)
    queue.enqueue(journal, records["comparisons"][:10])
    bulk.add(journal, judgements=said)
    assert backup.verify(journal).problems == ()
    assert queue.progress(journal).judgements > 0


def test_columns_say_what_the_records_say(journal, records):
    bulk.add(journal, **records)
    found = bulk.judgement_columns(journal)
    said = records["judgements"]
    text = {c.id: c.text for c in records["completions"]}
    prompts = {p.id: p for p in records["prompts"]}
    shown = {c.id: c for c in records["comparisons"]}
    assert len(found.comparison) == len(said) == 3001
    for n, j in enumerate(said):
        at = found.comparison[n]
        c = shown[j.comparison]
        assert found.comparisons[at] == j.comparison
        assert found.raters[found.rater[n]] == j.rater
        assert VERDICTS[found.verdict[n]] == j.verdict.value
        assert (found.strength[n], bool(found.swapped[n]), TASKS[found.task[n]]) == (j.strength, j.swapped, j.task)
        assert found.guidelines[found.guideline[n]] == j.guideline
        assert math.isnan(found.seconds[n]) if j.seconds is None else found.seconds[n] == j.seconds
        assert found.current[n] == (n != 0)
        assert (found.first_length[at], found.second_length[at]) == (len(text[c.first]), len(text[c.second]))
        assert found.topics[found.topic[at]] == prompts[c.prompt].kind
        assert found.languages[found.language[at]] == prompts[c.prompt].language
        assert found.sources[found.source[at]] == c.source
    assert found.groups == ["nurses", "", ""]
    assert found.time_s[1] - found.time_s[0] == 0.0
    assert len(set(found.prompts)) == 200
    some = bulk.judgement_columns(journal, ["s1"])
    assert {shown[id].source for id in some.comparisons} == {"s1"}
    assert len(some.comparison) == 1500


@pytest.mark.slow
def test_the_stream_holds_every_comparison_with_all_that_belongs_to_it(journal, records):
    bulk.add(journal, **records)
    found = list(bulk.export_rows(journal))
    assert [row.comparison for row in found] == records["comparisons"]
    completions = {c.id: c for c in records["completions"]}
    for row in found:
        assert row.prompt.id == row.comparison.prompt
        assert (row.first, row.second) == (completions[row.comparison.first], completions[row.comparison.second])
        assert list(row.judgements) == [j for j in records["judgements"] if j.comparison == row.comparison.id]
    assert len(list(bulk.export_rows(journal, ["s0"]))) == 500
