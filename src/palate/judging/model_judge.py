"""A model behind an OpenAI-compatible address as a judge of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from palate.core.judges import Opinion, Pair
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.judging.asking import Thought, answered
from palate.judging.reading import p_first
from palate.judging.template import PAIRWISE, Template
from palate.models.servers.conversations import Endpoint, Reply, ask

_ALTERNATIVES: Final = 10
"""Likely first tokens that are asked for: three options in a few spellings."""
_REFUSED: Final = ("400", "422")
"""Servers that know no log-probabilities say so in various words, but with these."""
_SHOWN: Final = 120
"""Characters of a reply that are quoted."""


class ModelJudge:
    """Asks a model about each pair, once, in the order given.

    A reply that says neither A nor B nor tie is no opinion, and neither is a request that failed; the reason stands
    in the opinion.

    Args:
        endpoint: Who is asked.
        template: What is asked.
    """

    def __init__(self, endpoint: Endpoint, template: Template = PAIRWISE) -> None:
        self.endpoint, self.template = endpoint, template

    @property
    def name(self) -> str:
        """The model's, where it is, and what it is asked."""
        return f"{self.endpoint.model or 'the first model'} at {self.endpoint.url} ({self.template.name})"

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One opinion a pair, many asked at once."""
        progress.start(f"{self.name} judges", len(pairs))

        def read(questions: list[Prompt]) -> list[Opinion]:
            replies = ask(self.endpoint, questions, alternatives=_ALTERNATIVES, report=progress.advance)
            return [opinion(reply) for reply in self._without_logprobs(questions, replies)]

        found = answered(self.template, pairs, read, self._thoughts)
        progress.finish()
        return found

    def _thoughts(self, questions: list[Prompt]) -> list[Thought]:
        assert self.template.thinking is not None
        replies = ask(replace(self.endpoint, max_tokens=self.template.thinking.max_new_tokens), questions)
        return [
            Thought(
                reply.text,
                opinion(reply) if reply.error else None,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
            )
            for reply in replies
        ]

    def _without_logprobs(self, asked: Sequence[Prompt], replies: list[Reply]) -> list[Reply]:
        """Ask once more, more simply, what the server would not take."""
        again = [place for place, reply in enumerate(replies) if reply.error.startswith(_REFUSED)]
        if again:
            for place, reply in zip(again, ask(self.endpoint, [asked[place] for place in again]), strict=True):
                replies[place] = reply
        return replies


def opinion(reply: Reply) -> Opinion:
    """What a reply comes to."""
    if reply.error:
        return Opinion(None, f"the judge could not be asked: {reply.error}", failed=True)
    told = read(reply)
    return told._replace(prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)


def read(reply: Reply) -> Opinion:
    """What a reply says."""
    said = " ".join(reply.text.split())
    if not reply.finished and " " in said:
        return Opinion(None, "the judge was cut off before it came to a verdict")
    if not said:
        return Opinion(None, "the judge said nothing")
    p = p_first(reply.text, reply.likely)
    if p is None:
        shown = f"{said[:_SHOWN]}…" if len(said) > _SHOWN else said
        return Opinion(None, f"the judge named neither A nor B nor a tie: “{shown}”")
    return Opinion(p)
