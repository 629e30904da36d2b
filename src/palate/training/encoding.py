"""Demonstrations as rows to learn from, and what must be true of any rows before a run begins.

A run that trains nothing, or the wrong tokens, has a normal-looking loss. So trained tokens are counted from the
rows themselves, just before they are used, and counts that cannot be right stop the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from palate.core.errors import ConfigError, DataError, TrainingError
from palate.core.records import Demonstration
from palate.models import chat
from palate.models.chat import Row
from palate.models.tokenizers import ends_of

TURNS = ("all", "last")
"""Which of the assistant's turns are trained."""
_LEAST_SHARE = 0.001
"""A smaller share of trained tokens is a mask gone wrong, not a short answer."""


class Census(NamedTuple):
    """Rows and tokens, counted."""

    rows: int
    tokens: int
    """Padding not among them."""
    trained: int
    """Tokens with a loss."""
    unended: int
    """Rows whose last trained token is no end token, or that train nothing."""

    @property
    def sentence(self) -> str:
        """For a person."""
        share = f"{self.trained / self.tokens:.1%}" if self.tokens else "none"
        return f"{self.rows} rows, {self.tokens} tokens, {self.trained} of them trained ({share})"


class Encoded(NamedTuple):
    """Demonstrations as rows, and what became of the rest."""

    rows: list[Row]
    demonstrations: int
    """How many have a row among them."""
    too_long: int
    """Rows left out: more tokens than the limit."""
    split: int
    """Demonstrations that became several rows, since the chat template rewrites what was said before."""
    kept_apart: int
    """Answers tokenised on their own; see `Answered.kept_apart`."""

    @property
    def counts(self) -> dict[str, float]:
        """For a manifest."""
        trained = sum(sum(row.trained) for row in self.rows)
        return {
            "demonstrations": self.demonstrations,
            "rows": len(self.rows),
            "too_long": self.too_long,
            "tokens": sum(len(row.tokens) for row in self.rows),
            "trained_tokens": trained,
        }

    @property
    def notes(self) -> list[str]:
        """What a person should know before the run begins."""
        told = []
        if self.split:
            told.append(
                f"the chat template writes earlier turns otherwise than they were said, so each trained turn of "
                f"{self.split} conversations is a row of its own: {self.demonstrations} demonstrations, "
                f"{len(self.rows)} rows"
            )
        return told + apart_note(self.kept_apart)


def apart_note(kept_apart: int) -> list[str]:
    """A sentence about answers that begin as the prompt ends, if there are any."""
    if not kept_apart:
        return []
    return [
        f"{kept_apart} answers begin with white space that would join the prompt's last token; they are tokenised "
        "on their own, as the model samples them"
    ]


def encode_demonstrations(
    tokenizer: PreTrainedTokenizerBase,
    demonstrations: Sequence[Demonstration],
    max_tokens: int,
    *,
    turns: str = "all",
) -> Encoded:
    """Demonstrations as rows of at most `max_tokens` tokens.

    Args:
        tokenizer: With its chat template.
        demonstrations: What to learn.
        max_tokens: Longer rows are left out and counted.
        turns: `all` trains everything the assistant says after the first question, `last` the completion alone.

    Raises:
        ConfigError: there is no such choice of turns.
        DataError: a conversation cannot be encoded; it names the demonstration.
    """
    if turns not in TURNS:
        raise ConfigError("--turns cannot be used", expected=" or ".join(TURNS), found=turns)
    rows: list[Row] = []
    kept = too_long = split = apart = 0
    for place, demonstration in enumerate(demonstrations, start=1):
        try:
            found, joined = chat.encode_conversation(
                tokenizer, demonstration.prompt, demonstration.completion, turns=turns
            )
        except DataError as error:
            error.where = ", ".join(filter(None, (f"demonstration {place} ({demonstration.id})", error.where)))
            raise
        fitting = [row for row in found if len(row.tokens) <= max_tokens]
        rows += fitting
        kept, too_long = kept + bool(fitting), too_long + len(found) - len(fitting)
        split, apart = split + (len(found) > 1), apart + joined
    return Encoded(rows, kept, too_long, split, apart)


def census(rows: Iterable[Row], ends: Collection[int]) -> Census:
    """Count rows as they are, however they were made."""
    count = tokens = trained = unended = 0
    for row in rows:
        last = next((token for token, on in zip(row.tokens[::-1], row.trained[::-1], strict=True) if on), None)
        count, tokens, trained = count + 1, tokens + len(row.tokens), trained + sum(row.trained)
        unended += last is None or last not in ends
    return Census(count, tokens, trained, unended)


def prove_trained_tokens(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Row]) -> tuple[Census, list[str]]:
    """Hold rows to what must be true of them before the first step.

    Returns:
        The counts, and sentences about what is odd but can be right.

    Raises:
        TrainingError: no token is trained, hardly any, or all; or no row ends with an end token.
    """
    ends = ends_of(tokenizer)
    found = census(rows, ends.ids)
    if not found.rows:
        return found, []
    name = tokenizer.decode([ends.written])
    hint = "look at a batch with `palate show batch`"
    if not found.trained:
        raise TrainingError("no token would be trained", expected="what the assistant says", found=found.sentence)
    if found.trained < _LEAST_SHARE * found.tokens:
        raise TrainingError(
            "hardly any token would be trained",
            expected=f"at least {_LEAST_SHARE:.1%}",
            found=found.sentence,
            hint=hint,
        )
    if found.trained == found.tokens:
        raise TrainingError(
            "every token would be trained",
            expected="prompts without a loss, and completions with one",
            found=found.sentence,
            hint=hint,
        )
    if found.unended == found.rows:
        raise TrainingError(
            "no row ends with an end token, so the model would never learn to stop",
            expected=f"{name!r} after each answer",
            found=f"none in {found.rows} rows",
            hint=hint,
        )
    if found.unended:
        return found, [f"{found.unended} of {found.rows} rows do not end with {name!r}"]
    return found, []
