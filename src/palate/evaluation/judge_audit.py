"""A model that judges, held against people who judged the same comparisons.

Source: position bias and agreement of model judges: Zheng et al. 2023, arXiv:2306.05685, 3.3 and 4.2; kappa: Cohen
1960; that length explains much of what judges prefer: Dubois et al. 2024, arXiv:2404.04475.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from palate.core.records import Verdict
from palate.evaluation.statistics import Figure, mean

_VERDICTS: Final = (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)
_DRAWS: Final = 1000


class Seen(NamedTuple):
    """A comparison that a judge and people have judged."""

    prompt: str
    """Its id; comparisons of a prompt hang together."""
    category: str
    judge: Verdict
    """`FIRST`, `SECOND` or `TIE`."""
    shown_first: tuple[float, ...]
    """For each order, how probable the judge thought it that the side which was shown first is better."""
    people: tuple[Verdict, ...]
    """One of each person."""
    longer: int
    """1 where the first answer is the longer one, -1 where the second is, 0 where neither."""
    principle: str = ""
    """By which the judge judged, if by one."""


class Audit(NamedTuple):
    """How a judge compares with people. `n` of each figure counts comparisons."""

    agreement: Figure
    """Share of people who said the same as the judge, a comparison."""
    people: Figure
    """The same of one person and the others: what a judge that is one of them would reach. Of comparisons that two
    people or more have judged."""
    kappa: Figure
    """Agreement beyond what verdicts as frequent as theirs would have by chance: 0 is chance, 1 is perfect."""
    position: Figure
    """Mean probability of the side that was shown first, less ½; 0 without a bias. Of comparisons that were shown in
    both orders."""
    length: Figure
    """How often the judge took the longer side less how often people did, ties half; of comparisons of unequal
    length. 0 is no more fond of length than people are."""
    categories: Mapping[str, Figure]
    """Agreement by category."""
    principles: Mapping[str, Figure]
    """Agreement by the principle of the judge; those of none are left out."""


def audit(seen: Sequence[Seen], *, seed: int = 0) -> Audit:
    """Hold a judge against people.

    Args:
        seen: Comparisons that both have judged; each with one person or more.
        seed: Of the bootstrap over prompts.
    """
    groups = [one.prompt for one in seen]
    same = [_share(one.people, one.judge) for one in seen]
    among = [(one.prompt, _among(one.people)) for one in seen if len(one.people) > 1]
    both = [one for one in seen if len(one.shown_first) > 1]
    unequal = [one for one in seen if one.longer]

    def by(keys: Sequence[str]) -> dict[str, Figure]:
        places: dict[str, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            places[key].append(place)
        return {
            key: mean([same[i] for i in some], [groups[i] for i in some], seed=seed)
            for key, some in sorted(places.items())
        }

    return Audit(
        agreement=mean(same, groups, seed=seed),
        people=mean([share for _, share in among], [prompt for prompt, _ in among], seed=seed),
        kappa=_kappa(seen, seed),
        position=mean(
            [sum(x.shown_first) / len(x.shown_first) - 0.5 for x in both], [x.prompt for x in both], seed=seed
        ),
        length=mean([_fonder(one) for one in unequal], [one.prompt for one in unequal], seed=seed),
        categories=by([one.category for one in seen]),
        principles={key: figure for key, figure in by([one.principle for one in seen]).items() if key},
    )


def _share(people: Sequence[Verdict], verdict: Verdict) -> float:
    return sum(one is verdict for one in people) / len(people)


def _among(people: Sequence[Verdict]) -> float:
    pairs = list(combinations(people, 2))
    return sum(one is other for one, other in pairs) / len(pairs)


def _fonder(one: Seen) -> float:
    """How much more the judge takes the longer side than people do."""
    longer = Verdict.FIRST if one.longer > 0 else Verdict.SECOND
    return _taken(one.judge, longer) - sum(_taken(said, longer) for said in one.people) / len(one.people)


def _taken(said: Verdict, side: Verdict) -> float:
    return 0.5 if said is Verdict.TIE else float(said is side)


def _kappa(seen: Sequence[Seen], seed: int) -> Figure:
    """Each comparison's people together weigh as much as its judge."""
    if not seen:
        return mean([])
    index = {prompt: place for place, prompt in enumerate(dict.fromkeys(one.prompt for one in seen))}
    table_GVV = np.zeros((len(index), len(_VERDICTS), len(_VERDICTS)))
    for one in seen:
        for said in one.people:
            cell = index[one.prompt], _VERDICTS.index(one.judge), _VERDICTS.index(said)
            table_GVV[cell] += 1 / len(one.people)
    rng = np.random.default_rng(seed)
    draws = [_of(table_GVV[rng.integers(0, len(index), len(index))].sum(axis=0)) for _ in range(_DRAWS)]
    told = [draw for draw in draws if not np.isnan(draw)]
    low, high = np.quantile(told, [0.025, 0.975]) if told else (np.nan, np.nan)
    return Figure(_of(table_GVV.sum(axis=0)), float(low), float(high), len(seen))


def _of(table_VV: np.ndarray) -> float:
    shares_VV = table_VV / table_VV.sum()
    by_chance = float(shares_VV.sum(axis=0) @ shares_VV.sum(axis=1))
    return float("nan") if by_chance == 1 else (float(np.trace(shares_VV)) - by_chance) / (1 - by_chance)
