"""Sampling, log-probs and scores are exactly what Hugging Face's own forward pass says."""

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from palate.core.errors import ConfigError, DataError, MissingArtefact, ModelError
from palate.core.records import Prompt
from palate.models import batch, chat, load, sampling, scoring, tiny
from palate.models.heads import PooledRewardModel
from tiny_models import TEXTS, make

FAMILIES = ("llama", "gpt2", "qwen3")


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request, tmp_path_factory):
    return load.load_causal(make(tmp_path_factory.mktemp("model") / request.param, request.param))


def prompts(tokenizer):
    texts = ["help me", "how do i protect a password?", "plan", "start with figma and then practice"]
    return [chat.encode_prompt(tokenizer, Prompt.of(t)) for t in texts]


def test_behaviour_logprobs_are_those_of_a_full_forward_pass(loaded):
    model, tokenizer = loaded
    for temperature in (1.0, 0.7):
        found = sampling.sample(
            model, prompts(tokenizer), eos_id=tokenizer.eos_token_id, max_new_tokens=24, temperature=temperature
        )
        for prompt, row in zip(prompts(tokenizer), found, strict=True):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + row.tokens])).logits[0] / temperature
            full = torch.log_softmax(logits, dim=-1)
            expected = [full[len(prompt) - 1 + i, token].item() for i, token in enumerate(row.tokens)]
            assert row.logprobs == pytest.approx(expected, abs=1e-5)
            assert row.finished == (row.tokens[-1] == tokenizer.eos_token_id)
            assert tokenizer.eos_token_id not in row.tokens[:-1]


def test_a_row_does_not_depend_on_its_batch(loaded):
    model, tokenizer = loaded
    settings_ = dict(eos_id=tokenizer.eos_token_id, max_new_tokens=24, seed=3)
    together = sampling.sample(model, prompts(tokenizer), **settings_)
    narrow = sampling.sample(model, prompts(tokenizer), rows=1, **settings_)
    assert [row.tokens for row in together] == [row.tokens for row in narrow]
    first = sampling.sample(model, prompts(tokenizer)[:1], **settings_)
    assert first[0].tokens == together[0].tokens


def test_sampling_draws_from_the_distribution(loaded):
    # 4000 draws of one token against the exact distribution. The chi-square of the 10 likeliest
    # tokens (9 degrees and the rest) exceeds 30 with probability 9e-4 if the sampler is right.
    model, tokenizer = loaded
    prompt = prompts(tokenizer)[0]
    drawn = sampling.sample(model, [prompt] * 4000, eos_id=tokenizer.eos_token_id, max_new_tokens=1, seed=1, rows=4000)
    with torch.no_grad():
        exact = torch.softmax(model(input_ids=torch.tensor([prompt])).logits[0, -1], dim=-1)
    counts = torch.bincount(torch.tensor([row.tokens[0] for row in drawn]), minlength=len(exact)).double()
    top = exact.topk(10).indices
    expected, seen = 4000 * exact[top].double(), counts[top]
    rest, rest_seen = 4000 - expected.sum(), 4000 - seen.sum()
    chi = ((seen - expected) ** 2 / expected).sum() + (rest_seen - rest) ** 2 / rest
    assert chi < 30


def test_greedy_takes_the_likeliest_token(loaded):
    model, tokenizer = loaded
    prompt = prompts(tokenizer)[1]
    (row,) = sampling.sample(model, [prompt], eos_id=tokenizer.eos_token_id, max_new_tokens=8, temperature=0.0)
    ids = list(prompt)
    for token in row.tokens:
        with torch.no_grad():
            assert int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()) == token
        ids.append(token)


def test_padding_changes_no_logprob(loaded):
    model, tokenizer = loaded
    rows = prompts(tokenizer)
    completions = [chat.encode_completion(tokenizer, t) for t in ("plan", TEXTS[1], "a", "that. help")]
    together = batch.completion_logprobs(model, rows, completions, pad_id=tokenizer.pad_token_id)
    for prompt, completion, found in zip(rows, completions, together, strict=True):
        (alone,) = batch.completion_logprobs(model, [prompt], [completion], pad_id=tokenizer.pad_token_id)
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_a_context_that_is_too_short_is_refused(loaded):
    model, tokenizer = loaded
    with pytest.raises(ConfigError, match="context"):
        sampling.sample(model, [[5] * 90], eos_id=tokenizer.eos_token_id, max_new_tokens=10)


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_text_survives_the_tokenizers(text):
    for kind in ("words", "bpe"):
        tokenizer = tiny.train_tokenizer(TEXTS, vocab_size=400, kind=kind)
        if any(mark in text for mark in tiny.SPECIAL):
            continue
        assert chat.decode(tokenizer, chat.encode_completion(tokenizer, text)) == text


def test_an_end_token_inside_a_text_is_refused(tmp_path):
    tokenizer = load.load_tokenizer(make(tmp_path / "m"))
    with pytest.raises(DataError, match="end token"):
        chat.encode_completion(tokenizer, "before <|end|> after")


def test_scores_do_not_depend_on_padding_or_pad_tokens_in_the_text(tmp_path):
    model, tokenizer = load.load_causal(make(tmp_path / "m"))
    head = PooledRewardModel.on(model, hidden=8)
    with torch.no_grad():
        head.head[-1].weight.normal_()
        head.code_weight.normal_()
    rows = prompts(tokenizer)
    completions = [chat.encode_completion(tokenizer, t) for t in ("plan", TEXTS[1], "a", "that. help")]
    pad = tokenizer.pad_token_id
    together = scoring.scores(head.eval(), rows, completions, pad_id=pad)
    alone = [scoring.scores(head, [p], [c], pad_id=pad)[0] for p, c in zip(rows, completions, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-4, rtol=1e-4)
    load.save(tmp_path / "head", head, tokenizer)
    again = load.load_reward(tmp_path / "head").model
    torch.testing.assert_close(scoring.scores(again, rows, completions, pad_id=pad), together, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_in_a_fresh_process_agrees(tmp_path, family):
    folder = make(tmp_path / family, family)
    model, tokenizer = load.load_causal(folder)
    prompt, completion = prompts(tokenizer)[1], chat.encode_completion(tokenizer, TEXTS[1])
    (ours,) = batch.completion_logprobs(model, [prompt], [completion], pad_id=tokenizer.pad_token_id)
    program = (
        "import sys, json, torch\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "folder, prompt, completion = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])\n"
        "model = AutoModelForCausalLM.from_pretrained(folder).eval(); AutoTokenizer.from_pretrained(folder)\n"
        "with torch.no_grad():\n"
        "    all = torch.log_softmax(model(torch.tensor([prompt + completion])).logits[0], -1)\n"
        "print(json.dumps([all[len(prompt) - 1 + i, t].item() for i, t in enumerate(completion)]))\n"
    )
    command = [sys.executable, "-c", program, str(folder), json.dumps(prompt), json.dumps(completion)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ours.tolist() == pytest.approx(json.loads(told.splitlines()[-1]), abs=1e-5)


class TestFoldersThatCannotBeUsed:
    def test_no_folder(self, tmp_path):
        with pytest.raises(MissingArtefact, match="no model folder"):
            load.load_causal(tmp_path / "nothing")

    def test_no_config(self, tmp_path):
        with pytest.raises(MissingArtefact, match="not a model folder"):
            load.load_causal(tmp_path)

    def test_no_causal_model(self, tmp_path):
        folder = make(tmp_path / "m")
        config = json.loads((folder / "config.json").read_text())
        config["architectures"] = ["BertForMaskedLM"]
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="no causal language model"):
            load.load_causal(folder)

    def test_broken_weights(self, tmp_path):
        folder = make(tmp_path / "m")
        (folder / "model.safetensors").write_bytes(b"not weights")
        with pytest.raises(ModelError, match="weights cannot be read"):
            load.load_causal(folder)

    def test_a_causal_model_is_no_reward_model(self, tmp_path):
        with pytest.raises(ModelError, match="one score"):
            load.load_reward(make(tmp_path / "m"))


def test_saved_models_are_standard(tmp_path):
    assert type(AutoModelForCausalLM.from_pretrained(make(tmp_path / "m"))).__name__ == "LlamaForCausalLM"
