"""How rows of different lengths lie in a tensor, and how to ask a model about their completions wherever they lie.

Three layouts: padded on the `right`, padded on the `left`, or `packed` into one long row whose parts cannot see
each other. They give the same numbers but for rounding; what differs is how much is computed for nothing.

Everything comes back as (B, T), completion tokens from the left, whatever the layout was. Shapes: B sequences,
T completion tokens, V vocabulary, S tokens of the rows as they lie.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import DataError
from palate.functional.logprobs import token_logprobs

LAYOUTS = ("right", "left", "packed")


class Laid(NamedTuple):
    """Rows as a model takes them, and where their completions are."""

    inputs: dict[str, Tensor]
    """Arguments of the model: token ids; where they are needed, the mask and the positions too."""
    row_BT: Int[Tensor, "B T"]
    """Row of the state before each completion token."""
    column_BT: Int[Tensor, "B T"]
    """Its column."""
    tokens_BT: Int[Tensor, "B T"]
    """The completions' tokens."""
    mask_BT: Bool[Tensor, "B T"]
    """True on completion tokens, the end token included."""
    last: tuple[Int[Tensor, " B"], Int[Tensor, " B"]]
    """Row and column of each row's last token."""


def lay(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    pad_id: int,
    layout: str = "right",
    device: torch.device | str = "cpu",
    counts: Sequence[Sequence[bool]] | None = None,
) -> Laid:
    """Put rows into one tensor. Masks come from lengths; `pad_id` may be any token at all.

    Args:
        prompts: Token ids, at least one a row.
        completions: Token ids, the end token included.
        pad_id: What stands where nothing is.
        layout: `right`, `left` or `packed`.
        device: Where the tensors go.
        counts: Of each completion token whether it counts; None counts all. In a conversation, what the user
            says after the first answer does not.

    Raises:
        DataError: a prompt is empty, so nothing predicts the completion's first token.
    """
    whole = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
    for index, prompt in enumerate(prompts):
        if not len(prompt):
            raise DataError("a prompt has no tokens", where=f"row {index} of a batch", expected="at least one")
    lengths = [len(row) for row in whole]
    width, count = max(lengths), max(map(len, completions))
    if layout == "packed":
        starts = [sum(lengths[:row]) for row in range(len(lengths))]
        inputs = _packed(whole, starts)
        rows = [0] * len(whole)
    else:
        starts = [width - length if layout == "left" else 0 for length in lengths]
        inputs = _padded(whole, starts, width, pad_id, left=layout == "left")
        rows = list(range(len(whole)))
    before_B = torch.tensor([start + len(prompt) - 1 for start, prompt in zip(starts, prompts, strict=True)])
    offset_T = torch.arange(count)
    mask_BT = offset_T[None] < torch.tensor([len(completion) for completion in completions])[:, None]
    tokens_BT = torch.full((len(whole), count), pad_id)
    for row, completion in enumerate(completions):
        tokens_BT[row, : len(completion)] = torch.tensor(completion, dtype=torch.long)
    column_BT = torch.where(mask_BT, before_B[:, None] + offset_T[None], before_B[:, None])
    if counts is not None:
        for row, flags in enumerate(counts):
            mask_BT[row, : len(flags)] &= torch.tensor(flags, dtype=torch.bool)
    row_BT = torch.tensor(rows)[:, None].expand(-1, count)
    last_B = torch.tensor([start + length - 1 for start, length in zip(starts, lengths, strict=True)])
    return Laid(
        {name: value.to(device) for name, value in inputs.items()},
        row_BT.to(device),
        column_BT.to(device),
        tokens_BT.to(device),
        mask_BT.to(device),
        (torch.tensor(rows).to(device), last_B.to(device)),
    )


def logprobs(model: Any, laid: Laid, *, temperature: float = 1.0) -> Float[Tensor, "B T"]:
    """Log-probability of each completion token, in nats, in float32 or better; anything where the mask is False.

    Args:
        model: A causal model, or a hat of one.
        laid: Its rows.
        temperature: The one that the completions were sampled at.
    """
    return _logprobs(model, laid, temperature)[0]


def logprobs_and_entropy(
    model: Any, laid: Laid, *, temperature: float = 1.0
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """As `logprobs`, with the entropy of each distribution in nats (no gradient)."""
    found_BT, logits_BTV = _logprobs(model, laid, temperature)
    with torch.no_grad():
        entropy_BT = torch.distributions.Categorical(logits=logits_BTV.detach()).entropy()
    return found_BT, entropy_BT


def values(model: Any, laid: Laid) -> Float[Tensor, "B T"]:
    """The scalar head at the state before each completion token."""
    hidden = model.base_model(**_inputs(model, laid), use_cache=False).last_hidden_state
    return scalar(model, hidden[laid.row_BT, laid.column_BT])


def last_scores(model: Any, laid: Laid) -> Float[Tensor, " B"]:
    """The scalar head at each completion's last token: counted, not searched by pad id."""
    hidden = model.base_model(**_inputs(model, laid), use_cache=False).last_hidden_state
    return scalar(model, hidden[laid.last])


def scalar(model: Any, hidden: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"]:
    """The scalar head on hidden states, in the head's own precision: a base may have half of it."""
    return at_least_float32(model.score(hidden.to(model.score.weight.dtype)))[..., 0]


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision is too coarse for what is summed up later; anything finer stays as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _logprobs(model: Any, laid: Laid, temperature: float) -> tuple[Tensor, Tensor]:
    width = laid.inputs["input_ids"].shape[1]
    first = int(laid.column_BT.min())
    keep = {"logits_to_keep": width - first} if first and _keeps(model) else {}
    logits = model(**_inputs(model, laid), use_cache=False, **keep).logits
    logits_BTV = logits[laid.row_BT, laid.column_BT - (width - logits.shape[1])]
    logits_BTV = at_least_float32(logits_BTV)
    if temperature != 1.0:
        logits_BTV = logits_BTV / temperature
    return token_logprobs(logits_BTV, laid.tokens_BT), logits_BTV


def _inputs(model: Any, laid: Laid) -> dict[str, Tensor]:
    """The arguments, with a mask of the model's own precision: another one is misread without a word."""
    return {name: value.to(model.dtype) if value.is_floating_point() else value for name, value in laid.inputs.items()}


def _keeps(model: Any) -> bool:
    """Whether a model can leave out the logits of the first columns."""
    inner = getattr(model, "shared", None)
    return "logits_to_keep" in inspect.signature((inner.model if inner else model).forward).parameters


def _padded(
    whole: Sequence[Sequence[int]], starts: Sequence[int], width: int, pad_id: int, *, left: bool
) -> dict[str, Tensor]:
    tokens = torch.full((len(whole), width), pad_id)
    real = torch.zeros(len(whole), width, dtype=torch.long)
    for row, ids in enumerate(whole):
        tokens[row, starts[row] : starts[row] + len(ids)] = torch.tensor(ids)
        real[row, starts[row] : starts[row] + len(ids)] = 1
    if not left:  # causal attention never looks right: no mask, and the faster kernels
        return {"input_ids": tokens}
    return {
        "input_ids": tokens,
        "attention_mask": real,
        "position_ids": (real.cumsum(dim=1) - 1).clamp(min=0),
    }


def _packed(whole: Sequence[Sequence[int]], starts: Sequence[int]) -> dict[str, Tensor]:
    owner = torch.cat([torch.full((len(ids),), row) for row, ids in enumerate(whole)])
    size = len(owner)
    seen = (owner[:, None] == owner[None]) & torch.ones(size, size, dtype=torch.bool).tril()
    mask = torch.zeros(size, size).masked_fill(~seen, torch.finfo(torch.float32).min)
    return {
        "input_ids": torch.tensor([token for ids in whole for token in ids])[None],
        "attention_mask": mask[None, None],
        "position_ids": (torch.arange(size) - torch.tensor(starts)[owner])[None],
    }


def longest_row(model: Any, max_tokens: int) -> int:
    """Tokens of the longest row to learn from: `max_tokens`, but never more than the model's context."""
    context = getattr(model.config, "max_position_embeddings", None)
    return max_tokens if context is None else min(max_tokens, context)
