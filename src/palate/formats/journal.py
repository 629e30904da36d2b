"""What was imported as rows for the journal: comparisons and judgements, slates and rankings, feedback.

A record's id follows from what it holds, so a file that is imported twice adds nothing, whatever its name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from palate.core.errors import DataError
from palate.core.guidelines import Guideline
from palate.core.ids import content_id
from palate.core.records import (
    Comparison,
    Completion,
    Feedback,
    Judgement,
    Prompt,
    Ranking,
    Rater,
    Slate,
    WrittenAnswer,
)
from palate.formats.imported import Fact, Imported, ImportedPair, ImportedRanking, ImportedSignal, Refusal

_REMEMBERED = 1 << 19
"""Ids of each kind that are kept, so that a record is made once; some 100 MB at most."""


class PairRecords(NamedTuple):
    """What the pairs of one file are in the journal, each record once."""

    prompts: list[Prompt]
    completions: list[Completion]
    comparisons: list[Comparison]
    raters: list[Rater]
    judgements: list[Judgement]


class Records(NamedTuple):
    """What a batch is in the journal: records that name others by id come behind those."""

    prompts: list[Prompt]
    completions: list[Completion]
    comparisons: list[Comparison]
    raters: list[Rater]
    judgements: list[Judgement]
    slates: list[Slate]
    rankings: list[Ranking]
    written_answers: list[WrittenAnswer]
    feedback: list[Feedback]
    guidelines: list[Guideline]


def pair_records(imported: Imported, file_id: str, *, judged_at: str | None = None) -> PairRecords:
    """The records that the pairs of a file become.

    A pair that occurs twice is one comparison with two judgements. A judgement's uid follows from the
    file's bytes and the number of its row (and, where a column map was used, from the verdict's column),
    so importing a file twice adds nothing, whatever its name.

    Args:
        imported: What `read` found.
        file_id: `core.ids.file_id` of the file.
        judged_at: UTC, ISO 8601; now when not given, as foreign files do not say.
    """
    recorder = Recorder(file_id, judged_at=judged_at)
    for pair in imported.pairs:
        recorder.pair(pair, imported)
    return PairRecords(*recorder.taken()[:5])


class Recorder:
    """Turns the batches of one file into records, each of them once."""

    def __init__(self, file_id: str, *, judged_at: str | None = None, pseudonym: Callable[[str], str] = str) -> None:
        """For one file.

        Args:
            file_id: `core.ids.file_id` of the file.
            judged_at: UTC, ISO 8601; for what the file gives no time, now when not given.
            pseudonym: What a person of the file is called from now on.
        """
        self.source = f"import:{file_id}"
        self._file = file_id
        self._moment = judged_at or datetime.now(UTC).isoformat(timespec="milliseconds")
        self._pseudonym = pseudonym
        self._prompts: dict[int, str] = {}
        self._completions: dict[int, str] = {}
        self._made: set[str] = set()
        self._out = _empty()

    def take(self, imported: Imported) -> list[Refusal]:
        """Turn a batch into records, and keep them for `taken`; what cannot stand in a journal after all."""
        for pair in imported.pairs:
            self.pair(pair, imported)
        refused = [refusal for ranking in imported.rankings if (refusal := self._ranking(ranking)) is not None]
        for signal in imported.signals:
            self._signal(signal)
        for fact in imported.facts:
            self._fact(fact.record)
        return refused

    @property
    def waiting(self) -> int:
        """How many records `taken` would give."""
        return sum(len(rows) for rows in self._out._asdict().values())

    def taken(self) -> Records:
        """The records that have come together since the last call, none that an earlier call gave."""
        out, self._out = self._out, _empty()
        for known in (self._prompts, self._completions, self._made):
            if len(known) > _REMEMBERED:
                known.clear()
        return out

    def pair(self, pair: ImportedPair, imported: Imported) -> None:
        """A comparison and one judgement."""
        out = self._out
        prompt = self._prompt(pair.prompt)
        policies = [self._policy(writer) for writer in pair.writers]
        first = self._completion(prompt, pair.first, policies[0])
        second = self._completion(prompt, pair.second, policies[1])
        if second == first:
            second = self._completion(prompt, pair.second, policies[1], sample=1)
        shown = content_id("comparison", [prompt, first, second])
        if shown not in self._made:
            self._made.add(shown)
            out.comparisons.append(Comparison(prompt=prompt, first=first, second=second, source=self.source))
        out.judgements.append(
            Judgement(
                uid=_uid(self._file, pair, imported),
                comparison=shown,
                rater=self._rater(pair.rater),
                verdict=pair.verdict,
                strength=pair.strength,
                reasons=pair.reasons,
                note=pair.note,
                guideline=pair.guideline,
                seconds=pair.seconds,
                judged_at=pair.judged_at or self._moment,
                swapped=pair.swapped,
                task=pair.task,
            )
        )

    def _ranking(self, found: ImportedRanking) -> Refusal | None:
        prompt = self._prompt(found.prompt)
        writers = found.writers or ("",) * len(found.answers)
        completions: list[str] = []
        for text, writer in zip(found.answers, writers, strict=True):
            policy, sample = self._policy(writer), 0
            while (new := self._completion(prompt, text, policy, sample=sample)) in completions:
                sample += 1
            completions.append(new)
        try:
            slate = Slate(prompt=prompt, completions=tuple(completions), source=self.source)
            ranking = Ranking(
                uid=content_id("imported ranking", [self._file, found.row, found.part]),
                slate=slate.id,
                rater=self._rater(found.rater),
                ranks=found.ranks,
                order=tuple(range(len(completions))),
                note=found.note,
                seconds=found.seconds,
                judged_at=found.judged_at or self._moment,
            )
        except DataError as error:
            return Refusal(found.where, f"{error.what}; found {error.found}", "")
        if slate.id not in self._made:
            self._made.add(slate.id)
            self._out.slates.append(slate)
        self._out.rankings.append(ranking)
        return None

    def _signal(self, found: ImportedSignal) -> None:
        completion = found.completion
        if found.prompt is not None:
            completion = self._completion(self._prompt(found.prompt), found.text, self._policy(found.writer))
        key = [found.key] if found.key else [self._file, found.row, found.part]
        person = "" if found.person is None else f":{self._pseudonym(found.person)}"
        self._out.feedback.append(
            Feedback(
                uid=content_id("imported feedback", [*key, found.kind]),
                completion=completion,
                kind=found.kind,
                person=self.source + person,
                value=found.value,
                note=found.note,
                created_at=found.created_at or self._moment,
            )
        )

    def _fact(self, fact: Fact) -> None:
        if not isinstance(fact, Judgement | Ranking | WrittenAnswer | Feedback):  # these have a uid, and stand once
            if fact.id in self._made:
                return
            self._made.add(fact.id)
        _PLACES[type(fact)](self._out).append(fact)

    def _policy(self, writer: str) -> str:
        return f"{self.source}:{writer}" if writer else self.source

    def _prompt(self, prompt: Prompt) -> str:
        # Two texts of one hash are as rare as two of one id: both have 64 bits.
        key = hash(prompt.messages)
        known = self._prompts.get(key)
        if known is None:
            known = self._prompts[key] = prompt.id
            self._out.prompts.append(prompt)
        return known

    def _completion(self, prompt: str, text: str, policy: str, sample: int = 0) -> str:
        key = hash((prompt, text, policy, sample))
        known = self._completions.get(key)
        if known is None:
            completion = Completion(prompt=prompt, text=text, policy=policy, sample=sample)
            known = self._completions[key] = completion.id
            self._out.completions.append(completion)
        return known

    def _rater(self, name: str | None) -> str:
        rater = self.source if name is None else f"{self.source}:{self._pseudonym(name)}"
        if rater not in self._made:
            self._made.add(rater)
            self._out.raters.append(Rater(rater, kind="import"))
        return rater


def _empty() -> Records:
    return Records([], [], [], [], [], [], [], [], [], [])


_PLACES: dict[type, Callable[[Records], list[object]]] = {
    kind: (lambda records, name=name: getattr(records, name))  # type: ignore[misc]
    for kind, name in (
        (Prompt, "prompts"),
        (Completion, "completions"),
        (Comparison, "comparisons"),
        (Rater, "raters"),
        (Judgement, "judgements"),
        (Slate, "slates"),
        (Ranking, "rankings"),
        (WrittenAnswer, "written_answers"),
        (Feedback, "feedback"),
        (Guideline, "guidelines"),
    )
}


def _uid(file_id: str, pair: ImportedPair, imported: Imported) -> str:
    # A row can hold several verdicts, in columns of their own or of several pairs; each is a judgement of its own.
    column = imported.columns.get("verdict")
    beside = [*([column] if column else []), *([pair.part] if pair.part else [])]
    return content_id("imported judgement", [file_id, pair.row, *beside])
