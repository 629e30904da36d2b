"""The chat pages: talk to a policy, and say what you think of its answers."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal, NamedTuple

import anyio
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import Field

from palate.core.ids import derive_seed
from palate.core.records import Feedback, Prompt
from palate.pages import security
from palate.pages.errors import Refusal
from palate.pages.markdown import safe_html
from palate.pages.templates import render
from palate.serving import persons, signals, talks
from palate.serving.answering import Growing
from palate.serving.bodies import AnyText, Strict
from palate.serving.completions import generator, present, refusal
from palate.serving.feedback_bodies import Key, Kind, Long, Note
from palate.serving.keeping import Spoken, cleaned, keep
from palate.serving.orders import Ended, Order, Piece
from palate.serving.signals import Pick
from palate.serving.supervisor import Generator, GeneratorError
from palate.serving.talks import Talk
from palate.store import chats, consents, urgency
from palate.store.chats import Chat
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
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


class Say(Strict):
    """A signal on an answer."""

    uid: Key
    completion: Id
    kind: Kind
    value: Long = ""
    note: Note = ""


class Choose(Strict):
    """Which of two drafts is better."""

    uid: Key
    first: Id
    second: Id
    better: Id = ""


class Stop(Strict):
    """Which answer is to end where it is."""

    order: Annotated[AnyText, Field(max_length=128)]


class Agree(Strict):
    """Whether a chat may be used."""

    given: bool


class _Room(NamedTuple):
    """A chat, and whose it is."""

    chat: Chat
    account: Account
    person: str
    journal: Journal


def _room(id: str, account: Person, journal: Open) -> _Room:
    person = persons.of_account(journal, account)
    found = chats.find(journal, id, person)
    if found is None:
        raise Refusal(404, "There is no such chat on your list.", code="chat_not_found")
    return _Room(found, account, person, journal)


Here = Annotated[_Room, Depends(_room)]


@router.get("/chat")
def listing(request: Request, account: Person, journal: Open) -> Response:
    """All chats of whoever is logged in, and a way to begin one."""
    person = persons.of_account(journal, account)
    return render(request, "chats.html", chats=chats.of(journal, person), consent=persons.CHAT_CONSENT)


@router.post("/chat")
def begin(account: Person, journal: Open, agreed: Annotated[str, Form(max_length=8)] = "") -> Response:
    """A new chat."""
    person = persons.of_account(journal, account)
    made = chats.create(journal, person)
    consents.say(journal, person, made.id, given=agreed == "yes", text=persons.CHAT_CONSENT)
    return RedirectResponse(f"/chat/{made.id}", 303)


@router.get("/chat/{id}")
def page(request: Request, here: Here) -> Response:
    """A chat."""
    served: Generator = generator(request)
    return render(
        request,
        "chat.html",
        chat=here.chat,
        talk=talks.read(here.journal, here.chat.id, here.person),
        agreed=bool(persons.consent_of(here.journal, here.person, here.chat.id)),
        consent=persons.CHAT_CONSENT,
        policies=list(served.settings.policies),
        blank=talks.BLANK,
    )


@router.post("/chat/{id}/consent")
def consent(here: Here, body: Agree) -> dict[str, Any]:
    """Give or take back consent."""
    consents.say(here.journal, here.person, here.chat.id, given=body.given, text=persons.CHAT_CONSENT)
    if body.given:
        return {"given": True, "sentence": "From now on this chat may be judged and learned from."}
    left = _withdraw(here)
    pairs = f" {left} pair{'' if left == 1 else 's'} left the queue." if left else ""
    return {"given": False, "sentence": f"Taken back: nothing more of this chat is used.{pairs}"}


@router.post("/chat/{id}/delete")
def delete(here: Here) -> Response:
    """Take a chat off the list; consent to it ends."""
    consents.say(here.journal, here.person, here.chat.id, given=False, text=persons.CHAT_CONSENT)
    _withdraw(here)
    chats.remove(here.journal, here.chat.id, here.person)
    return RedirectResponse("/chat", 303)


@router.post("/chat/{id}/signal")
def signal(here: Here, body: Say) -> dict[str, str]:
    """A thumb, a note, an edit, a report; the reply says what became of it."""
    talk = talks.read(here.journal, here.chat.id, here.person)
    value = body.value
    if body.kind == "regenerate":
        _shown(talk, signals.Redrawn.read(value).completion)
    made = signals.clean(
        here.journal,
        Feedback(
            uid=signals.uid_of(here.account.id, body.uid),
            completion=_shown(talk, body.completion),
            kind=body.kind,
            person=here.person,
            value=value,
            note=body.note,
            consent=persons.consent_of(here.journal, here.person, here.chat.id),
        ),
    )
    outcome = signals.receive(here.journal, made)
    told = {"sentence": outcome.sentence}
    if body.kind == "edit" and outcome.comparison:
        written = signals.edit_of(talk.shown[made.completion].prompt.id, made)
        told |= {"completion": written.id, "html": safe_html(written.text)}
    return told


@router.post("/chat/{id}/pick")
def pick(here: Here, body: Choose) -> dict[str, str]:
    """Which of two drafts side by side is better."""
    talk = talks.read(here.journal, here.chat.id, here.person)
    first, second = _shown(talk, body.first), _shown(talk, body.second)
    chosen = Pick(
        uid=signals.uid_of(here.account.id, body.uid),
        first=first,
        second=second,
        better=body.better,
        swapped=_swapped(here.chat, talk.shown[first].prompt),
        person=here.person,
        consent=persons.consent_of(here.journal, here.person, here.chat.id),
    )
    return {"sentence": signals.pick(here.journal, chosen).sentence}


@router.post("/chat/{id}/answer")
async def answer(request: Request, here: Here, body: Ask) -> Response:
    """Write an answer, as lines of JSON: what was asked, pieces of text, and each answer's end.

    What is asked is scrubbed before the policy sees it, so that what it answered to is what is stored.
    """
    served = generator(request)
    talk = await anyio.to_thread.run_sync(talks.read, here.journal, here.chat.id, here.person)
    prompt, replaced = _prompt(talk, body)
    policy = body.policy or next(iter(served.settings.policies))
    order = Order(
        id=f"{here.chat.id}.{secrets.token_hex(12)}",
        policy=policy,
        messages=tuple((message.role, message.content) for message in prompt.messages),
        temperature=TEMPERATURE,
        seed=secrets.randbits(62),
        n=body.drafts,
    )
    events = served.answer(order)
    try:
        first = await present(request, anext(events))
    except GeneratorError as error:
        if error.code == "context_length_exceeded":
            raise Refusal(
                400, "The chat is longer than the model can read. Begin a new one.", code=error.code
            ) from error
        raise refusal(error) from error
    head = {
        "order": order.id,
        "title": here.chat.title or _title(prompt),
        "asked": safe_html(prompt.text),
        "replaced": replaced,
        "swapped": body.drafts == 2 and _swapped(here.chat, prompt),
    }
    stream = _lines(here, prompt, served.served[policy].id, head, Growing(first, events, order.n))
    return StreamingResponse(stream, media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"})


@router.post("/chat/{id}/stop")
async def stop(request: Request, here: Here, body: Stop) -> dict[str, bool]:
    """End an answer that is being written; its stream then ends as any other, with what was said so far."""
    mine = body.order.startswith(f"{here.chat.id}.")
    return {"stopped": mine and generator(request).stop(body.order)}


async def _lines(
    here: _Room, prompt: Prompt, policy: str, head: dict[str, Any], growing: Growing
) -> AsyncIterator[bytes]:
    said, kept = growing.collected, False

    def store() -> list[str]:
        spoken = [Spoken(text, said.reasons[i] == "stop", here.chat.id) for i, text in enumerate(said.texts)]
        chats.touch(here.journal, here.chat.id, _title(prompt))
        return keep(here.journal, prompt, spoken, policy=policy, temperature=TEMPERATURE, person=here.person)

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
                        cut = said.reasons[index] == "length"
                        html = safe_html(clean[index])
                        yield _line(
                            {"index": index, "completion": completion, "html": html, "source": clean[index], "cut": cut}
                        )
    except GeneratorError as error:
        yield _line({"error": error.what})
    finally:
        if not kept and any(said.texts):
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(store)


def _prompt(talk: Talk, body: Ask) -> tuple[Prompt, int]:
    """The conversation to answer, and how many places of what was asked were scrubbed."""
    if body.again:
        return talk.shown[_shown(talk, body.again)].prompt, 0
    if not body.text.strip():
        raise Refusal(400, "There is nothing to answer.", code="empty", param="text")
    if body.after:
        _shown(talk, body.after)
    clean = cleaned(talks.next_prompt(talk, body.after, body.text))
    return clean.prompt, clean.replaced


def _shown(talk: Talk, completion: str) -> str:
    if completion not in talk.shown:
        raise Refusal(404, "That answer is not of this chat.", code="answer_not_found", param="completion")
    return completion


def _swapped(chat: Chat, prompt: Prompt) -> bool:
    """Whether the second of two drafts stands on the left: by chance, and the same whenever it is asked."""
    return bool(derive_seed(0, "sides", chat.id, prompt.id) & 1)


def _withdraw(here: _Room) -> int:
    talk = talks.read(here.journal, here.chat.id, here.person)
    drafts: dict[str, list[str]] = {}
    for completion, answer in talk.shown.items():
        drafts.setdefault(answer.prompt.id, []).append(completion)
    pairs = [pair for prompt, ids in drafts.items() for pair in signals.comparisons_of(prompt, ids)]
    return urgency.withdraw(here.journal, pairs)


def _title(prompt: Prompt) -> str:
    first = next((message.content for message in prompt.messages if message.role == "user"), "")
    words = " ".join(first.split())
    return words if len(words) <= TITLE else f"{words[: TITLE - 1]}…"


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode() + b"\n"
