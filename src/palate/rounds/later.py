"""Your click, later: what became of what one person did, up to the answers to that very prompt before and after.

Before is the policy whose answers were judged; after is the first release that the click took part in, or the last
policy while nothing is released. Only fresh answers of both can be held against each other, see `palate.rounds.fresh`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from palate.core.records import Prompt
from palate.rounds import fresh
from palate.rounds.fresh import Answered, Fresh
from palate.rounds.lineage import Edge, Lineage, Node, of_row
from palate.rounds.lineage_up import ROLES, up
from palate.store import answers, releases, tracing
from palate.store.tracing import MOMENTS, Row

NOT_YET: Final = "Not used yet: the next round will read it."
VERDICTS: Final = {
    "first": "the first is better", "second": "the second is better", "tie": "about the same",
    "both_bad": "neither will do", "skip": "passed",
}  # fmt: skip
_TURNED: Final = {"first": "second", "second": "first"}
"""What somebody saw who had the sides the other way round."""
_STRENGTHS: Final = ("", "slightly", "", "clearly")
SIGNALS: Final = {
    "up": "thumb up", "down": "thumb down", "none": "thumb taken back", "regenerate": "asked for another draft",
    "edit": "wrote a better text", "note": "left a note", "report": "reported it", "copy": "copied it",
}  # fmt: skip
_TRAINED: Final = {"datasets": ("dataset",), "rewards": ("reward", "ensemble"), "policies": ("policy", "model")}
"""Kinds of artefacts, by what they are to a reader."""


class Click(NamedTuple):
    """Something that a person did, in a line."""

    kind: str
    uid: str
    at: str
    """UTC, ISO 8601."""
    asked: str
    """The prompt, its last message."""
    said: str
    """What they did."""
    became: str
    """A sentence."""


class Became(NamedTuple):
    """What was made of a click, by kind; each thing once, the strongest role first."""

    datasets: list[Edge]
    rewards: list[Edge]
    policies: list[Edge]
    others: list[Edge]
    releases: list[Edge]
    notes: list[str]

    @property
    def used(self) -> bool:
        """Something was made of it."""
        return any(edge.role != "held" for edge in self.datasets)


class Story(NamedTuple):
    """A click from what was asked to the answers of today."""

    click: Click
    prompt: Prompt | None
    shown: list[tuple[Answered, str]]
    """The answers that the person saw, and what they said of each."""
    became: Became
    old: str
    """Id of the policy whose answers were judged, "" where no policy wrote them."""
    new: str
    """Id of the first released policy that it took part in; of the last policy while none is; "" for none."""
    release: Node | None
    """Of the new policy."""
    before: list[Answered]
    """Other answers of the old policy to this prompt, which stand in the journal."""
    after: list[Answered]
    fresh: Fresh | None


def clicks(lineage: Lineage, person: str, *, before: str = "", most: int = 30) -> list[Click]:
    """What a person did, the latest first.

    Args:
        lineage: The project.
        person: A pseudonym.
        before: Only what was done before this moment.
        most: At most so many.
    """
    with lineage.journal.reading():
        rows = tracing.clicks(lineage.journal, person, before=before, most=most)
        # An edit is one click, and leaves three rows.
        seen = {row.id for row in rows if row.kind == "feedback"}
        edits = {f"{row.id} edit" for row in rows if row.kind == "written answer"}
        kept = [row for row in rows if not (row.kind == "written answer" and row.id in seen) and row.id not in edits]
        return [_click(lineage, row) for row in kept]


def owner(row: Row) -> str:
    """The pseudonym of whoever did it."""
    return str(row.row["person"] if row.kind == "feedback" else row.row["rater"])


def get(lineage: Lineage, uid: str) -> Row | None:
    """A click of this uid."""
    found = (tracing.get(lineage.journal, kind, uid) for kind in ("judgement", "feedback", "written answer", "ranking"))
    return next((row for row in found if row is not None), None)


def became(lineage: Lineage, row: Row) -> Became:
    """What was made of a click."""
    side = up(lineage, Node(row.kind, row.id))
    manifests = lineage.artefacts.all()
    best: dict[str, Edge] = {}
    for edge in side.edges:
        if not edge.role or edge.node.kind == "round":
            continue
        known = best.get(edge.node.id)
        if known is None or ROLES.index(edge.role) < ROLES.index(known.role):
            best[edge.node.id] = edge
    every = sorted(best.values(), key=lambda edge: ROLES.index(edge.role))  # stable: the nearest first
    made = {
        name: [edge for edge in every if edge.node.kind in kinds and edge.node.id in manifests]
        for name, kinds in _TRAINED.items()
    }
    told = [edge.node.id for some in made.values() for edge in some]
    others = [edge for edge in every if edge.node.id not in told and edge.node.kind != "release"]
    out = [edge for edge in every if edge.node.kind == "release"]
    return Became(made["datasets"], made["rewards"], made["policies"], others, out, side.notes)


def story(lineage: Lineage, row: Row) -> Story:
    """All of a click."""
    with lineage.journal.reading():
        prompt, shown = _seen(lineage, row)
        found = became(lineage, row)
        old = next((one.policy for one, _ in shown if one.policy in lineage.artefacts.all()), "")
        old = old or next((one.policy for one, _ in shown if not one.policy.startswith("person:")), "")
        new, release = _after(lineage, found)
        seen = {one.completion for one, _ in shown}
        said = answers.to(lineage.journal, prompt.id) if prompt else []
        rest = [Answered(one.completion.text, one.completion.policy, None, False, one.id) for one in said]
        before = [one for one in rest if one.policy == old and one.completion not in seen]
        after = [one for one in rest if new and one.policy == new and one.completion not in seen]
        resampled = None
        if prompt and old and new:
            resampled = fresh.find(lineage.artefacts, lineage.workspace, prompt.id, old, new)
        click = _click(lineage, row, found)
        return Story(click, prompt, shown, found, old, new, release, before, after, resampled)


def sentence(found: Became) -> str:
    """What became of a click, in a sentence."""
    if not found.datasets:
        return next((note for note in found.notes if "no dataset" in note and "Not used" not in note), NOT_YET)
    if not found.used:
        first = found.datasets[0]
        return f"{_many(len(found.datasets), 'dataset')} {_has(found.datasets)} its pair. There, {_lower(first.how)}."
    role = found.datasets[0].role
    how = {"learned": "Learned from", "measured": "Used to measure models by", "paired": "Its pair was used"}[role]
    used = [edge for edge in found.datasets if edge.role != "held"]
    parts = [
        _many(len(some), word)
        for some, word in ((found.rewards, "reward model"), (found.policies, "policy"), (found.releases, "release"))
        if some
    ]
    shaped = f"; it reached {_listed(parts)}" if parts else ", of which no model was made yet"
    return f"{how} in {_many(len(used), 'dataset')}{shaped}."


def _click(lineage: Lineage, row: Row, found: Became | None = None) -> Click:
    prompt, _ = _seen(lineage, row)
    told = sentence(found or became(lineage, row))
    return Click(
        row.kind, row.id, row.row[MOMENTS[row.kind]], prompt.text if prompt else "", _said(row.kind, row.row), told
    )


def _said(kind: str, row: Mapping[str, Any]) -> str:
    if kind == "judgement":
        how = _STRENGTHS[row["strength"]]
        seen = _TURNED.get(row["verdict"], row["verdict"]) if row["swapped"] else row["verdict"]
        return VERDICTS[seen] + (f", {how}" if how else "")
    if kind == "feedback":
        return SIGNALS[row["kind"]]
    return "ranked the answers" if kind == "ranking" else "wrote an answer"


def _seen(lineage: Lineage, row: Row) -> tuple[Prompt | None, list[tuple[Answered, str]]]:
    """The prompt, and the answers that the person saw, each with what they said of it."""
    journal, said = lineage.journal, row.row
    marks: dict[str, str] = {}
    if row.kind == "judgement":
        pair = tracing.get(journal, "comparison", said["comparison"])
        assert pair is not None
        better = {"first": (1, 0), "second": (0, 1)}.get(said["verdict"], (0, 0))
        sides = list(zip((pair.row["first"], pair.row["second"]), better, strict=True))
        # As they lay before this person.
        marks = {id: "chosen" if won else "" for id, won in (sides[::-1] if said["swapped"] else sides)}
    elif row.kind == "feedback":
        marks = {said["completion"]: SIGNALS[said["kind"]]}
    elif row.kind == "ranking":
        slate = tracing.get(journal, "slate", said["slate"])
        assert slate is not None
        ranks = zip(json.loads(slate.row["completions"]), json.loads(said["ranks"]), strict=True)
        marks = {id: f"rank {rank}" if rank else "not ranked" for id, rank in ranks}
    elif said["original"]:
        marks = {said["original"]: "the original"}
    found = answers.find(journal, marks)
    shown = [
        (Answered(found[id].completion.text, found[id].completion.policy, None, False, id), mark)
        for id, mark in marks.items()
        if id in found
    ]
    if row.kind == "written answer":
        shown.append((Answered(said["text"], f"person:{said['rater']}"), "the better text"))
    prompts = [found[id].prompt for id in marks if id in found]
    if prompts:
        return prompts[0], shown
    asked = tracing.get(journal, "prompt", said.get("prompt", ""))
    return (Prompt.from_dicts(json.loads(asked.row["messages"]), asked.row["kind"]) if asked else None), shown


def _after(lineage: Lineage, found: Became) -> tuple[str, Node | None]:
    """The first released policy, or the last policy of all."""
    policies = [edge.node.id for edge in found.policies]
    ours = [one for one in releases.every(lineage.journal) if one.policy in policies]
    if ours:
        row = tracing.get(lineage.journal, "release", ours[0].id)
        return ours[0].policy, of_row(row) if row else None
    made = lineage.artefacts.all()
    return (max(policies, key=lambda id: made[id].made_at) if policies else ""), None


def _many(count: int, word: str) -> str:
    plural = {"policy": "policies"}.get(word, f"{word}s")
    return f"{count} {word if count == 1 else plural}"


def _has(some: list[Edge]) -> str:
    return "holds" if len(some) == 1 else "hold"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
