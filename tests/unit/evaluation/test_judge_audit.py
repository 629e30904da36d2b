"""A judge held against people: figures by hand, planted biases recovered."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.records import Verdict
from palate.evaluation.judge_audit import Seen, audit, votes

A, B, TIE = Verdict.FIRST, Verdict.SECOND, Verdict.TIE


def seen(number, judge, people, *, shown=(), longer=0, category="plan"):
    return Seen(f"p{number}", category, judge, sum(shown) / 2 if len(shown) == 2 else None, votes(people), longer)


def test_by_hand():
    told = audit([seen(0, A, [A, A]), seen(1, B, [A, B]), seen(2, TIE, [A, B, B]), seen(3, B, [B])])
    assert told.agreement.value == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert told.people.value == pytest.approx((1 + 0 + 1 / 3) / 3)
    # Judge: A 1/4, B 1/2, tie 1/4. People: A (1 + 1/2 + 1/3) / 4, B (1/2 + 2/3 + 1) / 4.
    chance = 0.25 * (11 / 6) / 4 + 0.5 * (13 / 6) / 4
    assert told.kappa.value == pytest.approx((2.5 / 4 - chance) / (1 - chance))
    assert told.agreement.n == 4


def test_a_judge_who_says_what_people_say_is_perfect_and_one_who_guesses_is_chance():
    rng = random.Random(0)
    people = [rng.choice([A, B]) for _ in range(2000)]
    perfect = audit([seen(i, p, [p]) for i, p in enumerate(people)])
    assert (perfect.agreement.value, perfect.kappa.value) == (1, 1)
    guess = audit([seen(i, rng.choice([A, B]), [p]) for i, p in enumerate(people)])
    assert guess.kappa.low < 0 < guess.kappa.high
    assert abs(guess.kappa.value) < 0.06


@pytest.mark.parametrize("bias", [-0.2, 0.0, 0.15])
def test_a_planted_position_bias_is_recovered(bias):
    rng = random.Random(1)
    some = []
    for i in range(1500):
        p = rng.random() * 0.5 + 0.25
        some.append(seen(i, A if p > 0.5 else B, [A], shown=(p + bias, 1 - p + bias)))
    told = audit(some)
    assert told.position.value == pytest.approx(bias, abs=1e-9)
    assert told.position.n == 1500


def test_one_order_alone_says_nothing_of_position():
    assert audit([seen(0, A, [A], shown=(0.9,))]).position.n == 0


def test_a_fondness_of_length_beyond_peoples_is_told():
    """The judge takes the longer side always, people in two of three."""
    told = audit([seen(i, A, [A, A, B], longer=1) for i in range(30)] + [seen(99, B, [A], longer=0)])
    assert told.length.value == pytest.approx(1 / 3)
    assert told.length.n == 30


def test_categories_apart():
    told = audit([seen(0, A, [A], category="x"), seen(1, A, [B], category="y"), seen(2, A, [A], category="y")])
    assert {name: figure.value for name, figure in told.categories.items()} == {"x": 1, "y": 0.5}


def test_which_principle_did_what():
    told = audit(
        [seen(0, A, [A])._replace(principle="kind"), seen(1, A, [B])._replace(principle="brief"), seen(2, A, [A])]
    )
    assert {name: figure.value for name, figure in told.principles.items()} == {"brief": 0, "kind": 1}


verdicts = st.sampled_from([A, B, TIE])
flip = {A: B, B: A, TIE: TIE}


@pytest.mark.slow
@settings(max_examples=30)  # each draws thousands of times
@given(st.lists(st.tuples(verdicts, st.lists(verdicts, min_size=1, max_size=4)), min_size=1, max_size=12))
def test_which_side_is_called_first_makes_no_difference(rows):
    one = audit([seen(i, j, people) for i, (j, people) in enumerate(rows)])
    other = audit([seen(i, flip[j], [flip[p] for p in people]) for i, (j, people) in enumerate(rows)])
    assert one.agreement == other.agreement
    assert one.kappa.value == pytest.approx(other.kappa.value, nan_ok=True)


def test_of_very_many_prompts_the_interval_is_that_of_the_bootstrap(monkeypatch):
    """Twice: with draws, and as if they were too many to draw."""
    rng = random.Random(2)
    some = []
    for i in range(900):
        people = [rng.choice([A, A, B, TIE]) for _ in range(3)]
        judge = people[0] if rng.random() < 0.5 else rng.choice([A, B])
        shown = (rng.random(), rng.random())
        some.append(seen(i // 2, judge, people, shown=shown, longer=rng.choice([-1, 0, 1])))
    drawn = audit(some)
    for module in ("statistics", "judge_audit"):
        monkeypatch.setattr(f"palate.evaluation.{module}.MANY", 10)
    normal = audit(iter(some))
    for name in ("agreement", "people", "kappa", "position", "length"):
        one, other = getattr(drawn, name), getattr(normal, name)
        assert (one.value, one.n) == (pytest.approx(other.value), other.n)
        width = one.high - one.low
        assert width > 0
        # 1,000 draws know an end of the interval to about a twentieth of its width.
        assert abs(one.low - other.low) < 0.12 * width
        assert abs(one.high - other.high) < 0.12 * width


def test_an_opinion_by_several_principles_counts_for_each():
    told = audit([seen(0, A, [A])._replace(principle="kind + brief"), seen(1, A, [B])._replace(principle="brief")])
    assert {name: figure.value for name, figure in told.principles.items()} == {"brief": 0.5, "kind": 1}


def test_nothing_to_see_is_no_figure():
    assert audit([]).agreement.n == 0
