"""A talk with a policy, whatever page it is held on: whose it is, what is asked, and the answer as it grows."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal, NamedTuple

import anyio
from fastapi import Depends, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from palate.core.ids import derive_seed
from palate.core.records import Prompt
from palate.guardrails.guard import Guardrails
from palate.pages import security
from palate.pages.errors import Refusal
from palate.pages.markdown import safe_html
from palate.serving import duel, guard_trail, persons, talks, trial
from palate.serving.bodies import AnyText, Strict
from palate.serving.completions import generator, refusal, under_way
from palate.serving.guarding import FILTERED, Answering
from palate.serving.keeping import Spoken, cleaned, keep
from palate.serving.orders import Ended, Order, Piece
from palate.serving.supervisor import GeneratorError
from palate.serving.talks import Talk
from palate.store import chats
from palate.store.chats import ATTACK, Chat
from palate.store.journal import Journal
from palate.store.people import Account

TEMPERATURE = 0.8
TITLE = 60
Person = Annotated[Account, Depends(security.require("owner", "lead", "rater"))]
Open = Annotated[Journal, Depends(security.journal)]
Id = Annotated[AnyText, Field(max_length=64)]


class Ask(Strict):
    """What is to be answered."""

    text: Annotated[AnyText, Field(max_length=100_000)] = ""
    after: Id = ""
    """Answer that this follows; "" at the beginning."""
    again: Id = ""
    """Answer that is wanted anew, in place of a new turn."""
    drafts: Literal[1, 2] = 1
    policy: Annotated[AnyText, Field(max_length=256)] = ""


class Stop(Strict):
    """Which answer is to end where it is."""

    order: Annotated[AnyText, Field(max_length=128)]


class Room(NamedTuple):
    """A chat, and whose it is."""

    chat: Chat
    account: Account
    person: str
    journal: Journal

    @property
    def talk(self) -> Talk:
        """What was said in it so far."""
        return talks.read(self.journal, self.chat.id, self.person)


def enter(id: str, account: Account, journal: Journal, kind: str) -> Room:
    """A chat of this kind, if it is theirs.

    Raises:
        Refusal: there is none.
    """
    person = persons.of_account(journal, account)
    found = chats.find(journal, id, person, kind=kind)
    if found is None:
        raise Refusal(404, "There is no such chat on your list.", code="chat_not_found")
    return Room(found, account, person, journal)


async def answer(request: Request, here: Room, body: Ask, *, kind: str = "") -> Response:
    """Write an answer, as lines of JSON: what was asked, pieces of text, and each answer's end.

    What is asked is scrubbed before the policy sees it, so that what it answered to is what is stored.

    Args:
        request: Of the page's script.
        here: Where it is asked.
        body: What is asked.
        kind: Of the prompt, for those who judge the answer later.
    """
    served = generator(request)
    talk = await anyio.to_thread.run_sync(talks.read, here.journal, here.chat.id, here.person)
    prompt, replaced = _prompt(talk, body, kind)
    # An attack is no use of a release, so it is in no test.
    who = "" if here.chat.kind == ATTACK else here.person
    policy = body.policy or await anyio.to_thread.run_sync(trial.answering, here.journal, who, served)
    two = None
    if body.drafts == 2 and not body.policy:
        two = await anyio.to_thread.run_sync(trial.both, here.journal, who, served.served)
    order = Order(
        id=f"{here.chat.id}.{secrets.token_hex(12)}",
        policy=policy,
        messages=tuple((message.role, message.content) for message in prompt.messages),
        temperature=TEMPERATURE,
        seed=secrets.randbits(62),
        n=body.drafts,
    )
    try:
        growing = await (duel.under_way(request, served, order, two) if two else under_way(request, served, order))
    except GeneratorError as error:
        if error.code == "context_length_exceeded":
            raise Refusal(
                400, "The chat is longer than the model can read. Begin a new one.", code=error.code
            ) from error
        raise refusal(error) from error
    guard = growing.collected.guard
    head = {
        "order": order.id,
        "title": here.chat.title or _title(prompt),
        "asked": safe_html(prompt.text),
        "replaced": replaced,
        "swapped": body.drafts == 2 and swapped(here.chat, prompt),
        "held": any(one is not None and one.holds_whole for one in (guard, *growing.collected.guards.values())),
    }
    stream = _lines(here, prompt, growing.collected.policy, head, growing, guard)
    return StreamingResponse(stream, media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"})


def stop(request: Request, here: Room, body: Stop) -> dict[str, bool]:
    """End an answer that is being written; its stream then ends as any other, with what was said so far."""
    mine = body.order.startswith(f"{here.chat.id}.")
    orders = (body.order, *duel.ids(body.order))
    return {"stopped": mine and any([generator(request).stop(one) for one in orders])}


def shown(talk: Talk, completion: str) -> str:
    """The id of an answer of this talk.

    Raises:
        Refusal: it is of another.
    """
    if completion not in talk.shown:
        raise Refusal(404, "That answer is not of this chat.", code="answer_not_found", param="completion")
    return completion


def swapped(chat: Chat, prompt: Prompt) -> bool:
    """Whether the second of two drafts stands on the left: by chance, and the same whenever it is asked."""
    return bool(derive_seed(0, "sides", chat.id, prompt.id) & 1)


async def _lines(
    here: Room, prompt: Prompt, policy: str, head: dict[str, Any], growing: Answering, guard: Guardrails | None
) -> AsyncIterator[bytes]:
    said, kept = growing.collected, False

    def author(index: int) -> str:
        return guard_trail.author(guard, said, index, policy)

    def store() -> list[str]:
        journal, warmth = here.journal, TEMPERATURE
        spoken = [
            Spoken(text, said.reasons[i] in ("stop", FILTERED), here.chat.id, author(i))
            for i, text in enumerate(said.texts)
        ]
        chats.touch(journal, here.chat.id, _title(prompt))
        ids = keep(journal, prompt, spoken, policy=policy, temperature=warmth, person=here.person)
        places = [here.chat.id] * len(ids)
        guard_trail.note(journal, guard, said, policy=policy, ids=ids, places=places, prompt=prompt, temperature=warmth)
        return ids

    try:
        yield _line(head)
        async with aclosing(growing.events()) as events:
            async for event in events:
                if isinstance(event, Piece):
                    yield _line({"index": event.choice, "text": event.text})
                elif isinstance(event, Ended) and all(said.reasons):
                    ids = await anyio.to_thread.run_sync(store)
                    kept = True
                    clean = cleaned(prompt, said.texts).answers
                    for index, completion in enumerate(ids):
                        told = {"index": index, "completion": completion, "source": clean[index]}
                        told |= {"html": safe_html(clean[index]), "cut": said.reasons[index] == "length"}
                        yield _line({**told, "guarded": guard_trail.sentence(author(index))})
    except GeneratorError as error:
        yield _line({"error": error.what})
    finally:
        if not kept and any(said.texts):
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(store)


def _prompt(talk: Talk, body: Ask, kind: str) -> tuple[Prompt, int]:
    """The conversation to answer, and how many places of what was asked were scrubbed."""
    if body.again:
        return talk.shown[shown(talk, body.again)].prompt, 0
    if not body.text.strip():
        raise Refusal(400, "There is nothing to answer.", code="empty", param="text")
    if body.after:
        shown(talk, body.after)
    clean = cleaned(Prompt(talks.next_prompt(talk, body.after, body.text).messages, kind))
    return clean.prompt, clean.replaced


def _title(prompt: Prompt) -> str:
    first = next((message.content for message in prompt.messages if message.role == "user"), "")
    words = " ".join(first.split())
    return words if len(words) <= TITLE else f"{words[: TITLE - 1]}…"


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode() + b"\n"
