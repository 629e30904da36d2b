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
