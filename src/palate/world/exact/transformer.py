"""A transformer small enough that the probability of every sequence of the language can be read off.

It is a GPT-2 from a config, of four letters and a token to begin with. No sequence ends early, so the letters
share all the probability; the beginning is never predicted.

Shapes: `K` all sequences, `B` some of them, `T` letters, `S` prefixes of one length, `V` the alphabet.
"""

from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, PreTrainedModel

from palate.core.ids import derive_seed
from palate.functional.logprobs import token_logprobs
from palate.training.optimisation import linear_schedule, optimizer_step, set_learning_rate
from palate.world.exact.language import LENGTH, LETTERS

BEGIN: Final = LETTERS
"""The token before the first letter."""


def fresh_model(
    seed: int, *, width: int = 32, layers: int = 2, heads: int = 2, length: int = LENGTH
) -> PreTrainedModel:
    """A model that has learned nothing.

    Args:
        seed: Of its weights.
        width: Size of the hidden states.
        layers: Blocks.
        heads: Attention heads.
        length: T, the longest sequence.
    """
    config: Any = GPT2Config(
        vocab_size=LETTERS + 1, n_embd=width, n_layer=layers, n_head=heads, n_positions=length,
        activation_function="relu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=BEGIN, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, "weights"))
        return AutoModelForCausalLM.from_config(config).eval()


def read(model: PreTrainedModel, tokens_BT: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Log-probability of every letter, in nats, with a gradient: one pass over the sequences."""
    begin_B1 = tokens_BT.new_full((len(tokens_BT), 1), BEGIN)
    inputs_BT = torch.cat([begin_B1, tokens_BT[:, :-1]], dim=1)
    logits_BTV = model(input_ids=inputs_BT, use_cache=False).logits
    return token_logprobs(logits_BTV[..., :LETTERS], tokens_BT)


class Samples(NamedTuple):
    """Sequences that a model drew, and how probable each letter was to it."""

    tokens_BT: Int[Tensor, "B T"]
    logprobs_BT: Float[Tensor, "B T"]


@torch.no_grad()
def sample(model: PreTrainedModel, count: int, generator: torch.Generator, *, length: int = LENGTH) -> Samples:
    """Sequences drawn letter by letter.

    Args:
        model: Draws.
        count: B.
        generator: Of the randomness.
        length: T.
    """
    cache = DynamicCache()
    last_B1 = torch.full((count, 1), BEGIN)
    tokens, logprobs = [], []
    for _ in range(length):
        logprobs_BV = _next(model, last_B1, cache).log_softmax(-1)
        last_B1 = logprobs_BV.exp().multinomial(1, generator=generator)
        tokens.append(last_B1)
        logprobs.append(logprobs_BV.gather(1, last_B1))
    return Samples(torch.cat(tokens, dim=1), torch.cat(logprobs, dim=1))


@torch.no_grad()
def all_logprobs(model: PreTrainedModel, *, length: int = LENGTH) -> Float[Tensor, " K"]:
    """Log-probability of every sequence, in the order of `all_sequences`, in float64.

    Prefixes are walked level by level, so that each is read once; the exponentials sum to 1 up to rounding.

    Args:
        model: What is measured.
        length: T.
    """
    first_V = _next(model, torch.tensor([[BEGIN]]), DynamicCache()).double().log_softmax(-1).squeeze(0)
    return torch.cat([_below(model, letter, float(first_V[letter]), length) for letter in range(LETTERS)])


def _below(model: PreTrainedModel, letter: int, logprob: float, length: int) -> Tensor:
    """All sequences that begin with a letter; parted this way, the cache is a quarter as large."""
    cache = DynamicCache()
    logprobs_S = torch.tensor([logprob], dtype=torch.float64)
    last_SL = torch.tensor([[BEGIN, letter]])
    for left in range(length - 1, 0, -1):
        next_SV = _next(model, last_SL, cache).double().log_softmax(-1)
        logprobs_S = (logprobs_S.unsqueeze(-1) + next_SV).flatten()
        if left > 1:
            cache.batch_repeat_interleave(LETTERS)
            last_SL = torch.arange(LETTERS).repeat(len(next_SV)).unsqueeze(-1)
    return logprobs_S


def _next(model: PreTrainedModel, tokens_SL: Tensor, cache: DynamicCache) -> Tensor:
    """Logits of the letter that comes after some more tokens, which go into the cache."""
    logits: Tensor = model(input_ids=tokens_SL, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    return logits[:, -1, :LETTERS]


def pretrain(
    model: PreTrainedModel,
    logprobs_K: Float[Tensor, " K"],
    tokens_KT: Int[Tensor, "K T"],
    seed: int,
    *,
    steps: int = 150,
    batch: int = 512,
    learning_rate: float = 3e-3,
) -> None:
    """Maximum likelihood on sequences drawn from a distribution, new ones in every step.

    Args:
        model: Learns, in place.
        logprobs_K: What the sequences are drawn from.
        tokens_KT: All of them.
        seed: Of the draws.
        steps: Optimiser steps.
        batch: Sequences in a step.
        learning_rate: Of Adam, at its height.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "pretraining"))
    parameters = dict(model.named_parameters())
    optimizer = torch.optim.Adam(parameters.values(), lr=learning_rate, betas=(0.9, 0.95), eps=1e-8)
    bounds_K = logprobs_K.exp().cumsum(-1)
    for step in range(steps):
        set_learning_rate(optimizer, learning_rate * linear_schedule(step, steps, warmup=10, decay_from=0.5))
        places_B = torch.rand(batch, generator=generator, dtype=torch.float64) * bounds_K[-1]
        drawn_B = torch.searchsorted(bounds_K, places_B).clamp(max=len(bounds_K) - 1)
        (-read(model, tokens_KT[drawn_B]).sum(-1).mean()).backward()
        optimizer_step(optimizer, parameters, max_norm=1.0)
