"""Conversations as foreign files write them: lists of `role`/`content` or of `from`/`value`."""

from __future__ import annotations

from collections.abc import Sequence

from palate.core.errors import DataError
from palate.core.records import Message, Prompt
from palate.formats.shape import is_blank

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_TURN_KEYS = {"role", "content", "from", "value"}

Turns = tuple[Message, ...]


def text_in(value: object, name: str) -> str:
    """`value` if it is a text that every database can hold.

    Args:
        value: A cell of a row.
        name: How to call it in the reason.

    Raises:
        DataError: it is no such text.
    """
    if not isinstance(value, str):
        found = "nothing" if value is None else f"`{str(value)[:40]}`"
        raise DataError(f"{name} is not a text", expected="a text", found=found)
    if "\x00" in value:
        raise DataError(f"{name} holds the character U+0000, which cannot be stored")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{name} holds half of a surrogate pair, which is no text", found=str(error)) from error
    return value


def turns_in(value: object, name: str) -> Turns:
    """The turns in a list of messages, or in a single message.

    Raises:
        DataError: the value is no such list, or a turn has a role or content that cannot be carried.
    """
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list) or not items:
        raise DataError(f"{name} is not a list of messages", found=f"`{str(value)[:40]}`")
    return tuple(_turn(item, f"{name}[{i}]") for i, item in enumerate(items))


def _turn(item: object, name: str) -> Message:
    if not isinstance(item, dict):
        raise DataError(f"{name} is not a message", found=f"`{str(item)[:40]}`")
    said = item.get("role", item.get("from"))
    role = _ROLES.get(said.strip().lower()) if isinstance(said, str) else None
    if role is None:
        raise DataError(f"{name} has a role that cannot be carried", expected=", ".join(_ROLES), found=f"`{said}`")
    content = item.get("content", item.get("value"))
    return Message(role, _parts(content, name) if isinstance(content, list) else text_in(content, name))


def _parts(content: Sequence[object], name: str) -> str:
    texts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
    if len(texts) != len(content):
        raise DataError(f"{name} holds something other than text")
    return "".join(text_in(text, name) for text in texts)


def with_system(turns: Turns, system: object) -> Turns:
    """The turns behind a system prompt that stands in a column of its own, unless they have one.

    Raises:
        DataError: the column holds something other than a text.
    """
    if is_blank(system) or (turns and turns[0].role == "system"):
        return turns
    return (Message("system", text_in(system, "system")), *turns)


def lost_in_turns(value: object, name: str) -> frozenset[str]:
    """What the messages of a column say beyond who speaks and what, as `name[].key`."""
    items = value if isinstance(value, list) else [value]
    return frozenset(
        f"{name}[].{key}"
        for item in items
        if isinstance(item, dict)
        for key, cell in item.items()
        if key not in _TURN_KEYS and not is_blank(cell)
    )


def prompt_of(turns: Turns, kind: str = "") -> Prompt:
    """The prompt that these turns are.

    Raises:
        DataError: they do not wait for the assistant.
    """
    if not turns:
        raise DataError("the row has no prompt: nothing stands before the answer")
    if turns[-1].role != "user":
        raise DataError(
            "the prompt does not wait for the assistant",
            expected="a last turn by the user",
            found=f"one by the {turns[-1].role}",
        )
    if not turns[-1].content.strip():
        raise DataError("the prompt is empty")
    return Prompt(turns, text_in(kind, "kind"))
