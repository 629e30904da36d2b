"""Fresh answers of an old and a new policy to prompts that people judged: how they lie on the disk, and reading them.

An answer that was liked best of a few was partly lucky, so a fresh one of the same policy is worse on average. That is
regression to the mean, and no step back; and a new policy is better only where its fresh answers beat fresh answers of
the old one. So both are asked again, equally often (`palate later`, `palate.rounds.resampled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.core.records import Verdict
from palate.preferences.dataset import read_lines
from palate.preferences.voices import by_comparison
from palate.rounds.lineage_artefacts import Artefacts
from palate.store import answers, judgements, tracing
from palate.store.journal import Journal

KIND: Final = "resampled"
ANSWERS: Final = "answers.jsonl"
_ALL: Final = 1 << 30
SIDES: Final = ("judged", "old", "new")


class Answered(NamedTuple):
    """An answer to a prompt."""

    text: str
    policy: str
    """Id of the artefact that wrote it."""
    score: float | None = None
    """Of the reward model, None where none was asked."""
    liked: bool = False
    """Raters preferred it to the other answer more often than not."""
    completion: str = ""
    """Its id in the journal, "" where it does not stand there."""


class Fresh(NamedTuple):
    """Fresh answers to one prompt."""

    artefact: str
    reward: str
    """Id of the reward model that scored them, "" for none."""
    judged: tuple[Answered, ...]
    old: tuple[Answered, ...]
    new: tuple[Answered, ...]
    facts: Mapping[str, Any]
    """Of all prompts together."""


def judged_answers(journal: Journal, prompt: str) -> list[Answered]:
    """The answers to a prompt that somebody judged, those that raters preferred first."""
    won: dict[str, float] = {}
    for pair in tracing.comparisons_on(journal, prompt):
        first, second = pair.row["first"], pair.row["second"]
        said = tracing.hanging(journal, "judgement", "comparison", pair.id, most=_ALL)
        voices = by_comparison(judgements.judgement_of(SimpleNamespace(**one.row)) for one in said)
        for voice in voices.get(pair.id, []):
            worth = {Verdict.FIRST: 1, Verdict.SECOND: -1}.get(voice.verdict, 0)
            won[first], won[second] = won.get(first, 0) + worth, won.get(second, 0) - worth
    found = answers.find(journal, won)
    return [
        Answered(found[id].completion.text, found[id].completion.policy, None, won[id] > 0, id)
        for id in sorted(won, key=lambda id: (-won[id], id))
    ]


def line(prompt: str, sides: Mapping[str, list[Answered]]) -> dict[str, Any]:
    """Answers to a prompt as a line of the file."""
    return {"prompt_id": prompt, **{side: [one._asdict() for one in sides[side]] for side in SIDES}}


def find(artefacts: Artefacts, workspace: Workspace, prompt: str, old: str, new: str) -> Fresh | None:
    """The latest fresh answers of two policies to a prompt; None where nobody asked for them."""
    for id, manifest in sorted(artefacts.all().items(), key=lambda one: one[1].made_at, reverse=True):
        if manifest.kind == KIND and (manifest.inputs.get("old"), manifest.inputs.get("new")) == (old, new):
            for _, row in read_lines(workspace.path(id) / ANSWERS):
                if row["prompt_id"] == prompt:
                    return _fresh(id, manifest, row)
    return None


def _fresh(id: str, manifest: Manifest, row: Mapping[str, Any]) -> Fresh:
    judged, old, new = (tuple(Answered(**one) for one in row[side]) for side in SIDES)
    return Fresh(id, manifest.inputs.get("reward", ""), judged, old, new, manifest.facts)
