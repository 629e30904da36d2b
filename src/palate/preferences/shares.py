"""What a row's label would be without some of the judgements behind it: a judgement's share of what is believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import MANIFEST, read_manifest
from palate.core.records import Preference, Verdict
from palate.preferences.aggregate import PRIOR, soft_label
from palate.preferences.by_group import OTHERS, groups_in_dataset
from palate.preferences.dataset import read_lines
from palate.preferences.lossless import COMPARISONS, JUDGEMENTS, RATERS

_P_FIRST: Final = {Verdict.FIRST.value: 1.0, Verdict.SECOND.value: 0.0, Verdict.TIE.value: 0.5}
_NEAR: Final = 1e-9


class Vote(NamedTuple):
    """A judgement that counts in a row."""

    uid: str
    place: int
    """Of the row."""
    rater: str
    group: str
    """What the rater told; `OTHERS` of those who told none."""
    p_chosen: float
    """1 for the side that the row calls chosen, 0 for the other, .5 a tie."""


class Rule(NamedTuple):
    """How a dataset makes labels of votes."""

    label: str = "soft"
    prior: float = PRIOR
    minimum: int = 1
    """Votes below which there is no row."""

    def chosen(self, votes: tuple[int, int, int]) -> float | None:
        """How probable `chosen` is after these votes (chosen, rejected, tie); None: there would be no row."""
        if sum(votes) < max(self.minimum, 1):
            return None
        if self.label != "majority":
            return soft_label(*votes, prior=self.prior)
        chosen, rejected, tie = votes
        if chosen > max(rejected, tie):
            return 1.0
        return 0.0 if rejected > max(chosen, tie) else None

    def explains(self, row: Preference) -> bool:
        """Whether the row's label is what its votes say, and not what is believed from all comparisons together."""
        found = self.chosen(row.votes)
        return found is not None and abs(found - row.p_chosen) < _NEAR


def rule_of(dataset: Path) -> Rule:
    """The rule that a dataset was frozen by; the usual one where it does not say."""
    told = read_manifest(dataset).config if (dataset / MANIFEST).is_file() else {}
    return Rule(str(told.get("label", "soft")), float(told.get("prior", PRIOR)), int(told.get("minimum_judgements", 1)))


def votes_in_dataset(dataset: Path, rows: Sequence[Preference]) -> list[Vote]:
    """The judgements that count in some rows of a frozen dataset, in the order in which they were written.

    Raises:
        MissingArtefact: the dataset was frozen without its judgements.
    """
    place = {row.comparison: number for number, row in enumerate(rows)}
    groups = groups_in_dataset(dataset) if (dataset / RATERS).is_file() else {}
    chose_first = {
        line["id"]: line["first"]["text"] == rows[place[line["id"]]].chosen
        for _, line in read_lines(dataset / COMPARISONS)
        if line["id"] in place
    }
    votes = []
    for _, line in read_lines(dataset / JUDGEMENTS):
        if line["comparison"] in chose_first and line["verdict"] in _P_FIRST and line.get("counted", True):
            p_first = _P_FIRST[line["verdict"]]
            p_chosen = p_first if chose_first[line["comparison"]] else 1 - p_first
            group = groups.get(line["rater"], "") or OTHERS
            votes.append(Vote(line["uid"], place[line["comparison"]], line["rater"], group, p_chosen))
    return votes


def without(row: Preference, gone: Sequence[float], rule: Rule) -> tuple[float, float] | None:
    """`(p_chosen, weight)` of a row without some of its votes; weight 0 means that it would not be there.

    Args:
        row: As it is.
        gone: `Vote.p_chosen` of those that are taken away.
        rule: How labels are made.

    Returns:
        None where nobody can say: some votes stay, and the label is not made of this row's votes alone.
    """
    less = [sum(p == side for p in gone) for side in (1.0, 0.0, 0.5)]
    left = (row.votes[0] - less[0], row.votes[1] - less[1], row.votes[2] - less[2])
    if min(left) < 0:
        return None
    if sum(left) >= max(rule.minimum, 1) and not rule.explains(row):
        return None
    now = rule.chosen(left)
    return (row.p_chosen, 0.0) if now is None else (now, row.weight)
