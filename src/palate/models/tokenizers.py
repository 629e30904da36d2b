"""Open a tokenizer, and say which tokens end an answer and which one fills up a batch.

The end has a meaning: an answer is over. Padding has none: every mask is made from lengths and roles, so any id
will do, the end token's as well. Only what others read, a saved reward model, needs a pad token of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from palate.core.errors import ModelError
from palate.models import adapters
from palate.models.template import tokens_of, turn_of

PAD = "<|pad|>"
"""Added to a reward model whose tokenizer has no token to pad with. It is no part of any text."""
_FILES = ("generation_config.json", "config.json")
"""Where a model folder names its end tokens; the first that does so counts."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The tokens that end an answer."""

    ids: frozenset[int]
    """Sampling stops at any of them."""
    written: int
    """The one that stands at the end of an answer that is trained on."""
    in_template: int
    """How many of them the chat template puts after an answer. 0: it does not, so Palate does."""
    ignored: frozenset[int] = frozenset()
    """Named by the model folder, but ordinary tokens: a configuration's default, not an end."""


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder. It has an end token, and an id to pad with, which may be the same.

    Raises:
        ModelError: there is none, or neither it, the model's configuration nor the chat template names an end.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ModelError(
            "a tokenizer cannot be read",
            where=str(folder),
            expected="tokenizer.json and tokenizer_config.json beside the model",
            found=str(error).splitlines()[0][:200],
        ) from error
    tokenizer.palate_named = _named(Path(folder))
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ends_of(tokenizer, where=str(folder)).written)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _named(folder: Path) -> frozenset[int]:
    """End tokens that the model folder names, one or several; an adapter's folder leaves that to its base."""
    if adapters.is_adapter(folder):
        folder = Path(adapters.read_base(folder).folder)
    for name in _FILES:
        if not (folder / name).is_file():
            continue
        try:
            found: Any = json.loads((folder / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError("a model's settings cannot be read", where=str(folder / name), found=str(error)) from error
        ids = found.get("eos_token_id") if isinstance(found, dict) else None
        if ids is not None:
            return frozenset(ids if isinstance(ids, list) else [ids])
    return frozenset()


def ends_of(tokenizer: PreTrainedTokenizerBase, *, where: str = "") -> Ends:
    """All tokens that end an answer: the tokenizer's, the model folder's and the chat template's.

    The folder's count if `load_tokenizer` opened it.

    Raises:
        ModelError: there is none.
    """
    named: frozenset[int] = getattr(tokenizer, "palate_named", frozenset())
    key = (str(tokenizer.chat_template), tokenizer.eos_token_id, named)
    known = getattr(tokenizer, "palate_ends", None)
    if known is None or known[0] != key:
        known = (key, _ends(tokenizer, named, where))
        tokenizer.palate_ends = known
    return known[1]


def _ends(tokenizer: PreTrainedTokenizerBase, named: frozenset[int], where: str) -> Ends:
    special = special_ids(tokenizer)
    own = frozenset() if tokenizer.eos_token_id is None else frozenset({int(tokenizer.eos_token_id)})
    ids = own | (named & special)
    turn = turn_of(tokenizer)
    tail, between = tokens_of(tokenizer, [turn.tail, turn.between])
    marks = [token for token in tail if token in special and token != tokenizer.bos_token_id]
    if not ids.intersection(tail):
        ids |= frozenset(marks[:1])  # nobody named it, but it closes every answer
    after = [token for token in tail if token in ids]
    later = [token for token in between if token in ids]
    written = [*after, *later, *own, *sorted(ids)]
    if not written:
        raise ModelError(
            "a tokenizer has no eos_token",
            where=where,
            expected="a token that ends an answer, named by the tokenizer, generation_config.json or the chat template",
            hint='set "eos_token" in tokenizer_config.json to a token of the vocabulary',
        )
    return Ends(ids, written[0], len(after), named - ids)


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that are marks, not text."""
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def pad_id_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """An id to fill up rows with. It means nothing: masks come from lengths."""
    found = tokenizer.pad_token_id
    return int(found) if found is not None else ends_of(tokenizer).written


def with_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Give a scalar model and its tokenizer a pad token that ends no answer; both are changed.

    transformers scores the last token that is not padding. With a pad token that no row ends with, this is the
    last token there is, as Palate counts it.

    Returns:
        The pad token's id; `model.config` names it, and there is an embedding for it.
    """
    ends, pad = ends_of(tokenizer).ids, tokenizer.pad_token_id
    if pad is None or pad in ends:
        known = tokenizer.convert_tokens_to_ids(PAD) if PAD in tokenizer.get_vocab() else None
        if known is not None and known in ends:
            raise ModelError("a tokenizer has no token left to pad with", expected=f"{PAD} to be no end token")
        tokenizer.add_special_tokens({"pad_token": PAD})
        pad = int(tokenizer.pad_token_id)
    rows = model.get_input_embeddings().weight.shape[0]
    if pad >= rows:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            model.get_input_embeddings().weight[rows:] = 0.0  # no chance in it: no real token looks at padding
    model.config.get_text_config().pad_token_id = model.config.pad_token_id = int(pad)
    return int(pad)
