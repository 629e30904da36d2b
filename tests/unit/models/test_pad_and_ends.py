"""Padding has an id and no meaning; an answer ends at any end token, and at no other."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from palate.core.errors import ConfigError
from palate.core.records import Prompt
from palate.models import chat, load, sampling, scoring
from palate.models.batch import completion_logprobs
from palate.models.tokenizers import ends_of, load_tokenizer, pad_id_of, with_pad_token
from voices import VOICES, folder_of

TEXTS = ["use a long one.", "the", "start with figma and then practise. the answer"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("voices")
    return {name: folder_of(root / name, name) for name in VOICES}


@pytest.fixture(params=VOICES)
def folder(request, folders):
    torch.manual_seed(0)
    return folders[request.param]


def encoded(tokenizer):
    prompts = [Prompt.of("plan"), Prompt.of("how do i protect a password?"), Prompt.of("the the the")]
    rows = [chat.encode_answers(tokenizer, p, [t]) for p, t in zip(prompts, TEXTS, strict=True)]
    return [row.prompt for row in rows], [row.completions[0] for row in rows]


def test_no_figure_depends_on_the_pad_id(folder):
    model, tokenizer = load.load_causal(folder)
    prompts, answers = encoded(tokenizer)
    one = completion_logprobs(model, prompts, answers, pad_id=pad_id_of(tokenizer))
    for pad in (ends_of(tokenizer).written, prompts[0][-1], answers[0][0]):
        for found, expected in zip(completion_logprobs(model, prompts, answers, pad_id=pad), one, strict=True):
            assert torch.equal(found, expected)
    assert [len(row) for row in one] == [len(row) for row in answers], "the end token counts, whatever pads"


def test_transformers_scores_a_saved_reward_model_where_palate_does(folder, tmp_path):
    tokenizer = load_tokenizer(folder)
    reward = load.load_scalar(folder)
    before = set(tokenizer.get_vocab())
    pad = with_pad_token(reward, tokenizer)
    assert pad == tokenizer.pad_token_id == reward.config.pad_token_id
    assert pad not in ends_of(tokenizer).ids
    assert set(tokenizer.get_vocab()) - before <= {"<|pad|>"}
    assert reward.get_input_embeddings().weight.shape[0] > pad
    load.save(tmp_path, reward, tokenizer)
    ours = load.load_reward(tmp_path)
    prompts, answers = encoded(ours.tokenizer)
    # Cut off at the length limit, an answer ends with any token: the last one still counts.
    answers[1] = answers[2][:-1]
    found = scoring.scores(ours.model, prompts, answers, pad_id=ours.tokenizer.pad_token_id)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    rows = [p + a for p, a in zip(prompts, answers, strict=True)]
    padded = AutoTokenizer.from_pretrained(tmp_path).pad({"input_ids": rows}, return_tensors="pt", padding_side="right")
    with torch.no_grad():
        expected = theirs(**padded).logits[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_padding_with_an_end_token_would_move_transformers_index(folders, tmp_path):
    # Why a reward model gets a pad token of its own: with pad == eos its last token would be overlooked.
    tokenizer = load_tokenizer(folders["mistral"])
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    reward = load.load_scalar(folders["mistral"])
    reward.config.pad_token_id = tokenizer.pad_token_id
    prompts, answers = encoded(tokenizer)
    ours = scoring.scores(reward, prompts[:1], answers[:1], pad_id=tokenizer.pad_token_id)
    with torch.no_grad():
        theirs = reward(torch.tensor([prompts[0] + answers[0]])).logits[:, 0]
    assert (ours - theirs).abs() > 1e-4


def test_a_pad_token_that_ends_nothing_is_kept(folders):
    tokenizer, reward = load_tokenizer(folders["gemma"]), load.load_scalar(folders["gemma"])
    rows = reward.get_input_embeddings().weight.shape[0]
    assert tokenizer.convert_ids_to_tokens(with_pad_token(reward, tokenizer)) == "<pad>"
    assert reward.get_input_embeddings().weight.shape[0] == rows


class TestSampling:
    def test_it_stops_at_any_end_and_says_which(self, folders):
        model, tokenizer = load.load_causal(folders["llama3"])
        prompt = chat.encode_prompt(tokenizer, Prompt.of("plan"))
        ends = ends_of(tokenizer).ids
        # One end in about 150 tokens: of 200 rows of up to 300 tokens nearly all end, at each of the three.
        found = sampling.sample(model, [prompt] * 200, eos_id=ends, max_new_tokens=300, seed=4)
        assert {row.end for row in found if row.finished} == ends
        for row in found:
            ended = [i for i, token in enumerate(row.tokens) if token in ends]
            assert ended == ([len(row.tokens) - 1] if row.finished else [])
            assert row.finished or (row.end is None and len(row.tokens) == 300)
            assert row.finished == (row.end is not None)
        # The same rows with fewer ends go on where they stopped before.
        one = min(ends)
        longer = sampling.sample(model, [prompt] * 200, eos_id=one, max_new_tokens=300, seed=4)
        for row, more in zip(found, longer, strict=True):
            assert more.tokens[: len(row.tokens)] == row.tokens
            assert row.end is None or (row.end == one) == (len(more.tokens) == len(row.tokens))

    def test_a_row_depends_on_its_seed_alone(self, folder):
        model, tokenizer = load.load_causal(folder)
        prompts = [
            chat.encode_prompt(tokenizer, Prompt.of(t)) for t in ("plan", "help me with the answer", "a", "the", "a")
        ]
        settings = dict(eos_id=ends_of(tokenizer).ids, max_new_tokens=24)
        whole = [row.tokens for row in sampling.sample(model, prompts, seed=3, **settings)]
        seeds = sampling.row_seeds(3, range(5))
        for size in (1, 3):
            parts = [
                row.tokens
                for begin in range(0, 5, size)
                for row in sampling.sample(
                    model, prompts[begin : begin + size], seeds=seeds[begin : begin + size], **settings
                )
            ]
            assert parts == whole
        backwards = sampling.sample(model, prompts[::-1], seeds=seeds[::-1], **settings)
        assert [row.tokens for row in backwards[::-1]] == whole
        assert whole[2] != whole[4], "one prompt, two seeds"

    def test_double_precision_stays(self, folders):
        model, tokenizer = load.load_causal(folders["chatml"])
        model = model.double()
        prompt = chat.encode_prompt(tokenizer, Prompt.of("plan"))
        (row,) = sampling.sample(model, [prompt], eos_id=ends_of(tokenizer).ids, max_new_tokens=12)
        (expected,) = completion_logprobs(model, [prompt], [row.tokens], pad_id=0)
        assert expected.dtype == torch.float64
        assert row.logprobs == pytest.approx(expected.tolist(), abs=1e-12)

    def test_no_end_and_too_few_seeds_are_refused(self, folders):
        model, _ = load.load_causal(folders["chatml"])
        with pytest.raises(ConfigError, match="no token ends"):
            sampling.sample(model, [[5]], eos_id=(), max_new_tokens=3)
        with pytest.raises(ConfigError, match="differ in number"):
            sampling.sample(model, [[5], [6]], eos_id=0, seeds=[1], max_new_tokens=3)
