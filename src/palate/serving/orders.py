"""What the web process asks of the generator, and what comes back: lines of JSON through two pipes.

Nothing here needs torch, so that both sides can import it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

MOST_CHOICES = 8
MOST_STOPS = 4
MOST_ALTERNATIVES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request for answers."""

    id: str
    policy: str
    """The name that it is served under."""
    messages: tuple[tuple[str, str], ...]
    """Role and content of each turn."""
    max_tokens: int | None = None
    """Longest answer; None: as long as the model's context lets it be, up to the generator's own limit."""
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Only the likeliest tokens that together have this probability are drawn from."""
    stop: tuple[str, ...] = ()
    """Texts before which an answer ends."""
    seed: int = 0
    n: int = 1
    """Answers, which share the reading of the prompt."""
    logprobs: int | None = None
    """None: not wanted. k: of each token, and of the k likeliest at its place."""


class Chosen(NamedTuple):
    """A token and how likely it was, at temperature 1, whatever it was drawn with."""

    text: str
    logprob: float
    """In nats."""
    others: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens at this place."""


class Started(NamedTuple):
    """The prompt was read."""

    prompt_tokens: int
    max_tokens: int
    policy: str = ""
    """Id of the policy that answers, "" where none does."""


class Piece(NamedTuple):
    """More text of one answer."""

    choice: int
    """Which of the answers."""
    text: str
    chosen: tuple[Chosen, ...] = ()


class Ended(NamedTuple):
    """An answer is over."""

    choice: int
    """Which of the answers."""
    reason: str
    """`stop` when it ended by itself or before a stop text, `length` when the limit cut it off."""
    tokens: int


class Scored(NamedTuple):
    """What the reward model says of an answer."""

    score: float


class Refused(NamedTuple):
    """The request cannot be done, or not any more."""

    message: str
    code: str
    param: str = ""
    status: int = 400


Event = Started | Piece | Ended | Refused | Scored
_EVENTS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in (Started, Piece, Ended, Refused, Scored)}


class Served(NamedTuple):
    """A policy that is being served."""

    name: str
    id: str
    """Of the artefact or of the folder's content: the `policy` of its completions."""
    context: int
    """Tokens of a prompt and its answer together."""


def order_line(order: Order) -> bytes:
    """An order as a line."""
    return _line({"do": "answer", **asdict(order)})


def cancel_line(order: str) -> bytes:
    """That nobody waits for an order's answers any more."""
    return _line({"do": "cancel", "id": order})


def score_line(id: str, messages: tuple[tuple[str, str], ...], text: str) -> bytes:
    """That an answer to a conversation is to be scored."""
    return _line({"do": "score", "id": id, "messages": [list(one) for one in messages], "text": text})


def event_line(order: str, event: Event) -> bytes:
    """An event of an order as a line."""
    return _line({"id": order, "event": type(event).__name__.lower(), "of": list(event)})


def ready_line(served: list[Served]) -> bytes:
    """The policies are loaded."""
    return _line({"event": "ready", "of": [list(one) for one in served]})


def failed_line(message: str) -> bytes:
    """The policies cannot be loaded."""
    return _line({"event": "failed", "of": message})


def read_order(fields: dict[str, Any]) -> Order:
    """What `order_line` wrote, without `do`."""
    return Order(
        **{
            **fields,
            "messages": tuple((role, content) for role, content in fields["messages"]),
            "stop": tuple(fields["stop"]),
        }
    )


def read_event(fields: dict[str, Any]) -> Event:
    """What `event_line` wrote."""
    kind, values = _EVENTS[fields["event"]], fields["of"]
    if kind is Piece:
        choice, text, chosen = values
        return Piece(
            choice, text, tuple(Chosen(said, p, tuple((o, q) for o, q in others)) for said, p, others in chosen)
        )
    made: Event = kind(*values)
    return made


def read_ready(fields: dict[str, Any]) -> list[Served]:
    """What `ready_line` wrote."""
    return [Served(*one) for one in fields["of"]]


def _line(value: dict[str, Any]) -> bytes:
    # ASCII, so that half of a surrogate pair can pass and no character is a line break.
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
