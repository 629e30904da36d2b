"""Scrub what was imported: each conversation on its own, so that an answer stays the same wherever it occurs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from palate.core.guidelines import Guideline
from palate.core.records import (
    Comparison,
    Completion,
    Feedback,
    Judgement,
    Message,
    Prompt,
    Ranking,
    Slate,
    WrittenAnswer,
)
from palate.formats.imported import Fact, Imported
from palate.formats.scrub.scrubbing import Conversation, Scrubber

R = TypeVar("R")
H = TypeVar("H", Prompt, Completion, Comparison, Slate)


class ImportScrubber:
    """Scrubs the batches of one file.

    Records that name others by id are given the new ids of those whose text changed, which stand above them.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self.scrubber = scrubber
        self._ids: dict[str, str] = {}
        """Old to new, for records that changed."""
        self._taken: dict[str, str] = {}
        """New id of a completion that changed to its old one."""
        self._talks: dict[str, Conversation] = {}
        """Old id of a prompt that changed to its numbering."""

    def batch(self, imported: Imported) -> Imported:
        """The same without personal data and secrets."""
        return replace(
            imported,
            pairs=[self._sides(pair, "first", "second", "note") for pair in imported.pairs],
            demonstrations=[self._sides(shown, "completion") for shown in imported.demonstrations],
            approvals=[self._sides(approval, "completion") for approval in imported.approvals],
            prompts=[self._prompt(prompt)[0] for prompt in imported.prompts],
            rankings=[self._ranking(ranking) for ranking in imported.rankings],
            signals=[self._sides(signal, "text", "value", "note") for signal in imported.signals],
            facts=[fact._replace(record=self._fact(fact.record)) for fact in imported.facts],
            texts=[self._alone(text) for text in imported.texts],
        )

    def _alone(self, text: str) -> str:
        return self.scrubber.conversation([text]).text(text) if self.scrubber.places(text) else text

    def _prompt(self, prompt: Prompt) -> tuple[Prompt, Conversation | None]:
        """The prompt, and its numbering where anything in it was replaced or had been."""
        contents = [message.content for message in prompt.messages]
        if not any("<" in content or self.scrubber.places(content) for content in contents):
            return prompt, None
        talk = self.scrubber.conversation(contents)
        messages = tuple(Message(message.role, talk.text(message.content)) for message in prompt.messages)
        return (prompt if messages == prompt.messages else replace(prompt, messages=messages)), talk

    def _sides(self, found: R, *names: str) -> R:
        """A thing with a prompt and texts beside it, each of which goes on from the prompt alone."""
        prompt: Prompt | None = found.prompt  # type: ignore[attr-defined]
        clean, talk = (None, None) if prompt is None else self._prompt(prompt)
        changed: dict[str, Any] = {} if clean is prompt else {"prompt": clean}
        for name in names:
            text = getattr(found, name)
            if (new := self._beside(talk, text)) != text:
                changed[name] = new
        return replace(found, **changed) if changed else found  # type: ignore[type-var]

    def _beside(self, talk: Conversation | None, text: str) -> str:
        if not text or not self.scrubber.places(text):
            return text
        branch = self.scrubber.conversation([text]) if talk is None else talk.branch([text])
        return branch.text(text)

    def _ranking(self, found: Any) -> Any:
        prompt, talk = self._prompt(found.prompt)
        answers = tuple(self._beside(talk, text) for text in found.answers)
        return replace(found, prompt=prompt, answers=answers, note=self._beside(talk, found.note))

    def _fact(self, fact: Fact) -> Fact:
        """One record; ids of those that have one are computed anew where their text changed."""
        if isinstance(fact, Prompt):
            prompt, talk = self._prompt(fact)
            if talk is not None:
                self._talks[fact.id] = talk
            return self._moved(fact, prompt)
        if isinstance(fact, Completion):
            text = self._beside(self._talks.get(fact.prompt), fact.text)
            return self._moved(fact, replace(fact, prompt=self._id(fact.prompt), text=text))
        if isinstance(fact, Comparison):
            ends = {name: self._id(getattr(fact, name)) for name in ("prompt", "first", "second")}
            return self._moved(fact, replace(fact, **ends))
        if isinstance(fact, Slate):
            completions = tuple(map(self._id, fact.completions))
            return self._moved(fact, replace(fact, prompt=self._id(fact.prompt), completions=completions))
        if isinstance(fact, Judgement):
            return self._new(fact, ("comparison",), ("note",))
        if isinstance(fact, Ranking):
            return self._new(fact, ("slate",), ("note",))
        if isinstance(fact, WrittenAnswer):
            return self._new(fact, ("prompt", "original"), ("text",), self._talks.get(fact.prompt))
        if isinstance(fact, Feedback):
            return self._new(fact, ("completion", "value"), ("value", "note"))
        if isinstance(fact, Guideline):  # the team's own text
            return fact
        return fact

    def _id(self, old: str) -> str:
        return self._ids.get(old, old)

    def _moved(self, old: H, new: H) -> H:
        if new == old:
            return old
        # Two answers may become one text; they stay two answers all the same.
        while isinstance(new, Completion) and self._taken.setdefault(new.id, old.id) != old.id:
            new = replace(new, sample=new.sample + 1)
        self._ids[old.id] = new.id
        return new

    def _new(self, fact: R, ends: Iterable[str], texts: Iterable[str], talk: Conversation | None = None) -> R:
        changed = {name: self._id(getattr(fact, name)) for name in ends}
        changed |= {name: self._beside(talk, changed.get(name, getattr(fact, name))) for name in texts}
        if all(getattr(fact, name) == value for name, value in changed.items()):
            return fact
        return replace(fact, **changed)  # type: ignore[type-var]
