"""Verdicts of models and of people in one journal: who is heard is said, and by default people alone are."""

import pytest

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge, Said

COUNT = 12


@pytest.fixture
def journal(tmp_path):
    """People preferred the first answer of the first half; a model the second, everywhere."""
    prompts = [Prompt.of(f"question {n}") for n in range(COUNT)]
    answers = [[Completion(prompt=p.id, text=text, policy=text, sample=0) for text in ("one", "two")] for p in prompts]
    made = [
        Comparison(prompt=p.id, first=a.id, second=b.id, source="s") for p, (a, b) in zip(prompts, answers, strict=True)
    ]
    with Journal.open(tmp_path / "j.db") as opened:
        rows.add_prompts(opened, prompts)
        rows.add_completions(opened, [c for two in answers for c in two])
        rows.add_comparisons(opened, made)
        rows.add_raters(opened, [Rater("r")])
        said = [
            Judgement(uid=f"u{n}", comparison=c.id, rater="r", verdict=Verdict.FIRST)
            for n, c in enumerate(made[: COUNT // 2])
        ]
        judgements.judge(opened, said)
        yield opened


@pytest.fixture
def labelled(journal):
    who = opinions.enrol(journal, AIJudge(name="judge", model="m"))
    told = [Said(comparison=c.id, swapped=s, p_first=0.1) for c in rows.comparisons(journal) for s in (False, True)]
    opinions.add(journal, who, told)
    return journal


def frozen(journal, tmp_path, **more):
    folder = freeze(journal, Workspace(tmp_path), SnapshotConfig(heldout_fraction=0.0, **more))
    return folder, {p.prompt.text: p.chosen for p in dataset.load_preferences(folder)}


def test_by_default_a_dataset_is_what_people_said_and_models_change_nothing(journal, tmp_path, request):
    before, told = frozen(journal, tmp_path)
    request.getfixturevalue("labelled")
    after, again = frozen(journal, tmp_path)
    assert before == after
    assert told == again == {f"question {n}": "one" for n in range(COUNT // 2)}
    assert "models" not in read_manifest(after).config


def test_in_the_gaps_models_are_heard_where_no_person_was(labelled, tmp_path):
    folder, told = frozen(labelled, tmp_path, models="gaps")
    assert told == {f"question {n}": "one" if n < COUNT // 2 else "two" for n in range(COUNT)}
    assert read_manifest(folder).config["models"] == "gaps"


def test_the_raters_that_a_comparison_needs_are_people_and_a_gap_needs_one_verdict(labelled, tmp_path):
    _, told = frozen(labelled, tmp_path, models="gaps", minimum_judgements=2)
    assert told == {f"question {n}": "two" for n in range(COUNT // 2, COUNT)}
    with pytest.raises(DataError, match="preference"):
        frozen(labelled, tmp_path, models="alone", minimum_judgements=2)


def test_alone_nobody_else_is_heard(labelled, tmp_path):
    assert frozen(labelled, tmp_path, models="alone")[1] == {f"question {n}": "two" for n in range(COUNT)}


def test_with_people_each_has_a_vote(labelled, tmp_path):
    folder, _ = frozen(labelled, tmp_path, models="with")
    votes = {p.prompt.text: sorted(p.votes) for p in dataset.load_preferences(folder)}
    assert all(votes[f"question {n}"] == ([0, 1, 1] if n < COUNT // 2 else [0, 0, 1]) for n in range(COUNT))


def test_what_cannot_be_is_refused(journal, tmp_path):
    with pytest.raises(ConfigError, match="cannot be used so"):
        SnapshotConfig(models="somehow")
    with pytest.raises(DataError, match="no preference"):
        frozen(journal, tmp_path, models="alone")


def spoken(journal, named, rater="judge"):
    """A judge who names probabilities, one of each order, of the first comparisons."""
    who = opinions.enrol(journal, AIJudge(name=rater, model=rater))
    made = rows.comparisons(journal)
    told = [
        Said(comparison=c.id, swapped=swapped, p_first=p)
        for c, both in zip(made, named, strict=False)
        for swapped, p in zip((False, True), both, strict=True)
    ]
    opinions.add(journal, who, told)
    return who


def labels(folder):
    """Probability of the answer `one`, by number of the question."""
    found = dataset.load_preferences(folder)
    return {int(p.prompt.text.split()[1]): round(p.p_chosen if p.chosen == "one" else 1 - p.p_chosen, 9) for p in found}


def test_soft_the_probability_is_the_label_and_no_tie_band_and_no_imagined_votes(journal, tmp_path):
    spoken(journal, [(0.6, 0.8), (0.1, 0.1), (0.9, 0.14), (0.5, 0.5)])
    folder, _ = frozen(journal, tmp_path, models="alone", soft_models=True)
    assert labels(folder) == {0: 0.7, 1: 0.1, 2: 0.52, 3: 0.5}
    assert read_manifest(folder).config["soft_models"] is True
    assert "4 of 4 labels are the probability that models named" in (folder / "card.md").read_text()
    hard, _ = frozen(journal, tmp_path, models="alone")
    assert labels(hard) == {0: 0.833333333, 1: 0.166666667, 2: 0.5, 3: 0.5}
    assert "soft_models" not in read_manifest(hard).config


def test_soft_two_models_are_averaged_and_a_person_makes_it_votes(journal, tmp_path):
    spoken(journal, [(0.1, 0.1)] * COUNT)
    spoken(journal, [(0.8, 1.0)] * COUNT, "another")
    gaps, _ = frozen(journal, tmp_path, models="gaps", soft_models=True)
    assert labels(gaps) == {n: 0.833333333 if n < COUNT // 2 else 0.5 for n in range(COUNT)}
    every, _ = frozen(journal, tmp_path, models="with", soft_models=True)
    # Two of three voices for the first, and the imagined ones: 2.25 of 3.5.
    assert labels(every) == {n: 0.642857143 if n < COUNT // 2 else 0.5 for n in range(COUNT)}


def test_soft_the_content_is_another_when_only_a_probability_is(tmp_path, journal):
    spoken(journal, [(0.7, 0.7)])
    mine, _ = frozen(journal, tmp_path, models="alone", soft_models=True)
    with Journal.open(tmp_path / "other.db") as other:
        made = rows.comparisons(journal)
        rows.add_prompts(other, rows.prompts(journal).values())
        rows.add_completions(other, rows.completions(journal).values())
        rows.add_comparisons(other, made)
        spoken(other, [(0.8, 0.8)])
        theirs, _ = frozen(other, tmp_path, models="alone", soft_models=True)
    assert read_manifest(mine).inputs != read_manifest(theirs).inputs


@pytest.mark.parametrize("more", [{"models": "apart"}, {"models": "alone", "label": "majority"}])
def test_soft_needs_models_and_a_label_of_its_own(more):
    with pytest.raises(ConfigError, match="--soft"):
        SnapshotConfig(soft_models=True, **more)
