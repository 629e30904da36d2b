"""One call gives everything, also where next to nothing is known."""

import time
from dataclasses import replace

import numpy as np
import pytest

from palate.core.records import TASKS, Verdict
from palate.preferences.overview import overview, overview_of, sentences
from palate.preferences.raters import biases
from palate.preferences.reliability import agreement_of
from palate.preferences.votes import FIRST, votes_from, votes_of
from palate.store import check_items, rows
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements


def practice(judgements, comparisons, raters):
    """Columns of a plausible project; the first tenth of the raters flip coins."""
    rng = np.random.default_rng(0)
    item, rater = rng.integers(0, comparisons, judgements), rng.integers(0, raters, judgements)
    truth, skill = rng.normal(size=comparisons), rng.uniform(0.5, 2.0, raters)
    skill[: raters // 10] = 0
    pull = truth[item] * skill[rater] + 0.5 * rng.logistic(size=judgements)
    label = np.where(np.abs(pull) < 0.1, 2, np.where(pull > 0, 0, 1))
    votes = votes_from(
        item,
        rater,
        label,
        comparisons=range(comparisons),
        raters=[str(number) for number in range(raters)],
        strength=np.where(label == 2, 0, np.clip(np.abs(pull) * 1.5, 1, 3).astype(int)),
        swapped=rng.random(judgements) < 0.5,
        seconds=rng.lognormal(3, 0.5, judgements),
        task=np.where(rng.random(judgements) < 0.04, TASKS.index("repeat"), 0),
        guideline=(np.arange(judgements) > judgements // 2).astype(int),
        guidelines=["1", "2"],
        length=rng.integers(100, 900, (comparisons, 2)),
    )
    known = np.where(rng.random(comparisons) < 0.08, (truth < 0).astype(int), -1)
    return votes, {
        "expected": known,
        "group": np.arange(raters) % 4,
        "groups": list("abcd"),
        "axes": {"category": [f"k{number % 12}" for number in range(comparisons)]},
    }


def test_everything_at_once():
    votes, more = practice(20_000, 8_000, 40)
    found = overview(votes, **more)
    told = sentences(found)
    assert {"agreement", "biases", "disagreement", "coverage", "labels", "methods", "suspects"} <= told.keys()
    assert {"group a", "guideline 1", "guideline 2"} <= told.keys()
    assert found.choice.method == "one-coin"
    assert {"0", "1", "2", "3"} <= set(found.choice.careless)
    assert all(found.skill_full[number] < found.skill_full[4:].min() for number in range(4))
    assert len(found.raters) == 40
    assert len(found.most_split) == 20
    assert all(sentence.strip() and "nan" not in sentence for sentence in told.values())


def test_next_to_nothing_is_no_reason_to_fail():
    one = overview(votes_from([0], [0], [FIRST]))
    assert "No comparison has two raters" in sentences(one)["agreement"]
    none = overview(votes_from(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int)))
    assert none.raters == []
    assert all("nan" not in sentence for sentence in sentences(none).values())


@pytest.mark.slow
def test_a_tenth_of_a_million_in_a_tenth_of_a_minute():
    votes, more = practice(100_000, 40_000, 200)
    begun = time.process_time()
    overview(votes, **more)
    # It takes some 2 s; a minute is what a million may take.
    assert time.process_time() - begun < 6


def test_a_journal_tells_the_same_as_its_records(tmp_path, asked, said):
    with Journal.open(tmp_path / "j.db") as journal:
        made = asked(journal, 10)
        given = [
            said(c.id, ("r0", "first"), ("r1", "tie" if k % 2 else "first"), seconds=9.5) for k, c in enumerate(made)
        ]
        judge(journal, [j for rows in given for j in rows])
        first = given[0][0]
        judge(journal, [replace(first, uid="new", verdict=Verdict.SECOND, supersedes=first.uid, swapped=True)])
        check_items.add(journal, check_items.CheckItem(comparison=made[1].id, expected=Verdict.FIRST))
        found = overview_of(journal)
        records = judgements(journal)
        lengths = {c.id: tuple(len(rows.completions(journal)[side].text) for side in (c.first, c.second)) for c in made}
    votes = votes_of(records, lengths)
    assert found.agreement == pytest.approx(agreement_of(votes))
    assert found.biases == biases(votes)
    assert found.raters[0].checks.value == 1.0
    assert found.raters[1].checks.value == 0.0, "a tie is no answer to a check item that has a better side"
    assert {cell.names for cell in found.coverage.cells} >= {("kind 0",), ("kind 1",)}
