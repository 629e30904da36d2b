"""The audit of a run's movement, on policies where everything is known: a tilt of standard normal answers."""

import numpy as np
import pytest

from palate.core.errors import DataError
from palate.evaluation.monitor.audit import (
    EARLIEST,
    FIRST,
    PLAINLY_FALSE,
    STILL_TRUE,
    Look,
    Slope,
    alarm,
    believe,
    correlation,
    kept,
    past_peak,
    slopes,
)
from palate.evaluation.monitor.forecast import forecast

BEND = 0.4


def look(shift: float, rng: np.random.Generator, *, answers: int = 1200, labels: int = 300, step: float = 0.2) -> Look:
    """Answers x ~ N(shift, 1) with reward x; gold is x - BEND x² / 2, so that it peaks at 1 / BEND = 2.5."""
    x = rng.normal(shift, 1, answers)
    gold = x - BEND * x**2 / 2
    first, second = np.arange(labels), np.arange(labels, 2 * labels)
    said = rng.random(labels) < 1 / (1 + np.exp(-1.5 * (gold[first] - gold[second])))
    return Look(
        features_ND=np.column_stack((x, x**2, rng.normal(size=answers))),
        rewards_N=x,
        moved_N=step * x,
        departed_N=shift * x - shift**2 / 2,  # log N(x; shift, 1) - log N(x; 0, 1)
        prompts_N=np.zeros(answers, dtype=int),
        first_P=first,
        second_P=second,
        labels_P=said.astype(float),
    )


def run(upto: float, seed: int = 0, step: float = 0.2) -> list[Look]:
    rng = np.random.default_rng(seed)
    return [look(shift, rng, step=step) for shift in np.arange(0, upto + 1e-9, step)]


def true_correlation(shift: float) -> float:
    """Of gold with x under N(shift, 1): its slope 1 - BEND shift, over its deviation."""
    slope = 1 - BEND * shift
    return slope / np.sqrt(slope**2 + BEND**2 / 2)


def test_the_correlation_is_found_look_by_look():
    """Root mean square error over ten seeds and thirteen looks: .07. Beyond three times that the estimate is wrong."""
    found = slopes(run(2.8))
    assert np.isnan(found[0].pays)
    errors = np.array([one.pays - true_correlation(0.2 * at) for at, one in enumerate(found)][2:])
    assert np.sqrt((errors**2).mean()) < 0.21
    assert np.abs(errors[:6]).max() < 0.21, "early looks are the surest: the largest of ten seeds was .13"
    assert found[-1].labels == 300 * len(found)


def test_the_checkpoint_at_the_peak_is_kept_though_gold_was_never_seen():
    seen = run(3.4, seed=1)
    found = slopes(seen)
    stopped = past_peak(found)
    assert stopped is not None
    at = 0.2 * kept(seen[: stopped + 1])
    gold = at - BEND * at**2 / 2
    assert gold > 0.97 * (2.5 - BEND * 2.5**2 / 2)
    raised = alarm(found)
    assert raised is not None
    assert 0.5 * 2.5 < 0.2 * raised <= 2.5 + 0.4


@pytest.mark.parametrize("seed", range(4))
def test_of_long_steps_the_look_whose_answers_are_worth_most_is_kept(seed):
    """Looks at 0, .9, 1.8, 2.7, 3.6; the peak is at 2.5."""
    assert kept(run(3.6, seed=seed, step=0.9)) == 3


def test_a_run_whose_reward_is_right_raises_no_alarm():
    """Gold is the reward itself; movement stops paying only where nothing moves."""
    rng = np.random.default_rng(2)
    found = []
    for shift in np.arange(0, 3, 0.2):
        one = look(shift, rng)
        said = rng.random(300) < 1 / (1 + np.exp(-1.5 * (one.rewards_N[:300] - one.rewards_N[300:600])))
        found.append(Look(**{name: getattr(one, name) for name in Look.__slots__} | {"labels_P": said.astype(float)}))
    assert alarm(slopes(found)) is None
    assert kept(found) == len(found) - 1
    assert not forecast(found).issued


def test_the_peak_is_forecast_from_seven_tenths_of_the_way():
    """√KL of N(m, 1) from N(0, 1) is m / √2."""
    for seed in range(5):
        told = forecast(run(1.75, seed=seed, step=0.25))
        assert told.issued, told.abstained
        assert abs(told.distance / (2.5 / np.sqrt(2)) - 1) < 0.2, "what is promised of most forecasts holds here"
        assert told.low < 2.5 / np.sqrt(2) < told.high
        assert abs(told.now - 1.75 / np.sqrt(2)) < 0.1


def test_a_forecast_from_the_start_abstains_and_says_why():
    told = forecast(run(0.4))
    assert not told.issued
    assert told.abstained
    assert np.isnan(told.distance)


def test_prompts_are_compared_with_themselves_only():
    """Two prompts whose answers differ by a constant: the difference must not look like a preference."""
    prompts = np.repeat([0, 1], 50)
    x = np.tile(np.linspace(-1, 1, 50), 2)
    assert correlation(x + 100 * prompts, x, prompts) == pytest.approx(1)
    assert correlation(np.ones(100), x, prompts) == 0
    base = look(0.0, np.random.default_rng(0))
    with pytest.raises(DataError, match="different prompts"):
        Look(**{name: getattr(base, name) for name in Look.__slots__} | {"prompts_N": np.arange(1200)})


def test_no_label_is_no_belief():
    base = look(0.0, np.random.default_rng(0), labels=0)
    with pytest.raises(DataError, match="no fresh label"):
        believe([base])


def test_an_alarm_wants_more_looks_than_one():
    low = [Slope(-0.9, -0.9, 10)] * (FIRST + 1)
    assert alarm(low[:EARLIEST]) is None
    assert alarm(low) == EARLIEST


def test_an_early_alarm_wants_a_reward_that_is_plainly_wrong():
    doubtful = [Slope(-0.9, (PLAINLY_FALSE + STILL_TRUE) / 2, 10)] * (FIRST + 1)
    assert alarm(doubtful[:FIRST]) is None
    assert alarm(doubtful) == FIRST


def test_a_fall_is_followed_ahead_unless_the_reward_is_right():
    falling = [Slope(p, 0.7, 10) for p in (0.9, 0.9, 0.9, 0.7, 0.45, 0.15)]
    assert alarm(falling) == 5
    assert alarm([one._replace(true=0.9) for one in falling]) is None
    assert alarm([Slope(0.3, 0.3, 10)] * 9) is None
