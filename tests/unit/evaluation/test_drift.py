"""A watch that may be looked at after every row: few false alarms over its whole life, and real change is found."""

import random

import numpy as np
import pytest

from palate.core.errors import DataError
from palate.evaluation import drift


def test_over_its_whole_life_few_watches_raise_a_false_alarm():
    rng = np.random.default_rng(1)
    alarms = 0
    for seed in range(300):
        rows = rng.standard_cauchy(600)  # whatever the scores are: only ranks count
        alarms += drift.watch(rows[:100].tolist(), rows[100:].tolist(), seed=seed).alarm is not None
    assert alarms <= 25, "5 % of 300 and two deviations"


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_a_shift_is_found_soon_and_only_after_it_came(shift):
    rng = np.random.default_rng(2)
    found = []
    for seed in range(40):
        since = rng.normal(size=400)
        since[100:] += shift
        found.append(drift.watch(rng.normal(size=300).tolist(), since.tolist(), seed=seed).alarm)
    late = [at for at in found if at is not None and at >= 100]
    assert len(late) >= 37
    assert np.median(late) < 180


def test_equal_scores_are_no_evidence():
    told = drift.watch([1.0] * 50, [1.0] * 500)
    assert told.alarm is None
    assert told.evidence < 20


def test_other_prompts_are_noticed_and_the_same_ones_are_not():
    rng = random.Random(3)
    topics = {"work": ["career", "salary", "boss", "job", "skills"], "food": ["soup", "bake", "oven", "salt", "pan"]}

    def asked(topic, count):
        return [f"how do i {rng.choice(topics[topic])} my {rng.choice(topics[topic])} today" for _ in range(count)]

    before = asked("work", 200)
    assert drift.prompts(before, asked("work", 300)).alarm is None
    told = drift.prompts(before, asked("work", 100) + asked("food", 100))
    assert told.alarm is not None
    assert 100 <= told.alarm < 130


def test_too_little_or_no_number_is_refused():
    with pytest.raises(DataError, match="too little"):
        drift.watch([1.0] * 3, [1.0])
    with pytest.raises(DataError, match="no number"):
        drift.watch([1.0] * 30, [float("nan")])
    assert drift.watch([1.0] * 30, []).evidence == 1.0
