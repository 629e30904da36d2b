"""A/B tests of two releases: what was planned, what people did with each, and when a test is over.

A person counts once, as soon as their time in the test is over: that long after they were first served. What they do
later changes nothing, so no look ever sees a value change that another has seen. Nothing here writes but `begin` and
`settle`; a look is a function of what the journal holds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np

from palate.core.authors import GUARDRAILS, is_stop
from palate.core.errors import ConfigError, DataError
from palate.evaluation import anytime
from palate.evaluation.anytime import Design, Interval
from palate.serving.signals import DRAFTS
from palate.serving.trial import PAIRS as PAIRS
from palate.store import experiments, feedback, outcomes, releases
from palate.store.experiments import Experiment
from palate.store.journal import Journal
from palate.store.outcomes import Shown

APPROVAL, KEPT = "approval", "kept"


class Outcome(NamedTuple):
    """Something that a test can be about; more of it is better."""

    name: str
    """In words."""
    means: str
    """Of one person."""
    baseline: float
    """Where nobody has measured it yet."""
    spread: float


OUTCOMES: Final = {
    APPROVAL: Outcome(
        "approval", "the mean over the answers they were shown: thumb up 1, none ½, thumb down 0", 0.5, 0.15
    ),
    KEPT: Outcome("answers kept", "the share of the answers they were shown that were not drawn anew", 0.9, 0.2),
    PAIRS: Outcome("pairs won", "the share of the pairs they judged that the new release won, a tie half", 0.5, 0.4),
}  # fmt: skip
VERDICTS: Final = {0.5: ("tie",), 1.0: ("first",), 0.0: ("second",)}
"""What a verdict is worth to the answer that was shown first; others say nothing of which is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is fixed before a test begins."""

    outcome: str = APPROVAL
    """The primary one, which alone decides: approval, kept or pairs."""
    difference: float = 0.05
    """The smallest that is worth finding, in the outcome's own unit: .05 are five points."""
    baseline: float = 0.0
    """Mean of the outcome under the control; 0: the usual one, see `OUTCOMES`."""
    spread: float = 0.0
    """Standard deviation between people; 0: the usual one."""
    share: float = 0.5
    """Of people, for the new release."""
    level: float = 0.05
    """Chance of deciding for one of two equal releases, over all looks together."""
    power: float = 0.8
    """Chance of finding the difference."""
    window_h: float = 24.0
    """Hours from their first answer on for which somebody is watched."""
    least: int = 20
    """People before anything is decided but harm."""
    harm: float = 0.0
    """A loss that is surely larger than this ends the test at once, whatever `least` says."""
    people: int = 0
    """In both arms, after which the test ends undecided; 0: as many as the power needs."""

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ConfigError("no such outcome", expected=", ".join(OUTCOMES), found=repr(self.outcome))
        if self.outcome == PAIRS and self.share != 0.5:
            raise ConfigError(
                "with pairs, everybody sees both releases", expected="--share .5", found=f"{self.share:g}"
            )
        for name, good, expected in (
            ("window_h", self.window_h > 0, "hours above 0"),
            ("least", self.least >= 0, "0 people or more"),
            ("harm", 0 <= self.harm < 1, "from 0, below 1"),
            ("people", self.people >= 0, "0 people or more"),
        ):
            if not good:
                raise ConfigError(
                    "a test cannot be planned like this", where=name, expected=expected, found=str(getattr(self, name))
                )
        _ = self.design

    @property
    def design(self) -> Design:
        """What the statistics are told of it."""
        return _design(self, self.outcome, self.difference, self.baseline, self.spread)


class Person(NamedTuple):
    """Somebody whose time in a test is over."""

    name: str
    """A pseudonym."""
    treated: bool
    value: float
    """In [0, 1]."""


class Reading(NamedTuple):
    """One outcome, now."""

    outcome: str
    control: tuple[int, float]
    """People, and their mean; NaN without any."""
    treatment: tuple[int, float]
    sequence: Interval
    """Over people, in the order in which they count."""
    design: Design

    @property
    def difference(self) -> float:
        """Of the means; with pairs, how far the win rate is from a half."""
        return self.treatment[1] - (0.5 if self.design.paired else self.control[1])

    @property
    def ends(self) -> tuple[float, float]:
        """The interval now."""
        if not len(self.sequence.low_N):
            return -self.design.widest, self.design.widest
        return float(self.sequence.low_N[-1]), float(self.sequence.high_N[-1])


class Look(NamedTuple):
    """What a test has come to at some moment."""

    test: Experiment
    plan: Plan
    assigned: tuple[int, int]
    """People in each arm, control first, whose first answer is not older than the moment."""
    counted: int
    """People whose outcome counts already."""
    primary: Reading
    secondary: tuple[Reading, ...]
    """These decide nothing."""
    mismatched: bool
    """People are not split as planned: then nothing of it can be trusted."""
    verdict: str
    """`better`, `worse`, `harm`, `open`, or "" while it goes on."""
    at: datetime


def begin(journal: Journal, name: str, control: str, treatment: str, plan: Plan, *, actor: str = "") -> Experiment:
    """Begin a test of a release against another.

    Args:
        journal: The journal.
        name: For people.
        control: Release that there is: id, alias or policy.
        treatment: The new one.
        plan: Its people are computed if they are not given.
        actor: Who begins it.

    Raises:
        DataError: a test is under way, or the two are one policy.
    """
    one, other = releases.get(journal, control), releases.get(journal, treatment)
    if one.policy == other.policy:
        raise DataError(
            "two releases of one policy cannot be told apart by their answers", expected="two policies",
            found=one.policy,
        )  # fmt: skip
    plan = replace(plan, people=plan.people or anytime.size(plan.design).people)
    arms = {one.id: 1 - plan.share, other.id: plan.share}
    return experiments.begin(journal, name, arms, asdict(plan), actor=actor)


def look(journal: Journal, test: Experiment, *, now: datetime | None = None) -> Look:
    """What a test has come to. Looking as often as one likes costs nothing."""
    at = now or datetime.now(UTC)
    plan = Plan(**{one.name: test.plan[one.name] for one in fields(Plan) if one.name in test.plan})
    people = [who for who in experiments.assigned(journal, test.id) if datetime.fromisoformat(who.at) <= at]
    treatment = list(test.arms)[1]
    treated_N = np.array([who.arm == treatment for who in people], dtype=bool)
    everything = _watched(journal, test, plan, at)
    read = {name: _reading(plan, name, everything[name]) for name in OUTCOMES}
    primary = read.pop(plan.outcome)
    served = everything[APPROVAL]
    mismatched = False
    for split_N in (treated_N, np.array([one.treated for one in served], dtype=bool)):
        # Two sequences are watched, so each has half of the false alarms.
        alarm = math.log(2 / anytime.FALSE_ALARM)
        mismatched |= bool(len(split_N) and anytime.mismatch(split_N, plan.share)[-1] >= alarm)
    counted = len(primary.sequence.low_N)
    verdict = "" if mismatched else _verdict(plan, primary.sequence)
    split = (int((~treated_N).sum()), int(treated_N.sum()))
    return Look(test, plan, split, counted, primary, tuple(read.values()), mismatched, verdict, at)


def settle(journal: Journal, test: Experiment, *, actor: str = "", now: datetime | None = None) -> Look:
    """Look, and end the test if its own rule says so."""
    found = look(journal, test, now=now)
    over = experiments.steps(journal, test.id)[-1].state != "began"
    if found.verdict and not over:
        low, high = found.primary.ends
        told = {"verdict": found.verdict, "outcome": found.plan.outcome, "low": low, "high": high,
                "people": found.counted}  # fmt: skip
        experiments.end(journal, test.id, "decided", details=told, actor=actor)
    return found


def before(journal: Journal, policy: str, outcome: str, *, window_h: float) -> list[float]:
    """What an outcome was for each person who was ever served by a policy: what a plan's baseline can be taken from.

    Args:
        journal: The journal.
        policy: Id of an artefact.
        outcome: approval or kept.
        window_h: Hours from their first answer on.
    """
    seen: dict[str, list[Shown]] = defaultdict(list)
    for one in outcomes.shown(journal):
        if _of(one.policy, policy):
            seen[one.person].append(one)
    marks = _marks(journal, {one.completion for some in seen.values() for one in some})
    first = {who: datetime.fromisoformat(some[0].at) for who, some in seen.items()}
    spans = {who: (at, at + timedelta(hours=window_h)) for who, at in first.items()}
    found = (_value(outcome, who, some, marks, spans[who]) for who, some in seen.items())
    return [value for value in found if value is not None]


def _watched(journal: Journal, test: Experiment, plan: Plan, now: datetime) -> dict[str, list[Person]]:
    """People whose time is over, by outcome, in the order in which it ended."""
    policy = {one.id: one.policy for one in releases.every(journal)}
    control, treatment = (policy[arm] for arm in test.arms)
    since = test.at
    window = timedelta(hours=plan.window_h)
    seen: dict[str, list[Shown]] = defaultdict(list)
    for one in outcomes.shown(journal, since):
        seen[one.person].append(one)
    marks = _marks(journal, {one.completion for some in seen.values() for one in some})
    found: dict[str, list[Person]] = {name: [] for name in OUTCOMES}
    for who in experiments.assigned(journal, test.id):
        began = datetime.fromisoformat(who.at)
        if began + window > now:
            continue
        mine = [one for one in seen[who.person] if _of(one.policy, policy[who.arm])]
        for name in (APPROVAL, KEPT):
            value = _value(name, who.person, mine, marks, (began, began + window))
            if value is not None:
                found[name].append(Person(who.person, policy[who.arm] == treatment, value))
    found[PAIRS] = _pairs(journal, since, (control, treatment), window, now)
    return found


class _Mark(NamedTuple):
    """A thumb, or that an answer was drawn anew."""

    kind: str
    completion: str
    at: datetime


_Marks = Mapping[str, Sequence[_Mark]]
"""By person, in the order in which they came."""


def _marks(journal: Journal, completions: set[str]) -> _Marks:
    found: dict[str, list[_Mark]] = defaultdict(list)
    for one in feedback.every(journal, ("up", "down", "none", "regenerate")):
        if one.completion in completions:
            found[one.person].append(_Mark(one.kind, one.completion, datetime.fromisoformat(one.created_at)))
    return found


def _value(
    outcome: str, person: str, shown: Sequence[Shown], marks: _Marks, span: tuple[datetime, datetime]
) -> float | None:
    """A person's outcome from what they were shown, and did, within their time; None if they were shown nothing."""
    began, end = span
    answers = {one.completion for one in shown if began <= datetime.fromisoformat(one.at) < end}
    if not answers:
        return None
    mine = [one for one in marks.get(person, ()) if one.completion in answers and one.at < end]
    if outcome == KEPT:
        return 1 - len({one.completion for one in mine if one.kind == "regenerate"}) / len(answers)
    thumb = {one.completion: one.kind for one in mine if one.kind != "regenerate"}
    worth = {"up": 1.0, "down": 0.0}
    return sum(worth.get(thumb.get(one, ""), 0.5) for one in answers) / len(answers)


def _pairs(journal: Journal, since: str, policies: tuple[str, str], window: timedelta, now: datetime) -> list[Person]:
    """Each person's share of pairs of both releases' drafts, seen side by side, that the treatment won."""
    control, treatment = policies
    last: dict[tuple[str, str], float] = {}
    began: dict[str, datetime] = {}
    for one in outcomes.chose(journal, DRAFTS, since):
        worth = next((value for value, words in VERDICTS.items() if one.verdict in words), None)
        at = datetime.fromisoformat(one.at)
        sides = (one.first, one.second)
        if worth is None or sides not in ((control, treatment), (treatment, control)):
            continue
        if at < began.setdefault(one.person, at) + window:
            last[one.person, one.comparison] = worth if one.first == treatment else 1 - worth
    won: dict[str, list[float]] = defaultdict(list)
    for (person, _), worth in last.items():
        won[person].append(worth)
    over = sorted((at, who) for who, at in began.items() if at + window <= now)
    return [Person(who, True, sum(won[who]) / len(won[who])) for _, who in over]


def _of(author: str, policy: str) -> bool:
    """Whether an answer is a policy's; the guardrails' words are those of whoever was served then."""
    return author == policy or is_stop(author) or (author.startswith(GUARDRAILS) and author.endswith(f":{policy}"))


def _reading(plan: Plan, outcome: str, people: Sequence[Person]) -> Reading:
    design = plan.design
    if outcome != plan.outcome:
        # The same difference in deviations, so that it was fixed before the test as well.
        usual = OUTCOMES[outcome]
        difference = min(plan.difference / design.spread * usual.spread, 0.8 * (1 - usual.baseline))
        design = _design(plan, outcome, difference, 0.0, 0.0)
    value_N = np.array([one.value for one in people], dtype=float)
    treated_N = np.array([one.treated for one in people], dtype=bool)
    said = anytime.told(value_N, treated_N, design)
    at = (0.0, -plan.harm) if outcome == plan.outcome and plan.harm else (0.0,)
    arms = [
        (int(who_N.sum()), float(value_N[who_N].mean()) if who_N.any() else math.nan)
        for who_N in (~treated_N, treated_N)
    ]
    return Reading(outcome, arms[0], arms[1], anytime.interval(said, design, at), design)


def _verdict(plan: Plan, sequence: Interval) -> str:
    """What the test's rule says; the first time that it says something holds, however late it is looked at."""
    number_N = np.arange(1, len(sequence.low_N) + 1)
    enough_N = number_N >= plan.least
    says = {
        "harm": sequence.high_N <= -plan.harm if plan.harm else (sequence.high_N <= 0) & ~enough_N,
        "better": (sequence.low_N >= 0) & enough_N,
        "worse": (sequence.high_N <= 0) & enough_N,
        "open": number_N >= plan.people,
    }
    first = {word: int(np.argmax(yes_N)) for word, yes_N in says.items() if yes_N.any()}
    return min(first, key=lambda word: first[word], default="")


def _design(plan: Plan, outcome: str, difference: float, baseline: float, spread: float) -> Design:
    usual: dict[str, Any] = {"level": plan.level, "power": plan.power, "share": plan.share, "paired": outcome == PAIRS}
    return Design(
        difference=difference, baseline=baseline or OUTCOMES[outcome].baseline,
        spread=spread or OUTCOMES[outcome].spread, **usual,
    )  # fmt: skip
