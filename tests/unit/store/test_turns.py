"""Rounds, releases, A/B tests and taints, as the journal keeps them."""

import pytest

from palate.core.errors import DataError
from palate.core.records import Rater
from palate.store import erasure, experiments, releases, rounds, rows, taints


def test_rounds_are_numbered_and_one_is_under_way_at_a_time(journal):
    first = rounds.begin(journal, {"beta": 0.1}, actor="lead")
    assert (first.number, first.parent, first.recipe) == (1, "", {"beta": 0.1})
    with pytest.raises(DataError, match="round 1"):
        rounds.begin(journal, {"beta": 0.1})
    rounds.note(journal, first.id, "dataset", "done", artefact="dataset-1", details={"rows": 7})
    rounds.note(journal, first.id, "", "stopped")
    second = rounds.begin(journal, {"beta": 0.1}, parent=first.id)
    assert (second.number, second.parent) == (2, first.id)
    assert second.id != first.id
    assert rounds.every(journal) == [first, second]
    told = [(one.step, one.state, one.artefact, one.details) for one in rounds.steps(journal, first.id)]
    assert told == [("", "began", "", {}), ("dataset", "done", "dataset-1", {"rows": 7}), ("", "stopped", "", {})]
    assert [rounds.state(journal, one.id) for one in (first, second)] == ["stopped", "began"]


def test_nonsense_about_rounds_is_refused(journal):
    with pytest.raises(DataError, match="not in the journal"):
        rounds.begin(journal, {}, parent="nowhere")
    one = rounds.begin(journal, {})
    with pytest.raises(DataError, match="no such state"):
        rounds.note(journal, one.id, "dataset", "ready")
    with pytest.raises(DataError, match="not in the journal"):
        rounds.note(journal, "nowhere", "dataset", "done")


def test_a_release_is_its_policy_under_its_guardrails(journal):
    one = releases.add(journal, "policy-1", gate="gate-1", actor="lead")
    assert releases.add(journal, "policy-1", gate="gate-2") == one
    guarded = releases.add(journal, "policy-1", guardrails="guardrails-1")
    assert guarded.id != one.id
    assert releases.every(journal) == [one, guarded]
    assert releases.get(journal, one.id) == one
    assert releases.get(journal, "policy-1") == guarded, "the later one"
    with pytest.raises(DataError, match="no such release"):
        releases.get(journal, "policy-2")


def test_the_last_word_on_a_name_holds(journal):
    one, other = releases.add(journal, "policy-1"), releases.add(journal, "policy-2")
    releases.point(journal, "stable", one.id)
    releases.point(journal, "canary", other.id)
    releases.point(journal, "stable", other.id, why="better")
    releases.point(journal, "canary", "")
    assert releases.aliases(journal) == {"stable": other.id}
    assert releases.get(journal, "stable") == other
    assert [(named.release, named.why) for named in releases.history(journal, "stable")] == [
        (one.id, ""),
        (other.id, "better"),
    ]
    with pytest.raises(DataError, match="a letter first"):
        releases.point(journal, "Stable!", one.id)
    with pytest.raises(DataError, match="not in the journal"):
        releases.point(journal, "stable", "nowhere")


def test_who_is_in_a_test_stays_where_they_are(journal):
    one, other = releases.add(journal, "policy-1"), releases.add(journal, "policy-2")
    test = experiments.begin(journal, "warmer", {other.id: 0.25, one.id: 0.75}, {"power": 0.8})
    assert list(experiments.every(journal)[0].arms) == [other.id, one.id], "the control is the first"
    assert experiments.assign(journal, test.id, "p1", one.id) == one.id
    assert experiments.assign(journal, test.id, "p1", other.id) == one.id
    assert [(who.person, who.arm) for who in experiments.assigned(journal, test.id)] == [("p1", one.id)]
    with pytest.raises(DataError, match="under way"):
        experiments.begin(journal, "another", test.arms, {})
    assert experiments.current(journal) == test
    experiments.end(journal, test.id, "decided", details={"winner": one.id})
    assert experiments.current(journal) is None
    with pytest.raises(DataError, match="over"):
        experiments.end(journal, test.id, "stopped", details={})
    assert [step.state for step in experiments.steps(journal, test.id)] == ["began", "decided"]
    for arms in ({one.id: 1.0}, {one.id: 0.5, other.id: 0.6}, {one.id: 1.0, other.id: 0.0}):
        with pytest.raises(DataError, match="arms"):
            experiments.begin(journal, "odd", arms, {})


def test_who_is_forgotten_was_in_no_test(journal):
    one, other = releases.add(journal, "policy-1"), releases.add(journal, "policy-2")
    test = experiments.begin(journal, "warmer", {one.id: 0.5, other.id: 0.5}, {})
    rows.add_raters(journal, [Rater("p1")])
    for person in ("p1", "p2"):
        experiments.assign(journal, test.id, person, one.id)
    assert erasure.forget(journal, "p1").deleted["assignment"] == 1
    assert [who.person for who in experiments.assigned(journal, test.id)] == ["p2"]


def test_an_erasure_marks_an_artefact_once(journal):
    assert taints.mark(journal, "r1", [("dataset-1", "holds 2 of the rows"), ("policy-1", "made from dataset-1")]) == 2
    assert taints.mark(journal, "r1", [("dataset-1", "holds 2 of the rows")]) == 0
    assert taints.mark(journal, "r2", [("dataset-1", "holds 1 of the rows")]) == 1
    assert [(one.artefact, one.receipt) for one in taints.every(journal)] == [
        ("dataset-1", "r1"), ("policy-1", "r1"), ("dataset-1", "r2"),
    ]  # fmt: skip
