"""From the judgements of one comparison to one preference. Each rater has one vote, see `voices`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from palate.core.errors import ConfigError
from palate.core.records import Comparison, Judgement, Preference, Prompt, Verdict
from palate.preferences.voices import counted

MODELS = ("one-coin", "dawid-skene", "recommended")
"""Labels that need all comparisons at once, see `recommend`."""
LABELS = ("soft", "majority", *MODELS)
PRIOR = 0.25
"""Votes imagined for each side. Three raters of one mind then mean p = 0.93, not certainty."""


def check_prior(prior: float) -> None:
    """Refuse a prior that gives no probability, or certainty.

    Raises:
        ConfigError: it is not a number above 0.
    """
    if not 0 < prior < math.inf:
        raise ConfigError(
            "the prior of a soft label is out of range",
            expected="a number above 0",
            found=str(prior),
            hint=f"{PRIOR} is the default",
        )


def votes(judgements: Sequence[Judgement]) -> tuple[int, int, int]:
    """`(first, second, tie)`, each rater once; `skip` and `both_bad` carry no direction."""
    verdicts = [judgement.verdict for judgement in counted(judgements)]
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
        prior: Votes imagined for each side, see `check_prior`.

    Raises:
        ConfigError: the prior is not above 0.
    """
    check_prior(prior)
    return (first + tie / 2 + prior) / (first + second + tie + 2 * prior)


def aggregate(
    comparison: Comparison,
    prompt: Prompt,
    texts: tuple[str, str],
    judgements: Sequence[Judgement],
    *,
    label: str = "soft",
    minimum: int = 1,
    prior: float = PRIOR,
    believed: float | None = None,
) -> Preference | str:
    """One preference, or the reason why there is none.

    Args:
        comparison: What was shown.
        prompt: Its prompt.
        texts: Text of the first and the second completion.
        judgements: Those of this comparison, in the order in which they were written; a rater who judged
            it more than once has one vote.
        label: `soft` keeps how sure the raters are; `majority` says 1 for the side that leads; the others take
            what is believed from all comparisons together.
        minimum: Raters with a direction or a tie that are needed.
        prior: Of a soft label; see `soft_label`.
        believed: The probability that the first is better, where it comes from elsewhere: a label of `MODELS` needs
            it, and with any other it stands in place of the votes'.

    Raises:
        ConfigError: there is no such label, or nothing is believed where it must be.
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
    if label in MODELS and believed is None:
        raise ConfigError(f"the label {label} needs all comparisons", hint="see palate.preferences.recommend")
    if believed is not None:
        p_first = believed
    else:
        p_first = soft_label(first, second, tie, prior=prior) if label == "soft" else float(leader is Verdict.FIRST)
    first_wins = p_first >= 0.5
    return Preference(
        comparison=comparison.id,
        prompt=prompt,
        chosen=texts[0] if first_wins else texts[1],
        rejected=texts[1] if first_wins else texts[0],
        p_chosen=p_first if first_wins else 1.0 - p_first,
        votes=(first, second, tie) if first_wins else (second, first, tie),
    )
