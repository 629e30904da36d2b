"""`palate import` and `palate export` with a real journal: scrubbed, in quarantine, there and back without loss."""

import json

import pytest

from palate.cli.exporting import facts
from palate.cli.exports import export
from palate.cli.importing import import_file
from palate.cli.imports import import_
from palate.core.errors import ConfigError, MissingArtefact
from palate.core.records import Feedback, Judgement, Ranking
from palate.formats import Limits, read
from palate.formats.scrub import Scrubber
from palate.store import rows
from palate.store.journal import Journal

MAIL = "write to ann@example.org or bob@example.org"


def said(i, rater="ann", **more):
    return {"prompt": f"q{i}", "first": f"a{i}", "second": f"b{i}", "verdict": "first", "rater": rater} | more


def everything(project):
    with Journal.open(project / "palate.db") as journal:
        return list(facts(journal))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_good_rows_come_in_and_bad_ones_are_set_aside(jsonl, tmp_path, capsys):
    file = jsonl(said(1), "oops", said(2), {"prompt": "q"}, said(2, rater="eve", verdict="tie"), name="mine.jsonl")
    import_(file, out=tmp_path, scrub=False)
    told = capsys.readouterr().out
    assert "5 rows read as judgements: 3 pairs, 2 refused" in told
    assert "2 new comparisons in" in told
    kept = lines(tmp_path / "quarantine" / "mine.jsonl.jsonl")
    assert [(row["file"], row["line"]) for row in kept] == [("mine.jsonl", 2), ("mine.jsonl", 4)]
    with Journal.open(tmp_path / "palate.db") as journal:
        counts = rows.counts(journal)
    assert (counts["comparison"], counts["judgement"], counts["rater"]) == (2, 3, 2)


def test_importing_twice_adds_nothing(jsonl, tmp_path, capsys):
    file = jsonl(said(1), said(2))
    import_(file, out=tmp_path, scrub=False)
    once = everything(tmp_path)
    import_(file, out=tmp_path, scrub=False)
    assert everything(tmp_path) == once
    assert "0 new comparisons" in capsys.readouterr().out


def test_scrubbing_leaves_nothing_anywhere_in_the_journal(jsonl, tmp_path, capsys):
    file = jsonl(
        said(1, prompt=MAIL, first=f"I, bob@example.org, {MAIL}", second="call (415) 555-2671", note=MAIL),
        said(1, prompt=MAIL, first=f"I, bob@example.org, {MAIL}", second="another", rater="eve"),
        said(2, first="card 4111 1111 1111 1111", second="card 5555 5555 5555 4444"),
    )
    import_(file, out=tmp_path, scrub=True)
    assert "scrubbed: 2 CARD, 5 EMAIL, 1 PHONE" in capsys.readouterr().out
    found = everything(tmp_path)
    text = repr(found)
    assert not any(secret in text for secret in ("example.org", "4111", "5555", "555-2671"))
    for path in tmp_path.glob("palate.db*"):
        assert b"example.org" not in path.read_bytes()
    assert "eve" not in text
    assert len({fact.rater for fact in found if isinstance(fact, Judgement)}) == 2
    texts = {fact.text for fact in found if type(fact).__name__ == "Completion"}
    # The answer goes on with the numbers of its prompt, and is one answer in both comparisons.
    assert "I, <EMAIL_2>, write to <EMAIL_1> or <EMAIL_2>" in texts
    # Two cards that were told apart are two answers still.
    assert sum(text == "card <CARD_1>" for text in (f.text for f in found if type(f).__name__ == "Completion")) == 2


def test_without_a_word_on_scrubbing_one_is_given(jsonl, tmp_path, capsys):
    import_(jsonl(said(1)), out=tmp_path)
    assert "not scrubbed" in capsys.readouterr().out


def project_with_everything(jsonl, tmp_path):
    ranking = {"type": "ranker", "value": {"ranker": {"rank": ["i2", "i0"], "_": ["i1"]}}}
    items = [{"id": f"i{n}", "body": f"answer {n} to ann@example.org"} for n in range(3)]
    tasks = {"data": {"prompt": "q", "items": items}, "annotations": [{"completed_by": 1, "result": [ranking]}]}
    thumb = {"traceId": "t", "name": "n", "dataType": "BOOLEAN", "value": 1, "input": "q9", "output": "a9", "id": "s"}
    for name, row in (("a", said(1, strength=2, note="ü=", reasons=["x"])), ("b", tasks), ("c", thumb)):
        import_(jsonl(row, name=f"{name}.jsonl"), out=tmp_path / "one", scrub=False)
    return tmp_path / "one"


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_a_journal_goes_through_a_file_without_loss(jsonl, tmp_path, name):
    project = project_with_everything(jsonl, tmp_path)
    export("judgements", data=project, out=tmp_path / name)
    import_(tmp_path / name, out=tmp_path / "two", scrub=False)
    one, two = everything(project), everything(tmp_path / "two")
    assert one == two
    assert {Judgement, Ranking, Feedback} <= {type(fact) for fact in one}
    export("judgements", data=tmp_path / "two" / "palate.db", out=tmp_path / f"again-{name}")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()


def test_a_lossless_file_can_be_scrubbed_on_its_way(jsonl, tmp_path):
    project = project_with_everything(jsonl, tmp_path)
    import_(jsonl(said(5, first="to a@x.org", second="to b@x.org"), name="d.jsonl"), out=project, scrub=False)
    export("judgements", data=project, out=tmp_path / "all.jsonl")
    import_(tmp_path / "all.jsonl", out=tmp_path / "two", scrub=True)
    one, two = everything(project), everything(tmp_path / "two")
    assert "example.org" in repr(one)
    assert "example.org" not in repr(two)
    assert "b@x.org" not in repr(two)
    # Two answers that differ in an address alone are two answers still, so the comparison stays.
    assert [type(fact) for fact in one] == [type(fact) for fact in two]


def test_records_that_hang_in_the_air_are_refused_and_take_nobody_along(jsonl, tmp_path):
    project = project_with_everything(jsonl, tmp_path)
    export("judgements", data=project, out=tmp_path / "all.jsonl")
    good = lines(tmp_path / "all.jsonl")
    judged = next(row for row in good if row["record"] == "judgement")
    shown = next(row for row in good if row["record"] == "comparison")
    bad = [
        judged | {"uid": "x1", "comparison": "0" * 16},
        judged | {"uid": "x2", "rater": "nobody"},
        judged | {"verdict": "tie"},
        judged | {"uid": "x3", "supersedes": "nothing"},
        {k: v for k, v in shown.items() if k != "id"} | {"second": shown["first"]},
        {"record": "feedback", "uid": "f", "completion": "?", "kind": "up", "person": "p"},
        {"record": "rater", "id": judged["rater"], "kind": "person"},
        {"record": "slate", "prompt": shown["prompt"], "completions": [shown["first"], "1" * 16]},
        {"record": "nothing"},
        {"record": "ranking", "uid": "r", "slate": "s", "rater": "r", "ranks": [1], "order": [5]},
    ]
    heirs = [judged | {"uid": f"y{n}", "supersedes": judged["uid"]} for n in range(2)]
    file = jsonl(*[row for pair in zip(good, bad, strict=False) for row in pair], *good[len(bad) :], *bad, *heirs)
    out = tmp_path / "two"
    with Journal.open(out / "palate.db") as journal:
        summary = import_file(file, journal, out, limits=Limits(batch_rows=4))
    kept = lines(out / "quarantine" / "rows.jsonl.jsonl")
    assert len(kept) == summary.refused
    uids = [fact.uid for fact in everything(out) if isinstance(fact, Judgement)]
    assert uids == [judged["uid"], "y0"]
    assert len(everything(out)) == len(good) + 1


def test_feedback_by_an_id_needs_its_answer(jsonl, tmp_path):
    project = project_with_everything(jsonl, tmp_path)
    known = next(fact.id for fact in everything(project) if type(fact).__name__ == "Completion")
    score = {"traceId": "t", "name": "n", "dataType": "BOOLEAN", "value": 0}
    file = jsonl(score | {"id": "s1", "observationId": known}, score | {"id": "s2", "observationId": "gone"})
    import_(file, out=project, scrub=False)
    assert [f.completion for f in everything(project) if isinstance(f, Feedback)][-1] == known
    (refused,) = lines(project / "quarantine" / "rows.jsonl.jsonl")
    assert (refused["line"], "not in the journal" in refused["reason"]) == (2, True)


def test_a_journal_is_exported_for_training(jsonl, tmp_path, capsys):
    votes = [said(1), said(1, rater="eve"), said(1, rater="bob", verdict="second"), said(2, verdict="tie")]
    import_(jsonl(*votes), out=tmp_path, scrub=False)
    export("trl", data=tmp_path, out=tmp_path / "trl.jsonl")
    (row,) = lines(tmp_path / "trl.jsonl")
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("a1", "b1")
    told = capsys.readouterr().out
    assert "left out: no majority (1)" in told
    assert "not carried: votes of 1 rows" in told
    assert len(read(tmp_path / "trl.jsonl").pairs) == 1
    export("trl", data=tmp_path, out=tmp_path / "trl.json")
    assert json.loads((tmp_path / "trl.json").read_text(encoding="utf-8")) == [row]
    with pytest.raises(ConfigError, match="there is a file of this name"):
        export("judgements", data=tmp_path, out=tmp_path / "trl.jsonl")
    with pytest.raises(MissingArtefact, match="there is no journal"):
        export("judgements", data=tmp_path / "nowhere", out=tmp_path / "x.jsonl")


def test_people_can_be_given_pseudonyms(jsonl, tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        import_file(jsonl(said(1)), journal, tmp_path, scrubber=Scrubber(), pseudonym=lambda name: f"p-{len(name)}")
        assert [rater.rpartition(":")[2] for rater in rows.raters(journal)] == ["p-3"]
