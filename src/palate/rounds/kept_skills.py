"""What it costs to please: how far the policy has gone from the reference, and how much of its fluency went with it.

Fluency is how probable it finds what people wrote: the mean over held-out demonstrations of their log-likelihood a
token. What it has lost against the reference is a part of the alignment tax, in nats a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.core.progress import Progress
from palate.core.records import Demonstration, Prompt
from palate.evaluation.statistics import mean
from palate.models import chat, load, sampling
from palate.models.batch import completion_logprobs
from palate.models.layout import longest_row
from palate.models.tokenizers import ends_of, pad_id_of
from palate.rounds.measured import Example, Measured

if TYPE_CHECKING:
    from palate.rounds.step import Context

_ANY_LENGTH = 1 << 30


def fluency(context: Context) -> Measured:
    """Log-likelihood of held-out demonstrations, against the reference's."""
    told = context.material.demonstrated("heldout")[: context.project.evaluate.demonstrations]
    if not told:
        return Measured(unmeasured={"fluency": "the project has no held-out demonstrations"})
    policy, reference = context.path("policy"), context.reference
    ours, theirs = (_likelihoods(folder, told, context.progress) for folder in (policy, reference))
    both = [place for place in range(len(told)) if ours[place] is not None and theirs[place] is not None]
    if not both:
        return Measured(unmeasured={"fluency": "no held-out demonstration fits into both models"})
    mine, before = ([side[place] or 0.0 for place in both] for side in (ours, theirs))
    drops = [other - one for one, other in zip(mine, before, strict=True)]
    prompts = [told[place].prompt.id for place in both]
    drop = mean(drops, prompts)
    worst = sorted(range(len(both)), key=lambda at: -drops[at])[:3]
    says = (
        f"a token of what people wrote is {abs(drop.value):.2f} nats {'less' if drop.value > 0 else 'more'} probable"
        f" than to the reference, over {drop.n} demonstrations"
    )
    return Measured(
        {"fluency/policy": mean(mine, prompts), "fluency/reference": mean(before, prompts), "fluency/drop": drop},
        {"fluency/drop": says},
        {"fluency": [_example(told[both[at]], drops[at]) for at in worst if drops[at] > 0]},
    )


def distance(context: Context) -> Measured:
    """KL of the policy from the reference, nats an answer, on its own samples at temperature 1."""
    config = context.project.evaluate
    prompts = context.material.heldout[: config.count]
    found, ids = _departed(
        context.path("policy"), context.reference, prompts, config.max_new_tokens, derive_seed(config.seed, "distance")
    )
    if not found:
        return Measured(unmeasured={"kl_nats": "no held-out prompt leaves room for an answer"})
    figure = mean(found, ids)
    says = f"an answer of the new policy is {figure.value:.1f} nats more probable to it than to the reference"
    return Measured({"kl_nats": figure}, {"kl_nats": says})


def _departed(
    policy: Path, reference: Path, prompts: Sequence[Prompt], max_new_tokens: int, seed: int
) -> tuple[list[float], list[str]]:
    """Of each answer, its log-probability under the policy less that under the reference; and its prompt."""
    model, tokenizer = load.load_causal(policy)
    room = longest_row(model, _ANY_LENGTH) - max_new_tokens
    encoded = [(prompt.id, chat.encode_prompt(tokenizer, prompt)) for prompt in prompts]
    fit = [(id, tokens) for id, tokens in encoded if len(tokens) <= room]
    if not fit:
        return [], []
    asked = [tokens for _, tokens in fit]
    rows = sampling.sample(model, asked, eos_id=ends_of(tokenizer).ids, max_new_tokens=max_new_tokens, seed=seed)
    said, pad_id = [row.tokens for row in rows], pad_id_of(tokenizer)
    ours = _sums(model, asked, said, pad_id)
    theirs = _sums(load.load_causal(reference).model, asked, said, pad_id)
    return [one - other for one, other in zip(ours, theirs, strict=True)], [id for id, _ in fit]


def _likelihoods(folder: Path, told: Sequence[Demonstration], progress: Progress) -> list[float | None]:
    """Mean log-likelihood of a token of each demonstration; None where it does not fit into the model."""
    model, tokenizer = load.load_causal(folder)
    room = longest_row(model, _ANY_LENGTH)
    progress.start("reading demonstrations", len(told))
    rows: list[tuple[int, list[int], list[int]]] = []
    for place, one in enumerate(told):
        try:
            answered = chat.encode_answers(tokenizer, one.prompt, [one.completion])
        except DataError:
            continue
        prompt, completion = list(answered.prompt), list(answered.completions[0])
        if len(prompt) + len(completion) <= room:
            rows.append((place, prompt, completion))
    found: list[float | None] = [None] * len(told)
    sums = _sums(model, [row[1] for row in rows], [row[2] for row in rows], pad_id_of(tokenizer)) if rows else []
    for (place, _, completion), total in zip(rows, sums, strict=True):
        found[place] = total / len(completion)
    progress.finish()
    return found


def _sums(
    model: Any, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], pad_id: int
) -> list[float]:
    return [float(row.double().sum()) for row in completion_logprobs(model, prompts, completions, pad_id=pad_id)]


def _example(one: Demonstration, drop: float) -> Example:
    return Example(one.prompt.text, "", one.completion, f"{drop:.2f} nats a token less probable")
