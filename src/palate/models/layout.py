"""How rows of different lengths lie in a tensor, and how to ask a model about their completions wherever they lie.

Four layouts: padded on the `right`, padded on the `left`, `packed` into one long row whose parts cannot see each
other, or `shared`: no padding, and a prompt that several rows begin with only once. They give the same numbers but for
rounding; what differs is how much is computed for nothing. `shared` needs a forward pass of our own, which is written
for the Llama family and GPT-2; for any other model its rows are padded on the right, and the log says so.

Everything comes back as (B, T), completion tokens from the left, whatever the layout was. Shapes: B sequences,
T completion tokens, V vocabulary, S tokens of the rows as they lie.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from palate.core.errors import DataError
from palate.functional.logprobs import token_logprobs
from palate.models.flat import forward
from palate.models.flat.family import Family, Unknown, examine
from palate.models.flat.tree import Tree, plant

LAYOUTS = ("shared", "right", "left", "packed")


class Laid(NamedTuple):
    """Rows as a model takes them, and where their completions are."""

    inputs: dict[str, Tensor]
    """Arguments of the model: token ids; where they are needed, the mask and the positions too. Empty with a tree."""
    row_BT: Int[Tensor, "B T"]
    """Row of the state before each completion token."""
    column_BT: Int[Tensor, "B T"]
    """Its column."""
    tokens_BT: Int[Tensor, "B T"]
    """The completions' tokens."""
    mask_BT: Bool[Tensor, "B T"]
    """True on completion tokens, the end token included."""
    last: tuple[Int[Tensor, " B"], Int[Tensor, " B"]] | None
    """Row and column of each row's last token; None where it was left out."""
    tree: Tree | None = None
    """With `shared`: the rows in one line, which is row 0."""
    padded: Callable[[], Laid] | None = None
    """With `shared`: the same rows for a model that cannot take a tree."""


def lay(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    pad_id: int,
    layout: str = "right",
    device: torch.device | str = "cpu",
    counts: Sequence[Sequence[bool]] | None = None,
    ends: bool = False,
) -> Laid:
    """Put rows into one tensor. Masks come from lengths; `pad_id` may be any token at all.

    Args:
        prompts: Token ids, at least one a row.
        completions: Token ids, the end token included.
        pad_id: What stands where nothing is.
        layout: `shared`, `right`, `left` or `packed`.
        device: Where the tensors go.
        counts: Of each completion token whether it counts; None counts all. In a conversation, what the user
            says after the first answer does not.
        ends: Whether the states of last tokens are wanted. Nothing follows them, so `shared` leaves them out else.

    Raises:
        DataError: a prompt is empty, so nothing predicts the completion's first token.
    """
    for index, prompt in enumerate(prompts):
        if not len(prompt):
            raise DataError("a prompt has no tokens", where=f"row {index} of a batch", expected="at least one")
    tree, padded, inputs = None, None, dict[str, Tensor]()
    if layout == "shared":
        planted = plant(prompts, completions if ends else [completion[:-1] for completion in completions])
        tree, rows, before, first = planted.tree.to(device), [0] * len(prompts), planted.last_prompt, planted.first
        padded = partial(lay, prompts, completions, pad_id=pad_id, layout="right", device=device, counts=counts)
    else:
        inputs, rows, before = _rectangle(prompts, completions, pad_id, layout)
        first = [place + 1 for place in before]
    lengths_B = torch.tensor([len(completion) for completion in completions])
    offset_T = torch.arange(int(lengths_B.max()))
    before_B, first_B, row_B = torch.tensor(before), torch.tensor(first), torch.tensor(rows)
    there_BT = offset_T[None] < lengths_B[:, None]
    mask_BT, tokens_BT = there_BT.clone(), torch.full(there_BT.shape, pad_id)
    tokens_BT[there_BT] = torch.tensor([token for completion in completions for token in completion], dtype=torch.long)
    column_BT = torch.where(there_BT & (offset_T[None] > 0), first_B[:, None] + offset_T[None] - 1, before_B[:, None])
    last_B = torch.where(lengths_B > 0, first_B + lengths_B - 1, before_B)
    if counts is not None:
        for row, flags in enumerate(counts):
            mask_BT[row, : len(flags)] &= torch.tensor(flags, dtype=torch.bool)
    return Laid(
        {name: value.to(device) for name, value in inputs.items()},
        row_B[:, None].expand(mask_BT.shape).to(device),
        column_BT.to(device),
        tokens_BT.to(device),
        mask_BT.to(device),
        (row_B.to(device), last_B.to(device)) if ends or layout != "shared" else None,
        tree,
        padded,
    )


def logprobs(model: Any, laid: Laid, *, temperature: float = 1.0) -> Float[Tensor, "B T"]:
    """Log-probability of each completion token, in nats, in float32 or better; anything where the mask is False.

    Args:
        model: A causal model, or a hat of one.
        laid: Its rows.
        temperature: The one that the completions were sampled at.
    """
    return _logprobs(model, laid, temperature, entropy=False)[0]


def logprobs_and_entropy(
    model: Any, laid: Laid, *, temperature: float = 1.0
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """As `logprobs`, with the entropy of each distribution in nats (no gradient)."""
    return _logprobs(model, laid, temperature, entropy=True)


def states(model: Any, laid: Laid) -> Float[Tensor, "B T D"]:
    """The last hidden state before each completion token."""
    hidden, laid = _hidden(model, laid)
    return hidden[laid.row_BT, laid.column_BT]


def values(model: Any, laid: Laid) -> Float[Tensor, "B T"]:
    """The scalar head at the state before each completion token."""
    hidden, laid = _hidden(model, laid)
    return scalar(model, hidden)[laid.row_BT, laid.column_BT]


def last_scores(model: Any, laid: Laid) -> Float[Tensor, " B"]:
    """The scalar head at each completion's last token: counted, not searched by pad id. Lay rows with `ends`."""
    return scalar(model, last_states(model, laid))


def last_states(model: Any, laid: Laid) -> Float[Tensor, "B D"]:
    """The last hidden state at each completion's last token. Lay rows with `ends`."""
    hidden, laid = _hidden(model, laid)
    assert laid.last is not None, "rows were laid without their last tokens"
    return hidden[laid.last]


def scalar(model: Any, hidden: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"]:
    """The scalar head on hidden states, in the head's own precision: a base may have half of it."""
    return at_least_float32(model.score(hidden.to(model.score.weight.dtype)))[..., 0]


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision is too coarse for what is summed up later; anything finer stays as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _logprobs(model: Any, laid: Laid, temperature: float, *, entropy: bool) -> tuple[Tensor, Tensor]:
    """Log-probs, and entropies if they are wanted."""
    family, laid = _fitted(model, laid)
    if family is not None and laid.tree is not None and family.head is not None:
        return _tree_logprobs(family, laid, laid.tree, temperature, entropy)
    width = laid.inputs["input_ids"].shape[1]
    first = int(laid.column_BT.min())
    keep = {"logits_to_keep": width - first} if first and _keeps(model) else {}
    logits = model(**_inputs(model, laid), use_cache=False, **keep).logits
    logits_BTV = logits[laid.row_BT, laid.column_BT - (width - logits.shape[1])]
    logits_BTV = at_least_float32(logits_BTV)
    if temperature != 1.0:
        logits_BTV = logits_BTV / temperature
    with torch.no_grad():
        entropy_BT = torch.distributions.Categorical(logits=logits_BTV.detach()).entropy() if entropy else logits_BTV
    return token_logprobs(logits_BTV, laid.tokens_BT), entropy_BT


def _tree_logprobs(family: Family, laid: Laid, tree: Tree, temperature: float, entropy: bool) -> tuple[Tensor, Tensor]:
    """As `_logprobs`, on a tree, for the tokens that count; 0 elsewhere."""
    states_SD = forward.hidden_states(family, tree)
    places_N = laid.column_BT[laid.mask_BT]
    found = forward.next_token_logprobs(
        family,
        states_SD.index_select(0, places_N),
        laid.tokens_BT[laid.mask_BT],
        temperature=temperature,
        entropy=entropy,
    )
    empty_BT = found.logprobs_N.new_zeros(laid.mask_BT.shape)
    logprobs_BT = empty_BT.masked_scatter(laid.mask_BT, found.logprobs_N)
    return logprobs_BT, empty_BT.masked_scatter(laid.mask_BT, found.entropy_N) if entropy else empty_BT


def _hidden(model: Any, laid: Laid) -> tuple[Tensor, Laid]:
    """Last hidden states, and how the rows lie in them."""
    family, laid = _fitted(model, laid)
    if family is not None and laid.tree is not None:
        return forward.hidden_states(family, laid.tree)[None], laid
    return model.base_model(**_inputs(model, laid), use_cache=False).last_hidden_state, laid


def _fitted(model: Any, laid: Laid) -> tuple[Family | None, Laid]:
    """What a tree goes through; for a model that cannot take one, none, and the rows padded on the right."""
    if laid.tree is None or laid.padded is None:
        return None, laid
    found = examine(model)
    if isinstance(found, Unknown):
        _tell(found.reason)
    elif not forward.fits(found, laid.tree):
        _tell(f"its own forward pass is used: rows of more than {found.window} tokens go through a sliding window")
    else:
        return found, laid
    return None, laid.padded()


@lru_cache
def _tell(reason: str) -> None:
    """Once a process for each reason."""
    logging.getLogger(__name__).info("layout shared, for a model: %s", reason)


def _inputs(model: Any, laid: Laid) -> dict[str, Tensor]:
    """The arguments, with a mask of the model's own precision: another one is misread without a word."""
    return {name: value.to(model.dtype) if value.is_floating_point() else value for name, value in laid.inputs.items()}


def _keeps(model: Any) -> bool:
    """Whether a model can leave out the logits of the first columns."""
    inner = getattr(model, "shared", None)
    return "logits_to_keep" in inspect.signature((inner.model if inner else model).forward).parameters


def _rectangle(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], pad_id: int, layout: str
) -> tuple[dict[str, Tensor], list[int], list[int]]:
    """Arguments of a model, and the row and the column of each prompt's last token."""
    whole = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
    lengths = [len(row) for row in whole]
    width = max(lengths)
    if layout == "packed":
        starts = [sum(lengths[:row]) for row in range(len(lengths))]
        inputs = _packed(whole, starts)
        rows = [0] * len(whole)
    else:
        starts = [width - length if layout == "left" else 0 for length in lengths]
        inputs = _padded(whole, starts, width, pad_id, left=layout == "left")
        rows = list(range(len(whole)))
    return inputs, rows, [start + len(prompt) - 1 for start, prompt in zip(starts, prompts, strict=True)]


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
