"""What a label would be without some of its judgements: as aggregating the rest again says."""

from itertools import product

import pytest

from palate.core.records import Comparison, Judgement, Preference, Prompt, Verdict
from palate.preferences import shares
from palate.preferences.aggregate import aggregate
from palate.preferences.shares import Rule

PROMPT, COMPARISON = Prompt.of("q"), Comparison(prompt="q", first="a", second="b")
WORTH = {Verdict.FIRST: 1.0, Verdict.SECOND: 0.0, Verdict.TIE: 0.5}


def believed(verdicts, label, minimum=1):
    judgements = [
        Judgement(uid=f"u{n}", comparison=COMPARISON.id, rater=f"r{n}", verdict=verdict)
        for n, verdict in enumerate(verdicts)
    ]
    return aggregate(COMPARISON, PROMPT, ("one", "two"), judgements, label=label, minimum=minimum)


@pytest.mark.parametrize("label", ["soft", "majority"])
@pytest.mark.parametrize("minimum", [1, 2])
def test_taking_votes_away_is_aggregating_without_them(label, minimum):
    rule = Rule(label=label, minimum=minimum)
    seen = 0
    for verdicts in product(WORTH, repeat=3):
        row = believed(verdicts, label, minimum)
        if isinstance(row, str):
            continue
        assert rule.explains(row)
        for gone in ((0,), (2,), (0, 1), (0, 1, 2)):
            left = [verdict for n, verdict in enumerate(verdicts) if n not in gone]
            then = believed(left, label, minimum)
            flipped = row.chosen != "one"
            worth = [1 - WORTH[verdicts[n]] if flipped else WORTH[verdicts[n]] for n in gone]
            p_chosen, weight = shares.without(row, worth, rule)
            seen += 1
            if isinstance(then, str):
                assert weight == 0
            else:
                assert weight == row.weight
                expected = then.p_chosen if then.chosen == row.chosen else 1 - then.p_chosen
                assert p_chosen == pytest.approx(expected)
    assert seen > 50


def test_a_label_of_all_comparisons_together_has_no_share_for_one_vote_but_all_of_them_are_the_row():
    row = Preference(
        comparison="c", prompt=PROMPT, chosen="one", rejected="two", p_chosen=0.83, votes=(2, 1, 0), weight=2.0
    )
    assert shares.without(row, [1.0], Rule()) is None
    assert shares.without(row, [1.0, 1.0, 0.0], Rule()) == (0.83, 0.0)


def test_votes_that_the_row_never_had_cannot_be_taken_away():
    row = Preference(comparison="c", prompt=PROMPT, chosen="one", rejected="two", p_chosen=0.75, votes=(1, 0, 0))
    assert shares.without(row, [0.0], Rule()) is None
