"""Critique and revision: a model answers, says what is wrong with that by a principle, and rewrites it.

Each round draws a principle, so that after several rounds an answer was held against several. Every step is kept with
its principle. A step that fails leaves its prompt without a revision, and is asked again; it is never an empty text.

Source: Bai et al. 2022, arXiv:2212.08073, 3.1: sampled principles, several revisions in a row, SFT on the revisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.constitutions import Constitution, Principle
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration, Message, Prompt
from palate.core.subjects import Subject
from palate.judging.kept_lines import append, kept

AT_ONCE: Final = 64
"""Prompts between two writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisingConfig:
    """How answers are revised."""

    rounds: int = 1
    """Critiques and revisions in a row."""
    critique: bool = True
    """Without, an answer is rewritten by the principle at once."""
    seed: int = 0
    """Of answers and of the principles drawn."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError("nothing would be revised", expected="rounds of 1 or more", found=str(self.rounds))


class Step(NamedTuple):
    """One round."""

    principle: str
    critique: str
    """Empty where none was asked for."""
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """A prompt, what a model said to it, and what became of that."""

    prompt: Prompt
    answer: str
    """The first."""
    steps: tuple[Step, ...]

    @property
    def demonstration(self) -> Demonstration:
        """The last revision, for SFT."""
        return Demonstration(prompt=self.prompt, completion=self.steps[-1].revision)


class Revisions(NamedTuple):
    """What came of it."""

    rows: list[Revised]
    failed: dict[str, str]
    """Prompts' ids without a revision, and why; they are tried again next time."""


def revise(
    subject: Subject, prompts: Sequence[Prompt], constitution: Constitution, config: RevisingConfig, keep: Path,
    *, at_once: int = AT_ONCE, progress: Progress = SILENT,
) -> Revisions:  # fmt: skip
    """Have a model revise its own answers.

    Args:
        subject: Who answers, criticises and revises.
        prompts: What to answer; one that comes twice is answered once.
        constitution: Principles to draw from.
        config: How.
        keep: A file of lines, one a prompt; what stands there is not done again.
        at_once: Prompts between two writes to it.
        progress: Who listens.

    Raises:
        DataError: a line of the file is none, or of another model, constitution or way.
    """
    who = content_id("revising", [subject.name, constitution.id, asdict(config)])
    done = {row.prompt.id: row for row in _kept(keep, who)}
    every = list({prompt.id: prompt for prompt in prompts}.values())
    left = [prompt for prompt in every if prompt.id not in done]
    failed: dict[str, str] = {}
    progress.start(f"{subject.name} revises", len(left))
    for start in range(0, len(left), at_once):
        rows, errors = _revised(subject, left[start : start + at_once], constitution, config)
        failed |= errors
        append(keep, who, map(_row, rows))
        done |= {row.prompt.id: row for row in rows}
        progress.advance(start + len(rows) + len(errors))
    progress.finish()
    return Revisions([done[prompt.id] for prompt in every if prompt.id in done], failed)


def _revised(
    subject: Subject, prompts: Sequence[Prompt], constitution: Constitution, config: RevisingConfig
) -> tuple[list[Revised], dict[str, str]]:
    failed: dict[str, str] = {}

    def ask(asked: dict[str, Prompt], what: str) -> dict[str, str]:
        ids = list(asked)
        told = subject.answer([asked[id] for id in ids], seed=derive_seed(config.seed, "revising", what))
        for id, one in zip(ids, told, strict=True):
            if why := one.unusable():
                failed[id] = f"{what}: {why}"
        return {id: one.text for id, one in zip(ids, told, strict=True) if id not in failed}

    first = ask({prompt.id: prompt for prompt in prompts}, "answer")
    by_id = {prompt.id: prompt for prompt in prompts}
    now, steps = dict(first), {id: [] for id in first}  # type: dict[str, str], dict[str, list[Step]]
    for number in range(config.rounds):
        drawn = {id: constitution.drawn(f"{id} {number}", config.seed) for id in now}
        critiques = (
            ask({id: criticised(by_id[id], now[id], drawn[id]) for id in now}, f"critique {number + 1}")
            if config.critique
            else dict.fromkeys(now, "")
        )
        revisions = ask(
            {id: revised(by_id[id], now[id], drawn[id], critiques[id]) for id in critiques}, f"revision {number + 1}"
        )
        now = revisions
        for id, text in revisions.items():
            steps[id].append(Step(drawn[id].id, critiques[id], text))
    return [Revised(prompt=by_id[id], answer=first[id], steps=tuple(steps[id])) for id in now], failed


def criticised(prompt: Prompt, answer: str, principle: Principle) -> Prompt:
    """The conversation with the answer, and a request for a critique."""
    return Prompt(
        (*prompt.messages, Message("assistant", answer), Message("user", principle.critique_request)), kind=prompt.kind
    )


def revised(prompt: Prompt, answer: str, principle: Principle, critique: str = "") -> Prompt:
    """The conversation with the answer, the critique if there is one, and a request for a revision."""
    before = criticised(prompt, answer, principle).messages if critique else prompt.messages
    said = critique or answer
    return Prompt((*before, Message("assistant", said), Message("user", principle.revision_request)), kind=prompt.kind)


def _row(row: Revised) -> dict[str, Any]:
    told = {"prompt": row.prompt.as_dicts(), "kind": row.prompt.kind, "answer": row.answer}
    return {**told, "steps": [one._asdict() for one in row.steps]}


def _kept(keep: Path, who: str) -> Iterator[Revised]:
    for where, row in kept(keep, who):
        try:
            steps = tuple(Step(**one) for one in row["steps"])
            yield Revised(prompt=Prompt.from_dicts(row["prompt"], row["kind"]), answer=row["answer"], steps=steps)
        except (ValueError, LookupError, TypeError) as error:
            raise DataError("a line is no revision", where=where, found=str(row)[:80]) from error
