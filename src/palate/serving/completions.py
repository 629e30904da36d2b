"""`/v1/models` and `/v1/chat/completions`: what the official client of OpenAI's API speaks, unchanged."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Annotated, Any, NamedTuple, TypeVar

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from palate.core.records import Message, Prompt
from palate.guardrails.guard import Guardrails
from palate.pages import security
from palate.pages.errors import Refusal
from palate.pages.errors import body as error_body
from palate.serving import guard_trail, persons, trial
from palate.serving.answering import Collected, Growing
from palate.serving.bodies import TOKEN, ChatCompletion, ChatRequest, Model, Models, failures
from palate.serving.guarding import FILTERED, Answering, Guarded, question
from palate.serving.keeping import Spoken, keep
from palate.serving.orders import Chosen, Ended, Order, Piece, Started
from palate.serving.supervisor import GeneratorError
from palate.serving.swapping import Line, Swapping
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(prefix="/v1", tags=["models"], dependencies=[Depends(TOKEN)])
Caller = Annotated[Account, Depends(security.bearer("chat"))]
T = TypeVar("T")
LOOK_S = 0.5
"""How often it is looked whether whoever asked is still there."""
_SSE = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class _Talk(NamedTuple):
    """One request under way."""

    id: str
    created: int
    order: Order
    policy: str
    """Id of the artefact."""
    asked: ChatRequest
    person: str
    """Pseudonym; "" when nothing is to be kept."""
    journal: Journal
    guard: Guardrails | None


def generator(request: Request) -> Swapping:
    """What answers on this server."""
    found: Swapping = request.app.state.generator
    return found


Served = Annotated[Swapping, Depends(generator)]


@router.get("/models", response_model=Models, responses=failures(), summary="The models that can be asked")
async def models(caller: Caller, served: Served) -> Models:
    """Every model that this server answers with, also while it is being loaded."""
    return Models(data=[_model(served, name) for name in served.settings.policies])


@router.get("/models/{name:path}", response_model=Model, responses=failures(404), summary="One model")
async def model(name: str, caller: Caller, served: Served) -> Model:
    """One model by its name."""
    _known(served, name)
    return _model(served, name)


_EVENT = {
    "type": "object",
    "properties": {"data": {"type": "string", "description": "A `chat.completion.chunk` as JSON; `[DONE]` at last."}},
    "required": ["data"],
}


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        200: {"content": {"text/event-stream": {"schema": _EVENT}}},
        **failures(404, 429, 503),
    },
    summary="An answer",
)
async def chat_completions(asked: ChatRequest, request: Request, caller: Caller, served: Served) -> Response:
    """Answer a conversation. The `id` of the reply is what feedback on it names.

    The model `palate` is whichever this server gives to the user that the request names: during an A/B test always
    the same of the two. The reply's `system_fingerprint` says which policy it was.
    With `stream: true` the answer comes as server-sent events; the last one is `[DONE]`.
    """
    if asked.model != trial.DEFAULT:
        _known(served, asked.model)
    talk = await _begin(asked, request, caller, served)
    # The first event tells whether there will be an answer, before a status is sent.
    try:
        growing = await under_way(request, served, talk.order)
    except GeneratorError as error:
        raise refusal(error) from error
    talk = talk._replace(policy=growing.collected.policy, guard=growing.collected.guard)
    if asked.stream:
        return StreamingResponse(_stream(talk, growing), media_type="text/event-stream", headers=_SSE)
    try:
        said = await present(request, growing.whole())
    except GeneratorError as error:
        raise refusal(error) from error
    await _keep(talk, said)
    return JSONResponse(_whole(talk, said))


async def under_way(request: Request, served: Swapping, order: Order) -> Answering:
    """An order's answers, begun, and under guard where there are guardrails.

    Raises:
        GeneratorError: there is too much to do, the order cannot be done, or the generator went away.
        Refusal: whoever asked has gone.
    """
    # A swap meanwhile changes nothing for this order: one release looks at the question, answers, and is stored.
    with served.entering() as line:
        guard = line.guard(order.policy)
        growing: Answering | None = await question(guard, order)
        if growing is not None:
            growing.collected.policy = id_of(line, order.policy)
        else:
            events = line.answer(order)
            growing = Growing(await present(request, anext(events)), events, order.n)
            if guard is not None and guard.answered is not None:
                growing = Guarded(guard, line, order, growing)
    growing.collected.guard = guard
    return growing


def id_of(line: Line | Swapping, name: str) -> str:
    """The id of a policy by its name; the name where it is not loaded yet, and the question was stopped."""
    known = line.served.get(name)
    return name if known is None else known.id


async def present(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled when whoever asked has gone."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_S))[0]:
            if await request.is_disconnected():
                raise Refusal(499, "You have gone away.", code="gone")
        return task.result()
    finally:
        task.cancel()


def refusal(error: GeneratorError) -> Refusal:
    """What the generator says no to, for whoever asked."""
    headers = {"Retry-After": "2"} if error.status in (429, 503) else None
    return Refusal(error.status, error.what, code=error.code, param=error.param, headers=headers)


async def _begin(asked: ChatRequest, request: Request, caller: Account, served: Swapping) -> _Talk:
    journal = request.app.state.journal
    person = ""
    if asked.store is not False:
        user = asked.safety_identifier or asked.user or ""
        person = await anyio.to_thread.run_sync(persons.of_program, journal, caller, user)
    policy = asked.model
    if policy not in served.settings.policies:
        policy = await anyio.to_thread.run_sync(trial.answering, journal, person, served)
    number = asked.seed if asked.seed is not None else secrets.randbits(62)
    made = f"chatcmpl-{secrets.token_hex(12)}"
    order = Order(
        id=made,
        policy=policy,
        messages=tuple(message.said for message in asked.messages),
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        stop=asked.stops,
        seed=number,
        n=asked.n or 1,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
    )
    return _Talk(made, int(time.time()), order, "", asked, person, journal, None)


def part_id(reply: str, index: int) -> str:
    """What one of several answers of a reply is stored under."""
    return f"{reply}.{index}" if index else reply


async def _keep(talk: _Talk, said: Collected) -> None:
    if talk.person or said.decisions:
        await anyio.to_thread.run_sync(_store, talk, said)


def _store(talk: _Talk, said: Collected) -> None:
    if not talk.person:
        guard_trail.note(talk.journal, talk.guard, said, policy=talk.policy)
        return
    prompt = Prompt(tuple(Message(role, text) for role, text in talk.order.messages))
    warmth = talk.order.temperature
    spoken = [
        Spoken(
            text,
            said.reasons[index] in ("stop", FILTERED),
            part_id(talk.id, index),
            guard_trail.author(talk.guard, said, index, talk.policy),
        )
        for index, text in enumerate(said.texts)
    ]
    ids = keep(talk.journal, prompt, spoken, policy=talk.policy, temperature=warmth, person=talk.person)
    guard_trail.note(
        talk.journal,
        talk.guard,
        said,
        policy=talk.policy,
        ids=ids,
        places=[one.shown_as for one in spoken],
        prompt=prompt,
        temperature=warmth,
    )


async def _stream(talk: _Talk, growing: Answering) -> AsyncIterator[bytes]:
    with_usage = bool(talk.asked.stream_options and talk.asked.stream_options.include_usage)
    empty: dict[str, Any] = {"usage": None} if with_usage else {}
    said = growing.collected
    kept = False
    try:
        async with aclosing(growing.events()) as events:
            async for event in events:
                if isinstance(event, Started):
                    for index in range(talk.order.n):
                        yield _chunk(talk, index, {"role": "assistant", "content": ""}, **empty)
                elif isinstance(event, Piece):
                    yield _chunk(talk, event.choice, {"content": event.text}, chosen=event.chosen, **empty)
                elif isinstance(event, Ended):
                    if all(said.reasons):
                        # Before the client knows that it is over, so that feedback finds it.
                        await _keep(talk, said)
                        kept = True
                    yield _chunk(talk, event.choice, {}, reason=event.reason, **empty)
        if with_usage:
            yield _event({**_head(talk, "chat.completion.chunk"), "choices": [], "usage": _usage(said)})
        yield b"data: [DONE]\n\n"
    except GeneratorError as error:
        yield _event(error_body(error.what, error.status, code=error.code))
    finally:
        if not kept and any(said.texts):
            # The reader went away, or the generator did: what was shown was shown.
            with anyio.CancelScope(shield=True):
                await _keep(talk, said)


def _head(talk: _Talk, kind: str) -> dict[str, Any]:
    return {
        "id": talk.id,
        "object": kind,
        "created": talk.created,
        "model": talk.asked.model,
        "system_fingerprint": talk.policy,
    }


def _chunk(
    talk: _Talk,
    index: int,
    delta: dict[str, str],
    *,
    reason: str | None = None,
    chosen: tuple[Chosen, ...] = (),
    **more: Any,
) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": _logprobs(chosen), "finish_reason": reason}
    return _event({**_head(talk, "chat.completion.chunk"), "choices": [choice], **more})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n\n"


def _whole(talk: _Talk, said: Collected) -> dict[str, Any]:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": _logprobs(tuple(said.chosen[index])) if talk.order.logprobs is not None else None,
            "finish_reason": said.reasons[index],
        }
        for index, text in enumerate(said.texts)
    ]
    return {**_head(talk, "chat.completion"), "choices": choices, "usage": _usage(said)}


def _usage(said: Collected) -> dict[str, int]:
    spoken = sum(said.tokens)
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": spoken,
        "total_tokens": said.prompt_tokens + spoken,
    }


def _logprobs(chosen: tuple[Chosen, ...]) -> dict[str, Any] | None:
    if not chosen:
        return None
    content = [
        {**_token(one.text, one.logprob), "top_logprobs": [_token(text, p) for text, p in one.others]} for one in chosen
    ]
    return {"content": content, "refusal": None}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def _known(served: Swapping, name: str) -> None:
    if name not in served.settings.policies:
        here = ", ".join(served.settings.policies)
        raise Refusal(404, f"There is no model `{name}` here. There is: {here}.", code="model_not_found", param="model")


def _model(served: Swapping, name: str) -> Model:
    return Model(id=name, created=int(served.settings.policies[name].stat().st_mtime))
