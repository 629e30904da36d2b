"""Do trainer and server agree on log-probabilities? Asked after each sync, on fixed prompts.

Two things are compared. On a prompt's own tokens only the weights count. On the tokens that the server then samples,
its sampling counts too: temperature, cut tails, and which log-probs it tells. Where they differ, what is known of
both names the cause.

Source: the causes are those that others met: `raw_logprobs` as vLLM's default (vllm-project/vime#64), cut tails
(huggingface/trl#7269), weights read from a cache (vllm-project/vllm#32718).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from palate.models.sampling import Sampled
from palate.models.servers.client import Server
from palate.models.servers.protocol import (
    Manner,
    Question,
    ServerFault,
    probe_request,
    read_completion,
    read_prompt_logprobs,
)

Scorer = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]], float], list[list[float]]]
"""The trainer: prompts, completions, temperature → a log-prob for each token of each completion."""


_RAW = "its log-probs leave out the temperature: start it with --logprobs-mode processed_logprobs"
_CUT = (
    "all its log-probs are too large: it cuts the tail (top-p, top-k or min-p from --generation-config or "
    "--override-generation-config); start it with --generation-config vllm"
)


class Told(NamedTuple):
    """What a server said of one prompt."""

    prompt: list[int]
    sampled: Sampled
    prompt_logprobs: list[float] | None
    """Of its tokens but the first; None where the server does not tell them."""


class Gap(NamedTuple):
    """How far trainer and server are apart, in nats a token."""

    mean: float
    largest: float


class Probe(NamedTuple):
    """What came of it."""

    sampled: Gap
    prompt: Gap | None
    """None where the server does not tell log-probs of prompts."""
    cause: str
    """Why it must not be trained on; empty when they agree."""


def ask(server: Server, prompts: Sequence[Sequence[int]], manner: Manner, *, salt: str, timeout_s: float) -> list[Told]:
    """Let a server answer the fixed prompts.

    Raises:
        ServerFault: it does not, or not in a way that can be trained on.
    """
    return [_ask(server, list(prompt), number, manner, salt, timeout_s) for number, prompt in enumerate(prompts)]


def _ask(server: Server, prompt: list[int], number: int, manner: Manner, salt: str, timeout_s: float) -> Told:
    question = Question(prompt, number)
    body = probe_request(server.model, prompt, manner, seed=number, salt=salt)
    answer = server.post("/v1/completions", body, timeout_s=timeout_s)
    sampled = read_completion(answer, question, manner)
    try:
        own = read_prompt_logprobs(answer, prompt)
    except ServerFault:
        own = None
    return Told(prompt, sampled, own)


def judge(
    told: Sequence[Told],
    score: Scorer,
    *,
    temperature: float,
    tolerance_nats: float,
    before: Sequence[Sequence[float]] | None = None,
) -> Probe:
    """Compare a server with the trainer.

    Args:
        told: What the server said.
        score: The trainer, with the weights that the server should have.
        temperature: Of the sampling.
        tolerance_nats: Largest mean difference.
        before: The trainer's log-probs of the prompts with the weights that the server had before, to recognise
            them; `prompt_logprobs(told, score)` of then.
    """
    prompts, answers = [row.prompt for row in told], [row.sampled.tokens for row in told]
    ours = score(prompts, answers, temperature)
    theirs = [row.sampled.logprobs for row in told]
    sampled = _gap(ours, theirs)
    prompt = _prompt_gap(told, prompt_logprobs(prompts, score))
    stale = before is not None and prompt is not None and _is_stale(told, prompt, before)
    if stale:
        return Probe(sampled, prompt, "it still has the weights from before the update: it took them, and did not use "
                     "them (a cache, another replica behind the same address)")  # fmt: skip
    if prompt is not None and prompt.mean > tolerance_nats:
        return Probe(sampled, prompt, _cause_of_weights(prompt))
    # These two are biases, not noise: they are recognised below the tolerance too.
    noise = sampled.mean / 5 if prompt is None else min(sampled.mean / 5, max(3 * prompt.mean, 1e-4))
    if temperature != 1 and sampled.mean > 1e-4 and _gap(score(prompts, answers, 1.0), theirs).mean < noise:
        return Probe(sampled, prompt, _RAW)
    if prompt is not None and prompt.mean < sampled.mean / 5 and sampled.mean > 1e-3 and _one_sided(ours, theirs):
        return Probe(sampled, prompt, _CUT)
    if sampled.mean > tolerance_nats:
        return Probe(sampled, prompt, _cause_of_sampling(prompts, answers, theirs, score, temperature, prompt))
    return Probe(sampled, prompt, "")


def prompt_logprobs(prompts: Sequence[Sequence[int]], score: Scorer) -> list[list[float]]:
    """The trainer's log-probs of the prompts' tokens but the first, at temperature 1."""
    return score([prompt[:1] for prompt in prompts], [prompt[1:] for prompt in prompts], 1.0)


def _gap(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Gap:
    apart = [abs(a - b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
    return Gap(sum(apart) / len(apart), max(apart)) if apart else Gap(0.0, 0.0)


def _one_sided(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> bool:
    """Whether nearly all of their log-probs are at least ours."""
    higher = [b - a > -1e-4 for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
    return sum(higher) >= 0.95 * len(higher)


def _prompt_gap(told: Sequence[Told], ours: Sequence[Sequence[float]]) -> Gap | None:
    theirs = [row.prompt_logprobs for row in told]
    known = [row for row in theirs if row is not None]
    return _gap(ours, known) if len(known) == len(theirs) else None


def _is_stale(told: Sequence[Told], now: Gap, before: Sequence[Sequence[float]]) -> bool:
    """Clearly nearer to the weights from before. Rounding alone is as far from both."""
    then = _prompt_gap(told, before)
    return then is not None and now.mean > 1e-6 and then.mean < now.mean / 2


def _cause_of_weights(gap: Gap) -> str:
    if gap.mean < 0.3:
        return (
            f"the same weights in another precision, it seems (mean {gap.mean:.3f} nats a token on fixed prompts): "
            "start it with --dtype float32, or raise --server-tolerance-nats"
        )
    return (
        f"it has other weights (mean {gap.mean:.2f} nats a token on fixed prompts): another model or tokenizer, or it "
        "never got the weights that it was sent"
    )


def _cause_of_sampling(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    theirs: Sequence[Sequence[float]],
    score: Scorer,
    temperature: float,
    prompt: Gap | None,
) -> str:
    """Its weights are right, or nobody knows; try what usually is to blame."""
    here = _gap(score(prompts, answers, temperature), theirs).mean
    enough = max(here / 10, 1e-3)
    for other in (step / 10 for step in range(1, 21)):
        if other not in (1.0, temperature) and _gap(score(prompts, answers, other), theirs).mean < enough:
            return f"it sampled at temperature {other:g}, not at {temperature:g}: does it override sampling parameters?"
    if _one_sided(score(prompts, answers, temperature), theirs):
        return _CUT
    if prompt is None:
        return "it has other weights, or samples otherwise; it does not tell log-probs of prompts, so nobody can say"
    return (
        "it reads prompts as the trainer does, but not what it samples: its KV cache (--kv-cache-dtype), its prefix "
        "cache after an update, or speculative decoding"
    )
