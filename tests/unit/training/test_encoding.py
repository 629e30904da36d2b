"""What is trained is counted from the rows themselves, and a run whose counts cannot be right does not begin."""

import pytest
import torch

from palate.core.errors import ConfigError, DataError, TrainingError
from palate.core.records import Demonstration, Message, Preference, Prompt
from palate.functional.masked import masked_mean
from palate.models.chat import Row
from palate.models.layout import lay, logprobs
from palate.models.tokenizers import ends_of
from palate.training.encoding import census, encode_demonstrations, prove_trained_tokens
from palate.training.pairs import as_rows, encode, encode_some
from voices import VOICES, model_of, tokenizer_of

TOKENIZERS = {name: tokenizer_of(name) for name in VOICES}


def conversation(*texts):
    messages = tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts[:-1]))
    return Demonstration(prompt=Prompt(messages), completion=texts[-1])


TWO = conversation("plan a career", "<think>\nhm\n</think>\n\nstart.", "and then?", "practise.")
ONE = conversation("how do i protect a password?", "use a long one.")


def laid_of(rows, *, pad_id):
    first = [row.trained.index(True) for row in rows]
    parts = [(r.tokens[:i], r.tokens[i:], r.trained[i:]) for r, i in zip(rows, first, strict=True)]
    prompts, completions, counts = zip(*parts, strict=True)
    return lay(prompts, completions, pad_id=pad_id, counts=counts)


def test_history_that_a_template_rewrites_is_told():
    encoded = encode_demonstrations(TOKENIZERS["qwen3"], [TWO, ONE], 200)
    assert (len(encoded.rows), encoded.demonstrations, encoded.split, encoded.too_long) == (3, 2, 1, 0)
    assert len(encoded.notes) == 1
    assert "1 conversations is a row of its own: 2 demonstrations, 3 rows" in encoded.notes[0]
    plain = encode_demonstrations(TOKENIZERS["chatml"], [TWO, ONE], 200)
    assert (len(plain.rows), plain.split, plain.notes) == (2, 0, [])
    last = encode_demonstrations(TOKENIZERS["qwen3"], [TWO, ONE], 200, turns="last")
    assert (len(last.rows), last.split) == (2, 0)
    assert last.counts["trained_tokens"] < encoded.counts["trained_tokens"]


def test_long_rows_are_left_out_and_counted():
    tokenizer = TOKENIZERS["chatml"]
    lengths = [len(row.tokens) for row in encode_demonstrations(tokenizer, [ONE, TWO], 10**6).rows]
    encoded = encode_demonstrations(tokenizer, [ONE, TWO], min(lengths))
    assert encoded.counts["demonstrations"] == len(encoded.rows) == encoded.too_long == 1


def test_a_bad_demonstration_is_named():
    bad = conversation("plan", "one<|im_end|>two")
    with pytest.raises(DataError, match=rf"demonstration 2 \({bad.id}\)"):
        encode_demonstrations(TOKENIZERS["chatml"], [ONE, bad], 200)
    row = Preference(comparison="c7", prompt=ONE.prompt, chosen="a<|im_end|>", rejected="b", p_chosen=1.0)
    with pytest.raises(DataError, match="comparison c7"):
        encode(TOKENIZERS["chatml"], [row], 200)


def test_no_other_turns_than_all_and_last():
    with pytest.raises(ConfigError, match="--turns"):
        encode_demonstrations(TOKENIZERS["chatml"], [ONE], 200, turns="first")


@pytest.mark.parametrize("name", VOICES)
def test_the_loss_of_a_conversation_is_that_of_its_turns_apart(name):
    # One row with two trained turns, against the same two turns as rows of one turn: same sums of log-probs.
    torch.manual_seed(0)
    tokenizer = TOKENIZERS[name]
    model = model_of(name, tokenizer)
    plain = conversation("plan a career", "start.", "and then?", "practise.")
    rows = encode_demonstrations(tokenizer, [plain], 200).rows
    first = conversation("plan a career", "start.")
    apart = [encode_demonstrations(tokenizer, [d], 200, turns="last").rows[0] for d in (first, plain)]

    def total(these):
        laid = laid_of(these, pad_id=0)
        return float(logprobs(model, laid).detach()[laid.mask_BT].sum())

    assert total(rows) == pytest.approx(total(apart), abs=1e-4)


def test_the_end_token_gets_a_gradient_though_it_pads():
    # The best-known bug: pad == eos, masked by id, and the model never learns to stop.
    torch.manual_seed(0)
    tokenizer = TOKENIZERS["mistral"]
    end = ends_of(tokenizer).written
    model = model_of("mistral", tokenizer)
    rows = encode_demonstrations(tokenizer, [ONE, conversation("plan", "no")], 200).rows
    laid = laid_of(rows, pad_id=end)
    assert int((laid.tokens_BT[laid.mask_BT] == end).sum()) == 2
    (-masked_mean(logprobs(model, laid), laid.mask_BT)).backward()
    assert model.lm_head.weight.grad[end].norm() > 0.01


class TestCounts:
    TOKENIZER = TOKENIZERS["chatml"]
    END = ends_of(TOKENIZER).written

    def row(self, prompt, answer, *, end=True):
        tokens = [9] * (prompt + answer - end) + [self.END] * end
        return Row(tokens, [False] * prompt + [True] * answer)

    def test_real_rows_pass(self):
        for tokenizer in TOKENIZERS.values():
            rows = encode_demonstrations(tokenizer, [ONE, TWO], 400).rows
            found, notes = prove_trained_tokens(tokenizer, rows)
            assert found.rows == len(rows)
            assert 0 < found.trained < found.tokens
            assert (found.unended, notes) == (0, [])

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([(9, 0, False)] * 3, "no token would be trained"),
            ([(3000, 2, True)] * 3, "hardly any token"),
            ([(0, 9, True)] * 3, "every token would be trained"),
            ([(9, 9, False)] * 3, "never learn to stop"),
        ],
    )
    def test_what_cannot_be_right_stops(self, rows, message):
        with pytest.raises(TrainingError, match=message):
            prove_trained_tokens(self.TOKENIZER, [self.row(p, a, end=e) for p, a, e in rows])

    def test_some_rows_without_an_end_are_told(self):
        found, notes = prove_trained_tokens(self.TOKENIZER, [self.row(9, 9), self.row(9, 9, end=False)])
        assert found == census([self.row(9, 9), self.row(9, 9, end=False)], {self.END})
        assert notes == ["1 of 2 rows do not end with '<|im_end|>'"]

    def test_pairs_count_both_sides(self):
        rows = [Preference(comparison="c", prompt=ONE.prompt, chosen="yes", rejected="no, never", p_chosen=1.0)]
        for name, tokenizer in TOKENIZERS.items():
            (pair,) = encode_some(tokenizer, rows, 200).rows
            found = census(as_rows([pair]), ends_of(tokenizer).ids)
            assert (found.rows, found.unended) == (2, 0), name
            assert found.trained == len(pair.chosen) + len(pair.rejected)
