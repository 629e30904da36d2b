"""One base, four hats: policy, reference, reward model and critic share one frozen model in memory and on the disk."""

import hashlib
import importlib.util
import json
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, ModelError
from palate.models import adapters, layout, load, tiny
from palate.models.adapters import Hat, Lora, SharedBase
from palate.training import cast as casts
from palate.training import dpo, ppo, reward, sft
from palate.training.critic import ModelCritic
from palate.training.optimisation import optimizer_step
from palate.world.trials import setting as small

pytestmark = pytest.mark.filterwarnings("ignore")
CPU = torch.device("cpu")
LORA = {"tuning": "lora", "lora_rank": 4}
SHORT = {"iterations": 2, "rollouts": 8, "batch_size": 4, "max_new_tokens": 10, "learning_rate": 1e-3}
LAID = layout.lay([[3, 7, 9], [4]], [[11, 12, 1], [13, 14]], pad_id=0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small.make(tmp_path_factory.mktemp("hats"))


def open_all(made, dtype="float32"):
    config = ppo.PPOConfig(**SHORT, **LORA, dtype=dtype)
    return casts.open_cast(config, made.base, made.hat, CPU, critic="model", critic_learning_rate=1e-3, value_clip=0.2)


def fingerprint(model):
    told = hashlib.sha256()
    named = {name.replace(".base_layer", ""): weight for name, weight in model.named_parameters()}
    for name in sorted(named):
        if "lora_" not in name:
            told.update(name.encode() + named[name].detach().float().numpy().tobytes())
    return told.hexdigest()


def weights_of(hat):
    return {name: p.data_ptr() for name, p in hat.shared.model.named_parameters() if "lora_" not in name}


class TestInMemory:
    def test_all_four_wear_the_same_weights(self, made):
        cast = open_all(made)
        hats = [cast.policy, cast.reference, cast.scorer.model, cast.critic.model]
        assert [hat.adapter for hat in hats] == ["policy", None, "reward", "critic"]
        for hat in hats:
            assert hat.shared is cast.learner.base
            assert weights_of(hat) == weights_of(cast.policy)
        alone = load.load_causal(made.base).model
        adapter = sum(p.numel() for p in cast.policy.parameters())
        everything = sum(p.numel() for p in cast.learner.base.model.parameters())
        assert everything == sum(p.numel() for p in alone.parameters()) + 3 * adapter

    def test_only_policy_and_critic_ask_for_gradients(self, made):
        cast = open_all(made)
        asking = {name for name, p in cast.learner.base.model.named_parameters() if p.requires_grad}
        assert asking
        assert all(".policy." in name or ".critic." in name for name in asking)

    def test_gradients_of_a_hat_reach_no_other(self, made):
        cast = open_all(made)
        cast.critic.values(LAID)[LAID.mask_BT].square().sum().backward()
        model = cast.learner.base.model
        touched = {name for name, p in model.named_parameters() if p.grad is not None}
        assert touched
        assert all(".critic." in name for name in touched)
        model.zero_grad()
        layout.logprobs(cast.policy, LAID)[LAID.mask_BT].sum().backward()
        touched = {name for name, p in model.named_parameters() if p.grad is not None}
        assert touched
        assert all(".policy." in name for name in touched)

    def test_a_hat_put_on_in_between_does_not_lead_the_gradient_astray(self, made):
        cast = open_all(made)

        def gradient(between):
            found = layout.logprobs(cast.policy, LAID)[LAID.mask_BT].sum()
            between()
            cast.policy.zero_grad()
            found.backward()
            return [p.grad.clone() for p in cast.policy.parameters()]

        plain = gradient(lambda: None)
        worn = gradient(lambda: cast.critic.values(LAID))
        assert all(torch.equal(one, other) for one, other in zip(plain, worn, strict=True))

    def test_the_policy_begins_as_the_reference(self, made):
        cast = open_all(made)
        with torch.no_grad():
            assert torch.equal(layout.logprobs(cast.policy, LAID), layout.logprobs(cast.reference, LAID))

    def test_the_critic_begins_as_the_reward_model_and_leaves_it_alone(self, made):
        cast = open_all(made)
        with torch.no_grad():
            before = layout.values(cast.scorer.model, LAID)
            assert torch.equal(cast.critic.values(LAID), before)
        for _ in range(3):
            cast.critic.values(LAID)[LAID.mask_BT].sum().backward()
            optimizer_step(cast.critic.optimizer, cast.critic.parameters, max_norm=1.0)
        with torch.no_grad():
            assert torch.equal(layout.values(cast.scorer.model, LAID), before)
            assert not torch.allclose(cast.critic.values(LAID), before)

    def test_in_half_precision_what_is_trained_is_whole(self, made):
        cast = open_all(made, "bfloat16")
        assert cast.learner.base.model.dtype == torch.bfloat16
        assert {p.dtype for p in cast.policy.parameters()} == {torch.float32}
        assert {p.dtype for p in cast.critic.model.parameters()} == {torch.float32}


class TestInARun:
    def test_the_reference_never_moves_and_is_where_the_policy_begins(self, made, tmp_path, monkeypatch):
        seen = []
        real = casts.open_cast

        def noted(*args, **more):
            cast = real(*args, **more)
            seen.append((cast, fingerprint(cast.learner.base.model)))
            return cast

        monkeypatch.setattr(ppo, "open_cast", noted)
        workspace = Workspace(tmp_path)
        config = ppo.PPOConfig(**SHORT, **LORA)
        folder = ppo.train(config, made.base, made.hat, list(small.PROMPTS), workspace)
        ((cast, before),) = seen
        assert isinstance(cast.critic, ModelCritic)
        assert fingerprint(cast.learner.base.model) == before
        assert fingerprint(load.load_causal(made.base).model) == before
        facts = read_manifest(folder).facts
        # The sampler's cache and a whole pass round differently; the reference itself is the policy, bit for bit.
        assert facts["kl/first_batch_max_nats"] < 1e-5
        with torch.no_grad():
            moved = layout.logprobs(cast.policy, LAID) - layout.logprobs(cast.reference, LAID)
        assert moved.abs().max() > 1e-3

    def test_a_full_runs_reference_never_moves_either(self, made, tmp_path, monkeypatch):
        seen = []
        real = casts.open_cast

        def noted(*args, **more):
            cast = real(*args, **more)
            seen.append((cast, fingerprint(cast.reference)))
            return cast

        monkeypatch.setattr(ppo, "open_cast", noted)
        config = ppo.PPOConfig(**SHORT, critic="ridge")
        ppo.train(config, made.base, made.scorer, list(small.PROMPTS), Workspace(tmp_path))
        ((cast, before),) = seen
        assert fingerprint(cast.reference) == before
        assert fingerprint(cast.policy) != before

    @pytest.mark.parametrize("tuning", ["full", "lora"])
    def test_half_precision(self, made, tuning, tmp_path):
        workspace = Workspace(tmp_path)
        half = {"dtype": "bfloat16", "tuning": tuning, "learning_rate": 1e-3}
        sft.train(sft.SFTConfig(**half), made.base, small.demonstrations(), workspace)
        dpo.train(dpo.DPOConfig(**half), made.base, small.preferences(), workspace)
        scorer = reward.train(reward.RewardConfig(**half), made.base, small.preferences(), workspace)
        for judge in (scorer, made.pooled):
            config = ppo.PPOConfig(**SHORT | half)
            policy = ppo.train(config, made.base, judge, list(small.PROMPTS), workspace)
            assert {p.dtype for p in load.load_causal(policy).model.parameters()} == {torch.float32}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def learned(request, tmp_path_factory):
    """An adapter that has moved, with the base it was trained on."""
    root = tmp_path_factory.mktemp(request.param)
    setting = small.make(root / "setting", family=request.param)
    told = {**LORA, "learning_rate": 1e-2, "epochs": 4, "batch_size": 3}
    adapter = sft.train(sft.SFTConfig(**told), setting.base, small.demonstrations(), Workspace(root))
    return setting, adapter, root, told


class TestOnTheDisk:
    def logits(self, model):
        with torch.no_grad():
            return model(torch.arange(6, 40)[None]).logits

    def test_peft_loads_an_adapter_and_gives_the_same_logits(self, learned):
        setting, adapter, _, _ = learned
        base = AutoModelForCausalLM.from_pretrained(setting.base).eval()
        before = self.logits(base)
        theirs = self.logits(PeftModel.from_pretrained(base, adapter).eval())
        shared = SharedBase(load.load_causal(setting.base).model, read_manifest(setting.base).id, setting.base)
        shared.load("policy", adapter)
        assert torch.equal(self.logits(Hat(shared, "policy")), theirs)
        assert (theirs - before).abs().max() > 0.1

    def test_merged_is_what_the_adapter_was(self, learned):
        setting, adapter, root, told = learned
        config = sft.SFTConfig(**told, save="merged")
        merged = sft.train(config, setting.base, small.demonstrations(), Workspace(root))
        assert not adapters.is_adapter(merged)
        theirs = self.logits(AutoModelForCausalLM.from_pretrained(merged).eval())
        base = AutoModelForCausalLM.from_pretrained(setting.base).eval()
        hat = self.logits(PeftModel.from_pretrained(base, adapter).eval())
        assert (theirs - hat).abs().max() < 1e-5 * hat.abs().max()
        assert (self.logits(load.load_causal(adapter).model) - hat).abs().max() < 1e-5 * hat.abs().max()

    def test_an_adapter_on_an_adapter(self, learned, tmp_path):
        """SFT by LoRA, then a reward model and PPO by LoRA on it, then SFT once more, all through their artefacts."""
        _, start, root, _ = learned
        workspace = Workspace(root)
        scorer = reward.train(reward.RewardConfig(**LORA, learning_rate=1e-3), start, small.preferences(), workspace)
        config = ppo.PPOConfig(**SHORT, **LORA)
        policy = ppo.train(config, start, scorer, list(small.PROMPTS), workspace)
        assert adapters.read_base(policy).id == read_manifest(start).id
        assert read_manifest(policy).facts["kl/first_batch_max_nats"] < 1e-4
        third = sft.train(sft.SFTConfig(**LORA, learning_rate=1e-3), policy, small.demonstrations(), workspace)
        assert adapters.read_base(third).id == read_manifest(policy).id
        whole = [self.logits(load.load_causal(folder).model) for folder in (start, policy, third)]
        assert not torch.allclose(whole[0], whole[1])
        assert not torch.allclose(whole[1], whole[2])
        # The next round begins from the last one's policy, on the same base.
        again = ppo.train(replace(config, seed=1), start, scorer, list(small.PROMPTS), workspace, start=policy)
        assert adapters.read_base(again).id == read_manifest(start).id

    def test_an_adapter_of_another_base_is_refused(self, learned, tmp_path):
        setting, adapter, _, _ = learned
        other = tmp_path / "other"
        shutil.copytree(setting.base, other)
        (other / "manifest.json").unlink()
        config = ppo.PPOConfig(**SHORT, **LORA)
        with pytest.raises(ModelError, match="another base") as caught:
            ppo.train(config, other, setting.scorer, list(small.PROMPTS), Workspace(tmp_path), start=adapter)
        assert str(setting.base) in caught.value.found
        with pytest.raises(ModelError, match="another base"):
            ppo.train(config, other, setting.hat, list(small.PROMPTS), Workspace(tmp_path))

    def test_adapters_in_one_base_have_names_of_their_own(self, learned):
        setting, _, _, _ = learned
        shared = SharedBase(load.load_causal(setting.base).model, "base", setting.base)
        shared.add("policy", Lora(rank=4), seed=0)
        with pytest.raises(ConfigError, match="that name"):
            shared.add("policy", Lora(rank=4), seed=0)


class TestFourBits:
    CONFIG = sft.SFTConfig(tuning="qlora", lora_rank=4, learning_rate=1e-2, epochs=4)

    def test_without_the_library_it_says_what_to_install(self, made, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "bitsandbytes", None)
        with pytest.raises(ConfigError, match="not installed") as caught:
            sft.train(self.CONFIG, made.base, small.demonstrations(), Workspace(tmp_path))
        assert "palate[qlora]" in caught.value.hint

    @pytest.mark.skipif(not importlib.util.find_spec("bitsandbytes"), reason="bitsandbytes is not installed")
    def test_it_learns_on_a_base_of_four_bits(self, made, tmp_path):
        tokenizer = load.load_tokenizer(made.base)
        base, workspace = tmp_path / "base", Workspace(tmp_path)
        base.mkdir()
        load.save(base, tiny.make_model(tokenizer, width=128, layers=2, heads=2, context=96), tokenizer)
        policy = sft.train(self.CONFIG, base, small.demonstrations(), workspace)
        lines = (workspace.run_folder(policy.name) / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["loss"] < json.loads(lines[0])["loss"]
        config = ppo.PPOConfig(**SHORT, tuning="qlora", lora_rank=4)
        made_by = ppo.train(config, base, "palate.world.trials.taste:brevity", list(small.PROMPTS), workspace)
        assert adapters.read_base(made_by).id == adapters.read_base(policy).id
