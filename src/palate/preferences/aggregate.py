"""From the judgements of one comparison to one preference."""

from __future__ import annotations

from collections.abc import Sequence

from palate.core.errors import ConfigError
from palate.core.records import Comparison, Judgement, Preference, Prompt, Verdict

LABELS = ("soft", "majority")
PRIOR = 0.25
"""Votes imagined for each side. Three raters of one mind then mean p = 0.93, not certainty."""


def votes(judgements: Sequence[Judgement]) -> tuple[int, int, int]:
    """`(first, second, tie)`; `skip` and `both_bad` carry no direction."""
    verdicts = [judgement.verdict for judgement in judgements]
    return (
        verdicts.count(Verdict.FIRST),
        verdicts.count(Verdict.SECOND),
        verdicts.count(Verdict.TIE),
    )


def majority(judgements: Sequence[Judgement]) -> Verdict | None:
    """The verdict with the most votes: first, second, or tie; a tie too when no one verdict leads.

    Returns:
        None when nobody gave a direction or a tie.
    """
    first, second, tie = votes(judgements)
    if first + second + tie == 0:
        return None
    if first > max(second, tie):
        return Verdict.FIRST
    return Verdict.SECOND if second > max(first, tie) else Verdict.TIE


def soft_label(first: int, second: int, tie: int, *, prior: float = PRIOR) -> float:
    """Believed probability that a rater prefers the first completion.

        p = (first + tie / 2 + prior) / (first + second + tie + 2 prior)

    the mean of a Beta(prior, prior) that has seen the votes; a tie is half a vote for each side.

    Args:
        first: Votes for the completion shown first.
        second: Votes for the one shown second.
        tie: Votes for neither.
        prior: Votes imagined for each side, above 0.

    Raises:
        ConfigError: the prior is not above 0.
    """
    if not prior > 0:
        raise ConfigError("the prior of a soft label is out of range", expected="above 0", found=str(prior))
    return (first + tie / 2 + prior) / (first + second + tie + 2 * prior)


def aggregate(
    comparison: Comparison,
    prompt: Prompt,
    texts: tuple[str, str],
    judgements: Sequence[Judgement],
    *,
    label: str = "soft",
    minimum: int = 1,
) -> Preference | str:
    """One preference, or the reason why there is none.

    Args:
        comparison: What was shown.
        prompt: Its prompt.
        texts: Text of the first and the second completion.
        judgements: All that count for it.
        label: `soft` keeps how sure the raters are; `majority` says 1 for the side that leads.
        minimum: Judgements with a direction or a tie that are needed.

    Raises:
        ConfigError: there is no such label.
    """
    if label not in LABELS:
        raise ConfigError("there is no such label", expected=" or ".join(LABELS), found=label)
    first, second, tie = votes(judgements)
    if first + second + tie < minimum:
        return "too few judgements"
    if texts[0] == texts[1]:
        return "both texts are the same"
    leader = majority(judgements)
    if label == "majority" and leader not in (Verdict.FIRST, Verdict.SECOND):
        return "no majority"
    p_first = soft_label(first, second, tie) if label == "soft" else float(leader is Verdict.FIRST)
    first_wins = p_first >= 0.5
    return Preference(
        comparison=comparison.id,
        prompt=prompt,
        chosen=texts[0] if first_wins else texts[1],
        rejected=texts[1] if first_wins else texts[0],
        p_chosen=p_first if first_wins else 1.0 - p_first,
        votes=(first, second, tie) if first_wins else (second, first, tie),
    )
