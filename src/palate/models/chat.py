"""Conversations to token ids, and back.

Prompt and completion are tokenised apart, so that no token reaches across the boundary between
them; a completion ends with exactly one end token.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from palate.core.errors import DataError
from palate.core.records import Prompt

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
"""Used for a model whose tokenizer brings no chat template."""


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """The prompt in the model's chat template, up to where the assistant begins to speak."""
    template = None if tokenizer.chat_template else PLAIN_TEMPLATE
    text = tokenizer.apply_chat_template(
        prompt.as_dicts(), chat_template=template, tokenize=False, add_generation_prompt=True
    )
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def encode_completion(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """A finished completion: its tokens and one end token.

    Raises:
        DataError: the text itself holds the end token.
    """
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if tokenizer.eos_token_id in ids:
        raise DataError(
            "a completion holds the end token in its text",
            expected="text that does not contain it",
            found=repr(text[:80]),
            hint=f"remove {tokenizer.eos_token!r} from the data",
        )
    return [*ids, tokenizer.eos_token_id]


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of a completion, up to its end token."""
    ids = list(ids)
    if tokenizer.eos_token_id in ids:
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    return str(tokenizer.decode(ids, skip_special_tokens=True))
