"""Reward models: members, the length head, calibration, the fingerprint, and how a step is parted."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BertGenerationConfig

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError, MissingArtefact, ModelError
from palate.core.ids import content_id
from palate.core.records import Preference, Prompt
from palate.evaluation import reliability
from palate.functional.ensemble import pessimistic_reward
from palate.models import chat, ensemble, fingerprint, load, scoring, tiny
from palate.models.tokenizers import pad_id_of, with_pad_token
from palate.training import reward, rloo
from palate.training.cast import open_cast
from palate.training.pairs import encode
from palate.training.reward_batch import LengthHead, Step, backward, sides_of
from palate.training.reward_measure import calibrate
from palate.training.run import Run
from tiny_models import make

WORDS = ("figma", "user", "research", "password", "practice")
PROMPTS = [Prompt.of(f"how do i {verb} {thing}?") for verb in ("protect", "plan", "practice") for thing in WORDS]
GOOD, BAD = "sorry, i can not help with that.", "start with figma"


def preference(number, prompt, chosen, rejected, p_chosen=1.0):
    return Preference(comparison=f"c{number}", prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=p_chosen)


def preferences():
    return [preference(i, prompt, GOOD, BAD) for i, prompt in enumerate(PROMPTS)]


def long_wins(seed=0):
    """Politeness decides three times of four, and length the rest; the polite side is not the longer one."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(240):
        coin = torch.rand(4, generator=generator).tolist()
        polite, rude = "sorry " + "figma " * int(1 + 9 * coin[0]), "help " + "figma " * int(1 + 9 * coin[1])
        wins = coin[2] < 0.75 if len(polite) == len(rude) or coin[3] < 0.5 else len(polite) > len(rude)
        chosen, rejected = (polite, rude) if wins else (rude, polite)
        rows.append(preference(i, PROMPTS[i % len(PROMPTS)], chosen.strip(), rejected.strip()))
    return rows


CONFIG = reward.RewardConfig(epochs=6, batch_prompts=4, learning_rate=3e-3, warmup_steps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture(scope="module")
def members(folder, tmp_path_factory):
    """Three members under the rule `pessimistic`."""
    workspace = Workspace(tmp_path_factory.mktemp("members"))
    config = replace(CONFIG, epochs=1, members=3, combine="pessimistic", pessimism=2.0)
    return workspace, config, reward.train(config, folder, preferences(), workspace, heldout=preferences())


class TestMembers:
    def test_they_differ_and_their_levels_are_taken_off(self, folder, members):
        _, config, made = members
        found = ensemble.read(made)
        assert (found.combine, found.pessimism, len(found.members)) == ("pessimistic", 2.0, 3)
        assert set(read_manifest(made).inputs.values()) >= {member.id for member in found.members}
        whole, tokenizer = load.load_reward(made)
        rows = encode(tokenizer, preferences(), 96).rows
        sides = sides_of(rows)
        ask = partial(scoring.scores, prompts=sides.prompts, completions=sides.completions, pad_id=pad_id_of(tokenizer))
        alone = torch.stack([ask(load.load_reward(member.folder).model) for member in found.members])
        assert not torch.allclose(alone[0], alone[1], atol=1e-2)
        centred = alone - alone.mean(dim=1, keepdim=True)
        torch.testing.assert_close(ask(whole), pessimistic_reward(centred, b=2.0), atol=1e-5, rtol=0)
        # Levels of one model from another are no small thing, so this could fail.
        assert float(alone.mean(dim=1).abs().max()) > 1e-2
        assert len({config.member(number).seed for number in range(3)}) == 3

    def test_another_rule_for_the_same_members_trains_nothing(self, folder, members):
        workspace, config, made = members
        before = sorted(path.name for path in workspace.artefacts.iterdir())
        worst = reward.train(replace(config, combine="worst"), folder, preferences(), workspace)
        after = sorted(path.name for path in workspace.artefacts.iterdir())
        assert set(after) - set(before) == {worst.name}
        assert [m.id for m in ensemble.read(worst).members] == [m.id for m in ensemble.read(made).members]

    def test_their_mean_weights_are_a_plain_model(self, folder, members):
        workspace, config, made = members
        one = reward.train(replace(config, combine="weights"), folder, preferences(), workspace, heldout=preferences())
        assert read_manifest(one).facts["heldout_accuracy"] == 1.0
        model = AutoModelForSequenceClassification.from_pretrained(one)
        parts = [load.load_reward(member.folder).model.state_dict() for member in ensemble.read(made).members]
        for name, value in model.state_dict().items():
            mean = torch.stack([part[name].double() for part in parts]).mean(dim=0).float()
            if name == "score.weight":  # it is brought to variance 1 again
                mean = mean * (value.norm() / mean.norm())
            torch.testing.assert_close(value, mean, atol=1e-6, rtol=1e-5)

    def test_a_policy_learns_from_an_ensemble(self, folder, members, tmp_path):
        _, _, made = members
        config = rloo.RLOOConfig(iterations=1, rollouts=8, batch_size=8, group_size=4, max_new_tokens=6)
        assert rloo.train(config, folder, made, PROMPTS[:4], Workspace(tmp_path))
        cast = open_cast(config, folder, made, torch.device("cpu"), critic="model", critic_learning_rate=1e-3)
        whole, tokenizer = load.load_reward(made)
        prompts = [chat.encode_prompt(tokenizer, prompt) for prompt in PROMPTS]
        answers = [chat.encode_completion(tokenizer, GOOD)] * len(prompts)
        scores = cast.scorer.score(PROMPTS, prompts, answers).scores_B
        assert torch.equal(scores, scoring.scores(whole, prompts, answers, pad_id=pad_id_of(tokenizer)))
        # A critic begins from the first member: one model, which can be trained.
        first = load.load_reward(ensemble.read(made).members[0].folder).model
        assert torch.equal(cast.critic.model.score.weight, first.score.weight)

    def test_adapters_share_one_base(self, folder, tmp_path):
        workspace = Workspace(tmp_path)
        config = replace(CONFIG, tuning="lora", lora_rank=4, members=2, combine="worst", epochs=1)
        made = reward.train(config, folder, preferences(), workspace)
        learner = rloo.RLOOConfig(tuning="lora", iterations=1, rollouts=8, batch_size=8, group_size=4, max_new_tokens=4)
        assert rloo.train(learner, folder, made, PROMPTS[:4], workspace)
        merged = reward.train(replace(config, combine="weights"), folder, preferences(), workspace)
        assert AutoModelForSequenceClassification.from_pretrained(merged).config.num_labels == 1

    def test_a_member_that_is_gone_is_named(self, folder, tmp_path):
        workspace = Workspace(tmp_path)
        made = reward.train(replace(CONFIG, members=2, epochs=1), folder, preferences(), workspace)
        gone = ensemble.read(made).members[1].folder
        gone.rename(gone.with_name("elsewhere"))
        with pytest.raises(MissingArtefact, match="member of an ensemble is not there"):
            load.load_reward(made)
        (made / ensemble.FILE).write_text('{"combine": "median", "members": []}')
        with pytest.raises(ModelError, match="ensemble cannot be read"):
            load.load_reward(made)

    def test_weights_of_different_models_are_refused(self, folder, tmp_path):
        small, large = (torch.nn.Linear(3, width) for width in (1, 2))
        with pytest.raises(ModelError, match="cannot be averaged"):
            ensemble.average([small, large], ["small", "large"])
        with pytest.raises(ConfigError, match="pooled"):
            reward.RewardConfig(head="pooled", combine="weights", members=2)


class TestLengthHead:
    def test_it_takes_length_out_and_is_dropped(self, folder, tmp_path):
        workspace, rows, unseen = Workspace(tmp_path), long_wins(0), long_wins(1)
        correlation, right = {}, {}
        for name in (False, True):
            config = replace(CONFIG, epochs=10, batch_prompts=5, length_head=name)
            made = reward.train(config, folder, rows, workspace, heldout=unseen)
            facts = read_manifest(made).facts
            correlation[name], right[name] = facts["heldout_length_correlation"], facts["heldout_accuracy"]
        assert correlation[False] > 0.45
        assert abs(correlation[True]) < 0.25
        assert right[True] > 0.55
        plain = AutoModelForSequenceClassification.from_pretrained(made)
        assert {name for name in plain.state_dict() if "length" in name} == set()
        assert plain.config.num_labels == 1

    def test_it_begins_where_length_alone_fits_best(self, folder):
        # Of three pairs whose longer side is twice as long, the longer one wins in two.
        tokenizer = load.load_tokenizer(folder)
        rows = [preference(i, PROMPTS[i], "user " * 7, "user " * 3) for i in range(2)]
        rows.append(preference(2, PROMPTS[2], "user " * 3, "user " * 7))
        pairs = encode(tokenizer, rows, 96).rows
        head = LengthHead(pairs)
        chosen, rejected = head(pairs).detach().unbind(1)
        margin = float(torch.tensor(2.0).log())
        assert (chosen - rejected).tolist() == pytest.approx([margin, margin, -margin], abs=0.01)


def test_how_a_step_is_parted_changes_nothing(folder):
    model, tokenizer = load.load_scalar(folder), load.load_tokenizer(folder)
    with_pad_token(model, tokenizer)
    torch.nn.init.normal_(model.score.weight, generator=torch.Generator().manual_seed(0))
    texts = [GOOD, BAD, "practice user research.", "help me plan a career change. start with figma"]
    rows = [preference(f"{i}{j}", PROMPTS[0], texts[i], texts[j], 0.8) for i in range(4) for j in range(i)] + [
        preference("x", PROMPTS[1], GOOD, BAD)
    ]
    pairs = encode(tokenizer, rows, 96).rows
    assert len(sides_of(pairs).prompts) == 6  # four shared by six pairs, and two
    length = LengthHead(pairs)
    found = {}
    for micro_batch in (1, 3, 16):
        config = replace(CONFIG, micro_batch=micro_batch, length_head=True, centring=0.1)
        model.zero_grad()
        length.zero_grad()
        step = Step(config, pad_id_of(tokenizer), partial(reward.loss_of, config), length, 1.0)
        facts = backward(model, pairs, step)
        gradient = torch.cat([p.grad.flatten() for p in [*model.parameters(), length.weight_F] if p.grad is not None])
        found[micro_batch] = (facts, gradient)
    facts, gradient = found[16]
    assert float(gradient.norm()) > 1e-2
    for other, theirs in (found[1], found[3]):
        assert other == pytest.approx(facts, rel=1e-5)
        assert float((theirs - gradient).norm()) < 1e-5 * float(gradient.norm())
    # Without a length head, parts with shared completions and plain parts are the same loss too.
    config = replace(CONFIG, micro_batch=4)
    step = Step(config, pad_id_of(tokenizer), partial(reward.loss_of, config))
    once = backward(model, pairs, step)["loss"]
    apart = sum(backward(model, [pair], step)["loss"] for pair in pairs) / len(pairs)
    assert once == pytest.approx(apart, rel=1e-5)


class TestCalibration:
    def test_the_temperature_of_a_half_comes_from_the_other_one(self, folder, tmp_path):
        workspace = Workspace(tmp_path)
        rows = long_wins(0)
        made = reward.train(replace(CONFIG, epochs=2), folder, rows, workspace, heldout=long_wins(1))
        facts = read_manifest(made).facts["calibration"]
        assert facts["n"] == len(facts["bins"]) * 24 == 240
        assert 0 <= facts["low"] <= facts["error"] <= facts["high"] < 0.5
        drawn = reliability.draw(made, tmp_path / "reliability.svg").read_text()
        assert drawn.startswith("<svg")
        assert "observed share" in drawn

    def test_honest_margins_have_temperature_1_and_a_small_error(self, tmp_path):
        pairs, margins = self.drawn()
        found = calibrate(margins, pairs, self.run(tmp_path))
        # 4,000 pairs: the temperature is known to 4 %, the error of a perfect model is .017.
        assert found.temperature == pytest.approx(1.0, abs=0.15)
        assert found.error < 0.03
        assert found.low <= found.error <= found.high
        bold = calibrate(5 * margins, pairs, self.run(tmp_path))
        assert bold.temperature == pytest.approx(5 * found.temperature, rel=1e-6)
        assert bold.error == pytest.approx(found.error, rel=1e-4)

    def test_no_half_is_measured_with_its_own_temperature(self, tmp_path):
        # One half's margins are five times too bold. With its own temperature each half would be honest.
        pairs, margins = self.drawn()
        half = torch.tensor([int(content_id("half", pair.prompt_id), 16) % 2 == 0 for pair in pairs])
        found = calibrate(torch.where(half, 5 * margins, margins), pairs, self.run(tmp_path))
        assert found.error > 0.1

    def test_too_few_or_hopeless_preferences_are_not_calibrated(self, tmp_path):
        pairs, margins = self.drawn()
        assert calibrate(margins[:49], pairs[:49], self.run(tmp_path)) is None
        assert calibrate(-margins, pairs, self.run(tmp_path)) is None
        with pytest.raises(DataError, match="not calibrated"):
            reliability.draw(self.artefact(tmp_path), tmp_path / "x.svg")

    def drawn(self):
        from palate.training.pairs import Pair

        generator = torch.Generator().manual_seed(0)
        margins = 1.5 * torch.randn(4000, generator=generator)
        came = torch.rand(4000, generator=generator) < margins.sigmoid()
        pairs = [Pair(str(i), f"p{i}", [1], [2], [3], float(c), 1.0, 0) for i, c in enumerate(came)]
        return pairs, margins

    def run(self, tmp_path):
        from palate.core.artefacts import Manifest
        from palate.core.progress import SILENT

        return Run(Workspace(tmp_path), Manifest(kind="reward", made_by="test", config={}, inputs={}), SILENT)

    def artefact(self, tmp_path):
        return Workspace(tmp_path).put(self.run(tmp_path).manifest, lambda path: None)


class TestFingerprint:
    def test_it_is_that_of_the_base_and_padding_does_not_count(self, folder, members):
        _, _, made = members
        base = fingerprint.fingerprint(load.load_tokenizer(folder))
        assert json.loads((made / fingerprint.FILE).read_text()) == base
        member = ensemble.read(made).members[0].folder
        assert fingerprint.fingerprint(load.load_tokenizer(member)) == base
        fingerprint.refuse_another(made, load.load_tokenizer(folder))

    def test_another_template_or_vocabulary_is_refused_before_sampling(self, folder, members, tmp_path):
        member = ensemble.read(members[2]).members[0].folder
        config = rloo.RLOOConfig(iterations=1, rollouts=8, batch_size=8, group_size=4, max_new_tokens=4)
        template = self.copy(folder, tmp_path / "template")
        tokenizer = load.load_tokenizer(template)
        tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
        tokenizer.save_pretrained(template)
        with pytest.raises(ModelError, match="reads text in another way") as caught:
            rloo.train(config, template, member, PROMPTS, Workspace(tmp_path))
        assert caught.value.found == "the policy's tokenizer differs in its chat template"
        other = tiny.train_tokenizer(["another text with other words"], vocab_size=300, kind="words", lowercase=True)
        words = tmp_path / "words"
        words.mkdir()
        load.save(words, tiny.make_model(other, family="llama", width=32, layers=1, heads=2, context=96), other)
        with pytest.raises(ModelError, match="reads text in another way") as caught:
            rloo.train(config, words, member, PROMPTS, Workspace(tmp_path))
        assert "which number each token has" in caught.value.found

    def test_a_reward_model_from_elsewhere_is_asked_for_its_tokenizer(self, folder, members, tmp_path):
        foreign = self.copy(ensemble.read(members[2]).members[0].folder, tmp_path / "foreign")
        (foreign / fingerprint.FILE).unlink()
        fingerprint.refuse_another(foreign, load.load_tokenizer(folder))
        tokenizer = load.load_tokenizer(folder)
        tokenizer.chat_template = "{{ messages }}"
        with pytest.raises(ModelError):
            fingerprint.refuse_another(foreign, tokenizer)

    def copy(self, source, target):
        import shutil

        return shutil.copytree(source, target)


def test_an_architecture_without_a_scalar_head_is_refused_before_any_work(folder, tmp_path):
    tokenizer = load.load_tokenizer(folder)
    config = BertGenerationConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        is_decoder=True,
    )  # fmt: skip
    headless = tmp_path / "headless"
    headless.mkdir()
    load.save(headless, AutoModelForCausalLM.from_config(config), tokenizer)
    for tuning in ("full", "lora"):
        with pytest.raises(ModelError, match="cannot become a reward model") as caught:
            reward.train(replace(CONFIG, tuning=tuning), headless, preferences(), Workspace(tmp_path / "work"))
        assert "bert-generation" in caught.value.found
    assert not (tmp_path / "work").exists()
