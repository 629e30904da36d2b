"""The nouns of Palate: what was asked, what was answered, who judged it, and what we believe.

Records are frozen, and their ids follow from their content. Three of them are easily confused:
a `Comparison` is what was shown, a `Judgement` is what one rater did, once, and a `Preference` is
what all judgements of a comparison make us believe. Only the last knows `chosen` and `rejected`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from palate.core.errors import DataError
from palate.core.guidelines import Clause as Clause
from palate.core.guidelines import Guideline as Guideline
from palate.core.guidelines import changed as changed
from palate.core.guidelines import clauses as clauses
from palate.core.ids import content_id

ROLES = ("system", "user", "assistant")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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
    """A label for reports and assignment, such as `career`; not part of the id."""
    language: str = ""
    """BCP 47, such as `de` or `pt-BR`; "" when unknown. Not part of the id."""

    @property
    def id(self) -> str:
        """Id of the messages."""
        return content_id("prompt", [message.as_dict() for message in self.messages])

    @classmethod
    def of(cls, text: str, kind: str = "", language: str = "") -> Prompt:
        """A prompt of one user message."""
        return cls(messages=(Message("user", text),), kind=kind, language=language)

    @classmethod
    def from_dicts(cls, messages: list[dict[str, str]], kind: str = "", language: str = "") -> Prompt:
        """A prompt from `[{"role": …, "content": …}, …]`."""
        return cls(tuple(Message(m["role"], m["content"]) for m in messages), kind, language)

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


EVALUATION: Final = "winrate:"
"""So begin the sources of comparisons by which models are evaluated."""


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
TASKS = ("normal", "check", "repeat", "adjudication", "onboarding", "model")
"""Why a comparison was given to a rater: `check` has a known answer, `repeat` they judged before. A `model` was asked
besides, and takes no person's place in the queue."""


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
    judged_at: str = field(default_factory=_now)
    """UTC, ISO 8601."""
    supersedes: str = ""
    """`uid` of the judgement that this one corrects, if any."""
    swapped: bool = False
    """This rater saw `second` on the left, or above. The verdict is of the comparison's own sides all the same."""
    task: str = "normal"
    """Why they were asked, see `TASKS`."""

    def __post_init__(self) -> None:
        if self.strength not in STRENGTHS:
            raise DataError(
                "a judgement has a strength outside the scale",
                where=f"judgement {self.uid}",
                expected="0 (not said), 1, 2 or 3",
                found=str(self.strength),
            )
        if self.task not in TASKS:
            raise DataError(
                "a judgement is of a kind of task that Palate does not know",
                where=f"judgement {self.uid}",
                expected=", ".join(TASKS),
                found=repr(self.task),
            )


@dataclass(frozen=True, slots=True)
class Rater:
    """Who judges: a person, a model, or an imported file."""

    id: str
    """A pseudonym; a person's name and address stand in their account only."""
    kind: str = "person"
    """`person`, `model`, `simulated` or `import`."""
    group: str = ""
    """Whom they stand for in reports, such as `nurses`; "" when nobody asked."""
    languages: tuple[str, ...] = ()
    """BCP 47. They are given comparisons in these only; in any, when there are none."""
    topics: tuple[str, ...] = ()
    """Kinds of prompts that they are given; any, when there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """Two to six completions of one prompt, to be put in order."""

    prompt: str
    completions: tuple[str, ...]
    """Ids."""
    source: str = ""

    def __post_init__(self) -> None:
        if not 2 <= len(self.completions) <= 6 or len(set(self.completions)) != len(self.completions):
            raise DataError(
                "a slate cannot be ranked",
                where=f"prompt {self.prompt}",
                expected="2 to 6 different completions",
                found=", ".join(self.completions) or "none",
            )

    @property
    def id(self) -> str:
        """Id of the prompt and the completions in their order."""
        return content_id("slate", [self.prompt, list(self.completions)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How one rater ordered a slate, once: one judgement, however many pairs it implies."""

    uid: str
    slate: str
    rater: str
    ranks: tuple[int, ...]
    """For each completion of the slate: 1 is best, equal ranks are ties, 0 was not rated."""
    order: tuple[int, ...]
    """Positions in the slate as they were shown, first to last."""
    reasons: tuple[str, ...] = ()
    note: str = ""
    guideline: str = ""
    seconds: float | None = None
    judged_at: str = field(default_factory=_now)
    supersedes: str = ""

    def __post_init__(self) -> None:
        size = len(self.ranks)
        if not all(0 <= rank <= size for rank in self.ranks) or sorted(self.order) != list(range(size)):
            raise DataError(
                "a ranking does not order its slate",
                where=f"ranking {self.uid}",
                expected=f"{size} ranks from 0 (not rated) to {size}, and each place from 0 to {size - 1} shown once",
                found=f"ranks {list(self.ranks)}, order {list(self.order)}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAnswer:
    """A demonstration as a fact: who wrote which text for which prompt, and when."""

    uid: str
    prompt: str
    text: str
    rater: str
    original: str = ""
    """Id of the completion that was edited; "" when it was written anew."""
    judgement: str = ""
    """`uid` of the judgement in whose course it was edited, if any."""
    guideline: str = ""
    seconds: float | None = None
    written_at: str = field(default_factory=_now)
    supersedes: str = ""


FEEDBACK_KINDS = ("up", "down", "none", "regenerate", "edit", "note", "report", "copy")
"""`none` takes a thumb back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A signal from someone who uses a release."""

    uid: str
    """Made by the sender, so that sending it twice stores it once."""
    completion: str
    kind: str
    """See `FEEDBACK_KINDS`."""
    person: str
    """A pseudonym."""
    value: str = ""
    """What the kind needs: the completion drawn anew, the edited text, the better draft."""
    note: str = ""
    consent: str = ""
    """Id of the consent that was in force, "" when there was none."""
    created_at: str = field(default_factory=_now)

    def __post_init__(self) -> None:
        if self.kind not in FEEDBACK_KINDS:
            raise DataError(
                "a feedback is of a kind that Palate does not know",
                where=f"feedback {self.uid}",
                expected=", ".join(FEEDBACK_KINDS),
                found=repr(self.kind),
            )


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
    group: str = ""
    """Whose belief it is: a group of raters; "" when everyone's."""

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
