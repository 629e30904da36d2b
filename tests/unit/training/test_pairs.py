"""What counts as a preference to learn from, and what is said about those that do not."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import DataError, ModelError
from palate.core.records import Demonstration, Preference, Prompt
from palate.models import load
from palate.training import dpo, reward, sft
from palate.training.pairs import Pair, encode, identity, judge_heldout
from tiny_models import make

CONTEXT = 96


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / request.param, request.param, context=CONTEXT)


def preference(name, chosen="start with figma", rejected="sorry", p=1.0, weight=1.0):
    prompt = Prompt.of(f"how do i protect {name}?")
    return Preference(
        comparison=name, prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=p, weight=weight
    )  # fmt: skip


GOOD = [preference(f"g{i}") for i in range(6)]
LONG = preference("long", chosen="figma " * 200)


def test_what_cannot_be_learned_from_is_left_out_and_counted(folder):
    tokenizer = load.load_tokenizer(folder)
    rows = [*GOOD, LONG, preference("same", "plan", "plan"), preference("light", weight=0.0)]
    pairs = encode(tokenizer, rows, CONTEXT)
    assert [pair.comparison for pair in pairs.rows] == [f"g{i}" for i in range(6)]
    assert pairs.counts == {"preferences": 6, "too_long": 1, "no_signal": 2}


@pytest.mark.parametrize("head", ["classification", "pooled"])
def test_a_reward_model_leaves_out_what_exceeds_the_context(folder, tmp_path, head):
    workspace = Workspace(tmp_path)
    config = reward.RewardConfig(head=head, learning_rate=1e-3)
    made = reward.train(config, folder, [*GOOD, LONG], workspace, heldout=[*GOOD[:4], LONG, preference("even", p=0.5)])
    facts = read_manifest(made).facts
    assert (facts["preferences"], facts["too_long"], facts["heldout_pairs"]) == (6, 1, 4)
    assert facts["heldout_longer_wins"] == 1.0
    lines = [json.loads(line) for line in (workspace.run_folder(made.name) / "heldout.jsonl").read_text().splitlines()]
    assert [line["comparison"] for line in lines] == ["g0", "g1", "g2", "g3"]
    right = sum((line["margin"] > 0) + 0.5 * (line["margin"] == 0) for line in lines) / 4
    assert facts["heldout_accuracy"] == right


def test_dpo_measures_its_implicit_reward_on_unseen_pairs(folder, tmp_path):
    workspace = Workspace(tmp_path)
    config = dpo.DPOConfig(epochs=6, batch_size=3, learning_rate=1e-3, warmup_steps=2)
    made = dpo.train(config, folder, [*GOOD, LONG], workspace, heldout=[preference("new"), LONG])
    facts = read_manifest(made).facts
    assert (facts["preferences"], facts["too_long"]) == (6, 1)
    assert (facts["heldout_accuracy"], facts["heldout_pairs"]) == (1.0, 1)


def test_sft_leaves_out_what_exceeds_the_context(folder, tmp_path):
    told = [Demonstration(prompt=p.prompt, completion=p.chosen) for p in [*GOOD, LONG]]
    made = sft.train(sft.SFTConfig(), folder, told, Workspace(tmp_path), heldout=told[-1:])
    facts = read_manifest(made).facts
    assert (facts["demonstrations"], facts["too_long"]) == (6, 1)
    assert "heldout_loss" not in facts  # nothing was measured, so there is no figure


def test_held_out_preferences_without_a_direction_leave_no_figure(folder, tmp_path):
    made = reward.train(reward.RewardConfig(), folder, GOOD, Workspace(tmp_path), heldout=[preference("even", p=0.5)])
    assert not [name for name in read_manifest(made).facts if name.startswith("heldout")]


def test_nothing_to_learn_from_says_why(folder, tmp_path):
    with pytest.raises(DataError) as caught:
        dpo.train(dpo.DPOConfig(), folder, [LONG, preference("same", "plan", "plan")], Workspace(tmp_path))
    assert caught.value.expected.startswith(f"preferences of at most {CONTEXT} tokens")
    assert caught.value.found == "2 preferences: 1 too long, 1 without a signal"


def test_other_labels_are_other_data():
    surer, lighter = preference("a", p=0.9), preference("a", p=0.9, weight=0.5)
    assert len({identity([preference("a")]), identity([surer]), identity([lighter])}) == 3
    assert identity([preference("a")]) == identity([preference("a")])


def test_relabelled_preferences_are_learned_from_anew(folder, tmp_path):
    workspace, config = Workspace(tmp_path), dpo.DPOConfig()
    first = dpo.train(config, folder, GOOD, workspace)
    turned = [preference(p.comparison, p.rejected, p.chosen) for p in GOOD]
    assert dpo.train(config, folder, turned, workspace) != first


def test_ties_count_half_in_both_shares(tmp_path):
    pairs = [Pair(f"c{i}", f"p{i}", [1], [2], [3], 1.0, 1.0, extra) for i, extra in enumerate((5, 0, -2, -1))]
    found = judge_heldout(tmp_path, pairs, torch.tensor([1.0, 2.0, 0.0, -1.0]))
    assert (found.accuracy, found.longer_wins, found.pairs) == (2.5 / 4, 1.5 / 4, 4)


@pytest.mark.parametrize("open_", [load.load_causal, load.load_scalar])
def test_a_missing_weight_is_an_error_and_a_new_head_is_not(folder, tmp_path, open_, capfd):
    load.load_scalar(folder)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    lost = sorted(name for name in weights if "attn" in name and "weight" in name)[0]
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="incomplete") as caught:
        open_(tmp_path)
    assert "attn" in caught.value.found
    told = capfd.readouterr()
    assert "LOAD REPORT" not in told.out + told.err
