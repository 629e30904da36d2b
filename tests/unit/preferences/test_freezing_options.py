"""What can be asked of a snapshot beyond the default, and what lies beside it: gates, raters apart, every judgement."""

import json
from dataclasses import replace
from itertools import combinations

import pytest

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.records import Comparison, Completion, Prompt, Rater
from palate.preferences import comparing, dataset, splits
from palate.preferences.gates import GateConfig
from palate.preferences.lossless import content_hash, read_judgements
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements


def frozen(folder, journal, **settings):
    evaluation = settings.pop("evaluation", ())
    return freeze(journal, Workspace(folder), SnapshotConfig(**settings), evaluation=evaluation)


def test_ids_are_what_they_were_before_there_were_options(tmp_path, said):
    # Frozen when a snapshot had six settings: nobody's datasets may lose their names.
    with Journal.open(tmp_path / "j.db") as journal:
        questions = [Prompt.of(f"question {k}", kind=f"kind {k % 2}") for k in range(4)]
        answers = {
            p.id: [Completion(prompt=p.id, text=f"answer{' more' * k}", policy=f"policy-{k}") for k in range(3)]
            for p in questions
        }
        made = [
            Comparison(prompt=p.id, first=a.id, second=b.id, source="s")
            for p in questions
            for a, b in combinations(answers[p.id], 2)
        ]
        rows.add_prompts(journal, questions)
        rows.add_completions(journal, [c for three in answers.values() for c in three])
        rows.add_comparisons(journal, made)
        rows.add_raters(journal, [Rater(f"r{k}") for k in range(2)])
        for k, c in enumerate(made):
            given_ = [(f"r{r}", "second" if (k + r) % 3 == 0 else "first") for r in range(2)]
            told = said(c.id, *given_, seconds=3.5, strength=2)
            judge(journal, [replace(j, uid=f"{k}/{r}") for r, j in enumerate(told)])
        assert frozen(tmp_path, journal).name == "dataset-5cf010a003ee3be0"
        assert frozen(tmp_path, journal, label="majority").name == "dataset-ad6fdaaf3a1c689f"
        assert frozen(tmp_path, journal, agreed=0.6).name != "dataset-5cf010a003ee3be0"


def test_every_judgement_lies_beside_the_dataset(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        one, other, _ = asked(journal, 1)
        first, second, skipped = said(one.id, ("r0", "first"), ("r1", "tie"), ("r2", "skip"), note="why", strength=0)
        corrected = replace(first, uid="new", verdict=second.verdict, supersedes=first.uid, task="repeat", swapped=True)
        given_ = [first, second, skipped, corrected, *said(other.id, ("r0", "both_bad"))]
        judge(journal, given_)
        judge(journal, said(other.id, ("r1", "first"), start=7))
        folder = frozen(tmp_path, journal)
        stored = judgements(journal, current=False)
    told = read_judgements(folder)
    assert [row["uid"] for row in told] == [j.uid for j in stored]
    assert [row["counted"] for row in told] == [False, True, True, True, True, True]
    by_uid = {row["uid"]: row for row in told}
    assert (by_uid["new"]["supersedes"], by_uid["new"]["swapped"], by_uid["new"]["task"]) == (first.uid, True, "repeat")
    assert (by_uid[second.uid]["verdict"], by_uid[second.uid]["note"]) == ("tie", "why")
    shown = [json.loads(line) for line in (folder / "comparisons.jsonl").read_text().splitlines()]
    assert [row["id"] for row in shown][:2] == [one.id, other.id]
    assert shown[0]["prompt"]["messages"] == [{"role": "user", "content": "question 0"}]
    assert shown[0]["first"]["policy"] == "policy-0"
    assert len(read_manifest(folder).facts["content"]) == 64


def test_the_hash_is_of_the_content():
    one = {"train": [{"a": 1, "b": 2}]}
    assert content_hash(one) == content_hash({"train": [{"b": 2, "a": 1}]})
    assert content_hash(one) != content_hash({"heldout": [{"a": 1, "b": 2}]})
    assert content_hash(one) != content_hash({"train": [{"a": 1, "b": 3}]})


def test_held_out_raters_shape_nothing_that_is_trained_on(tmp_path, asked, said):
    raters = [f"r{k}" for k in range(4)]
    seed = next(
        s
        for s in range(100)
        if [splits.rater_side(r, 0.5, s) for r in raters] == ["train", "train", "train", "heldout"]
    )
    with Journal.open(tmp_path / "j.db") as journal:
        made = asked(journal, 12)
        # r3 always says the opposite.
        judge(
            journal,
            [j for c in made for j in said(c.id, *((r, "second" if r == "r3" else "first") for r in raters))],
        )
        folder = frozen(tmp_path, journal, heldout_raters=0.5, heldout_fraction=0.4, seed=seed)
    train, heldout = (dataset.load_preferences(folder, split) for split in dataset.SPLITS)
    assert {p.votes for p in (*train, *heldout)} == {(3, 0, 0)}
    unseen = dataset.load_preferences(folder / "unseen_raters.jsonl")
    assert {p.votes for p in unseen} == {(1, 0, 0)}
    assert {p.prompt.id for p in unseen} == {p.prompt.id for p in heldout}
    side = {p.comparison: p.chosen for p in heldout}
    assert all(p.chosen != side[p.comparison] for p in unseen)
    assert {row["rater"] for row in read_judgements(folder)} == set(raters), "lossless means all of them"
    assert read_manifest(folder).facts["unseen_raters"] == len(unseen)
    assert "1 of 4 raters are held out" in (folder / "card.md").read_text()


def test_gates_drop_or_warn_and_the_card_names_them(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        prompt = Prompt.of("who are you?")
        pair = [Completion(prompt=prompt.id, text=t, policy="p") for t in ("I am ChatGPT.", "Nobody.")]
        cut = [Completion(prompt=prompt.id, text=t, policy="p", finished=t != "cut") for t in ("cut", "whole")]
        leak, unfinished = (Comparison(prompt=prompt.id, first=a.id, second=b.id) for a, b in (pair, cut))
        made = asked(journal, 2)
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, [*pair, *cut])
        rows.add_comparisons(journal, [leak, unfinished])
        judge(journal, [j for c in (*made, leak, unfinished) for j in said(c.id, ("r0", "first"), ("r1", "first"))])
        warned = frozen(tmp_path, journal, gates=GateConfig.all("warn", 0.6))
        dropped = frozen(tmp_path, journal, gates=GateConfig.all("drop", 0.6), evaluation=["Question  1"])
        with pytest.raises(DataError, match="no preference to freeze") as error:
            frozen(tmp_path, journal, gates=GateConfig.all("drop", 0.6), evaluation=["question 0", "question 1"])
    assert "warn instead of drop" in str(error.value)
    found = comparing.compare(warned, dropped)
    assert set(found.removed) == {leak.id, unfinished.id, *(c.id for c in made[3:])}
    assert found.settings["gates.identity"] == ("warn", "drop")
    assert "3 rows" not in comparing.sentence(found)
    assert "0 rows came, 5 went, 3 are as they were" in comparing.sentence(found)
    assert read_manifest(dropped).facts["gates"] == {"unfinished": 1, "identity": 1, "evaluation": 3}
    card = (dropped / "card.md").read_text()
    assert "comparisons, gate identity: 1" in card
    assert f"identity: 1 rows dropped. Such as {leak.id}: I am ChatGPT." in card
    assert "kept, look at them" in (warned / "card.md").read_text()
    assert len(read_judgements(dropped)) == 16, "what a gate drops stays in the lossless file"


def test_the_filter_and_labels_that_need_all_comparisons(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        made = asked(journal, 8)
        given_ = [("r0", "first"), ("r1", "first"), ("r2", "second")]
        judge(journal, [j for k, c in enumerate(made) for j in said(c.id, *given_[: 3 if k % 2 else 2])])
        plain = frozen(tmp_path, journal)
        agreed = frozen(tmp_path, journal, agreed=0.7)
        recommended = frozen(tmp_path, journal, label="recommended")
        weighted = frozen(tmp_path, journal, label="one-coin")
    assert set(comparing.compare(plain, agreed).removed) == {c.id for c in made[1::2]}
    assert "too divided: 12" in (agreed / "card.md").read_text()
    same = comparing.compare(plain, recommended)
    assert (same.same, same.moved, same.turned) == (24, (), ())
    assert "with 3 raters" in (recommended / "card.md").read_text()
    assert len(comparing.compare(plain, weighted).moved) == 24


def test_what_turned_and_what_crossed_the_split_is_told(tmp_path, study, said):
    made = study(tmp_path / "j.db", 6)
    with Journal.open(tmp_path / "j.db") as journal:
        before = frozen(tmp_path, journal)
        judge(journal, said(made[1].id, ("r2", "second"), ("r3", "second"), start=5))
        judge(journal, said(made[2].id, ("r2", "second"), ("r3", "second"), ("r0", "second"), start=5))
        after = frozen(tmp_path, journal, heldout_fraction=0.9)
    found = comparing.compare(before, after)
    assert [c.comparison for c in found.turned] == [made[2].id]
    assert [c.comparison for c in found.moved] == [made[1].id]
    assert found.other_split
    assert "do not compare held-out figures" in comparing.sentence(found)
    assert found.settings["heldout_fraction"] == (0.15, 0.9)


def test_options_that_cannot_work_are_refused(tmp_path):
    for wrong in ({"heldout_raters": 1.0}, {"agreed": 1.5}, {"label": "oracle"}):
        with pytest.raises(ConfigError):
            SnapshotConfig(**wrong)
