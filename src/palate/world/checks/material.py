"""What the checks are made on: a tree of completions that can be counted out, and models that are tables.

Shapes: `B` sequences, `T` completion tokens, `L` all tokens, `V` vocabulary. Nothing here uses Palate's formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedModel

from palate.models import load, tiny
from palate.training.rollouts import Rollouts

Function = Callable[..., Any]
"""A function under test."""

END = 2
"""The end token of the tree."""
_DEPTH = 3


class Tree(NamedTuple):
    """All 15 completions of at most three tokens over two letters and an end token; the last ones are cut off.

    A policy is a table of logits with a row for each of the 7 prefixes, so that an early token decides which row
    the later ones are drawn from, as in a language model.
    """

    tokens_BT: Tensor
    states_BT: Tensor
    """Row of the table that each token is drawn from."""
    mask_BT: Tensor

    def logprobs(self, table: Tensor, beyond: float = float("nan")) -> Tensor:
        """Of each token of each completion, in nats; `beyond` where a completion has ended."""
        logs = table - table.exp().sum(-1, keepdim=True).log()
        return torch.where(self.mask_BT, logs[self.states_BT, self.tokens_BT], beyond)

    def whole(self, table: Tensor) -> Tensor:
        """Log-probability of each completion, in nats; their exponentials sum to 1."""
        return self.logprobs(table, 0.0).sum(-1)


def tree() -> Tree:
    """The tree; its completions in no particular order of length."""
    rows = [row for size in (1, 2, 3) for row in product((0, 1, END), repeat=size) if _complete(row)]
    prefixes = [prefix for size in range(_DEPTH) for prefix in product((0, 1), repeat=size)]
    padded = [[*row, *[END] * (_DEPTH - len(row))] for row in rows]
    states = [[prefixes.index(row[:i]) if i < len(row) else 0 for i in range(_DEPTH)] for row in rows]
    mask = [[i < len(row) for i in range(_DEPTH)] for row in rows]
    return Tree(torch.tensor(padded), torch.tensor(states), torch.tensor(mask))


def _complete(row: tuple[int, ...]) -> bool:
    return END not in row[:-1] and (row[-1] == END or len(row) == _DEPTH)


def policy(seed: int) -> Tensor:
    """Logits of a policy on the tree, with a gradient to ask for."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_()


def numbers(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers in float64, always the same ones for a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TableModel:
    """A causal model whose next-token logits are a row of a table, which all tokens so far choose.

    It answers as a Hugging Face model does, `logits`, `hidden_states` and `base_model` included, and its
    scalar head reads the hidden state, which is the row's first two numbers.
    """

    def __init__(self, seed: int = 0, vocabulary: int = 5, states: int = 53) -> None:
        self.table = numbers(seed, states, vocabulary)
        self.vocabulary = vocabulary
        self.config = SimpleNamespace(pad_token_id=0, max_position_embeddings=64)
        self.base_model = self.trunk
        self.score = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.score.weight.copy_(torch.tensor([[0.5, 1.5]]))
        self.device, self.dtype = torch.device("cpu"), torch.float64

    def states(self, tokens: list[int]) -> list[int]:
        """The row of the table after each token."""
        state, found = 1, []
        for token in tokens:
            state = (state * 7 + token + 3) % len(self.table)
            found.append(state)
        return found

    def trunk(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        """Hidden states alone."""
        rows = torch.tensor([self.states(row) for row in input_ids.tolist()])
        return SimpleNamespace(last_hidden_state=self.table[rows][..., :2], rows=rows)

    def __call__(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        """As `forward`."""
        return self.forward(input_ids)

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        """Logits at every position."""
        found = self.trunk(input_ids)
        return SimpleNamespace(logits=self.table[found.rows], hidden_states=(found.last_hidden_state,))

    def logprob(self, before: list[int], token: int, temperature: float = 1.0) -> float:
        """Of one token after others, in nats: what everything else is held to."""
        row = self.table[self.states(before)[-1]] / temperature
        return float(row[token] - row.exp().sum().log())

    def value(self, tokens: list[int]) -> float:
        """The scalar head after the last of these tokens."""
        one, other = self.table[self.states(tokens)[-1]][:2].tolist()
        return float(0.5 * (one + 3 * other))


def small_model(seed: int = 0, *, learned_positions: bool = False) -> PreTrainedModel:
    """A real causal model of 12 tokens with attention, positions and a cache, whose guesses are far from uniform.

    Args:
        seed: Of the weights.
        learned_positions: A GPT-2, which sees where a token stands; a Llama sees only how far apart two are.
    """
    config: Any = LlamaConfig(
        vocab_size=12, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, initializer_range=0.7,
        bos_token_id=None, eos_token_id=END, pad_token_id=0,
    )  # fmt: skip
    if learned_positions:
        config = GPT2Config(
            vocab_size=12, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.7,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=END, pad_token_id=None,
        )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config).eval()


def rolled_out(values: Tensor, mask: Tensor, **others: Any) -> Rollouts:
    """Rollouts in float64, all finished and scored 0 unless told otherwise; prompts and tokens are made up."""
    zeros = torch.zeros_like(values)
    known: dict[str, Any] = {
        "prompts": [[1]] * len(mask),
        "completions": [[3] * int(row.sum()) for row in mask],
        "scores_B": zeros[:, 0],
        "reasons": [""] * len(mask),
        "finished_B": torch.ones(len(mask), dtype=torch.bool),
        "logprobs_BT": zeros,
        "ref_logprobs_BT": zeros,
        "hidden_BTD": torch.zeros(0),
    }
    return Rollouts(**(known | others), values_BT=values, mask_BT=mask)


def model_folder(folder: Path) -> Path:
    """A model and its tokenizer on disk, as recipes take them."""
    tokenizer = tiny.train_tokenizer(["yes no so it is not"], vocab_size=300, kind="words")
    load.save(folder, tiny.make_model(tokenizer, width=32, layers=1, heads=2, context=64), tokenizer)
    return folder


def one_by_one(model: PreTrainedModel, prompt: list[int], completion: list[int], temperature: float) -> list[float]:
    """Log-probability of each token of a completion: one row, no padding, no cache, a softmax in float64."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *completion]]), use_cache=False).logits[0].double()
    found = []
    for place, token in enumerate(completion, start=len(prompt) - 1):
        row = logits[place] / temperature
        found.append(float(row[token] - row.logsumexp(-1)))
    return found
