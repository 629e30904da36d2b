"""Approvals as tokens: single completions, each with how good it is believed to be, and a stranger for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from palate.core.errors import DataError
from palate.core.ids import content_id
from palate.core.records import Approval
from palate.models import chat
from palate.models.chat import Row
from palate.training.encoding import prove_trained_tokens
from palate.training.order import shuffled


class Approved(NamedTuple):
    """An approval as tokens."""

    prompt_id: str
    prompt: list[int]
    completion: list[int]
    p_good: float
    weight: float

    @property
    def tokens(self) -> int:
        """Of prompt and completion."""
        return len(self.prompt) + len(self.completion)


class Encoded(NamedTuple):
    """What can be learned from, and how many approvals cannot."""

    rows: list[Approved]
    too_long: int
    """More tokens than the limit."""
    no_signal: int
    """The weight is 0."""

    @property
    def counts(self) -> dict[str, float]:
        """For a manifest."""
        good = sum(row.p_good for row in self.rows)
        return {"approvals": len(self.rows), "good": good, "too_long": self.too_long, "no_signal": self.no_signal}

    @property
    def sentence(self) -> str:
        """For the progress."""
        left_out = [f"{self.too_long} too long"] * (self.too_long > 0)
        left_out += [f"{self.no_signal} without a signal"] * (self.no_signal > 0)
        return f"{len(self.rows)} completions" + (f" (left out: {', '.join(left_out)})" if left_out else "")


def identity(approvals: Sequence[Approval]) -> str:
    """Id of approvals for a manifest."""
    return f"approvals-{content_id('data', [approval.id for approval in approvals])}"


def encode(tokenizer: PreTrainedTokenizerBase, approvals: Sequence[Approval], max_tokens: int) -> Encoded:
    """Approvals as tokens; what cannot be learned from is left out and counted.

    Raises:
        DataError: a row cannot be encoded; it names the row.
    """
    rows: list[Approved] = []
    too_long = no_signal = 0
    for place, approval in enumerate(approvals, start=1):
        try:
            prompt, (completion,), _ = chat.encode_answers(tokenizer, approval.prompt, [approval.completion])
        except DataError as error:
            error.where = ", ".join(filter(None, (f"approval {place} ({approval.id})", error.where)))
            raise
        row = Approved(approval.prompt.id, prompt, completion, approval.p_good, approval.weight)
        if row.weight == 0:
            no_signal += 1
        elif row.tokens > max_tokens:
            too_long += 1
        else:
            rows.append(row)
    return Encoded(rows, too_long, no_signal)


def encode_some(tokenizer: PreTrainedTokenizerBase, approvals: Sequence[Approval], max_tokens: int) -> Encoded:
    """As `encode`, for training.

    Raises:
        DataError: nothing is left.
        TrainingError: the completions' tokens are so few or so many that a mask must be wrong.
    """
    found = encode(tokenizer, approvals, max_tokens)
    if not found.rows:
        raise DataError(
            "there is no completion to learn from",
            expected=f"completions of at most {max_tokens} tokens with their prompt, of a weight above 0",
            found=f"{len(approvals)} completions: {found.too_long} too long, {found.no_signal} without a signal",
            hint="raise --max-tokens, up to the model's context" if found.too_long else "",
        )
    as_rows = (
        Row([*row.prompt, *row.completion], [False] * len(row.prompt) + [True] * len(row.completion))
        for row in found.rows
    )
    prove_trained_tokens(tokenizer, as_rows)
    return found


def strangers(rows: Sequence[Approved], max_tokens: int, seed: int) -> list[Approved]:
    """Each row's prompt with a completion that was written for another prompt.

    Whose completion it is stays the same for the whole run, so the reference is asked once. One that is too long
    behind its new prompt is cut: the log-ratio of its beginning is one too.

    Args:
        rows: At least two prompts among them.
        max_tokens: Of prompt and completion.
        seed: Of who meets whom.

    Raises:
        DataError: all rows have the same prompt.
    """
    if len({row.prompt_id for row in rows}) < 2:
        raise DataError(
            "KTO needs completions of at least two prompts, to know how far the policy has moved in general",
            found=f"{len(rows)} completions of one prompt",
        )
    order = shuffled(len(rows), seed, "strangers")
    found: list[Approved | None] = [None] * len(rows)
    for place, i in enumerate(order):
        later = (order[(place + step) % len(order)] for step in range(1, len(order)))
        other = next(j for j in later if rows[j].prompt_id != rows[i].prompt_id)
        room = max_tokens - len(rows[i].prompt)
        found[i] = rows[i]._replace(completion=rows[other].completion[:room])
    return [row for row in found if row is not None]
