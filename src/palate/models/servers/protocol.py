"""What is said to a vLLM server about completions, and what may come back: JSON in, values out, no network.

Prompts and completions travel as token ids, so nobody's tokenizer stands between server and trainer. Every
sampling parameter is sent: one that is left out is filled from the model's `generation_config.json`, and a top-p
from there would make the log-probabilities wrong. Ends are ours alone (`ignore_eos`, `stop_token_ids`).

Source: vLLM 0.32, `POST /v1/completions` with `return_token_ids` (since 0.10.2), docs "OpenAI-Compatible Server";
"Prompt Token ID Logprobs" and `--logprobs-mode` in "Engine Arguments". `prompt_logprobs` are always at
temperature 1, `logprobs` at the sampling temperature only with `--logprobs-mode processed_logprobs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from palate.core.errors import PalateError
from palate.models.sampling import Sampled


class ServerFault(PalateError):
    """One server did not do what it was asked; another may."""

    @property
    def sentence(self) -> str:
        """In one line."""
        return f"{self.what}: {self.found}" if self.found else self.what


class ServerGone(ServerFault):
    """Nobody answers at a server's address."""


class Question(NamedTuple):
    """One row: what is to be answered, and from which stream of random numbers."""

    prompt: Sequence[int]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How all rows of an iteration are answered."""

    ends: tuple[int, ...]
    """Tokens that end a completion."""
    max_new_tokens: int
    temperature: float
    vocabulary: int
    """Tokens of the policy: a server that answers with others has another model."""


def completion_request(model: str, question: Question, manner: Manner, *, salt: str = "") -> dict[str, Any]:
    """The body of `POST /v1/completions`.

    Args:
        model: What the server calls its model.
        question: The row.
        manner: How it is answered.
        salt: Of the server's prefix cache: prompts that were read with other weights are not found again.
    """
    body = {
        "model": model,
        "prompt": [int(token) for token in question.prompt],
        "seed": question.seed,
        "n": 1,
        "stream": False,
        "max_tokens": manner.max_new_tokens,
        "temperature": manner.temperature,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "ignore_eos": True,
        "stop_token_ids": list(manner.ends),
        "skip_special_tokens": False,
        "return_token_ids": True,
        "logprobs": 1,
    }
    return body | ({"cache_salt": salt} if salt else {})


def read_completion(body: object, question: Question, manner: Manner) -> Sampled:
    """The completion in a server's answer.

    Raises:
        ServerFault: it is not one that can be trained on; it says why.
    """
    choice = _choice(body)
    told = choice.get("prompt_token_ids")
    if told is not None and list(told) != list(question.prompt):
        raise ServerFault("a server read another prompt", expected="the token ids it was sent", found=_few(told))
    tokens, reason = choice.get("token_ids"), choice.get("finish_reason")
    if not isinstance(tokens, list) or not tokens:
        raise ServerFault(
            "a server's answer has no token ids", found=f"finish_reason {reason}", hint="vLLM knows them since 0.10.2"
        )
    if reason not in ("stop", "length"):
        raise ServerFault("a server broke off an answer", expected="stop or length", found=f"finish_reason {reason}")
    _refuse_tokens(tokens, manner, stopped=reason == "stop")
    logprobs = _logprobs((choice.get("logprobs") or {}).get("token_logprobs"), len(tokens))
    end = tokens[-1] if tokens[-1] in manner.ends else None
    return Sampled(tokens=tokens, logprobs=logprobs, end=end)


def probe_request(model: str, prompt: Sequence[int], manner: Manner, *, seed: int, salt: str) -> dict[str, Any]:
    """As `completion_request`, with the log-probability of each token of the prompt."""
    return completion_request(model, Question(prompt, seed), manner, salt=salt) | {"prompt_logprobs": 0}


def read_prompt_logprobs(body: object, prompt: Sequence[int]) -> list[float]:
    """Log-probabilities of a prompt's tokens but the first, at temperature 1.

    Raises:
        ServerFault: they are not there.
    """
    rows = _choice(body).get("prompt_logprobs")
    if not isinstance(rows, list) or len(rows) != len(prompt):
        raise ServerFault("a server did not tell the log-probs of a prompt", found=_few(rows))
    found = []
    for token, row in zip(list(prompt)[1:], rows[1:], strict=True):
        entry = row.get(str(token)) if isinstance(row, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(entry.get("logprob"), int | float):
            raise ServerFault("a server told the log-probs of another prompt", expected=f"of token {token}")
        found.append(float(entry["logprob"]))
    return found


def _choice(body: object) -> Mapping[str, Any]:
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise ServerFault("a server's answer has another shape", expected="one choice", found=_few(body))
    return choices[0]


def _refuse_tokens(tokens: list[Any], manner: Manner, *, stopped: bool) -> None:
    if not all(isinstance(token, int) and 0 <= token < manner.vocabulary for token in tokens):
        odd = next(token for token in tokens if not (isinstance(token, int) and 0 <= token < manner.vocabulary))
        raise ServerFault(
            "a server answered with a token that the policy does not have",
            expected=f"0 to {manner.vocabulary - 1}",
            found=str(odd),
            hint="it serves a model with another tokenizer",
        )
    ended = tokens[-1] in manner.ends
    if any(token in manner.ends for token in tokens[:-1]) or (stopped and not ended):
        raise ServerFault(
            "a server ends its answers elsewhere",
            expected=f"a stop at the first of the end tokens {', '.join(map(str, manner.ends))}",
            found=_few(tokens[-4:]),
            hint="it serves a model with another tokenizer",
        )
    if len(tokens) > manner.max_new_tokens or not (ended or len(tokens) == manner.max_new_tokens):
        raise ServerFault(
            "a server's answer has another length", expected=f"{manner.max_new_tokens} tokens", found=str(len(tokens))
        )


def _logprobs(values: object, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ServerFault("a server's answer has no log-prob for each token", expected=str(count), found=_few(values))
    odd = [v for v in values if not isinstance(v, int | float) or not math.isfinite(v) or v > 1e-3]
    if odd:
        raise ServerFault(
            "a server's log-prob is none", expected="a number of at most 0", found=_few(odd), hint="--logprobs-mode"
        )
    return [float(value) for value in values]


def _few(value: object) -> str:
    return repr(value)[:120]
