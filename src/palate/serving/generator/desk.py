"""One policy at work: orders wait, their rows grow together, and every step says what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from palate.core.artefacts import identify
from palate.core.errors import PalateError
from palate.core.ids import derive_seed
from palate.core.records import Message, Prompt
from palate.models import chat, load
from palate.models.tokenizers import ends_of
from palate.serving.generator.drawing import Token, Wish, draw, likeliest
from palate.serving.generator.lanes import Lane, lane_for
from palate.serving.generator.spelling import Speller
from palate.serving.orders import Chosen, Ended, Event, Order, Piece, Refused, Served, Started


class Told(NamedTuple):
    """An event and the order it is of."""

    order: str
    event: Event


@dataclass(slots=True)
class _Answer:
    """One answer as it grows."""

    order: Order
    index: int
    room: int
    """Tokens that it may have."""
    speller: Speller
    numbers: np.random.Generator
    tokens: list[int] = field(default_factory=list)


class Desk:
    """The orders of one policy.

    Args:
        lane: Where its rows grow.
        tokenizer: Of the policy.
        slots: Rows at a time.
        longest: No answer has more tokens, whatever is asked for.
        policy: Its id, which every answer begins with.
    """

    def __init__(
        self, lane: Lane, tokenizer: PreTrainedTokenizerBase, *, slots: int, longest: int, policy: str = ""
    ) -> None:
        self._policy = policy
        self._lane = lane
        self._tokenizer = tokenizer
        self._slots = slots
        self._longest = longest
        self._ends = ends_of(tokenizer).ids
        self._waiting: deque[Order] = deque()
        self._rows: list[_Answer] = []
        self._cancelled: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether anything is to be done."""
        return bool(self._waiting or self._rows)

    def take(self, order: Order) -> None:
        """One more order."""
        self._waiting.append(order)

    def cancel(self, order: str) -> None:
        """Nobody waits for this order any more."""
        self._waiting = deque(one for one in self._waiting if one.id != order)
        if any(row.order.id == order for row in self._rows):
            self._cancelled.add(order)

    def advance(self) -> Iterator[Told]:
        """One token more for every row; before that, one order enters if there is room."""
        if self._cancelled:
            self._keep([row.order.id not in self._cancelled for row in self._rows])
            self._cancelled.clear()
        if self._waiting and self._waiting[0].n <= self._slots - len(self._rows):
            # One at a time: reading a long prompt keeps those who are being answered waiting.
            yield from self._enter(self._waiting.popleft())
        if self._rows:
            logits_RV = self._lane.step([row.tokens[-1] for row in self._rows])
            yield from self._draw(self._rows, logits_RV)

    def _enter(self, order: Order) -> Iterator[Told]:
        try:
            prompt = chat.encode_prompt(
                self._tokenizer, Prompt(tuple(Message(role, content) for role, content in order.messages))
            )
        except (PalateError, ValueError) as error:
            said = error.what if isinstance(error, PalateError) else "the conversation cannot be written down"
            yield Told(order.id, Refused(f"The policy cannot read this: {said}.", "invalid_prompt", "messages"))
            return
        room = min(self._lane.context - len(prompt), self._longest, order.max_tokens or self._longest)
        if room < 1:
            sentence = (
                f"The policy's context has room for {self._lane.context} tokens, and the messages "
                f"have {len(prompt)} already. Leave out the oldest of them."
            )
            yield Told(order.id, Refused(sentence, "context_length_exceeded", "messages"))
            return
        logits_V = self._lane.enter(prompt, order.n)
        yield Told(order.id, Started(len(prompt), room, self._policy))
        new = [
            _Answer(
                order,
                index,
                room,
                Speller(lambda tokens: chat.decode(self._tokenizer, tokens), order.stop),
                np.random.Generator(np.random.Philox(key=derive_seed(order.seed, "row", index))),
            )
            for index in range(order.n)
        ]
        self._rows += new
        yield from self._draw(new, logits_V.expand(order.n, -1), entering=True)

    def _draw(self, rows: list[_Answer], logits_RV: Tensor, *, entering: bool = False) -> Iterator[Told]:
        wishes = [Wish(row.order.temperature, row.order.top_p, row.numbers.random()) for row in rows]
        told: list[Told] = []
        over: set[int] = set()
        for row, token, logits_V in zip(rows, draw(logits_RV, wishes), logits_RV, strict=True):
            row.tokens.append(token.id)
            events = self._said(row, token, logits_V)
            told += [Told(row.order.id, event) for event in events]
            if events and isinstance(events[-1], Ended):
                over.add(id(row))
        if over:
            self._keep([id(row) not in over for row in self._rows])
        yield from told

    def _said(self, row: _Answer, token: Token, logits_V: Tensor) -> list[Event]:
        """What one more token says."""
        ended = token.id in self._ends
        last = ended or len(row.tokens) >= row.room
        said = row.speller.rest(row.tokens) if last else row.speller.more(row.tokens)
        chosen: tuple[Chosen, ...] = ()
        if row.order.logprobs is not None and not ended:
            others = tuple((self._spelled(one.id), one.logprob) for one in _likeliest(logits_V, row.order.logprobs))
            chosen = (Chosen(self._spelled(token.id), token.logprob, others),)
        events: list[Event] = [Piece(row.index, said.text, chosen)] if said.text or chosen else []
        if said.stopped or last:
            events.append(Ended(row.index, "stop" if said.stopped or ended else "length", len(row.tokens)))
        return events

    def _spelled(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    def _keep(self, staying: list[bool]) -> None:
        if all(staying):
            return
        order = self._lane.leave([place for place, stays in enumerate(staying) if stays])
        self._rows = [self._rows[place] for place in order]


def open_desk(name: str, folder: Path, *, slots: int, longest: int) -> tuple[Desk, Served]:
    """Load a policy.

    Raises:
        PalateError: the folder holds no causal language model that can be loaded.
    """
    model, tokenizer = load.load_causal(folder)
    lane = lane_for(model, slots)
    id = identify(folder)
    desk = Desk(lane, tokenizer, slots=slots, longest=longest, policy=id)
    return desk, Served(name, id, lane.context)


def _likeliest(logits_V: Tensor, count: int) -> list[Token]:
    return likeliest(logits_V, count) if count else []
