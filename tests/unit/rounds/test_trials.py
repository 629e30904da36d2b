"""A/B tests: what people did becomes outcomes exactly, the rule ends a test, and who is forgotten was never in it."""

import logging
import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tests import trials as made

from palate.core.errors import ConfigError, DataError
from palate.rounds import trial_words, trials
from palate.rounds.trials import Plan
from palate.serving import trial
from palate.serving.orders import Served
from palate.store import erasure, experiments, releases
from palate.store.journal import Journal

BOTH = {name: Served(name, f"policy-{name}", 512) for name in ("old", "new")}


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "palate.db") as opened:
        yield opened


def later(hours=48):
    return datetime.now(UTC) + timedelta(hours=hours)


def test_who_is_in_an_arm_stays_there_and_another_test_divides_them_anew(tmp_path):
    people = [f"person {number}" for number in range(10_000)]
    with Journal.open(tmp_path / "palate.db") as journal:
        test = made.begun(journal, Plan(difference=0.2, share=0.3, people=10))
        served = {person: trial.choose(journal, person, BOTH) for person in people[:20]}
    with Journal.open(tmp_path / "palate.db") as journal:
        again = {person: trial.choose(journal, person, dict(reversed(BOTH.items()))) for person in people[:20]}
        assert again == served
        assert len(experiments.assigned(journal, test.id)) == 20
        arms = Counter(trial.arm_of(test, person) for person in people)
        # Five standard deviations of 10,000 coins of .3.
        assert abs(arms[list(test.arms)[1]] - 3000) < 5 * math.sqrt(10_000 * 0.3 * 0.7)
        experiments.end(journal, test.id, "stopped", details={})
        assert trial.choose(journal, people[0], BOTH) is None
        other = made.begun(journal, Plan(difference=0.2, share=0.3, people=10), name="another")
        both = sum(
            trial.arm_of(test, person) == list(test.arms)[1] and trial.arm_of(other, person) == list(test.arms)[1]
            for person in people
        )
        assert abs(both - 900) < 5 * math.sqrt(10_000 * 0.09 * 0.91)


def test_nobody_is_counted_unless_both_arms_are_served(journal, caplog):
    assert trial.choose(journal, "p", BOTH) is None
    test = made.begun(journal)
    assert trial.choose(journal, "p", {}) is None, "still loading"
    with caplog.at_level(logging.WARNING, "palate.serving"):
        for person in ("p", "q", "r"):
            assert trial.choose(journal, person, {"old": BOTH["old"]}) is None
    assert [record.args[3] for record in caplog.records] == ["policy-new"], "once"
    assert trial.choose(journal, "", BOTH) is None
    assert experiments.assigned(journal, test.id) == []
    assert trial.choose(journal, "p", BOTH) in BOTH
    assert [one.person for one in experiments.assigned(journal, test.id)] == ["p"]


def test_outcomes_are_what_people_did_within_their_time(journal):
    test = made.begun(journal)
    one = made.Visit(journal, test, "one")
    good, bad, quiet, late = (one.see(hours) for hours in (0, 1, 2, 25))
    one.say(good, "up", 0.5)
    one.say(bad, "up", 1.5)
    one.say(bad, "down", 1.6)
    one.say(quiet, "down", 2.5)
    one.say(quiet, "none", 2.6)
    one.say(quiet, "down", 24.5)  # after their time
    one.say(good, "down", 1, person="somebody else")
    one.say(late, "down", 26)
    for verdict in ("drawn", "worse"):
        one.say(bad, "regenerate", 1.7, value=f"{verdict} {quiet}")
    other = made.Visit(journal, test, "other")
    shown = other.see()
    other.see(0, policy="policy-third")  # which they named
    other.see(0, policy=f"guardrails-1:{other.policy}")
    other.see(0, policy="guardrails-1")
    other.say(shown, "up")
    made.Visit(journal, test, "shown nothing")
    made.Visit(journal, test, "in no test", policy="policy-new").see()
    found = trials._watched(journal, test, Plan(), later())
    assert [(who.name, who.value) for who in found["approval"]] == [("one", 0.5), ("other", pytest.approx(2 / 3))]
    assert [who.treated for who in found["approval"]] == [one.treated, other.treated]
    assert [who.value for who in found["kept"]] == [pytest.approx(2 / 3), 1.0]
    assert trials._watched(journal, test, Plan(), datetime.now(UTC))["approval"] == [], "their time is not over"
    look = trials.look(journal, test, now=later())
    assert (sum(look.assigned), look.counted, look.verdict) == (3, 2, "")
    policies = {one.treated: one.policy, other.treated: other.policy}
    measured = {
        treated: trials.before(journal, policy, "approval", window_h=24) for treated, policy in policies.items()
    }
    assert 0.5 in measured[one.treated]


def test_a_share_of_pairs_counts_ties_half_and_each_person_once(journal):
    test = made.begun(journal, Plan(outcome="pairs", difference=0.2))
    at = datetime.now(UTC) + timedelta(minutes=1)
    for number, (verdict, policies) in enumerate(
        [("second", ("policy-old", "policy-new")), ("first", ("policy-new", "policy-old")),
         ("tie", ("policy-old", "policy-new")), ("both_bad", ("policy-old", "policy-new")),
         ("second", ("policy-old", "policy-third")), ("first", ("policy-old", "policy-old"))]
    ):  # fmt: skip
        made.pair(journal, "a", verdict, number, policies, at)
    made.pair(journal, "a", "first", 9, at=at + timedelta(hours=25))
    made.pair(journal, "b", "first", at=at + timedelta(hours=1))
    made.pair(journal, "model", "first", at=at, kind="model")
    found = trials._watched(journal, test, trials.Plan(outcome="pairs"), later())["pairs"]
    assert [(who.name, who.value) for who in found] == [("a", pytest.approx(2.5 / 3)), ("b", 0.0)]
    look = trials.look(journal, test, now=later())
    assert look.counted == 2
    assert look.primary.difference == pytest.approx(2.5 / 6 - 0.5)
    assert "Pairs won" in trial_words.sentence(look)


def people(journal, test, good, count):
    """`count` people of whom the share of their arm give a thumb up and the others one down, evenly spread.

    Who is in which arm differs from run to run, so thumbs that were drawn would now and then prove what is not so.
    """
    said = Counter()

    def thumb(treated):
        said[treated] += 1
        return "up" if int(said[treated] * good[treated]) > int((said[treated] - 1) * good[treated]) else "down"

    made.crowd(journal, test, [f"p{number}" for number in range(count)], thumb)


def test_a_test_ends_by_its_own_rule_and_only_once(journal):
    test = made.begun(journal, Plan(difference=0.3, spread=0.5, least=20, people=200))
    people(journal, test, (0.1, 0.9), 60)
    assert trials.settle(journal, test).verdict == "", "nobody's time is over"
    assert experiments.current(journal) == test
    look = trials.settle(journal, test, now=later())
    assert (look.verdict, look.counted) == ("better", 60)
    step = experiments.steps(journal, test.id)[-1]
    assert (step.state, step.details["verdict"], step.details["people"]) == ("decided", "better", 60)
    assert step.details["low"] > 0
    assert trials.settle(journal, test, now=later()).verdict == "better"
    assert [one.state for one in experiments.steps(journal, test.id)] == ["began", "decided"]
    assert trial_words.sentence(look).startswith("The new release is better. Approval: +")
    assert "The new release was better" in trial_words.ended(step)


@pytest.mark.parametrize(
    ("good", "plan", "verdict"),
    [
        ((0.9, 0.1), {"least": 50}, "harm"),
        ((0.9, 0.1), {"least": 10}, "worse"),
        ((0.9, 0.1), {"least": 50, "harm": 0.9}, "worse"),
        ((0.5, 0.5), {"people": 60}, "open"),
        ((0.1, 0.9), {"least": 61}, ""),
    ],
)
def test_the_rule(journal, good, plan, verdict):
    test = made.begun(journal, Plan(**{"difference": 0.3, "spread": 0.5, "people": 200, **plan}))
    people(journal, test, good, 60)
    look = trials.look(journal, test, now=later())
    assert look.verdict == verdict
    assert trial_words.sentence(look)


def test_a_wrong_split_is_said_and_nothing_is_decided(journal):
    test = made.begun(journal, Plan(difference=0.3, spread=0.5, people=100))
    control, treatment = test.arms
    names = [f"p{number}" for number in range(200)]
    most = [one for one in names if trial.arm_of(test, one) == control][:60]
    few = [one for one in names if trial.arm_of(test, one) == treatment][:4]
    made.crowd(journal, test, most + few, lambda treated: "up" if treated else "down")
    look = trials.settle(journal, test, now=later())
    assert look.mismatched
    assert look.verdict == ""
    assert experiments.current(journal) == test
    assert "not split as planned: 60 and 4" in trial_words.sentence(look)


def test_who_is_forgotten_was_in_no_test(journal):
    test = made.begun(journal)
    people(journal, test, (0.5, 0.5), 4)
    assert sum(trials.look(journal, test, now=later()).assigned) == 4
    erasure.forget(journal, "p2")
    look = trials.look(journal, test, now=later())
    assert (sum(look.assigned), look.counted) == (3, 3)
    assert "p2" not in [one.person for one in experiments.assigned(journal, test.id)]


def test_nonsense_is_refused(journal):
    with pytest.raises(DataError, match="no such release"):
        trials.begin(journal, "odd", "stable", "candidate", Plan())
    one = releases.add(journal, "policy-old")
    twin = releases.add(journal, "policy-old", guardrails="guardrails-1")
    with pytest.raises(DataError, match="one policy"):
        trials.begin(journal, "odd", one.id, twin.id, Plan())
    for wrong in ({"outcome": "clicks"}, {"outcome": "pairs", "share": 0.4}, {"window_h": 0}, {"harm": -0.1}):
        with pytest.raises(ConfigError):
            Plan(**wrong)
    test = made.begun(journal)
    assert test.plan["people"] == 300
    assert trials.look(journal, test).primary.ends == (-1.0, 1.0)
