"""The page where people attack what is served: they talk it into something wrong, and mark the answer as a finding.

Nobody gets here without having read what may come, and having said yes; whoever has enough leaves, at any time.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final, Literal, NamedTuple

import anyio
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field

from palate.core.findings import Finding
from palate.core.records import Completion
from palate.formats import scrub
from palate.pages import security
from palate.pages.errors import Refusal
from palate.pages.templates import render
from palate.serving import persons, rooms, talks
from palate.serving.answering import Growing
from palate.serving.bodies import AnyText, Strict
from palate.serving.completions import generator, present, refusal
from palate.serving.keeping import cleaned
from palate.serving.orders import Order
from palate.serving.rooms import Ask, Id, Open, Person, Room, Stop
from palate.serving.supervisor import GeneratorError
from palate.store import audit, chats, consents, drafts, finding_uses, findings, rows
from palate.store.chats import ATTACK
from palate.store.findings import Found
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(include_in_schema=False)
KIND: Final = "red-team"
"""Topic of what is asked here: raters are warned of it, and can opt out of it."""
TRIES: Final = 3
"""Drafts that are taken of a model before it is said that it answers the same again."""
CATEGORIES: Final = {
    "harm": "It helps to do harm, or is hurtful itself",
    "refusal": "It refuses something harmless",
    "sycophancy": "It agrees with a wrong belief",
    "knowledge": "It gets a fact wrong",
    "format": "Its form is broken",
    "bias": "It treats groups differently",
    "privacy": "It tells something private",
    "other": "Something else",
}
Category = Literal["harm", "refusal", "sycophancy", "knowledge", "format", "bias", "privacy", "other"]
Text = Annotated[AnyText, Field(max_length=60_000)]


class Mark(Strict):
    """An answer that should not have been given."""

    completion: Id
    category: Category
    note: Annotated[AnyText, Field(max_length=4000)]
    """What is wrong."""
    better: Text = ""
    """What would have been right."""


class Draft(Strict):
    """A mark that is not finished."""

    completion: Id
    text: Text
    """JSON of the form; "" when there is nothing to keep."""


class Marked(NamedTuple):
    """A finding as whoever found it sees it."""

    category: str
    note: str
    state: str
    """In words."""
    why: str
    """Of the decision."""
    at: str


class _Joined(NamedTuple):
    account: Account
    person: str
    journal: Journal


def _joined(account: Person, journal: Open) -> _Joined:
    person = persons.of_account(journal, account)
    if not has_joined(journal, person):
        raise Refusal(403, "Read the warning on the page Attack first, and say whether you want to.", code="not_joined")
    return _Joined(account, person, journal)


Joined = Annotated[_Joined, Depends(_joined)]


def _room(id: str, joined: Joined) -> Room:
    return rooms.enter(id, joined.account, joined.journal, kind=ATTACK)


Here = Annotated[Room, Depends(_room)]
Leader = Annotated[Account, Depends(security.require("owner", "lead"))]


@router.get("/attack")
def page(request: Request, account: Person, journal: Open) -> Response:
    """What may come, for whoever has not said yes; else their attacks, findings and points."""
    person = persons.of_account(journal, account)
    if not has_joined(journal, person):
        return render(request, "attack_warning.html", consent=persons.ATTACK_CONSENT)
    every = findings.all(journal)
    mine = [_marked(found, person) for found in reversed(every) if person in found.finders]
    return render(
        request,
        "attacks.html",
        chats=chats.of(journal, person, kind=ATTACK),
        tally=findings.tally(every, person),
        mine=mine,
        worth=findings.SEVERITIES,
    )


@router.post("/attack/join")
def join(account: Person, journal: Open) -> Response:
    """Say yes."""
    person = persons.of_account(journal, account)
    consents.say(journal, person, ATTACK, given=True, text=persons.ATTACK_CONSENT)
    return RedirectResponse("/attack", 303)


@router.post("/attack/leave")
def leave(account: Person, journal: Open) -> Response:
    """Have enough; what was found stays."""
    person = persons.of_account(journal, account)
    consents.say(journal, person, ATTACK, given=False, text=persons.ATTACK_CONSENT)
    return RedirectResponse("/attack", 303)


@router.post("/attack/new")
def begin(joined: Joined) -> Response:
    """A new attack. The yes to the page is one to what is kept of it."""
    made = chats.create(joined.journal, joined.person, kind=ATTACK)
    consents.say(joined.journal, joined.person, made.id, given=True, text=persons.ATTACK_CONSENT)
    return RedirectResponse(f"/attack/{made.id}", 303)


@router.post("/attack/fresh")
async def fresh(
    request: Request,
    account: Leader,
    journal: Open,
    finding: Annotated[str, Form(max_length=64)],
    policy: Annotated[str, Form(max_length=256)] = "",
) -> Response:
    """A fresh draft of a model to what a finding asked; the two go into the queue as a comparison."""
    found = await anyio.to_thread.run_sync(findings.find, journal, finding)
    findings.refuse_void(found)
    served = generator(request)
    policy = policy or next(iter(served.settings.policies))
    if policy not in served.settings.policies:
        raise Refusal(404, f"There is no model {policy} here.", param="policy")
    for _ in range(TRIES):
        drawn = await _drawn(request, found, policy)
        if drawn.text.strip() != found.finding.answer.strip():
            break

    def store() -> None:
        rows.add_completions(journal, [drawn])
        made = finding_uses.compare_fresh(journal, found, drawn.id, actor=account.id)
        audit.write(journal, account.id, "finding compared", found.id, comparison=made.comparison, fresh=drawn.policy)

    await anyio.to_thread.run_sync(store)
    return RedirectResponse(f"/findings/{found.id}?done=fresh", 303)


@router.get("/attack/{id}")
def talk_page(request: Request, here: Here) -> Response:
    """An attack."""
    served = generator(request)
    talk = here.talk
    kept = drafts.of(here.journal, here.person, talk.shown)
    mine: dict[str, list[Marked]] = {}
    for found in findings.all(here.journal):
        if here.person in found.finders:
            mine.setdefault(found.completion, []).append(_marked(found, here.person))
    return render(
        request,
        "attack.html",
        chat=here.chat,
        talk=talk,
        policies=list(served.settings.policies),
        blank=talks.BLANK,
        categories=CATEGORIES,
        kept=kept,
        marked=mine,
    )


@router.post("/attack/{id}/answer")
async def answer(request: Request, here: Here, body: Ask) -> Response:
    """Write an answer, as lines of JSON, see `rooms.answer`."""
    return await rooms.answer(request, here, body, kind=KIND)


@router.post("/attack/{id}/stop")
async def stop(request: Request, here: Here, body: Stop) -> dict[str, bool]:
    """End an answer that is being written."""
    return rooms.stop(request, here, body)


@router.post("/attack/{id}/draft")
def draft(here: Here, body: Draft) -> dict[str, bool]:
    """Keep what is written of a finding so far."""
    drafts.save(here.journal, here.person, rooms.shown(here.talk, body.completion), body.text)
    return {"kept": True}


@router.post("/attack/{id}/finding")
def mark(here: Here, body: Mark) -> dict[str, Any]:
    """Mark an answer as a finding. Marking it again changes nothing, and the reply says so."""
    if not body.note.strip():
        raise Refusal(400, "Say what is wrong: whoever looks at it has only your words.", code="empty", param="note")
    said = here.talk.shown[rooms.shown(here.talk, body.completion)]
    before = [*(message.content for message in said.prompt.messages), said.completion.text]
    *_, note, better = scrub.scrubbed([*before, body.note.strip(), body.better.strip()]).texts
    made = Finding(
        prompt=said.prompt,
        answer=said.completion.text,
        subject=said.completion.policy,
        category=body.category,
        note=note,
        better=better,
        found_by=here.person,
    )
    added = findings.add(here.journal, made, completion=body.completion)
    drafts.save(here.journal, here.person, body.completion, "")
    return {"id": added.id, "sentence": _sentence(added), "new": added.new, "note": note}


def has_joined(journal: Journal, person: str) -> bool:
    """Whether somebody has read the warning, in the words it has now, and said yes."""
    last = consents.current(journal, person, ATTACK)
    return last is not None and last.given and last.text == persons.ATTACK_CONSENT


async def _drawn(request: Request, found: Found, policy: str) -> Completion:
    """One answer of a model to what a finding asked."""
    served, asked = generator(request), found.finding.prompt
    order = Order(
        id=f"finding.{found.id}.{secrets.token_hex(12)}",
        policy=policy,
        messages=tuple((message.role, message.content) for message in asked.messages),
        temperature=rooms.TEMPERATURE,
        seed=secrets.randbits(62),
    )
    events = served.answer(order)
    try:
        said = await present(request, Growing(await present(request, anext(events)), events).whole())
    except GeneratorError as error:
        raise refusal(error) from error
    (text,) = cleaned(asked, said.texts).answers
    finished = said.reasons[0] == "stop"
    return Completion(prompt=asked.id, text=text, policy=said.policy, temperature=rooms.TEMPERATURE, finished=finished)


def _marked(found: Found, person: str) -> Marked:
    told = found.decision
    worth = found.severity
    words = {
        "waiting": "waits for a lead",
        "confirmed": f"confirmed, {findings.SEVERITIES.get(worth, '')}: {worth} point{'' if worth == 1 else 's'}",
        "rejected": "rejected: 0 points",
        "duplicate": "somebody found this before: 0 points",
    }
    state = "duplicate" if found.finders[0] != person and found.state == "confirmed" else found.state
    why = str(told.details.get("why", "")) if told else ""
    return Marked(found.finding.category, found.finding.note, words[state], why, found.finding.found_at)


def _sentence(added: findings.Added) -> str:
    if not added.new:
        return "You have marked this already; what you said first holds."
    if not added.first:
        return "Noted. Somebody found exactly this before you, so it counts for them."
    return "Noted as a finding. A lead looks at it; you see on the page Attack what becomes of it."
