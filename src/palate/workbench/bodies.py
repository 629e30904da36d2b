"""What scripts and programs send to the raters' room, checked before anything else sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
MaybeId = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]
Note = Annotated[str, StringConstraints(max_length=4000)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=60_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Body(BaseModel):
    """Fields that are not known are refused: a mistyped one would be lost without a word."""

    model_config = ConfigDict(extra="forbid")


class Wanted(Body):
    """A request for comparisons."""

    count: Annotated[int, Field(ge=0, le=20)] = 3
    known: Annotated[list[Id], Field(max_length=100)] | None = None
    """Leases that the sender has. Others of this rater's are then given again first: their answer was lost on its
    way, or the page that had them is gone. Without it nothing is given twice."""


class Leases(Body):
    """Leases that someone still works on, or gives back."""

    leases: Annotated[list[Id], Field(max_length=50)]


class Verdict(Body):
    """A verdict on the comparison that the lease was given for, as its two answers were shown."""

    uid: Id
    """Made by the sender: sending it twice stores it once."""
    lease: Id
    comparison: Id
    scale: Literal["1", "2", "3", "4", "5", "6", "7", "both_bad", "skip"]
    """1 the first answer shown is much better, 4 they are equal, 7 the second one is much better."""
    skip_reason: Literal["", "language", "topic", "unclear", "broken", "unpleasant", "other"] = ""
    reasons: Annotated[list[Reason], Field(max_length=20)] = []
    note: Note = ""
    seconds: Seconds | None = None
    guideline: MaybeId = ""
    """Id of the version that the rater had before them."""


class Undo(Body):
    """Takes a verdict back."""

    uid: Id
    comparison: MaybeId = ""


class Draft(Body):
    """A note, or an answer, that is not finished."""

    comparison: Id
    text: Annotated[str, StringConstraints(max_length=60_000)]


class Edit(Body):
    """A better version of one of the two answers."""

    uid: Id
    lease: Id
    comparison: Id
    side: Literal["left", "right"]
    text: Text
    seconds: Seconds | None = None
    judgement: MaybeId = ""
    """`uid` of the verdict in whose course it was written."""
    guideline: MaybeId = ""


class Answer(Body):
    """A demonstration for a prompt."""

    uid: Id
    prompt: Id
    text: Text
    seconds: Seconds | None = None
    guideline: MaybeId = ""


class Order(Body):
    """A ranking of a slate."""

    uid: Id
    slate: Id
    ranks: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=2, max_length=6)]
    """For each answer as shown: 1 is best, equal ranks are ties, 0 is not rated."""
    order: Annotated[list[Annotated[int, Field(ge=0, le=5)]], Field(min_length=2, max_length=6)]
    """The places in the slate of the answers as shown."""
    reasons: Annotated[list[Reason], Field(max_length=20)] = []
    note: Note = ""
    seconds: Seconds | None = None
    guideline: MaybeId = ""
