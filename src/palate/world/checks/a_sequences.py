"""Checks of group A: masks, shifts, end tokens, padding, sampling.

Shapes: `B` sequences, `L` all tokens. Log-probabilities in nats. Token 0 pads and token 2 ends a completion, and
both may stand inside a text as well: what counts is a matter of lengths, never of ids.
"""

from __future__ import annotations

import itertools

import torch
from transformers import PreTrainedModel

from palate.core.records import Preference, Prompt
from palate.models import batch, chat, heads, layout, sampling, scoring, tiny
from palate.training import pairs
from palate.training import scores as training_scores
from palate.training.rl_settings import RolloutConfig
from palate.world.checks.material import END, Function, TableModel, numbers, one_by_one, rolled_out, small_model, tree
from palate.world.checks.values import doubles, equal, masks, same

_PROMPTS = [[4], [1, 0], [3, 1, 0, 4]]
_COMPLETIONS = [[1, 1, 0, 0, 2], [3, 0, 2], [2]]


def probabilities_of_all_completions_sum_to_1(lay: Function = layout.lay, logprobs: Function = layout.logprobs) -> None:
    """All 15 completions of at most three tokens, whole ones and cut ones, have probability 1 together.

    Catches an end token that does not count, tokens behind the end that do, and a shift.
    """
    every = tree()
    rows = [[int(x) for x in row[keep]] for row, keep in zip(every.tokens_BT, every.mask_BT, strict=True)]
    laid = lay([[1, 0]] * 15, rows, pad_id=END)
    found = logprobs(TableModel(vocabulary=3), laid)
    same(torch.where(laid.mask_BT, found, 0.0).sum(-1).exp().sum(), 1.0, "total probability")


def logprobs_belong_to_their_tokens(lay: Function = layout.lay, logprobs: Function = layout.logprobs) -> None:
    """Token by token what the table says after all tokens before it, at any temperature.

    Catches a shift by one, masks that are looked up by token id (they lose the end token where it pads as well),
    and a temperature that is left out.
    """
    model = TableModel()
    for pad_id, temperature in ((0, 1.0), (2, 0.7)):
        laid = lay(_PROMPTS, _COMPLETIONS, pad_id=pad_id)
        equal(laid.mask_BT.tolist(), _counted(), "mask")
        found = logprobs(model, laid, temperature=temperature)
        for prompt, completion, row in zip(_PROMPTS, _COMPLETIONS, found, strict=True):
            expected = [
                model.logprob([*prompt, *completion[:i]], token, temperature) for i, token in enumerate(completion)
            ]
            same(row[: len(completion)], expected, f"log-probabilities at temperature {temperature}")


def layouts_change_no_probability(lay: Function = layout.lay, logprobs: Function = layout.logprobs) -> None:
    """With attention and learned positions: padded right, padded left or packed, rows are as if alone.

    Catches padding or neighbours that are attended to, and positions that padding or neighbours move.
    """
    model = small_model(learned_positions=True)
    for kind in ("right", "left", "packed"):
        laid = lay(_PROMPTS, _COMPLETIONS, pad_id=0, layout=kind)
        equal(laid.mask_BT.tolist(), _counted(), f"mask, {kind}")
        with torch.no_grad():
            found = logprobs(model, laid)
        for prompt, completion, row in zip(_PROMPTS, _COMPLETIONS, found, strict=True):
            expected = one_by_one(model, prompt, completion, 1.0)
            same(row[: len(completion)], expected, f"log-probabilities, {kind}", within=1e-4)


def a_shared_prompt_changes_no_probability(
    lay: Function = layout.lay, both: Function = layout.logprobs_and_entropy
) -> None:
    """A prompt that stands once, several completions of it and other rows beside it: each row is as if alone.

    Catches completions that see each other, or not all of their prompt, or what comes after; positions that begin
    anew or run on; another token's state; and a temperature that is left out.
    """
    model = small_model()
    prompts = [*_PROMPTS, _PROMPTS[2], _PROMPTS[2], _PROMPTS[1]]
    completions = [*_COMPLETIONS, [5, 6, 7, 2], [8], [9, 2]]
    for temperature in (1.0, 0.7):
        laid = lay(prompts, completions, pad_id=0, layout="shared")
        with torch.no_grad():
            found, entropies = both(model, laid, temperature=temperature)
            logits = model(input_ids=torch.tensor([prompts[4]]), use_cache=False).logits[0, -1].double()
        for prompt, completion, row in zip(prompts, completions, found, strict=True):
            expected = one_by_one(model, prompt, completion, temperature)
            same(row[: len(completion)], expected, "log-probabilities, shared", within=1e-4)
        chances = (logits / temperature).softmax(-1)
        same(entropies[4, 0], -(chances * chances.log()).sum(), "entropy, shared", within=1e-4)


def completions_come_back_in_order(completion_logprobs: Function = batch.completion_logprobs) -> None:
    """Rows that are sorted by length on the way come back in the order given, each with its own tokens.

    Catches rows that are exchanged, and slices that begin or end one off.
    """
    model = TableModel()
    found = completion_logprobs(model, _PROMPTS, _COMPLETIONS, pad_id=0, rows=2, temperature=0.7)
    equal([len(row) for row in found], [len(row) for row in _COMPLETIONS], "tokens of the completions")
    for prompt, completion, row in zip(_PROMPTS, _COMPLETIONS, found, strict=True):
        expected = [model.logprob([*prompt, *completion[:i]], token, 0.7) for i, token in enumerate(completion)]
        same(row, expected, "log-probabilities")


def other_turns_do_not_count(lay: Function = layout.lay) -> None:
    """Tokens that are said not to count, a user's turn inside a row, are off in the mask.

    Catches flags that are ignored.
    """
    laid = lay([[1], [3, 4]], [[5, 6, 2], [7, 2]], pad_id=0, counts=[[True, False, True], [False, True]])
    equal(laid.mask_BT.tolist(), [[True, False, True], [False, True, False]], "mask")


def scores_are_read_at_the_last_token(
    scores: Function = scoring.scores, lay: Function = layout.lay, last_scores: Function = layout.last_scores
) -> None:
    """The head's number after the last real token of each row, full rows and pad tokens in the text included.

    Catches the last column, one before it, a place looked up by pad id, and the first token of full rows.
    """
    model = TableModel()
    prompts, completions = [*_PROMPTS, [1, 3]], [*_COMPLETIONS, [4, 0]]
    expected = [model.value([*p, *c]) for p, c in zip(prompts, completions, strict=True)]
    same(last_scores(model, lay(prompts, completions, pad_id=0)), expected, "scores of a batch", within=1e-6)
    for rows in (1, 2, 4):
        same(scores(model, prompts, completions, pad_id=0, rows=rows), expected, "scores", within=1e-6)


def pooled_scores_are_sums_over_the_completion(pooled: Function = heads.PooledRewardModel.on) -> None:
    """A score is what its completion's tokens add, centred and scaled; prompt and padding add nothing.

    Catches padding that scores, prompts that score, and a score that is not centred.
    """
    model = pooled(small_model(), hidden=8).eval()
    torch.nn.init.normal_(model.head[-1].weight, generator=torch.Generator().manual_seed(1))
    expected = []
    with torch.no_grad():
        for prompt, completion in zip(_PROMPTS, _COMPLETIONS, strict=True):
            alone = batch.Batch(torch.tensor([[*prompt, *completion]]), *_alone(len(prompt), len(completion)))
            features, ends, _, _ = model.features(alone.tokens_BL, alone.mask_completion_BL)
            expected.append((float(model.contributions(features, ends)[0, -len(completion) :].sum()) - 3.0) / 2.0)
        model.score_mean.fill_(3.0)
        model.score_scale.fill_(2.0)
        found = scoring.scores(model, _PROMPTS, _COMPLETIONS, pad_id=0)
    same(found, expected, "scores", within=1e-4)


def sampled_probabilities_are_those_of_a_full_pass(sample: Function = sampling.sample) -> None:
    """What the sampler says of its tokens, prompts of 2 to 6 tokens side by side, equals one row at a time.

    Catches a cache that mixes rows, left padding that is attended to, wrong positions, and log-probabilities at
    another temperature than the draws.
    """
    prompts = _prompts(24)
    for model, temperature in itertools.product(_both_ways(), (1.0, 0.6)):
        rows = sample(model, prompts, eos_id=END, max_new_tokens=10, temperature=temperature, seed=3)
        for prompt, row in zip(prompts, rows, strict=True):
            expected = one_by_one(model, prompt, row.tokens, temperature)
            same(row.logprobs, expected, f"log-probabilities at temperature {temperature}", within=1e-4)


def rows_do_not_depend_on_their_neighbours(sample: Function = sampling.sample) -> None:
    """The first rows of a batch are the same when fewer rows stand beside them.

    Catches a stream of chance that rows share, and rows that move when others finish.
    """
    prompts = _prompts(24)
    for model in _both_ways():
        all_rows = [row.tokens for row in sample(model, prompts, eos_id=END, max_new_tokens=10, seed=3)]
        for count in (1, 7):
            found = [row.tokens for row in sample(model, prompts[:count], eos_id=END, max_new_tokens=10, seed=3)]
            equal(found, all_rows[:count], f"the first {count} rows")
        found = [row.tokens for row in sample(model, prompts, eos_id=END, max_new_tokens=10, seed=3, rows=5)]
        equal(found, all_rows, "rows in batches of 5")


def nothing_follows_the_end_token(sample: Function = sampling.sample) -> None:
    """An end token is the last token, and a row without one has all the tokens that it may have.

    Catches rows that go on, rows that stop with others, and ends that are not told.
    """
    for model in _both_ways():
        rows = sample(model, _prompts(40), eos_id=END, max_new_tokens=8, seed=5)
        for row in rows:
            ends = [i for i, token in enumerate(row.tokens) if token == END]
            equal(ends, [len(row.tokens) - 1] if row.finished else [], "places of the end token")
            equal(row.finished or len(row.tokens) == 8, True, "finished, or as long as allowed")
        equal({row.finished for row in rows}, {True, False}, "kinds of rows")


def tokens_come_as_often_as_they_are_said_to(sample: Function = sampling.sample) -> None:
    """Of 1,000 draws each token's share is its probability, within five standard errors.

    Catches a tail that is never drawn, and probabilities of another distribution than the one drawn from.
    """
    model = small_model()
    rows = sample(model, [[1, 3]] * 1000, eos_id=END, max_new_tokens=1, temperature=1.5, seed=1)
    for token in range(12):
        p = torch.tensor(one_by_one(model, [1, 3], [token], 1.5)).exp().item()
        share = sum(row.tokens == [token] for row in rows) / 1000
        same(share, p, f"share of token {token}", within=5 * (p * (1 - p) / 1000) ** 0.5)


def a_completion_ends_exactly_once(encode_completion: Function = chat.encode_completion) -> None:
    """The text's tokens, and one end token, whether the chat template writes it or not.

    Catches a policy that is never taught to stop, and one that is taught to stop twice.
    """
    tokenizer = tiny.train_tokenizer(["so it is"], vocab_size=300, kind="words")
    plain = list(tokenizer("so it is", add_special_tokens=False)["input_ids"])
    equal(encode_completion(tokenizer, "so it is"), [*plain, tokenizer.eos_token_id], "tokens")
    tokenizer.chat_template = tokenizer.chat_template.replace("<|end|>", "")
    equal(encode_completion(tokenizer, "so it is"), [*plain, tokenizer.eos_token_id], "tokens")


def no_token_reaches_across_the_boundary(encode_answers: Function = chat.encode_answers) -> None:
    """An answer that begins with line breaks, after a prompt that ends with one: tokens of both, none of both.

    Catches text that is joined before it is tokenised, which loses or moves what the model is to say.
    """
    tokenizer = tiny.train_tokenizer(["a\n\n\nb"] * 9, vocab_size=300, kind="bpe")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ':\n' + m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
    )
    prompt, (first, second), _ = encode_answers(tokenizer, Prompt.of("b"), ["a", "\n\na"])
    equal(tokenizer.decode([*prompt, *first[:-1]]), "user:\nbassistant:\na", "text of prompt and first answer")
    equal(tokenizer.decode([*prompt, *second[:-1]]), "user:\nbassistant:\n\n\na", "text of prompt and second answer")


def only_the_assistant_is_learned_from(encode_conversation: Function = chat.encode_conversation) -> None:
    """In a conversation of two questions, trained is what the assistant says, its end tokens among it.

    Catches prompts that are trained, and end tokens that are not.
    """
    tokenizer = tiny.train_tokenizer(["one two three four"], vocab_size=300, kind="words")
    prompt = Prompt.from_dicts(
        [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]
    )
    rows, _ = encode_conversation(tokenizer, prompt, "four")
    told = [token for row in rows for token, on in zip(row.tokens, row.trained, strict=True) if on]
    equal(tokenizer.decode(told).replace(" ", ""), "two<|end|>four<|end|>", "text of the trained tokens")


def pairs_that_teach_nothing_are_left_out(encode: Function = pairs.encode) -> None:
    """Of four preferences, one has equal sides, one weighs nothing, and one has a side that is too long.

    Catches a pair whose difference truncation removed, one that is measured by its shorter side, and one of
    equal sides, which would only dilute the loss.
    """
    tokenizer = tiny.train_tokenizer(["a b c"], vocab_size=300, kind="words")
    rows = [_row("1", "a", "b"), _row("2", "a", "a"), _row("3", "a", "b c " * 20), _row("4", "b", "c", weight=0.0)]
    found = encode(tokenizer, rows, 20)
    equal([pair.comparison for pair in found.rows], ["1"], "pairs")
    equal((found.too_long, found.no_signal), (1, 2), "too long, and without a signal")
    (pair,) = found.rows
    equal(
        (pair.chosen[:-1], pair.rejected[:-1]),
        ([*tokenizer("a")["input_ids"]], [*tokenizer("b")["input_ids"]]),
        "sides",
    )


def no_end_is_worse_than_the_average(trained_scores: Function = training_scores.trained_scores) -> None:
    """A completion that was cut off gets the average score less a penalty; the others keep theirs.

    Catches a fixed number, which is a prize where all scores are low, and finished and cut off exchanged.
    """
    given = rolled_out(
        torch.zeros(3, 1), masks([1], [1], [1]), scores_B=doubles(-49.0, -51.0, -20.0),
        finished_B=torch.tensor([True, True, False]),
    )  # fmt: skip
    found = trained_scores(RolloutConfig(missing_eos="penalty", missing_eos_score=-2.0), given, -50.0)
    same(found, [-49.0, -51.0, -52.0], "scores")


def _counted() -> list[list[bool]]:
    return [[i < len(row) for i in range(5)] for row in _COMPLETIONS]


def _both_ways() -> list[PreTrainedModel]:
    """A model that the engine samples from, and one that samples by its own forward pass."""
    return [small_model(), small_model(learned_positions=True)]


def _prompts(count: int) -> list[list[int]]:
    """Of 2 to 6 tokens, in no order of length."""
    picks = (numbers(21, count, 6).abs() * 1000).long() % 9 + 3
    return [picks[i, : 2 + (i * 7) % 5].tolist() for i in range(count)]


def _alone(prompt: int, completion: int) -> tuple[torch.Tensor, torch.Tensor]:
    return masks([0] * prompt + [1] * completion), masks([1] * (prompt + completion))


def _row(name: str, chosen: str, rejected: str, weight: float = 1.0) -> Preference:
    return Preference(
        comparison=name, prompt=Prompt.of("c"), chosen=chosen, rejected=rejected, p_chosen=1.0, weight=weight
    )
