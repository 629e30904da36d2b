"""A model folder as a judge of pairs: how probable each verdict is to it, without a word being sampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from palate.core.errors import DataError
from palate.core.judges import Opinion, Pair
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.judging.asking import Thought, answered
from palate.judging.template import PAIRWISE, Template
from palate.models import chat, load, sampling
from palate.models.batch import completion_logprobs
from palate.models.layout import longest_row
from palate.models.tokenizers import ends_of, pad_id_of

VERDICTS: Final = ("A", "B", "tie")
"""As the template asks for them. Each is read as a whole answer, with its end."""
_WORTH: Final = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
_AT_ONCE: Final = 32
_ANY_LENGTH: Final = 1 << 30


class LocalJudge:
    """P(first is better) = P(A) + ½ P(tie), over the three verdicts.

    A pair whose question is longer than the model's context has no opinion, and says so. With a template that asks for
    thoughts, the model writes them first, and the verdicts are read behind them.

    Args:
        folder: Any causal model; its weights are loaded when it is first asked.
        template: What is asked.

    Source: soft labels from normalised log-probabilities of the options: Bai et al. 2022, arXiv:2212.08073, 4.1.
    """

    def __init__(self, folder: Path, template: Template = PAIRWISE) -> None:
        load.read_config(folder)  # what is no model is said before anybody has answered
        self.folder, self.template = folder, template
        self._loaded: load.LoadedModel | None = None

    @property
    def name(self) -> str:
        """The folder's, and what it is asked."""
        return f"{self.folder.resolve().name} ({self.template.name})"

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One opinion a pair, in the order given."""
        self._loaded = self._loaded or load.load_causal(self.folder)
        progress.start(f"{self.name} judges", len(pairs))
        found: list[Opinion] = []
        for start in range(0, len(pairs), _AT_ONCE):
            found += answered(self.template, pairs[start : start + _AT_ONCE], self._opinions, self._thoughts)
            progress.advance(len(found))
        progress.finish()
        return found

    def _opinions(self, questions: Sequence[Prompt]) -> list[Opinion]:
        assert self._loaded is not None
        model, tokenizer = self._loaded
        room = longest_row(model, _ANY_LENGTH)
        found: dict[int, Opinion] = {}
        prompts: list[list[int]] = []
        completions: list[list[int]] = []
        fit: list[int] = []
        for number, question in enumerate(questions):
            try:
                asked, said, _ = chat.encode_answers(tokenizer, question, VERDICTS)
            except DataError as error:
                found[number] = Opinion(None, error.what)
                continue
            tokens = len(asked) + max(map(len, said))
            if tokens > room:
                found[number] = _too_long(tokens, room)
                continue
            fit.append(number)
            prompts += [asked] * len(said)
            completions += said
        rows = completion_logprobs(model, prompts, completions, pad_id=pad_id_of(tokenizer))
        for place, number in enumerate(fit):
            told = rows[place * len(VERDICTS) : (place + 1) * len(VERDICTS)]
            logprobs_3 = torch.stack([row.double().sum() for row in told]).cpu()
            found[number] = Opinion(float(torch.softmax(logprobs_3, dim=0) @ _WORTH))
        return [found[number] for number in range(len(questions))]

    def _thoughts(self, questions: Sequence[Prompt]) -> list[Thought]:
        """The likeliest, token by token, so that the same question is thought of in the same way."""
        assert self._loaded is not None
        assert self.template.thinking is not None
        model, tokenizer = self._loaded
        room, longest = longest_row(model, _ANY_LENGTH), self.template.thinking.max_new_tokens
        found: dict[int, Thought] = {}
        fit: dict[int, list[int]] = {}
        for number, question in enumerate(questions):
            try:
                asked = chat.encode_prompt(tokenizer, question)
            except DataError as error:
                found[number] = Thought("", Opinion(None, error.what))
                continue
            if len(asked) + longest > room:
                found[number] = Thought("", _too_long(len(asked) + longest, room))
            else:
                fit[number] = asked
        ends = ends_of(tokenizer).ids
        said = sampling.sample(model, list(fit.values()), eos_id=ends, max_new_tokens=longest, temperature=0.0)
        found |= {number: Thought(chat.decode(tokenizer, row.tokens)) for number, row in zip(fit, said, strict=True)}
        return [found[number] for number in range(len(questions))]


def _too_long(tokens: int, room: int) -> Opinion:
    return Opinion(None, f"{tokens} tokens are more than the {room} of its context")
