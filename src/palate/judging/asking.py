"""From pairs to opinions, whoever is asked: the questions of each pair, thoughts where they come first, and their mean.

A judge brings two things: `read`, which has an opinion on each question, and `say`, which answers one in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from palate.core.judges import TOGETHER, Opinion, Pair
from palate.core.records import Message, Prompt
from palate.judging.template import Question, Template
from palate.judging.thinking import Thinking


class Thought(NamedTuple):
    """What a judge says before its verdict."""

    text: str
    without: Opinion | None = None
    """What stands in place of an opinion, where no thought came."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


Read = Callable[[list[Prompt]], list[Opinion]]
Say = Callable[[list[Prompt]], list[Thought]]


def answered(template: Template, pairs: Sequence[Pair], read: Read, say: Say) -> list[Opinion]:
    """One opinion a pair, in their order.

    Where a pair has several questions, its opinion is the mean of theirs; one that has no answer leaves it without.

    Args:
        template: What is asked of each pair, and whether there are thoughts first.
        pairs: In the order in which they are shown.
        read: Has an opinion on each question.
        say: Answers each question in words.
    """
    questions = [template.questions(pair) for pair in pairs]
    flat = [question for some in questions for question in some]
    if template.thinking is None:
        told = read([question.prompt for question in flat])
    else:
        told = _after_thoughts(template.thinking, flat, read, say)
    each = iter(one._replace(principle=question.principle) for one, question in zip(told, flat, strict=True))
    return [_mean([next(each) for _ in some]) for some in questions]


def _after_thoughts(thinking: Thinking, questions: Sequence[Question], read: Read, say: Say) -> list[Opinion]:
    thoughts = say([question.prompt for question in questions])
    usable = [place for place, thought in enumerate(thoughts) if thought.without is None and thought.text.strip()]
    asked = [
        Prompt(
            (
                *questions[place].prompt.messages,
                Message("assistant", thoughts[place].text.strip()),
                Message("user", thinking.verdict),
            )
        )
        for place in usable
    ]
    told = dict(zip(usable, read(asked) if asked else [], strict=True))
    return [_thought_over(thinking, thought, told.get(place)) for place, thought in enumerate(thoughts)]


def _thought_over(thinking: Thinking, thought: Thought, told: Opinion | None) -> Opinion:
    """A verdict with the thoughts before it, which are its reason, and what both cost."""
    one = told or thought.without or Opinion(None, "the judge was asked to think, and said nothing")
    p = one.p_first
    return one._replace(
        p_first=None if p is None else thinking.clamped(p),
        why=one.why if p is None else thought.text.strip(),
        prompt_tokens=one.prompt_tokens + thought.prompt_tokens,
        completion_tokens=one.completion_tokens + thought.completion_tokens,
    )


def _mean(told: Sequence[Opinion]) -> Opinion:
    """Of several principles' opinions on one pair; each stands in the reason."""
    if len(told) == 1:
        return told[0]
    tokens = {name: sum(getattr(one, name) for one in told) for name in ("prompt_tokens", "completion_tokens")}
    principle = TOGETHER.join(one.principle for one in told)
    silent = sorted((one for one in told if one.p_first is None), key=lambda one: not one.failed)
    if silent:  # failed before unwilling: what failed is asked again
        return Opinion(None, silent[0].why, silent[0].failed, principle, **tokens)
    named = [(one, p) for one in told if (p := one.p_first) is not None]
    why = "\n".join(f"{one.principle}: {p:.3f} {one.why}".rstrip() for one, p in named)
    return Opinion(sum(p for _, p in named) / len(named), why, principle=principle, **tokens)
