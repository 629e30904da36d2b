"""Rounds of every shape in the practice world, from the first command to a release."""

import pytest
from scripts.rounds.open_gates import opened

from palate.core.artefacts import Workspace
from palate.preferences.dataset import SPLITS, load_preferences
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judgements
from typed import palate

pytestmark = pytest.mark.slow


def said(done):
    return " ".join((done.stdout + done.stderr).split())


def turned(tmp_path, shape):
    root = tmp_path / "try"
    assert palate("init", root, "--practice", "--shape", shape, "--size", "tiny", cwd=tmp_path).returncode == 0
    opened(root, red_team='"off"', over_refusal="false", knowledge="false")
    assert palate("round", "plan", cwd=root).returncode == 0
    done = palate("round", "start", cwd=root)
    assert done.returncode == 0, said(done)
    assert "Round 1 is done: stable is release" in said(done)
    return root


def made(root, kind):
    found = [one for one in Workspace(root).manifests() if one.kind == kind]
    assert found, kind
    return found


@pytest.mark.parametrize(("shape", "recipe"), [("dpo", "train dpo"), ("online-dpo", "train online-dpo")])
def test_shapes_that_differ_in_how_the_policy_learns(tmp_path, shape, recipe):
    assert {one.made_by for one in made(turned(tmp_path, shape), "policy")} == {"train sft", recipe}


def test_a_model_judges_what_people_are_not_asked(tmp_path):
    root = turned(tmp_path, "mixed")
    with Journal.open(root / "palate.db") as journal:
        shown = {one.id for one in rows.comparisons(journal, ["round/1"])}
        who = {one.comparison: one.task for one in judgements(journal, ["round/1"])}
    models = {id for id, task in who.items() if task == "model"}
    assert 0.3 < len(models) / len(shown) < 0.7, "half of them, drawn"
    assert who.keys() == shown
    (data,) = [one for one in made(root, "dataset") if one.made_by == "dataset freeze"]
    learned = {p.comparison for split in SPLITS for p in load_preferences(Workspace(root).path(data.id), split)}
    assert learned & models
    assert learned - models


def test_constitutional_ai_learns_revisions_and_then_the_model_s_own_word(tmp_path):
    root = turned(tmp_path, "cai")
    policies = {one.made_by: one for one in made(root, "policy")}
    kinds = {one.made_by for one in Workspace(root).manifests()}
    assert "train dpo" in policies
    assert policies["train dpo"].config["beta"] == 0.2, "[policy.dpo] is heeded"
    assert any("revis" in name for name in kinds), kinds
