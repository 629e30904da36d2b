"""One rater, one voice: judging a comparison again does not add a vote, anywhere."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core.artefacts import Workspace
from palate.core.records import Comparison, Judgement, Prompt, Verdict
from palate.preferences import dataset
from palate.preferences.aggregate import aggregate, majority, votes
from palate.preferences.agreement import agreement, agreement_by_rater, krippendorff_alpha
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.preferences.voices import counted
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements

SHOWN = Comparison(prompt="p", first="a", second="b")
ASKED = Prompt.of("question")


def test_the_last_judgement_of_a_rater_is_their_vote(said):
    given_ = said("c", ("r0", "first"), ("r1", "second"), ("r0", "first"), ("r0", "second"))
    assert [j.uid for j in counted(given_)] == ["c/1", "c/3"]
    assert votes(given_) == (0, 2, 0)
    assert majority(given_) is Verdict.SECOND
    found = aggregate(SHOWN, ASKED, ("A", "B"), given_)
    # Two of two votes and a quarter imagined for each side; four votes would give 2.25 / 4.5.
    assert (found.chosen, found.votes) == ("B", (2, 0, 0))
    assert found.p_chosen == pytest.approx(2.25 / 2.5)
    assert aggregate(SHOWN, ASKED, ("A", "B"), given_, minimum=3) == "too few judgements"


@pytest.mark.parametrize("last", ["skip", "both_bad"])
def test_who_takes_back_their_choice_has_no_vote(said, last):
    given_ = said("c", ("r0", "first"), ("r1", "second"), ("r0", last))
    assert votes(given_) == (0, 1, 0)
    assert agreement(given_).n == 0


def test_superseded_and_repeated_judgements_together(said):
    one, two, three = said("c", ("r0", "first"), ("r0", "second"), ("r0", "tie"))
    # The first is corrected by the third; the second, unlinked, was written before it.
    assert counted([one, two, replace(three, supersedes=one.uid)]) == [replace(three, supersedes=one.uid)]
    # A correction of the second that leaves the first standing.
    assert votes([one, two, replace(three, supersedes=two.uid)]) == (0, 0, 1)
    # What was corrected does not come back when rows are in another order.
    assert votes([replace(two, supersedes=one.uid), one]) == (0, 1, 0)


def test_agreement_does_not_compare_a_rater_with_themselves(said):
    given_ = said("c", ("r0", "first"), ("r0", "first"), ("r0", "second"), ("r1", "first"))
    found = agreement(given_)
    assert (found.value, found.n) == (0.0, 1)
    assert krippendorff_alpha(given_).n == 2
    assert {rater: (e.value, e.n) for rater, e in agreement_by_rater(given_).items()} == {"r0": (0, 1), "r1": (0, 1)}


VERDICTS = st.sampled_from(list(Verdict))
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), VERDICTS), min_size=1, max_size=25)


def journal_rows(given_):
    return [Judgement(uid=str(k), comparison=f"c{c}", rater=f"r{r}", verdict=v) for k, (c, r, v) in enumerate(given_)]


@given(ROWS)
def test_earlier_judgements_of_a_rater_change_nothing(given_):
    written = journal_rows(given_)
    last = {(j.comparison, j.rater): j for j in written}
    alone = [j for j in written if last[j.comparison, j.rater] is j]
    assert counted(written) == counted(counted(written)) == alone
    for group in {j.comparison for j in written}:
        both = [[j for j in rows if j.comparison == group] for rows in (written, alone)]
        assert votes(both[0]) == votes(both[1])
        assert aggregate(SHOWN, ASKED, ("A", "B"), both[0]) == aggregate(SHOWN, ASKED, ("A", "B"), both[1])
    for figure in (agreement, krippendorff_alpha):
        assert repr(figure(written, resamples=50)) == repr(figure(alone, resamples=50))
    assert repr(agreement_by_rater(written)) == repr(agreement_by_rater(alone))


def test_a_frozen_row_has_one_vote_a_rater_and_the_journal_keeps_both_rows(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        comparison = asked(journal, 1)[0].id
        judge(journal, said(comparison, ("r0", "first"), ("r0", "second"), ("r1", "second")))
        folder = freeze(journal, Workspace(tmp_path), SnapshotConfig(heldout_fraction=0.0))
        assert len(judgements(journal)) == 3
    (row,) = dataset.load_preferences(folder)
    assert row.votes == (2, 0, 0)
    card = (folder / "card.md").read_text()
    assert "2 judgements by 2 raters" in card
    assert "judged again by the same rater: 1" in card
    assert "two raters of one comparison agree: 100.0%" in card
