"""`/v1/feedback`, and the same for front ends that speak Langfuse's or Dify's way."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path

from palate.core.records import Feedback
from palate.pages import security
from palate.pages.errors import Refusal
from palate.serving import persons, signals
from palate.serving.bodies import TOKEN, failures
from palate.serving.completions import part_id
from palate.serving.feedback_bodies import (
    FeedbackReply,
    FeedbackRequest,
    Score,
    ScoreReply,
    Signal,
    Thumb,
    ThumbReply,
)
from palate.serving.signals import Outcome, Redrawn
from palate.store import answers, exposures, feedback
from palate.store.exposures import Exposure
from palate.store.journal import Journal
from palate.store.people import Account

router = APIRouter(tags=["feedback"], dependencies=[Depends(TOKEN)])
Caller = Annotated[Account, Depends(security.bearer("feedback"))]
Open = Annotated[Journal, Depends(security.journal)]
KeyHeader = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=256)]
THUMBS = ("up", "down", "none")


@router.post(
    "/v1/feedback", response_model=FeedbackReply, responses=failures(404, 409), summary="Feedback on an answer"
)
def give(asked: FeedbackRequest, caller: Caller, journal: Open, idempotency_key: KeyHeader = None) -> FeedbackReply:
    """A thumb, a note, an edit, a new draft or a report. The reply says what became of it."""
    key = asked.uid or idempotency_key or ""
    signal = Signal(part_id(asked.id, asked.choice), asked.kind, asked.value, asked.note, key, asked.user or "")
    stored, outcome = _receive(journal, caller, signal)
    return FeedbackReply(
        id=stored.uid,
        completion=stored.completion,
        kind=stored.kind,
        outcome=outcome.sentence,
        comparison=outcome.comparison or None,
    )


@router.post(
    "/api/public/scores",
    response_model=ScoreReply,
    responses=failures(404, 409),
    summary="A Langfuse score",
)
def score(asked: Score, caller: Caller, journal: Open) -> ScoreReply:
    """A number above 0 is a thumb up, below it one down; BOOLEAN 0 is one down; TEXT is a note, CORRECTION an edit."""
    stored, _ = _receive(journal, caller, asked.signal)
    return ScoreReply(id=asked.id or stored.uid)


@router.post(
    "/v1/messages/{message}/feedbacks",
    response_model=ThumbReply,
    responses=failures(404, 409),
    summary="A thumb, as Dify takes it",
)
@router.post(
    "/messages/{message}/feedbacks",
    response_model=ThumbReply,
    responses=failures(404, 409),
    summary="A thumb, as Dify takes it, under its other path",
)
def thumb(
    message: Annotated[str, Path(min_length=1, max_length=256)],
    asked: Thumb,
    caller: Caller,
    journal: Open,
    idempotency_key: KeyHeader = None,
) -> ThumbReply:
    """`like`, `dislike`, or null, which takes it back."""
    signal = Signal(message, asked.kind, "", asked.content or "", idempotency_key or "", asked.user)
    _receive(journal, caller, signal)
    return ThumbReply()


def _receive(journal: Journal, caller: Account, signal: Signal) -> tuple[Feedback, Outcome]:
    shown = _shown(journal, signal.answer)
    person = persons.of_program(journal, caller, signal.user) if signal.user or not shown.person else shown.person
    value = _value(journal, signal)
    made = Feedback(
        uid=signals.uid_of(caller.id, signal.key) if signal.key else secrets.token_hex(16),
        completion=shown.completion,
        kind=signal.kind,
        person=person,
        value=value,
        note=signal.note,
        consent=persons.program_consent(journal, person),
    )
    made = signals.clean(journal, made)
    if signal.key:
        _same_or_new(journal, made)
    elif (standing := _standing(journal, made)) is not None:
        made = standing
    return made, signals.receive(journal, made)


def _shown(journal: Journal, answer: str) -> Exposure:
    """The answer that a reply's id, or a completion's, stands for."""
    if found := exposures.of_chat(journal, answer):
        return found[-1]
    if answer in answers.find(journal, [answer]):
        return Exposure(answer, "", "")
    raise Refusal(
        404,
        f"There is no answer `{answer}` here. It may have been asked for with `store: false`, or be forgotten.",
        code="answer_not_found",
        param="id",
    )


def _value(journal: Journal, signal: Signal) -> str:
    if signal.kind != "regenerate":
        return signal.value
    drawn = Redrawn.read(signal.value)
    return drawn._replace(completion=_shown(journal, drawn.completion).completion).value


def _same_or_new(journal: Journal, made: Feedback) -> None:
    earlier = feedback.find(journal, made.uid)
    if earlier is None:
        return
    names = ("completion", "kind", "person", "value", "note")
    changed = [name for name in names if getattr(earlier, name) != getattr(made, name)]
    if changed:
        raise Refusal(
            409,
            f"This key was used before, for another signal: it differs in {', '.join(changed)}. Send a new key.",
            code="key_used",
            param="uid",
        )


def _standing(journal: Journal, made: Feedback) -> Feedback | None:
    """A thumb that stands already as it would be given: giving it again is no second one."""
    if made.kind not in THUMBS or made.note:
        return None
    mine = [one for one in feedback.of(journal, [made.completion]) if one.person == made.person and one.kind in THUMBS]
    return mine[-1] if mine and mine[-1].kind == made.kind else None
