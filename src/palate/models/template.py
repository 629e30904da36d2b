"""What a chat template writes: the text of a conversation, and where the assistant's turn begins and ends.

A template is a program that came with the model. So it is asked, not trusted: one exchange with a known
answer shows what stands before the answer and what comes after it.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import NamedTuple

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from palate.core.errors import DataError
from palate.core.records import Message

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ':\n' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
)
"""Used for a model whose tokenizer brings no chat template. No token of an answer joins a line break."""

QUESTION = Message("user", "hello")
ANSWER = Message("assistant", "word")
"""The exchange that a template is asked about."""


class Turn(NamedTuple):
    """How a template writes the assistant's turn."""

    lead: str
    """What it puts before the answer although it did not ask with it, such as an empty thought; it is trained."""
    tail: str
    """What it puts after the answer, such as `<|im_end|>` and a line break."""
    between: str
    """What it puts between an answer and the next question."""
    problem: DataError | None
    """Why no answer can be encoded with it, if so."""


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, open_turn: bool = False) -> str:
    """A conversation as text; with `open_turn`, up to where the assistant begins to speak.

    Raises:
        DataError: the template refuses the conversation.
    """
    template = None if tokenizer.chat_template else PLAIN_TEMPLATE
    try:
        text = tokenizer.apply_chat_template(
            [message.as_dict() for message in messages],
            chat_template=template,
            tokenize=False,
            add_generation_prompt=open_turn,
        )
    except TemplateError as error:
        raise DataError(
            "a chat template refuses a conversation",
            expected="roles and an order that it knows",
            found=f"{', '.join(message.role for message in messages) or 'no message'}: {error}",
            hint="change the data, or the chat template beside the tokenizer",
        ) from error
    # A model's own template writes its begin token itself; ours cannot know whether there is one.
    return _begin(tokenizer) + str(text) if template else str(text)


def _begin(tokenizer: PreTrainedTokenizerBase) -> str:
    """The begin token, if the tokenizer puts one before any text."""
    first = list(tokenizer("a")["input_ids"])[:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""


def tokens_of(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Rendered texts as token ids. Special tokens are those that the text names, and no other.

    Raises:
        DataError: a text begins with two begin tokens.
    """
    rows = [list(row) for row in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    begin = tokenizer.bos_token_id
    for row in rows:
        if begin is not None and row[:2] == [begin, begin]:
            raise DataError(
                "a conversation begins with two begin tokens",
                expected=f"one {tokenizer.bos_token!r}",
                found=f"two: {tokenizer.decode(row[:8])!r} …",
                hint="the chat template writes it, so the data must not",
            )
    return rows


def turn_of(tokenizer: PreTrainedTokenizerBase) -> Turn:
    """How the template writes the assistant's turn; asked once for each template."""
    key = str(tokenizer.chat_template)
    known = getattr(tokenizer, "palate_turn", None)
    if known is None or known[0] != key:
        known = (key, _ask(tokenizer))
        tokenizer.palate_turn = known
    return known[1]


def _ask(tokenizer: PreTrainedTokenizerBase) -> Turn:
    try:
        before = render(tokenizer, [QUESTION], open_turn=True)
        after = render(tokenizer, [QUESTION, ANSWER])
    except DataError as error:
        return Turn("", "", "", error)
    try:
        longer = render(tokenizer, [QUESTION, ANSWER, QUESTION])
    except DataError:
        longer = ""
    at = after.rfind(ANSWER.content)
    if at < 0:
        hint = "look at the chat template beside the tokenizer"
        problem = DataError("a chat template does not write what the assistant says", found=repr(after), hint=hint)
        return Turn("", "", "", problem)
    tail = after[at + len(ANSWER.content) :]
    _, _, rest = longer.partition(ANSWER.content)
    lead = after[len(before) : at] if after.startswith(before) else ""
    return Turn(lead, tail, rest.rpartition(QUESTION.content)[0], _boundary_problem(tokenizer, before, after, at))


def _boundary_problem(tokenizer: PreTrainedTokenizerBase, before: str, after: str, at: int) -> DataError | None:
    """Whether the prompt's tokens change once an answer stands behind them, whatever its first letter."""
    starts = [after[:at] + letter for letter in string.ascii_letters + string.digits]
    try:
        prompt, whole, *short = tokens_of(tokenizer, [before, after, *starts])
    except DataError as error:
        return error
    for row in (whole, *short):
        if row[: len(prompt)] != prompt:
            return diverging(tokenizer, prompt, row)
    return None


def diverging(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], whole: Sequence[int]) -> DataError:
    """The error that shows the first token at which a prompt and the same prompt with its answer part."""
    at = next((i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), min(len(prompt), len(whole)))
    shared = tokenizer.decode(list(prompt[max(at - 6, 0) : at]))

    def told(ids: Sequence[int]) -> str:
        one = f"{tokenizer.decode([ids[at]])!r} (id {ids[at]})" if at < len(ids) else "nothing"
        return f"{one}, reading {tokenizer.decode(list(ids[at : at + 6]))!r}"

    return DataError(
        "a prompt's tokens change when its answer is put behind it",
        where=f"token {at}, after {shared!r}",
        expected=f"{told(prompt)}: the prompt alone, as the model sees it when it answers",
        found=f"{told(whole)}: the prompt with its answer, as it would be trained",
        hint="the chat template must end the prompt as it begins an answer: compare its last lines, where it asks for "
        "add_generation_prompt, with what it writes for an assistant message (<think>, line breaks, blanks)",
    )
