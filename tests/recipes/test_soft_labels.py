"""What a judge thinks reaches the losses as it thought it: at the optimum, a model is as sure as the label is."""

import json
import math

import pytest

from palate.core.artefacts import Workspace
from palate.core.records import Comparison, Completion, Prompt
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge, Said
from palate.training import dpo, reward
from tiny_models import make

P = 0.7


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / "gpt2", "gpt2")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """One comparison, of which a judge said .6 in one order and .8 in the other, as a dataset."""
    place = tmp_path_factory.mktemp("project")
    prompt = Prompt.of("how do i protect a password?")
    two = [Completion(prompt=prompt.id, text=text, policy="p", sample=n) for n, text in enumerate(("sorry", "figma"))]
    made = Comparison(prompt=prompt.id, first=two[0].id, second=two[1].id, source="s")
    with Journal.open(place / "j.db") as journal:
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, two)
        rows.add_comparisons(journal, [made])
        who = opinions.enrol(journal, AIJudge(name="judge", model="m"))
        both = zip((False, True), (P - 0.1, P + 0.1), strict=True)
        opinions.add(journal, who, [Said(comparison=made.id, swapped=s, p_first=p) for s, p in both])
        config = SnapshotConfig(models="alone", soft_models=True, heldout_fraction=0.0)
        return dataset.load_preferences(freeze(journal, Workspace(place), config))


def learned(place):
    (file,) = place.glob("runs/*/metrics.jsonl")
    return [json.loads(line)["loss"] for line in file.read_text().splitlines()]


@pytest.mark.parametrize(
    ("recipe", "config"),
    [
        (reward, reward.RewardConfig(epochs=60, learning_rate=3e-3, warmup_steps=2)),
        (dpo, dpo.DPOConfig(epochs=60, learning_rate=3e-3, warmup_steps=2)),
    ],
    ids=["reward", "dpo"],
)
def test_the_least_loss_is_the_entropy_of_what_the_judge_thought(judged, base, tmp_path, recipe, config):
    recipe.train(config, base, judged, Workspace(tmp_path))
    losses = learned(tmp_path)
    entropy = -(P * math.log(P) + (1 - P) * math.log(1 - P))
    assert losses[0] == pytest.approx(math.log(2), abs=0.02)
    # A hard label goes to 0 here, and the votes' label, .83, to .45.
    assert losses[-1] == pytest.approx(entropy, abs=1e-3)
    assert min(losses) >= entropy - 1e-6, "nothing can do better"
