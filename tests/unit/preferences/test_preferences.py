"""Agreement worked out by hand, labels, and snapshots that never change or leak."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core.artefacts import Workspace
from palate.core.errors import DataError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.preferences import dataset
from palate.preferences.aggregate import aggregate, soft_label
from palate.preferences.agreement import agreement, krippendorff_alpha
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge


def votes(comparison, *verdicts):
    return [
        Judgement(uid=f"{comparison}-{k}", comparison=comparison, rater=f"r{k}", verdict=Verdict(v))
        for k, v in enumerate(verdicts)
    ]


def test_agreement_by_hand():
    # c1: three raters, pairs (f,f) (f,s) (f,s): 1 of 3 agree. c2: one pair, agrees. c3: a skip leaves no pair.
    given_ = votes("c1", "first", "first", "second") + votes("c2", "tie", "tie") + votes("c3", "first", "skip")
    found = agreement(given_)
    assert (found.value, found.n) == (pytest.approx(2 / 4), 4)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_alpha_by_hand():
    # Units: ff, ff, ss, fs. Within: only the last disagrees: (4 - 1 - 1) / (2 - 1) = 2, so D_o = 2 (times 1/n).
    # Totals: f 5, s 3, n = 8: (64 - 25 - 9) / 7 = 30/7. alpha = 1 - 2 / (30/7) = 1 - 14/30.
    given_ = (
        votes("a", "first", "first")
        + votes("b", "first", "first")
        + votes("c", "second", "second")
        + votes("d", "first", "second")
    )
    assert krippendorff_alpha(given_).value == pytest.approx(1 - 14 / 30)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_soft_labels_mirror_each_other(first, second, tie):
    assert soft_label(first, second, tie) + soft_label(second, first, tie) == pytest.approx(1.0)
    assert soft_label(first + 1, second, tie) > soft_label(first, second, tie)


def test_aggregate_turns_sides_and_says_why_not():
    comparison = Comparison(prompt="p", first="a", second="b")
    prompt = Prompt.of("question")
    found = aggregate(comparison, prompt, ("A", "B"), votes("c", "second", "second", "first"))
    # Two of three votes and a quarter imagined for each side.
    assert (found.chosen, found.rejected, found.votes) == ("B", "A", (2, 1, 0))
    assert found.p_chosen == pytest.approx(2.25 / 3.5)
    assert aggregate(comparison, prompt, ("A", "A"), votes("c", "first")) == "both texts are the same"
    assert aggregate(comparison, prompt, ("A", "B"), votes("c", "skip", "both_bad")) == "too few judgements"
    tied = votes("c", "first", "second")
    assert aggregate(comparison, prompt, ("A", "B"), tied, label="majority") == "no majority"


def collected(path, prompts=40):
    with Journal.open(path) as journal:
        rows.add_raters(journal, [Rater("r0"), Rater("r1")])
        for number in range(prompts):
            prompt = Prompt.of(f"question {number}", kind="test")
            pair = [Completion(prompt=prompt.id, text=f"answer {k}{'!' * k}", policy="p") for k in range(2)]
            rows.add_prompts(journal, [prompt])
            rows.add_completions(journal, pair)
            comparison = Comparison(prompt=prompt.id, first=pair[0].id, second=pair[1].id, source="s")
            rows.add_comparisons(journal, [comparison])
            judge(journal, votes(comparison.id, "first", "second" if number % 4 == 0 else "first"))


def test_freezing_twice_gives_the_same_bytes_and_no_prompt_is_on_both_sides(tmp_path):
    for name in ("one", "two"):
        collected(tmp_path / f"{name}.db")
        with Journal.open(tmp_path / f"{name}.db") as journal:
            freeze(journal, Workspace(tmp_path / name), SnapshotConfig(heldout_fraction=0.3))
    one, two = (next((tmp_path / name / "artefacts").glob("dataset-*")) for name in ("one", "two"))
    assert one.name == two.name
    assert (one / "train.jsonl").read_bytes() == (two / "train.jsonl").read_bytes()
    train, heldout = (dataset.load_preferences(one, split) for split in dataset.SPLITS)
    assert len(train) + len(heldout) == 40
    assert heldout
    assert not {p.prompt.id for p in train} & {p.prompt.id for p in heldout}
    card = (one / "card.md").read_text()
    assert "two raters of one comparison agree: 75.0%" in card
    assert "2 raters" in card


def test_a_new_judgement_gives_a_new_id(tmp_path):
    collected(tmp_path / "j.db")
    with Journal.open(tmp_path / "j.db") as journal:
        before = freeze(journal, Workspace(tmp_path), SnapshotConfig())
        rows.add_raters(journal, [Rater("r9")])
        comparison = rows.comparisons(journal)[0].id
        judge(journal, [Judgement(uid="late", comparison=comparison, rater="r9", verdict=Verdict.SECOND)])
        after = freeze(journal, Workspace(tmp_path), SnapshotConfig())
    assert before.name != after.name


def test_nothing_to_freeze_is_said(tmp_path):
    with Journal.open(tmp_path / "j.db") as journal, pytest.raises(DataError, match="no preference to freeze"):
        freeze(journal, Workspace(tmp_path), SnapshotConfig())


def test_a_broken_line_is_named(tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps({"prompt": [{"role": "user", "content": "x"}]}) + "\n")
    with pytest.raises(DataError, match=r"d\.jsonl:1"):
        dataset.load_preferences(file)
    file.write_text("{oops\n")
    with pytest.raises(DataError, match="not JSON"):
        dataset.load_preferences(file)
