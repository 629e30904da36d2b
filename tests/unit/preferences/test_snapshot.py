"""A snapshot is of one moment, never changes, tells everything that shaped it, and leaks no prompt."""

import json
import math
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.records import Completion, Prompt, Rater
from palate.preferences import contents, dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge

FILES = ("train.jsonl", "heldout.jsonl")
QUICK = settings(max_examples=12)


def bytes_of(folder, names=(*FILES, "card.md")):
    return {name: (folder / name).read_bytes() for name in names}


def frozen_prompts(folder):
    return {split: {p.prompt.id for p in dataset.load_preferences(folder, split)} for split in dataset.SPLITS}


@pytest.mark.parametrize("read", ["comparisons", "prompts"])
def test_what_arrives_while_the_journal_is_read_is_of_another_moment(tmp_path, monkeypatch, study, asked, said, read):
    made = study(tmp_path / "j.db", 4)
    original = getattr(rows, read)
    threads = []

    def write():
        with Journal.open(tmp_path / "j.db") as other:
            late = asked(other, 1, first=100)
            judge(other, [j for c in (*made, *late) for j in said(c.id, ("r2", "second"), start=10)])

    def interrupted(journal, *given_):
        found = original(journal, *given_)
        if not threads:
            threads.append(threading.Thread(target=write))
            threads[0].start()
            threads[0].join()
        return found

    with Journal.open(tmp_path / "j.db") as journal:
        quiet = freeze(journal, Workspace(tmp_path), SnapshotConfig())
        monkeypatch.setattr(contents.rows, read, interrupted)
        during = freeze(journal, Workspace(tmp_path / "during"), SnapshotConfig())
        after = freeze(journal, Workspace(tmp_path), SnapshotConfig())
    assert threads
    assert during.name == quiet.name
    assert bytes_of(during) == bytes_of(quiet)
    assert after.name != quiet.name
    assert read_manifest(after).facts["judgements"] == 24 + 12 + 3


def test_snapshots_beside_a_busy_writer_are_each_of_one_moment(tmp_path, asked, said):
    path, stop = tmp_path / "j.db", threading.Event()
    with Journal.open(path) as journal:
        rows.add_raters(journal, [Rater("r0"), Rater("r1")])

    def write():
        with Journal.open(path) as mine:
            number = 0
            while not stop.is_set():
                # Each comparison of a prompt is judged by both raters before the next prompt is asked.
                for comparison in asked(mine, 1, first=number):
                    judge(mine, said(comparison.id, ("r0", "first")))
                    judge(mine, said(comparison.id, ("r1", "first"), start=1))
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Journal.open(path) as journal:
            sizes = []
            while len(sizes) < 25 or len(set(sizes)) < 5:
                found = contents.collect(journal)
                comparisons, judgements = len(found.comparisons), len(found.written)
                assert {j.comparison for j in found.written} <= {c.id for c in found.comparisons}
                # Three comparisons a prompt come at once, with six judgements after them.
                assert 2 * (comparisons - 3) <= judgements <= 2 * comparisons
                sizes.append(judgements)
    finally:
        stop.set()
        writer.join()
    assert sizes == sorted(sizes)


JUDGED = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["r0", "r1", "r2"]), st.sampled_from(["first", "second", "tie", "skip", "both_bad"])),
        max_size=5,
    ),
    min_size=6,
    max_size=6,
)


@QUICK
@given(judged=JUDGED, label=st.sampled_from(["soft", "majority"]), seed=st.integers(-(2**70), 2**70))
def test_freezing_again_gives_the_same_folder_and_the_same_bytes(tmp_path_factory, asked, said, judged, label, seed):
    folder = tmp_path_factory.mktemp("frozen")
    config = SnapshotConfig(label=label, heldout_fraction=0.4, seed=seed)
    with Journal.open(folder / "j.db") as journal:
        made = asked(journal, 2)
        judge(journal, [j for c, given_ in zip(made, judged, strict=True) for j in said(c.id, *given_)])
        try:
            first = freeze(journal, Workspace(folder), config)
        except DataError:
            with pytest.raises(DataError, match="no preference to freeze"):
                freeze(journal, Workspace(folder), config)
            return
        before = bytes_of(first, (*FILES, "card.md", "manifest.json"))
        assert freeze(journal, Workspace(folder), config) == first
        assert bytes_of(first, before.keys()) == before
    with Journal.open(folder / "j.db") as journal:
        twin = freeze(journal, Workspace(folder / "twin"), config)
    assert twin.name == first.name
    assert bytes_of(twin) == bytes_of(first)


@QUICK
@given(
    sizes=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    heldout_fraction=st.floats(0.0, 0.95),
    seed=st.integers(-(2**70), 2**70),
)
def test_a_prompt_has_one_side_and_keeps_it(tmp_path_factory, asked, said, sizes, heldout_fraction, seed):
    folder = tmp_path_factory.mktemp("split")
    config = SnapshotConfig(heldout_fraction=heldout_fraction, seed=seed)
    found = []
    with Journal.open(folder / "j.db") as journal:
        for first, prompts in ((0, sizes[0]), (100, sizes[1])):
            made = asked(journal, prompts, first=first)
            judge(journal, [j for c in made for j in said(c.id, ("r0", "first"))])
            found.append(frozen_prompts(freeze(journal, Workspace(folder), config)))
    before, after = found
    assert not after["train"] & after["heldout"]
    assert len(after["train"] | after["heldout"]) == sum(sizes)
    assert all(before[split] <= after[split] for split in dataset.SPLITS)


def test_the_share_of_prompts_held_out_is_what_was_asked_for():
    held = sum(dataset.side(Prompt.of(str(k)).id, 0.3, 0) == "heldout" for k in range(4000))
    # One standard deviation is 0.0072; the split is a hash, so this cannot fail by chance twice.
    assert held / 4000 == pytest.approx(0.3, abs=0.03)


def test_another_prior_is_another_artefact_and_stands_in_the_manifest(tmp_path, study):
    study(tmp_path / "j.db", 2)
    with Journal.open(tmp_path / "j.db") as journal:
        one, other = (
            freeze(journal, Workspace(tmp_path), SnapshotConfig(prior=prior, heldout_fraction=0.0))
            for prior in (0.25, 1.0)
        )
    assert one.name != other.name
    assert read_manifest(other).config["prior"] == 1.0
    # Both raters of the second comparison are of one mind.
    assert dataset.load_preferences(one)[1].p_chosen == pytest.approx(2.25 / 2.5)
    assert dataset.load_preferences(other)[1].p_chosen == pytest.approx(3 / 4)
    assert "with 1 votes imagined" in (other / "card.md").read_text()


@pytest.mark.parametrize("prior", [0.0, -1.0, math.nan, math.inf])
def test_a_prior_that_gives_no_probability_is_refused(prior):
    with pytest.raises(ConfigError, match="prior"):
        SnapshotConfig(prior=prior)


CHANGES = {
    "verdict": {"verdict": "second"},
    "strength": {"strength": 2},
    "note": {"note": "why"},
    "reasons": {"reasons": ("tone",)},
    "guideline": {"guideline": "2"},
    "seconds": {"seconds": 3.0},
}


@pytest.mark.parametrize("change", CHANGES)
def test_two_journals_that_differ_under_one_uid_give_two_artefacts(tmp_path, asked, said, change):
    folders = []
    for number, more in enumerate(({}, CHANGES[change])):
        with Journal.open(tmp_path / f"{number}.db") as journal:
            comparison = asked(journal, 1)[0].id
            given_ = {"verdict": "first", **more}
            judge(journal, said(comparison, ("r0", given_.pop("verdict")), **given_))
            folders.append(freeze(journal, Workspace(tmp_path), SnapshotConfig()))
    assert folders[0].name != folders[1].name


def test_the_order_of_repeated_judgements_is_part_of_the_id(tmp_path, asked, said):
    folders = []
    for number in range(2):
        with Journal.open(tmp_path / f"{number}.db") as journal:
            pair = said(asked(journal, 1)[0].id, ("r0", "first"), ("r0", "second"))
            judge(journal, pair if number else pair[::-1])
            folders.append(freeze(journal, Workspace(tmp_path), SnapshotConfig(heldout_fraction=0.0)))
    assert [dataset.load_preferences(folder)[0].chosen for folder in folders] == ["answer", "answer more"]


def test_when_a_judgement_was_made_is_no_part_of_the_id(tmp_path, asked, said):
    names = set()
    for number in range(2):
        with Journal.open(tmp_path / f"{number}.db") as journal:
            given_ = said(asked(journal, 1)[0].id, ("r0", "first"), judged_at=f"2026-01-0{number + 1}")
            judge(journal, given_)
            names.add(freeze(journal, Workspace(tmp_path / str(number)), SnapshotConfig()).name)
    assert len(names) == 1


def test_a_row_names_who_wrote_the_chosen_and_the_rejected_completion(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        one, other, tied = asked(journal, 1)
        judge(journal, said(one.id, ("r0", "first")) + said(other.id, ("r0", "second")) + said(tied.id, ("r0", "tie")))
        policy = {c.text: c.policy for c in rows.completions(journal).values()}
        folder = freeze(journal, Workspace(tmp_path), SnapshotConfig(heldout_fraction=0.0))
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert [line["policies"] for line in lines] == [
        ["policy-0", "policy-1"],
        ["policy-2", "policy-0"],
        ["policy-1", "policy-2"],
    ]
    assert all(line["policies"] == [policy[line["chosen"]], policy[line["rejected"]]] for line in lines)


def test_sources_freeze_apart(tmp_path, study):
    study(tmp_path / "j.db", 3)
    with Journal.open(tmp_path / "j.db") as journal:
        found = contents.collect(journal, sources=["source 0"])
        assert {c.source for c in found.comparisons} == {"source 0"}
        assert {j.comparison for j in found.written} == {c.id for c in found.comparisons}
        assert len(found.preferences) == 6
        with pytest.raises(DataError, match="no preference to freeze"):
            freeze(journal, Workspace(tmp_path), SnapshotConfig(sources=("source 9",)))


def test_text_that_json_lines_could_trip_over_comes_back(tmp_path, asked, said):
    texts = ["\u2028 line \u2029 separators \x85 \r\n", "👩‍👩‍👧\x00 \ufeff\u202e"]
    prompt = Prompt.of(texts[0], kind="a|b\n# c")
    with Journal.open(tmp_path / "j.db") as journal:
        comparison = replace(asked(journal, 1)[0], prompt=prompt.id)
        pair = [Completion(prompt=prompt.id, text=text, policy="p") for text in texts]
        comparison = replace(comparison, first=pair[0].id, second=pair[1].id)
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, pair)
        rows.add_comparisons(journal, [comparison])
        judge(journal, said(comparison.id, ("r0", "second")))
        folder = freeze(journal, Workspace(tmp_path), SnapshotConfig(heldout_fraction=0.0))
    (row,) = dataset.load_preferences(folder)
    assert (row.prompt, row.chosen, row.rejected) == (prompt, texts[1], texts[0])
