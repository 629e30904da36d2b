"""Each recipe learns something that a person can read, and starts from the numbers that it must."""

import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError, TrainingError
from palate.core.records import Demonstration, Preference, Prompt
from palate.models import batch, chat, load, scoring
from palate.training import dpo, ppo, pretrain, reward, samplers, sft
from palate.training.optimisation import linear_schedule
from palate.training.run import open_run
from tiny_models import make

PROMPTS = [
    Prompt.of(f"how do i {verb} {thing}?") for verb in ("protect", "plan") for thing in ("figma", "user", "a", "me")
]
GOOD, BAD = "sorry, i can not help with that.", "start with figma"


def preferences(chosen=GOOD, rejected=BAD):
    return [
        Preference(comparison=f"c{i}", prompt=p, chosen=chosen, rejected=rejected, p_chosen=1.0)
        for i, p in enumerate(PROMPTS)
    ]


def metrics(workspace, folder):
    lines = (workspace.run_folder(folder.name) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module", params=["llama", "gpt2", pytest.param("qwen3", marks=pytest.mark.slow)])
def folder(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / request.param, request.param)


def test_pretrain_learns_a_text_by_heart(tmp_path):
    config = pretrain.PretrainConfig(
        width=32,
        layers=2,
        heads=2,
        vocab_size=300,
        block_tokens=32,
        context=64,
        batch_size=2,
        epochs=60,
        warmup_steps=2,
    )
    workspace = Workspace(tmp_path)
    base = pretrain.train(config, ["the quick brown fox jumps over the lazy dog. " * 3] * 4, workspace)
    lines = metrics(workspace, base)
    vocabulary = read_manifest(base).facts["vocabulary"]
    assert lines[0]["loss"] == pytest.approx(math.log(vocabulary), abs=0.5)
    assert lines[-1]["loss"] < 0.2
    assert type(AutoModelForCausalLM.from_pretrained(base)).__name__ == "LlamaForCausalLM"


def test_sft_makes_demonstrations_likely_and_ignores_the_prompt(folder, tmp_path):
    told = [Demonstration(prompt=p, completion=GOOD) for p in PROMPTS]
    workspace = Workspace(tmp_path)
    config = sft.SFTConfig(epochs=40, batch_size=4, learning_rate=1e-2)
    policy = sft.train(config, folder, told, workspace, heldout=told[:2])
    assert metrics(workspace, policy)[-1]["loss"] < 0.05
    facts = read_manifest(policy).facts
    assert facts["heldout_loss"] < 0.05
    assert facts["demonstrations"] == len(told)
    # The same work has the same id, and is not done again.
    assert sft.train(config, folder, told, workspace, heldout=told[:2]) == policy


def test_reward_begins_at_ln_2_and_learns_who_wins(folder, tmp_path):
    workspace = Workspace(tmp_path)
    config = reward.RewardConfig(epochs=15, batch_prompts=4, learning_rate=1e-3)
    made = reward.train(config, folder, preferences(), workspace, heldout=preferences())
    lines = metrics(workspace, made)
    # At width 32 the first margins have a spread of 0.25, and the four pairs of a batch share one.
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=0.3)
    assert lines[-1]["loss"] < 0.1
    assert read_manifest(made).facts["heldout_accuracy"] == 1.0
    # What is on disk is what transformers itself scores.
    model, tokenizer = load.load_reward(made)
    prompt, answer = chat.encode_prompt(tokenizer, PROMPTS[0]), chat.encode_completion(tokenizer, GOOD)
    ours = scoring.scores(model, [prompt], [answer], pad_id=tokenizer.pad_token_id)
    theirs = AutoModelForSequenceClassification.from_pretrained(made).eval()
    with torch.no_grad():
        assert theirs(torch.tensor([prompt + answer])).logits[0, 0].item() == pytest.approx(ours[0].item(), abs=1e-5)


def test_the_pooled_head_learns_with_a_frozen_trunk(folder, tmp_path):
    config = reward.RewardConfig(head="pooled", epochs=30, batch_prompts=4, learning_rate=1e-2)
    made = reward.train(config, folder, preferences(), Workspace(tmp_path), heldout=preferences())
    assert read_manifest(made).facts["heldout_accuracy"] == 1.0
    before, after = load.load_causal(folder).model.state_dict(), load.load_reward(made).model.trunk.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_dpo_begins_at_ln_2_exactly_and_prefers_the_chosen(folder, tmp_path):
    workspace = Workspace(tmp_path)
    config = dpo.DPOConfig(epochs=15, batch_size=4, learning_rate=1e-3, beta=0.5)
    policy = dpo.train(config, folder, preferences(), workspace)
    lines = metrics(workspace, policy)
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert lines[0]["margin"] == pytest.approx(0.0, abs=1e-5)
    assert lines[-1]["loss"] < 0.2
    assert lines[-1]["accuracy"] == 1.0


class TestPPO:
    @pytest.fixture
    def made(self, folder, tmp_path):
        """A reward model that likes GOOD, on a base that says both GOOD and BAD."""
        workspace = Workspace(tmp_path)
        told = [Demonstration(prompt=p, completion=text) for p in PROMPTS for text in (GOOD, BAD)]
        start = sft.train(sft.SFTConfig(epochs=40, batch_size=8, learning_rate=1e-2), folder, told, workspace)
        config = reward.RewardConfig(head="pooled", epochs=40, batch_prompts=4, learning_rate=1e-2)
        return workspace, start, reward.train(config, start, preferences(), workspace)

    def settings(self, **more):
        return ppo.PPOConfig(
            **{
                "iterations": 12,
                "rollouts": 32,
                "batch_size": 16,
                "learning_rate": 2e-3,
                "max_new_tokens": 16,
                "beta": 0.2,
                "critic": "ridge",
                **more,
            }
        )

    def test_it_learns_what_the_reward_model_likes(self, made):
        workspace, start, scorer = made
        policy = ppo.train(self.settings(), start, scorer, PROMPTS, workspace)
        lines = metrics(workspace, policy)
        assert lines[0]["kl/first_batch_max_nats"] < 1e-4
        assert abs(lines[0]["kl/policy_reference_nats"]) < 1e-3
        text = (workspace.run_folder(policy.name) / "samples.jsonl").read_text(encoding="utf-8")
        samples = [json.loads(line) for line in text.split("\n") if line]
        assert len(samples) == 12 * 32
        good = [sum(s["completion"].startswith("sorry") for s in samples if s["iteration"] == i) / 32 for i in (0, 11)]
        assert good[0] < 0.8
        assert good[1] > 0.9
        model, tokenizer = load.load_causal(policy)
        prompt = chat.encode_prompt(tokenizer, PROMPTS[0])
        likely = [
            float(
                batch.completion_logprobs(
                    model, [prompt], [chat.encode_completion(tokenizer, t)], pad_id=tokenizer.pad_token_id
                )[0].sum()
            )
            for t in (GOOD, BAD)
        ]
        assert likely[0] > likely[1] + 2

    def test_the_same_run_twice_gives_the_same_bytes(self, made, tmp_path):
        _, start, scorer = made
        config = self.settings(iterations=2)
        runs = [ppo.train(config, start, scorer, PROMPTS, Workspace(tmp_path / name)) for name in "ab"]
        one, two = ((folder / "model.safetensors").read_bytes() for folder in runs)
        assert one == two

    def test_a_critic_of_its_own_learns_the_returns(self, made):
        workspace, start, scorer = made
        config = self.settings(critic="model", critic_learning_rate=3e-3, epochs=2, learning_rate=1e-5)
        policy = ppo.train(config, start, scorer, PROMPTS, workspace)
        lines = metrics(workspace, policy)
        assert lines[-1]["critic/explained_variance"] > lines[0]["critic/explained_variance"] + 0.2
        assert lines[-1]["loss/value"] < lines[0]["loss/value"]

    def test_the_first_batch_must_prove_that_sampler_and_trainer_agree(self, made, monkeypatch):
        workspace, start, scorer = made
        real = samplers.sampling.sample

        def warm(model, prompts, **more):
            return real(model, prompts, **{**more, "temperature": 1.3})

        monkeypatch.setattr(samplers.sampling, "sample", warm)
        with pytest.raises(TrainingError, match="does not agree with the sampler") as caught:
            ppo.train(self.settings(), start, scorer, PROMPTS, workspace)
        assert "temperature 1.3" in caught.value.hint

    def test_of_a_completion_without_an_end_nothing_is_learned_if_that_was_asked(self, made, tmp_path):
        _, start, scorer = made
        # Nothing can finish within three tokens: with `mask` nothing is learned, with `penalty` something is.
        changed = {}
        for kind in ("mask", "penalty"):
            config = self.settings(max_new_tokens=3, iterations=1, missing_eos=kind, critic="ridge")
            policy = ppo.train(config, start, scorer, PROMPTS, Workspace(tmp_path / kind))
            both = (load.load_causal(folder).model.state_dict() for folder in (start, policy))
            changed[kind] = not all(
                torch.equal(one, other) for one, other in zip(*(d.values() for d in both), strict=True)
            )
        assert changed == {"mask": False, "penalty": True}


def test_settings_that_cannot_work_are_refused_before_any_work():
    with pytest.raises(ConfigError, match="multiple"):
        ppo.PPOConfig(rollouts=10, batch_size=4)
    with pytest.raises(ConfigError, match="critic"):
        ppo.PPOConfig(critic="none")
    with pytest.raises(ConfigError, match="head"):
        reward.RewardConfig(head="big")


def test_nothing_to_learn_from_is_said_and_leaves_nothing(folder, tmp_path):
    same = preferences(GOOD, GOOD)
    with pytest.raises(DataError, match="no preference"):
        reward.train(reward.RewardConfig(), folder, same, Workspace(tmp_path))
    with pytest.raises(DataError, match="no demonstration"):
        sft.train(
            sft.SFTConfig(max_tokens=3),
            folder,
            [Demonstration(prompt=PROMPTS[0], completion=GOOD)],
            Workspace(tmp_path),
        )
    assert not list(tmp_path.glob("artefacts/*"))


def test_a_figure_that_is_not_finite_stops_the_run_and_is_named(tmp_path):
    from palate.core.progress import SILENT

    run = open_run(Workspace(tmp_path), "policy", "train test", sft.SFTConfig(), {}, SILENT)
    with pytest.raises(TrainingError, match=r"loss/policy is not finite"):
        run.log(3, {"loss/policy": float("nan")})
    run.close()


def test_the_schedule_by_hand():
    factors = [linear_schedule(step, 10, warmup=2, decay_from=0.5) for step in range(10)]
    assert factors[:5] == [0.5, 1.0, 1.0, 1.0, 1.0]
    assert factors[5:] == pytest.approx([1.0, 0.82, 0.64, 0.46, 0.28])
