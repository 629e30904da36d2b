"""RLOO, GRPO, online DPO, best-of-n and KTO teach five families to say no, with all weights and with adapters."""

import math
from pathlib import Path

import pytest
import torch
from tests.recipes.practice import BAD, FAMILIES, GOOD, PROMPTS, lead, metrics, preferences, samples

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError, TrainingError
from palate.core.records import Approval
from palate.functional.best_of_n import best_of_n_kl_nats
from palate.models import adapters, load
from palate.preferences import dataset
from palate.training import best_of_n, grpo, kto, online_dpo, rloo, sft
from palate.training.best_of_n import BestOfNConfig
from palate.training.grpo import GRPOConfig
from palate.training.kto import KTOConfig
from palate.training.online_dpo import OnlineDPOConfig
from palate.training.rloo import RLOOConfig
from palate.training.run import RunOptions

REWARD = "rewards:likes_no"
SAMPLING = {"rloo": (rloo, RLOOConfig), "grpo": (grpo, GRPOConfig), "online-dpo": (online_dpo, OnlineDPOConfig)}
RECIPES = (*SAMPLING, "best-of-n", "kto")
FULL = ("llama", "qwen3", "gemma")
"""With all weights in the fast tests; the others with adapters there, and the other way round in the slow ones."""
TUNED = {"full": {}, "lora": {"tuning": "lora", "lora_rank": 4}}


@pytest.fixture(autouse=True)
def _rewards_are_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def cases():
    for recipe in RECIPES:
        for family in FAMILIES:
            for tuning in TUNED:
                fast = (tuning == "full") == (family in FULL)
                # RLOO, GRPO and online DPO share their sampling; all families go through one of them.
                marks = () if fast and (recipe != "rloo" or family in ("llama", "gpt2")) else (pytest.mark.slow,)
                yield pytest.param(recipe, family, tuning, marks=marks, id=f"{recipe}-{family}-{tuning}")


def config_of(recipe, **more):
    if recipe == "kto":
        return KTOConfig(**{"epochs": 8, "batch_size": 8, "learning_rate": 3e-3, "beta": 0.3, "warmup_steps": 2} | more)
    if recipe == "best-of-n":
        short = {"n": 4, "max_new_tokens": 16, "epochs": 10, "batch_size": 8, "learning_rate": 5e-3}
        return BestOfNConfig(**{**short, "heldout_fraction": 0.0} | more)
    short = {"iterations": 6, "rollouts": 32, "batch_size": 16, "learning_rate": 2e-3, "max_new_tokens": 16}
    return SAMPLING[recipe][1](**short | more)


def learn(recipe, model, workspace, reward=REWARD, **more):
    config = config_of(recipe, **more)
    if recipe == "kto":
        return kto.train(config, model, approvals(), workspace, heldout=approvals())
    module = best_of_n if recipe == "best-of-n" else SAMPLING[recipe][0]
    return module.train(config, model, reward, PROMPTS, workspace)


def approvals():
    return [side for preference in preferences() for side in preference.approvals]


@pytest.mark.parametrize(("recipe", "family", "tuning"), list(cases()))
def test_it_learns_to_say_no(policies, tmp_path, recipe, family, tuning):
    workspace, model = Workspace(tmp_path), policies(family)
    before = lead(model)
    policy = learn(recipe, model, workspace, **TUNED[tuning])
    assert abs(before) < 0.2  # as often as not
    assert lead(policy) > before + 1.4  # four times as often: the least that any of these short runs gave was 1.6
    assert adapters.is_adapter(policy) == (tuning == "lora")
    if recipe in SAMPLING:
        lines = metrics(workspace, policy)
        assert lines[0]["kl/first_batch_max_nats"] < 1e-4
        assert lines[-1]["reward/score_mean"] > lines[0]["reward/score_mean"] + 0.2
        assert len(samples(workspace, policy)) == 6 * 32
        assert all(line["reward"] == line["score"] for line in samples(workspace, policy) if line["finished"])
    if recipe == "kto":
        assert read_manifest(policy).facts["heldout_loss"] < 0.4  # from 0.5; below 0.32 in all of these


class TestKTO:
    def test_it_begins_at_one_half_exactly(self, policies, tmp_path):
        workspace = Workspace(tmp_path)
        policy = learn("kto", policies("llama"), workspace, epochs=1)
        first = metrics(workspace, policy)[0]
        assert first["loss"] == pytest.approx(0.5, abs=1e-6)
        assert first["accuracy"] == 0.5
        assert first["reference_point_nats"] == pytest.approx(0.0, abs=1e-5)

    def test_how_a_batch_is_parted_changes_nothing(self, policies, tmp_path):
        """With a reference point a part, it would: the second step has moved."""
        found = []
        for size in (1, 3, 16):
            workspace = Workspace(tmp_path / str(size))
            policy = learn("kto", policies("llama"), workspace, epochs=2, micro_batch=size)
            found.append(metrics(workspace, policy))
        for other in found[1:]:
            for one, two in zip(found[0], other, strict=True):
                assert two == pytest.approx(one, rel=1e-4, abs=1e-5)
        assert any(line["reference_point_nats"] > 0.01 for line in found[0])

    def test_thumbs_down_alone_make_a_completion_rare(self, policies, tmp_path):
        """No pair is needed: of one prompt the good side is known, of another the bad one."""
        bad = [Approval(prompt=p, completion=BAD, p_good=0.0) for p in PROMPTS[:4]]
        good = [Approval(prompt=p, completion=GOOD, p_good=1.0) for p in PROMPTS[4:]]
        model = policies("llama")
        policy = kto.train(config_of("kto"), model, bad + good, Workspace(tmp_path))
        assert lead(policy, PROMPTS[0]) > lead(model, PROMPTS[0]) + 1.4
        assert lead(policy, PROMPTS[7]) > lead(model, PROMPTS[7]) + 1.4

    def test_one_prompt_is_too_few(self, policies, tmp_path):
        with pytest.raises(DataError, match="at least two prompts"):
            kto.train(config_of("kto"), policies("llama"), approvals()[:2], Workspace(tmp_path))

    def test_a_side_without_weight_is_refused(self):
        with pytest.raises(ConfigError, match="--good-weight"):
            KTOConfig(good_weight=0)


class TestOnlineDPO:
    @pytest.mark.parametrize("pairs", ["extremes", "all"])
    def test_it_begins_at_log_2_exactly(self, policies, tmp_path, pairs):
        workspace = Workspace(tmp_path)
        policy = learn("online-dpo", policies("llama"), workspace, iterations=1, batch_size=32, pairs=pairs)
        (line,) = metrics(workspace, policy)
        assert line["loss/policy"] == pytest.approx(math.log(2), abs=1e-6)
        assert line["dpo/margin"] == pytest.approx(0.0, abs=1e-6)
        # On the same completions again, the margin to the reference has grown, and the loss has fallen.
        policy = learn("online-dpo", policies("llama"), workspace, iterations=1, batch_size=32, pairs=pairs, epochs=3)
        (line,) = metrics(workspace, policy)
        assert line["dpo/margin"] > 0.01
        assert line["loss/policy"] < math.log(2) - 0.005

    def test_how_a_batch_is_parted_changes_nothing(self, policies, tmp_path):
        weights = []
        for size in (4, 8, 32):
            config = {"iterations": 1, "pairs": "all", "micro_batch": size, "epochs": 2}
            policy = learn("online-dpo", policies("llama"), Workspace(tmp_path / str(size)), **config)
            weights.append(load.load_causal(policy).model.state_dict())
        for other in weights[1:]:
            for name, value in weights[0].items():
                torch.testing.assert_close(other[name], value, atol=2e-5, rtol=1e-4)

    def test_without_a_leash_it_is_refused(self):
        with pytest.raises(ConfigError, match="--beta"):
            OnlineDPOConfig(beta=0)


class TestBestOfN:
    def test_the_best_is_kept_and_said_with_its_score(self, policies, tmp_path):
        workspace, model = Workspace(tmp_path), policies("llama")
        best = learn("best-of-n", model, workspace, distil=False)
        made = read_manifest(best)
        assert made.kind == "dataset"
        kept = dataset.load_demonstrations(best)
        assert [shown.prompt.id for shown in kept] == [prompt.id for prompt in PROMPTS]
        drawn = samples(workspace, best)
        for place, (_, line) in enumerate(dataset.read_lines(best / "train.jsonl")):
            own = drawn[4 * place : 4 * place + 4]
            assert {sample["prompt_id"] for sample in own} == {line["prompt_id"]}
            assert line["score"] == max(sample["score"] for sample in own if sample["finished"])
            assert line["completion"] in [sample["completion"] for sample in own if sample["score"] == line["score"]]
        facts = made.facts
        assert facts["kl_bound_nats"] == best_of_n_kl_nats(4)
        mean = sum(sample["score"] for sample in drawn) / len(drawn)
        assert facts["score/best_of_1"] == pytest.approx(mean, abs=1e-6)
        assert facts["score/best_of_1"] < facts["score/best_of_2"] < facts["score/best_of_4"]

    def test_distilling_is_sft_on_that_dataset(self, policies, tmp_path):
        """The same bytes as `sft` on the artefact, which is sampled once for both."""
        workspace, model = Workspace(tmp_path), policies("llama")
        policy = learn("best-of-n", model, workspace)
        best = learn("best-of-n", model, workspace, distil=False)
        assert read_manifest(policy).inputs["data"] == best.name
        config = sft.SFTConfig(epochs=10, batch_size=8, learning_rate=5e-3, turns="last")
        alone = Workspace(tmp_path / "alone")
        same = sft.train(config, model, dataset.load_demonstrations(best), alone, data_id=best.name)
        assert (same / "model.safetensors").read_bytes() == (policy / "model.safetensors").read_bytes()
        assert same.name == policy.name

    def test_what_does_not_change_the_samples_does_not_sample_anew(self, policies, tmp_path):
        workspace, model = Workspace(tmp_path), policies("llama")
        names = [learn("best-of-n", model, workspace, distil=False, epochs=epochs).name for epochs in (1, 2)]
        other = learn("best-of-n", model, workspace, distil=False, n=3).name
        assert names[0] == names[1] != other

    def test_a_completion_without_an_end_is_not_chosen(self, policies, tmp_path):
        with pytest.raises(TrainingError, match="no completion can be chosen") as caught:
            learn("best-of-n", policies("llama"), Workspace(tmp_path), max_new_tokens=2)
        assert "--max-new-tokens" in caught.value.hint
        assert not list(tmp_path.glob("artefacts/*"))

    def test_one_of_one_is_refused(self):
        with pytest.raises(ConfigError, match="--n "):
            BestOfNConfig(n=1)


class _Cut(Exception):
    """Somebody pulled the plug."""


class _Until:
    """Listens to a run, and cuts it off after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def __getattr__(self, name):
        return lambda *_, **__: None

    def advance(self, done, facts=None):
        if done == self.steps:
            raise _Cut


@pytest.mark.parametrize("recipe", ["kto", "online-dpo", "best-of-n"])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(policies, tmp_path, recipe):
    """Best-of-n is cut in its second look at four prompts, the others in the third step, with a checkpoint behind."""
    model = policies("gpt2")
    more = {"prompts_at_once": 2} if recipe == "best-of-n" else {}
    more |= {"iterations": 3, "epochs": 2} if recipe == "online-dpo" else {}
    config, options = config_of(recipe, **more), RunOptions(checkpoint_every_s=0)
    module = {"kto": kto, "online-dpo": online_dpo, "best-of-n": best_of_n}[recipe]
    data = (approvals(),) if recipe == "kto" else (REWARD, PROMPTS)
    made = []
    for name, steps in (("whole", None), ("cut", 3)):
        workspace = Workspace(tmp_path / name)
        if steps:
            with pytest.raises(_Cut):
                module.train(config, model, *data, workspace, options=options, progress=_Until(steps))
            assert list((tmp_path / name).glob("runs/*/checkpoints/*.pt"))
        policy = module.train(config, model, *data, workspace, options=options)
        files = [*sorted(workspace.root.glob("runs/*/*.jsonl")), policy / "model.safetensors"]
        made.append(
            {path.relative_to(workspace.root): path.read_bytes() for path in files if path.name != "times.jsonl"}
        )
    assert made[0] == made[1]
