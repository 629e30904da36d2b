"""Conversations to token ids, and back.

A row is what the model sees when it answers, and then the answer up to its end token. Which tokens are whose
follows from the roles: a conversation is rendered up to where the assistant begins to speak, and again with the
answer; the first must be the beginning of the second, token for token, or the run stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from palate.core.errors import DataError
from palate.core.records import Message, Prompt
from palate.models.template import ANSWER, PLAIN_TEMPLATE, QUESTION, diverging, render, tokens_of, turn_of
from palate.models.tokenizers import ends_of

__all__ = [
    "PLAIN_TEMPLATE",
    "Answered",
    "Row",
    "decode",
    "encode_answers",
    "encode_completion",
    "encode_conversation",
    "encode_prompt",
]


class Answered(NamedTuple):
    """A prompt with answers to it, as tokens."""

    prompt: list[int]
    """Up to where the assistant begins to speak."""
    completions: list[list[int]]
    """One an answer; each ends with one end token."""
    kept_apart: int
    """Answers whose first token would have joined the prompt's last one, such as two line breaks. They are
    tokenised on their own, as the model samples them."""


class Row(NamedTuple):
    """A conversation as tokens, some of which are trained."""

    tokens: list[int]
    trained: list[bool]
    """True on what the assistant says, the end token included."""


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """The prompt in the model's chat template, up to where the assistant begins to speak.

    Raises:
        DataError: the template would write it otherwise before an answer; the first token that differs is shown.
    """
    before, after = _texts(tokenizer, prompt.messages, [ANSWER.content])
    if not after.startswith(before):
        raise diverging(tokenizer, *tokens_of(tokenizer, [before, after]))
    return tokens_of(tokenizer, [before])[0]


def encode_completion(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """A finished completion: its tokens and one end token, as the template writes it after a short question.

    Raises:
        DataError: the text itself holds an end token.
    """
    return encode_answers(tokenizer, Prompt((QUESTION,)), [text]).completions[0]


def encode_answers(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, texts: Sequence[str]) -> Answered:
    """A prompt and finished answers to it.

    Raises:
        DataError: an answer holds an end token, or the prompt's tokens change when an answer stands behind them;
            the first token that differs is shown.
    """
    before, *after = _texts(tokenizer, prompt.messages, texts)
    start, *rows = tokens_of(tokenizer, [before, *after])
    completions, kept_apart = [], 0
    for text, whole_text, whole in zip(texts, after, rows, strict=True):
        rest = whole[len(start) :]
        if whole[: len(start)] != start:
            rest = _apart(tokenizer, before, whole_text, start, whole)
            kept_apart += 1
        completions.append(_ended(tokenizer, rest, text))
    return Answered(start, completions, kept_apart)


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, completion: str, *, turns: str = "all"
) -> tuple[list[Row], int]:
    """A conversation with what the assistant says in it trained.

    Where a turn's prompt begins with all that was said before, as it was said, one row holds several turns. A
    template that rewrites history, as Qwen3's does with earlier thoughts, shows the model another past at each
    turn: then each trained turn is a row of its own.

    Args:
        tokenizer: With its chat template.
        prompt: What was said before, earlier answers included.
        completion: The last answer.
        turns: `all` trains every answer that follows a question, `last` the last one.

    Returns:
        `(rows, kept_apart)`; the second as in `Answered`.
    """
    messages = (*prompt.messages, Message("assistant", completion))
    first = next((i for i, message in enumerate(messages) if message.role == "user"), len(messages) - 1)
    answers = [i for i, m in enumerate(messages) if m.role == "assistant" and i > first]
    rows: list[Row] = []
    kept_apart = 0
    for i in answers if turns == "all" else answers[-1:]:
        start, (spoken,), apart = encode_answers(tokenizer, Prompt(messages[:i]), [messages[i].content])
        kept_apart += apart
        tokens, trained = [*start, *spoken], [False] * len(start) + [True] * len(spoken)
        if rows and start[: len(rows[-1].tokens)] == rows[-1].tokens:
            past = rows.pop().trained
            trained[: len(past)] = past
        rows.append(Row(tokens, trained))
    return rows, kept_apart


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of a completion, up to its end token."""
    ends = ends_of(tokenizer).ids
    end = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    return str(tokenizer.decode(list(ids[:end]), skip_special_tokens=True))


def _texts(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], answers: Sequence[str]) -> list[str]:
    """The open conversation, then the same with each answer, up to where the answer's end token belongs."""
    turn = turn_of(tokenizer)
    if turn.problem is not None:
        raise turn.problem
    closed = [render(tokenizer, [*messages, Message("assistant", text)]) for text in answers]
    if not ends_of(tokenizer).in_template:
        closed = [text.removesuffix(turn.tail) for text in closed]
    return [render(tokenizer, messages, open_turn=True), *closed]


def _apart(
    tokenizer: PreTrainedTokenizerBase, before: str, after: str, start: Sequence[int], whole: Sequence[int]
) -> list[int]:
    """The tokens of an answer whose text follows the prompt's, though its tokens do not."""
    if not after.startswith(before):
        raise diverging(tokenizer, start, whole)
    (rest,) = tokens_of(tokenizer, [after[len(before) :]])
    if tokenizer.decode([*start, *rest]) != tokenizer.decode(list(whole)):
        raise diverging(tokenizer, start, whole)
    return rest


def _ended(tokenizer: PreTrainedTokenizerBase, rest: list[int], text: str) -> list[int]:
    """An answer's tokens with one end token, and nothing after it."""
    ends = ends_of(tokenizer)
    found = [i for i, token in enumerate(rest) if token in ends.ids]
    if len(found) > ends.in_template:
        raise DataError(
            "a completion holds the end token in its text",
            expected="text that does not contain it",
            found=repr(text[:80]),
            hint=f"remove {tokenizer.decode([rest[found[0]]])!r} from the data",
        )
    return rest[: found[0] + 1] if found else [*rest, ends.written]
