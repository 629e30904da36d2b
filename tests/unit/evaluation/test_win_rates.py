"""From what a judge says of pairs to a win rate."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import DataError
from palate.core.judges import Opinion
from palate.core.progress import SILENT
from palate.core.records import Prompt
from palate.core.subjects import Answer
from palate.evaluation.league import league
from palate.evaluation.win_rates import Match, judge_matches, matches, win_rate


class Words:
    """Judges by a number in the answer, and writes down what it was shown."""

    name = "words"

    def __init__(self, opinion=None):
        self.seen, self.opinion = [], opinion or self._greater

    @staticmethod
    def _greater(pair):
        one, other = (float(text.split()[-1]) for text in (pair.first, pair.second))
        return Opinion(float(one > other) + 0.5 * float(one == other), "counted")

    def judge(self, pairs, progress=SILENT):
        self.seen += pairs
        return [self.opinion(pair) for pair in pairs]


def match(number, ours, theirs, sample=0):
    sides = [said if isinstance(said, Answer) else Answer(f"answer {said}") for said in (ours, theirs)]
    return Match(Prompt.of(f"question {number}"), *sides, sample)


def rate_of(found, judge=None, **more):
    judged = judge_matches(judge or Words(), found, **more)
    return win_rate(judged, ours="ours", theirs="theirs")


def test_wins_ties_and_losses_by_hand():
    found = rate_of([match(1, 3, 1), match(2, 3, "1.0"), match(3, 1, 2), match(4, 2, "2.0"), match(5, 7, 7)])
    # Two wins, a loss, a tie that was judged and one of equal answers.
    assert found.rate.value == pytest.approx((2 + 0 + 0.5 + 0.5) / 5)
    assert (found.wins, found.ties, found.losses, found.same) == (2, 2, 1, 1)
    assert (found.rate.n, found.prompts) == (5, 5)
    assert found.position.effect.value == 0
    assert found.position.flips.value == 0


def test_both_orders_are_shown_and_averaged_and_equal_answers_are_not_asked_about():
    first_by_a_little = Words(lambda _: Opinion(0.7))
    found = rate_of([match(1, 2, 1), match(2, 5, 5)], first_by_a_little)
    assert [(pair.first, pair.second) for pair in first_by_a_little.seen] == [
        ("answer 2", "answer 1"),
        ("answer 1", "answer 2"),
    ]
    assert found.rate.value == 0.5
    assert found.position.effect.value == pytest.approx(0.2)
    assert found.position.flips.value == 1


def test_what_was_not_answered_or_not_judged_is_neither_won_nor_lost():
    broken = Answer("", error="503 busy")

    def shy(pair):
        return Opinion(None, "no idea") if pair.first == "answer 9" else Words._greater(pair)

    rows = [match(1, 3, 1), match(2, broken, 1), match(3, 1, broken), match(4, 2, 9), match(5, 2, 1)]
    found = rate_of(rows, Words(shy))
    assert found.rate.value == 1
    assert (found.rate.n, found.wins, found.losses) == (2, 2, 0)
    assert found.unanswered == Counter({"no answer of ours: 503 busy": 1, "no answer of theirs: 503 busy": 1})
    # One order without an opinion is enough: the other alone would bring the bias of its place.
    assert found.abstained == Counter({"no idea": 1})


def test_nothing_judged_is_no_rate():
    found = rate_of([match(1, Answer("", error="gone"), 1)])
    assert found.rate.n == 0
    assert found.rate.value != found.rate.value
    assert found.equal_length.rate is None
    assert rate_of([]).prompts == 0


def test_lengths_and_cut_off_answers_are_told():
    rows = [match(1, Answer("longer answer 2", finished=False), Answer("a 1")), match(2, Answer("b 1"), Answer("c 2"))]
    found = rate_of(rows)
    assert found.cut_off == (1, 0)
    assert found.characters == (9.0, 3.0)


@settings(max_examples=30)
@given(
    numbers=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=20),
    seed=st.integers(0, 9),
)
def test_swapping_ours_and_theirs_gives_one_less_the_rate(numbers, seed):
    rows = [match(prompt, f"one {a}", f"other {b}") for a, b, prompt in numbers]
    lean = Words(lambda pair: Opinion(min(Words._greater(pair).p_first + 0.25, 1.0)))
    found = rate_of(rows, lean)
    swapped = rate_of([Match(m.prompt, m.theirs, m.ours) for m in rows], lean)
    assert found.rate.value == pytest.approx(1 - swapped.rate.value, abs=1e-12)
    assert found.rate.low == pytest.approx(1 - swapped.rate.high, abs=1e-12)
    assert (found.wins, found.ties) == (swapped.losses, swapped.ties)
    if found.position.effect:
        one, other = found.position.effect, swapped.position.effect
        assert [one.low, one.value, one.high] == pytest.approx([other.low, other.value, other.high], abs=1e-12)
    random.Random(seed).shuffle(rows)
    again = rate_of(rows, lean)
    assert [again.rate.low, again.rate.high] == pytest.approx([found.rate.low, found.rate.high], abs=1e-12)


def test_opinions_are_kept_and_only_those_that_are_missing_are_asked_for(tmp_path):
    rows = [match(number, number + 1, number) for number in range(100)]
    keep = tmp_path / "opinions.jsonl"
    doubtful = Words(lambda pair: Opinion(None, "later") if "99" in pair.first else Words._greater(pair))
    assert rate_of(rows, doubtful, keep=keep).abstained == Counter({"later": 2})
    with keep.open("a") as handle:
        handle.write('{"key": "half a li')  # killed while it wrote
    judge = Words()
    found = rate_of(rows, judge, keep=keep)
    assert [pair.first for pair in judge.seen] == ["answer 99"] * 2  # one order of one pair, the other of another
    assert found.rate.n == 100
    again = Words()
    assert rate_of(rows, again, keep=keep) == found
    assert again.seen == []
    assert found == rate_of(rows)


def test_a_judge_that_dies_half_way_goes_on_where_it_stood(tmp_path):
    rows = [match(number, number + 1, number) for number in range(300)]
    calls = []

    class Mortal(Words):
        def judge(self, pairs, progress=SILENT):
            calls.append(len(pairs))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return super().judge(pairs)

    keep = tmp_path / "o.jsonl"
    with pytest.raises(KeyboardInterrupt):
        judge_matches(Mortal(), rows, keep=keep)
    judge = Words()
    judge_matches(judge, rows, keep=keep)
    assert len(judge.seen) == 600 - calls[0] - calls[1]


def test_a_judge_who_makes_no_sense_is_an_error():
    for wrong in (1.2, -0.1, float("nan")):
        with pytest.raises(DataError, match="no probability"):
            judge_matches(Words(lambda _, p=wrong: Opinion(p)), [match(1, 2, 1)])
    short = Words()
    short.judge = lambda pairs, progress=SILENT: []
    with pytest.raises(DataError, match="lost count"):
        judge_matches(short, [match(1, 2, 1)])


def test_matches_are_made_sample_by_sample():
    prompts = [Prompt.of("one"), Prompt.of("two")]
    ours, theirs = ([[Answer(f"{who} {n} {k}") for k in range(2)] for n in range(2)] for who in ("our", "their"))
    made = matches(prompts, ours, theirs)
    assert [(m.prompt.text, m.ours.text, m.theirs.text, m.sample) for m in made] == [
        ("one", "our 0 0", "their 0 0", 0),
        ("one", "our 0 1", "their 0 1", 1),
        ("two", "our 1 0", "their 1 0", 0),
        ("two", "our 1 1", "their 1 1", 1),
    ]


def test_a_league_orders_three_and_says_which_order_is_open():
    rng, judged = random.Random(0), {}
    strength = {"strong": 2.0, "middle": 0.1, "weak": 0.0}
    for ours, theirs in (("strong", "middle"), ("strong", "weak"), ("weak", "middle")):
        p = 1 / (1 + 2.718281828 ** (strength[theirs] - strength[ours]))
        rows = [match(n, *((2, 1) if rng.random() < p else (1, 2))) for n in range(60)]
        judged[ours, theirs] = judge_matches(Words(), rows)
    table = league(judged)
    assert table[0].name == "strong"
    assert (table[0].rank, table[0].best, table[0].worst) == (1, 1, 1)
    assert {(row.best, row.worst) for row in table[1:]} == {(2, 3)}
    assert all(row.strength.low < row.strength.value < row.strength.high for row in table)
    assert sum(row.strength.value for row in table) == pytest.approx(0, abs=1e-9)
    assert table[0].win_rate == pytest.approx(0.88, abs=0.06)
    assert {row.strength.n for row in table} == {120}


def test_who_never_lost_has_a_strength_and_a_wide_interval():
    judged = {
        ("a", "b"): judge_matches(Words(), [match(n, 2, 1) for n in range(40)]),
        ("a", "c"): judge_matches(Words(), [match(n, 2, 1) for n in range(40)]),
        ("b", "c"): judge_matches(Words(), [match(n, 2 - n % 2, 1 + n % 2) for n in range(40)]),
    }
    table = league(judged)
    assert table[0].name == "a"
    assert (table[0].best, table[0].worst) == (1, 1)
    assert table[0].win_rate > 0.97
    assert table[0].strength.high - table[0].strength.low > 1.5
