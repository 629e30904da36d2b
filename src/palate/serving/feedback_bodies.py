"""The shapes in which feedback comes: our own, Langfuse's scores, Dify's thumbs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from palate.serving.bodies import AnyText, Strict

Key = Annotated[AnyText, Field(min_length=1, max_length=256)]
Long = Annotated[AnyText, Field(max_length=100_000)]
Note = Annotated[AnyText, Field(max_length=10_000)]
Kind = Literal["up", "down", "none", "regenerate", "edit", "note", "report", "copy"]


class Signal(NamedTuple):
    """A signal, whatever shape it came in."""

    answer: str
    """Id of a reply, or of a completion."""
    kind: str
    value: str = ""
    note: str = ""
    key: str = ""
    """By which the same signal is known when it comes again; "" when the sender has none."""
    user: str = ""


class FeedbackRequest(Strict):
    """What `/v1/feedback` takes."""

    id: Key = Field(description="The `id` of a reply of `/v1/chat/completions`, or of a completion.")
    choice: Annotated[int, Field(ge=0, le=127)] = Field(0, description="Which of several answers of the reply.")
    kind: Kind = Field(description="`none` takes a thumb back.")
    value: Long = Field(
        "",
        description="For `edit` the better answer; for `regenerate` the id of the new reply, with `better`, `same` "
        "or `worse` and a space before it if the person said so.",
    )
    note: Note = ""
    uid: Key | None = Field(
        None, description="Sending a signal with the same key again changes nothing. Or send `Idempotency-Key`."
    )
    user: Annotated[AnyText, Field(max_length=512)] | None = Field(
        None, description="Who gives it; without it, whoever the answer was shown to."
    )

    @model_validator(mode="after")
    def _complete(self) -> FeedbackRequest:
        if self.kind in ("edit", "regenerate") and not self.value.strip():
            raise ValueError(f"{self.kind} needs a value")
        if self.kind == "note" and not self.note.strip():
            raise ValueError("note needs a note")
        return self


class FeedbackReply(BaseModel):
    """What became of it."""

    id: str = Field(description="Of this signal.")
    object: Literal["feedback"] = "feedback"
    completion: str
    kind: str
    outcome: str = Field(description="A sentence for the person who gave it.")
    comparison: str | None = Field(description="The pair that raters will judge, if there is one.")


class Score(BaseModel):
    """A score as Langfuse takes it. The trace, or the observation, is the `id` of a reply."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    id: Key | None = Field(None, description="Sending a score with the same id again changes nothing.")
    traceId: Key | None = None
    observationId: Key | None = None
    name: Annotated[AnyText, Field(min_length=1, max_length=256)]
    value: float | Long
    dataType: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"] | None = None
    comment: Note | None = None
    metadata: Any = Field(None, description="Taken and not used.")

    @model_validator(mode="after")
    def _sensible(self) -> Score:
        if not (self.observationId or self.traceId):
            raise ValueError("traceId or observationId names the reply")
        number = isinstance(self.value, float | int)
        if self.kind in ("NUMERIC", "BOOLEAN") and not number:
            raise ValueError(f"the value of a {self.kind} score is a number")
        if self.kind == "BOOLEAN" and self.value not in (0, 1):
            raise ValueError("the value of a BOOLEAN score is 0 or 1")
        if self.kind in ("CATEGORICAL", "TEXT", "CORRECTION") and (number or not str(self.value).strip()):
            raise ValueError(f"the value of a {self.kind} score is a text")
        return self

    @property
    def kind(self) -> str:
        """The type of the value; as in Langfuse, it follows from the value when it is not given."""
        return self.dataType or ("NUMERIC" if isinstance(self.value, float | int) else "CATEGORICAL")

    @property
    def signal(self) -> Signal:
        """Good is above 0 (a thumb up is 1), bad below it, and for BOOLEAN 0; text is a note, a correction an edit."""
        answer, note = self.observationId or self.traceId or "", self.comment or ""
        made = Signal(answer, "note", "", note, self.id or "")
        if self.kind == "CORRECTION":
            return made._replace(kind="edit", value=str(self.value))
        if self.kind in ("CATEGORICAL", "TEXT"):
            thumb = _CATEGORIES.get(str(self.value).strip().lower()) if self.kind == "CATEGORICAL" else None
            if thumb:
                return made._replace(kind=thumb)
            said = f"{self.name}: {self.value}"
            return made._replace(note=f"{said}\n{note}" if note else said)
        good = float(self.value) > 0
        bad = float(self.value) < 0 or (self.kind == "BOOLEAN" and not good) or self.name in _THUMBS
        return made._replace(kind="up" if good else "down" if bad else "none")


class ScoreReply(BaseModel):
    """As Langfuse answers."""

    id: str


class Thumb(BaseModel):
    """Feedback as Dify takes it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    rating: Literal["like", "dislike"] | None = Field(None, description="null takes the thumb back.")
    user: Annotated[AnyText, Field(min_length=1, max_length=512)]
    content: Note | None = None

    @property
    def kind(self) -> str:
        """The thumb."""
        return {"like": "up", "dislike": "down", None: "none"}[self.rating]


class ThumbReply(BaseModel):
    """As Dify answers."""

    result: Literal["success"] = "success"


_CATEGORIES = {
    **dict.fromkeys(("up", "good", "positive", "like", "thumbs-up", "thumbs_up", "thumbsup", "👍"), "up"),
    **dict.fromkeys(("down", "bad", "negative", "dislike", "thumbs-down", "thumbs_down", "thumbsdown", "👎"), "down"),
}
_THUMBS = ("user-feedback", "user_feedback", "thumbs", "thumb", "feedback")
"""Names under which front ends send 1 for a thumb up and 0 for a thumb down."""
