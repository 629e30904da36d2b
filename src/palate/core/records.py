"""The nouns of Palate: what was asked, what was answered, who judged it, and what we believe.

Records are frozen, and their ids follow from their content. Three of them are easily confused:
a `Comparison` is what was shown, a `Judgement` is what one rater did, once, and a `Preference` is
what all judgements of a comparison make us believe. Only the last knows `chosen` and `rejected`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from palate.core.errors import DataError
from palate.core.ids import content_id

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """Who speaks: `system`, `user` or `assistant`."""
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise DataError(
                "a message has a role that Palate does not know",
                expected=", ".join(ROLES),
                found=repr(self.role),
            )

    def as_dict(self) -> dict[str, str]:
        """`{"role": …, "content": …}`, the shape that chat templates take."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked: a conversation that waits for the assistant."""

    messages: tuple[Message, ...]
    kind: str = ""
    """A label for reports, such as `career`; not part of the id."""

    @property
    def id(self) -> str:
        """Id of the messages."""
        return content_id("prompt", [message.as_dict() for message in self.messages])

    @classmethod
    def of(cls, text: str, kind: str = "") -> Prompt:
        """A prompt of one user message."""
        return cls(messages=(Message("user", text),), kind=kind)

    @classmethod
    def from_dicts(cls, messages: list[dict[str, str]], kind: str = "") -> Prompt:
        """A prompt from `[{"role": …, "content": …}, …]`."""
        return cls(tuple(Message(m["role"], m["content"]) for m in messages), kind)

    def as_dicts(self) -> list[dict[str, str]]:
        """The messages as plain dicts."""
        return [message.as_dict() for message in self.messages]

    @property
    def text(self) -> str:
        """The last message, which for a one-turn prompt is the whole of it."""
        return self.messages[-1].content if self.messages else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer, with its policy and sampling settings."""

    prompt: str
    """Id of the prompt."""
    text: str
    policy: str
    """Id of the artefact that wrote it, or `import:<file id>`."""
    temperature: float | None = None
    """Sampling temperature; `None` when unknown, as for imported answers."""
    sample: int = 0
    """Which of the policy's samples for this prompt; tells apart two equal texts."""
    finished: bool = True
    """False when the length limit cut it off."""

    @property
    def id(self) -> str:
        """Id of everything above."""
        return content_id(
            "completion",
            [self.prompt, self.text, self.policy, self.temperature, self.sample, self.finished],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two completions of one prompt, in the order in which they are shown."""

    prompt: str
    first: str
    """Id of the completion shown first."""
    second: str
    """Id of the completion shown second."""
    source: str = ""
    """Why it was made: a sampling run, an import, an audit."""

    @property
    def id(self) -> str:
        """Id of the prompt, both completions and their order."""
        return content_id("comparison", [self.prompt, self.first, self.second])


class Verdict(StrEnum):
    """What a rater says of a comparison."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    """Neither will do. It tells nothing about which is better."""
    SKIP = "skip"
    """The rater passes; the comparison goes back to the queue for others."""


STRENGTHS = (0, 1, 2, 3)
"""0 not said, 1 slightly, 2 better, 3 much better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one rater did, once. It is never edited; a later one may supersede it."""

    uid: str
    """Made by whoever judges, so that sending it twice stores it once."""
    comparison: str
    rater: str
    verdict: Verdict
    strength: int = 0
    """How clearly, see `STRENGTHS`."""
    reasons: tuple[str, ...] = ()
    note: str = ""
    guideline: str = ""
    """Version of the guideline that the rater had before them."""
    seconds: float | None = None
    """Time from shown to judged; `None` when unknown."""
    judged_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    """UTC, ISO 8601."""
    supersedes: str = ""
    """`uid` of the judgement that this one corrects, if any."""

    def __post_init__(self) -> None:
        if self.strength not in STRENGTHS:
            raise DataError(
                "a judgement has a strength outside the scale",
                where=f"judgement {self.uid}",
                expected="0 (not said), 1, 2 or 3",
                found=str(self.strength),
            )


@dataclass(frozen=True, slots=True)
class Rater:
    """Who judges: a person, a model, or an imported file."""

    id: str
    kind: str = "person"
    """`person`, `model`, `simulated` or `import`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """An ideal completion, written or edited by a person, for SFT."""

    prompt: Prompt
    completion: str

    @property
    def id(self) -> str:
        """Id of the prompt and the completion."""
        return content_id("demonstration", [self.prompt.id, self.completion])


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What is believed of one completion alone, from thumbs, or from a preference that it was a side of."""

    prompt: Prompt
    completion: str
    p_good: float
    """Soft label in [0, 1]: the believed probability that someone calls it good."""
    weight: float = 1.0
    """How much the row counts in a loss."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.p_good <= 1.0:
            raise DataError("an approval is no probability", expected="p_good between 0 and 1", found=str(self.p_good))

    @property
    def id(self) -> str:
        """Id of everything above."""
        return content_id("approval", [self.prompt.id, self.completion, self.p_good, self.weight])


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What all judgements of one comparison make us believe."""

    comparison: str
    prompt: Prompt
    chosen: str
    """Text of the completion believed to be better; with `p_chosen` 0.5, the one shown first."""
    rejected: str
    p_chosen: float
    """Soft label in [0.5, 1]: the believed probability that a rater prefers `chosen`."""
    weight: float = 1.0
    """How much the row counts in a loss."""
    votes: tuple[int, int, int] = (0, 0, 0)
    """Raters for chosen, for rejected, and for a tie."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.p_chosen <= 1.0:
            raise DataError(
                "a preference has its sides the wrong way round",
                where=f"comparison {self.comparison}",
                expected="p_chosen between 0.5 and 1",
                found=str(self.p_chosen),
            )

    @property
    def approvals(self) -> tuple[Approval, Approval]:
        """Each side alone: the chosen one is good with probability p, the rejected one with 1 - p."""
        sides = ((self.chosen, self.p_chosen), (self.rejected, 1 - self.p_chosen))
        chosen, rejected = (
            Approval(prompt=self.prompt, completion=text, p_good=p_good, weight=self.weight) for text, p_good in sides
        )
        return chosen, rejected
