"""The card says what the lineage knows: a dataset that was frozen from a journal, and a policy that learned from it."""

import json

import pytest

from palate.core.artefacts import Manifest, Workspace
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.rounds import model_card, releasing
from palate.rounds.model_card import Released
from palate.store import rows, taints
from palate.store.journal import Journal
from palate.store.judgements import judge
from palate.training import dpo, reward
from palate.training.dpo import DPOConfig
from palate.training.reward import RewardConfig
from tiny_models import make


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A base model, a dataset of two raters, a reward model, and a policy that learned by DPO."""
    folder = tmp_path_factory.mktemp("lineage")
    workspace = Workspace(folder)
    base = make(folder / "base", "gpt2")
    (folder / "base" / "README.md").write_text("---\nlicense: mit\n---\n")
    with Journal.open(folder / "palate.db") as journal:
        asked = [Prompt.of(f"help me plan {k}") for k in range(16)]
        both = [[Completion(prompt=p.id, text=f"start {'figma ' * k}", policy="old") for k in (0, 1)] for p in asked]
        pairs = [Comparison(prompt=a.prompt, first=a.id, second=b.id, source="s") for a, b in both]
        rows.add_prompts(journal, asked)
        rows.add_completions(journal, [one for two in both for one in two])
        rows.add_comparisons(journal, pairs)
        rows.add_raters(journal, [Rater("r0"), Rater("r1")])
        judge(
            journal,
            [
                Judgement(uid=f"{one.id}{who}", comparison=one.id, rater=who, verdict=Verdict("first"))
                for one in pairs
                for who in ("r0", "r1")
            ],
        )
        data = freeze(journal, workspace, SnapshotConfig(heldout_fraction=0.3))
        learn, held = (dataset.load_preferences(data, split) for split in dataset.SPLITS)
        origin = releasing.take(base, workspace)
        scored = reward.train(RewardConfig(), workspace.path(origin), learn, workspace, heldout=held, data_id=data.name)
        learned = dpo.train(
            DPOConfig(batch_size=4, warmup_steps=0), workspace.path(origin), learn, workspace, data_id=data.name
        )
        yield workspace, journal, origin, data, scored, learned


def section(text, title):
    return text.partition(f"## {title}\n\n")[2].partition("\n## ")[0]


def test_a_card_names_base_data_recipe_and_what_is_not_known(made):
    workspace, journal, origin, data, _, learned = made
    text = model_card.write(journal, workspace, Released(learned.name, why="a test | of | cards"))
    head = text.split("---\n")[1]
    assert 'license: "mit"' in head
    assert f'- "{origin}"' in head
    assert f'- "{data.name}"' in head
    # What is published tells of no machine.
    assert str(workspace.root) not in text
    assert "from the folder `base`" in section(text, "Base model")
    own = model_card.write(journal, workspace, Released(origin))
    assert "how it was trained is not known" in section(own, "Base model")
    assert section(own, "Reward model") == "- not known\n"
    assert 'tags:\n- palate\n- rlhf\n- "dpo"' in head
    facts = workspace.manifest(data.name).facts
    told = section(text, "Data")
    assert f"{facts['train']} rows to learn from, {facts['heldout']} rows to hold out" in told
    assert f"judgements: {facts['judgements']}; raters: 2" in told
    assert f"agree: {facts['agreement']['value']:.3f} [" in told
    assert "| learning_rate | `1e-06` |" in section(text, "Recipe")
    assert "none: the recipe learned from preferences" in section(text, "Reward model")
    assert "passed no gate" in section(text, "Evaluation")
    assert "without a gate" in section(text, "Known limits")
    assert section(text, "Taints") == "- none: no erasure has touched what it was made from\n"
    # A reason can neither end its line nor begin a table.
    assert "a test \\| of \\| cards" in text
    assert model_card.body(text).startswith("# `policy-")


def test_a_reward_model_stands_there_with_its_accuracy_and_a_gate_with_its_figures(made):
    workspace, journal, origin, data, scored, learned = made
    facts = workspace.manifest(scored.name).facts

    def copied(folder):
        (folder / "model.safetensors").write_bytes((learned / "model.safetensors").read_bytes())

    inputs = {"reference": origin, "reward": scored.name, "data": data.name}
    policy = workspace.put(Manifest(kind="policy", made_by="train ppo", config={"steps": 3}, inputs=inputs), copied)
    figure = {"value": 0.61, "low": 0.55, "high": 0.67, "n": 240}
    gate = workspace.put(
        Manifest(kind="gate", made_by="round gate", config={}, inputs={"policy": policy.name}, facts={"wins": figure}),
        lambda _: None,
    )
    known = Released(policy.name, "guardrails-1", gate.name, "round-1")
    text = model_card.write(journal, workspace, known)
    right = f"right on {facts['heldout_accuracy']:.1%} of {facts['heldout_pairs']} held-out preferences"
    assert right in section(text, "Reward model")
    assert "| wins.value | 0.61 |" in section(text, "Evaluation")
    assert "| wins.n | 240 |" in section(text, "Evaluation")
    assert "`guardrails-1`" in section(text, "Guardrails")
    assert "without a gate" not in text
    first = model_card.keep(journal, workspace, known)
    assert model_card.keep(journal, workspace, known) == first
    manifest = workspace.manifest(first)
    assert manifest.inputs == {"policy": policy.name, "guardrails": "guardrails-1", "gate": gate.name}
    # What is learned later makes another card, and leaves the first one as it was.
    taints.mark(journal, "receipt", [(data.name, "it held a person's words")])
    later = model_card.keep(journal, workspace, known)
    assert later != first
    said = (workspace.path(later) / model_card.CARD).read_text()
    assert f"`{data.name}`: it held a person's words" in section(said, "Taints")


def test_gaps_in_the_lineage_are_said(tmp_path):
    workspace = Workspace(tmp_path)
    inputs = {"reference": "policy-0", "reward": "reward-0", "data": "dataset-0"}
    policy = workspace.put(Manifest(kind="policy", made_by="train ppo", config={}, inputs=inputs), lambda _: None)
    with Journal.open(tmp_path / "palate.db") as journal:
        text = model_card.write(journal, workspace, Released(policy.name))
    assert "license" not in text.split("---\n")[1]
    assert "licence: not known" in text
    assert "what is in it is not known" in section(text, "Data")
    assert "accuracy on held-out preferences: not known" in section(text, "Reward model")
    assert "`dataset-0`, `policy-0`, `reward-0` cannot be looked at" in section(text, "Known limits")
    assert json.loads((policy / "manifest.json").read_text())["made_at"] in text
