"""The chat pages: talk to a policy, and say what you think of its answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from palate.core.records import Feedback
from palate.pages.markdown import safe_html
from palate.pages.templates import render
from palate.serving import persons, rooms, signals, talks
from palate.serving.bodies import Strict
from palate.serving.completions import generator
from palate.serving.feedback_bodies import Key, Kind, Long, Note
from palate.serving.rooms import Ask, Id, Open, Person, Room, Stop, shown, swapped
from palate.serving.signals import Pick
from palate.store import chats, consents, urgency

router = APIRouter(include_in_schema=False)


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


class Agree(Strict):
    """Whether a chat may be used."""

    given: bool


def _room(id: str, account: Person, journal: Open) -> Room:
    return rooms.enter(id, account, journal, kind="")


Here = Annotated[Room, Depends(_room)]


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
    served = generator(request)
    return render(
        request,
        "chat.html",
        chat=here.chat,
        talk=here.talk,
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
    talk = here.talk
    value = body.value
    if body.kind == "regenerate":
        shown(talk, signals.Redrawn.read(value).completion)
    made = signals.clean(
        here.journal,
        Feedback(
            uid=signals.uid_of(here.account.id, body.uid),
            completion=shown(talk, body.completion),
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
    talk = here.talk
    first, second = shown(talk, body.first), shown(talk, body.second)
    chosen = Pick(
        uid=signals.uid_of(here.account.id, body.uid),
        first=first,
        second=second,
        better=body.better,
        swapped=swapped(here.chat, talk.shown[first].prompt),
        person=here.person,
        consent=persons.consent_of(here.journal, here.person, here.chat.id),
    )
    return {"sentence": signals.pick(here.journal, chosen).sentence}


@router.post("/chat/{id}/answer")
async def answer(request: Request, here: Here, body: Ask) -> Response:
    """Write an answer, as lines of JSON, see `rooms.answer`."""
    return await rooms.answer(request, here, body)


@router.post("/chat/{id}/stop")
async def stop(request: Request, here: Here, body: Stop) -> dict[str, bool]:
    """End an answer that is being written; its stream then ends as any other, with what was said so far."""
    return rooms.stop(request, here, body)


def _withdraw(here: Room) -> int:
    talk = here.talk
    drafts: dict[str, list[str]] = {}
    for completion, answer in talk.shown.items():
        drafts.setdefault(answer.prompt.id, []).append(completion)
    pairs = [pair for prompt, ids in drafts.items() for pair in signals.comparisons_of(prompt, ids)]
    return urgency.withdraw(here.journal, pairs)
